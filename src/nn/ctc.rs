//! Connectionist temporal classification: the loss of a sequence of labels under scores for each of more steps, and
//! the labels that scores stand for.
//!
//! ```text
//! l′ = blank l₁ blank l₂ … blank                                   2S + 1 states
//! α_t(s) = p_t(l′_s) (α_{t−1}(s) + α_{t−1}(s−1) + [l′_s ≠ blank, l′_s ≠ l′_{s−2}] α_{t−1}(s−2))
//! L = −ln (α_T(2S) + α_T(2S−1))
//! ∂L / ∂x_t(k) = p_t(k) − Σ_{s: l′_s = k} e^L α_t(s) β_t(s) / p_t(l′_s)
//! ```
//! with p the softmax of the scores x, and β as α from the end. The sums are [`Scaled`]: whatever the scores are, no path
//! is lost, as with logarithms. Graves et al., "Connectionist Temporal Classification", 2006.
//!
//! Decoding: the best label of each step, or a beam of prefixes, whose probability is that of all their paths (Hannun
//! et al., "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent DNNs", 2014).

use super::targets::Spelling;

use super::targets::check_weights;
use crate::buffer::{copied, zeros};
use crate::error::{Error, Result};
use crate::kernels::exponential::{Softmax, ln};
use crate::kernels::scaled::{AddThree, DRIFT, NOTHING, Scaled, ScaledExp, Unscale};
use crate::parallel::{self, Turn};
use crate::shape;
use crate::simd::{Dispatch, Isa};
use std::collections::HashMap;

/// Floating-point operations of a state at a step, both ways, roughly.
const OPERATIONS: usize = 60;
/// ln p of what is impossible: finite, and less than that of any path.
const IMPOSSIBLE: f64 = -1e12;

/// How scores are read.
///
/// ```
/// use gru_rs::{Ctc, Isa, Spelling};
/// let ctc = Ctc { isa: Isa::chosen()?, classes: 3, blank: 0 };
/// // Two steps sure of 1, one of nothing, one of 1, one of 2: what was heard is 1, 1, 2.
/// let scores = [0., 9., 0., 0., 9., 0., 9., 0., 0., 0., 9., 0., 0., 0., 9.];
/// assert_eq!(ctc.greedy(&scores, &[5])?, [[1, 1, 2]]);
/// let (loss, gradient) = ctc.loss(&scores, &[5], Spelling { labels: &[1, 1, 2], lengths: &[3] }, None)?;
/// assert!(loss < 0.01 && gradient.len() == scores.len());
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ctc {
    /// The instruction set.
    pub isa: Isa,
    /// Scores of a step, that of the blank among them.
    pub classes: usize,
    /// The label that is no label.
    pub blank: u32,
}

/// Labels and the logarithm of their probability.
pub type Guess = (Vec<u32>, f64);

/// A row of a batch: its part of the loss, from its part of the scores.
struct Row<'a, F> {
    x: &'a [F],
    d_x: &'a mut [F],
    labels: &'a [u32],
    /// How much it counts.
    share: f64,
    loss: &'a mut f64,
}

impl Ctc {
    /// The weighted mean over rows of −ln p by the number of labels, as PyTorch's, and its gradient at the scores,
    /// `(steps, classes)`, row after row.
    pub fn loss<F: Dispatch>(
        &self, scores: &[F], lengths: &[usize], targets: Spelling<'_>, weights: Option<&[F]>,
    ) -> Result<(f64, Vec<F>)> {
        self.check(scores.len(), lengths, targets)?;
        check_weights(weights, lengths.len())?;
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[row].to_f64());
        let all: f64 = (0..lengths.len()).map(weight).sum();
        let scale = if all > 0.0 { 1.0 / all } else { 0.0 };
        let mut losses: Vec<f64> = zeros(lengths.len(), "scratch")?;
        let mut gradient = zeros(scores.len(), "gradients")?;
        let (mut rows, mut operations) = (Vec::with_capacity(lengths.len()), 0);
        let (mut x, mut d_x, mut labels) = (scores, &mut gradient[..], targets.labels);
        for (index, loss) in losses.iter_mut().enumerate() {
            let (steps, count) = (lengths[index] * self.classes, targets.lengths[index]);
            let (own, rest) = d_x.split_at_mut(steps);
            let share = weight(index) * scale / count.max(1) as f64;
            rows.push(Row { x: &x[..steps], d_x: own, labels: &labels[..count], share, loss });
            (x, d_x, labels) = (&x[steps..], rest, &labels[count..]);
            operations += lengths[index] * (2 * count + 1) * OPERATIONS;
        }
        parallel::for_each(parallel::worth(operations)?, rows, |row, turn| self.row(row, turn))?;
        Ok((losses.iter().sum(), gradient))
    }

    /// Sizes; labels that there are; steps enough for them.
    fn check(&self, scores: usize, lengths: &[usize], targets: Spelling<'_>) -> Result<()> {
        self.check_scores(scores, lengths)?;
        targets.check(lengths.len())?;
        let mut labels = targets.labels;
        for (row, (&steps, &count)) in lengths.iter().zip(targets.lengths).enumerate() {
            let (own, rest) = labels.split_at(count);
            labels = rest;
            if let Some(label) = own.iter().find(|&&label| label as usize >= self.classes || label == self.blank) {
                let expected = format!("labels below {} other than the blank, {}", self.classes, self.blank);
                return Err(Error::value("targets", expected, format!("{label} in row {row}")));
            }
            // Between two equal labels stands a blank.
            let needed = count + own.windows(2).filter(|pair| pair[0] == pair[1]).count();
            if needed > steps {
                let expected = format!("at least {needed} steps for the labels of row {row}");
                return Err(Error::value("lengths", expected, steps));
            }
        }
        Ok(())
    }

    /// p of each step, `(steps, classes)`, and ln p.
    fn softmax<F: Dispatch>(&self, x: &[F]) -> Result<(Vec<f64>, Vec<f64>)> {
        let (mut p, mut sums) = (zeros(x.len(), "scratch")?, zeros(x.len() / self.classes, "scratch")?);
        p.iter_mut().zip(x).for_each(|(p, x)| *p = x.to_f64());
        let mut log_p = copied(&p, "scratch")?;
        f64::dispatch(self.isa, Softmax { rows: &mut p, columns: self.classes, log_sums: &mut sums });
        for (row, sum) in log_p.chunks_exact_mut(self.classes).zip(sums) {
            // A NaN stays.
            row.iter_mut().for_each(|x| *x = if *x - sum < IMPOSSIBLE { IMPOSSIBLE } else { *x - sum });
        }
        Ok((p, log_p))
    }

    fn row<F: Dispatch>(&self, row: Row<'_, F>, turn: &Turn<'_>) -> Result<()> {
        let Row { x, d_x, labels, share, loss } = row;
        let steps = x.len() / self.classes;
        if steps == 0 {
            return Ok(());
        }
        let (mut p, log_p) = self.softmax(x)?;
        let mut emit = nothing(x.len())?;
        f64::dispatch(self.isa, ScaledExp { logarithms: &log_p, powers: emit.from_mut(0) });
        let path: Vec<u32> =
            (0..=2 * labels.len()).map(|s| if s % 2 == 0 { self.blank } else { labels[s / 2] }).collect();
        let states = path.len();
        let mut walk = Walk::new(*self, path.clone())?;
        let mut forward = nothing(steps * states)?;
        let Scaled { mantissas, exponents } = &mut forward;
        let rows = mantissas.chunks_exact_mut(states).zip(exponents.chunks_exact_mut(states));
        for (t, (m, e)) in rows.enumerate() {
            turn.go_on()?;
            walk.step(&emit.from(t * self.classes), t);
            m.copy_from_slice(&walk.ways.mantissas[2..]);
            e.copy_from_slice(&walk.ways.exponents[2..]);
        }
        let (mantissa, exponent) = walk.all()?;
        *loss = share * -(ln(mantissa) + exponent * std::f64::consts::LN_2);
        let mut walk = Walk::new(*self, path.iter().rev().copied().collect())?;
        let mut occupied = nothing(states)?;
        let lines = d_x.chunks_exact_mut(self.classes).zip(p.chunks_exact_mut(self.classes)).enumerate().rev();
        for (t, (d_x, p)) in lines {
            turn.go_on()?;
            walk.step(&emit.from(t * self.classes), steps - 1 - t);
            // Both ways to a state, its own label in one of them alone.
            let (a, b) = (forward.from(t * states), walk.sums.from(0));
            for (s, (m, e)) in occupied.mantissas.iter_mut().zip(&mut occupied.exponents).enumerate() {
                let back = states - 1 - s;
                *m = a.mantissas[s] * b.mantissas[back] / mantissa;
                *e = a.exponents[s] + b.exponents[back] - exponent;
            }
            f64::dispatch(self.isa, Unscale(occupied.from_mut(0)));
            let mut blank = 0.0;
            for (occupied, &label) in occupied.mantissas.chunks(2).zip(labels.iter().chain([&self.blank])) {
                blank += occupied[0];
                if let Some(occupied) = occupied.get(1) {
                    p[label as usize] -= occupied;
                }
            }
            p[self.blank as usize] -= blank;
            d_x.iter_mut().zip(&*p).for_each(|(d, off)| *d = F::from_f64(share * off));
        }
        Ok(())
    }

    /// Each row's labels by the best class of each step: repeated ones once, blanks never.
    pub fn greedy<F: Dispatch>(&self, scores: &[F], lengths: &[usize]) -> Result<Vec<Vec<u32>>> {
        self.check_scores(scores.len(), lengths)?;
        let mut found = Vec::with_capacity(lengths.len());
        let mut steps = scores.chunks_exact(self.classes);
        for &length in lengths {
            let best =
                steps.by_ref().take(length).map(|x| (1..x.len()).fold(0, |a, b| if x[b] > x[a] { b } else { a }));
            let mut labels = best.map(|label| label as u32).collect::<Vec<_>>();
            labels.dedup();
            labels.retain(|&label| label != self.blank);
            found.push(labels);
        }
        Ok(found)
    }

    fn check_scores(&self, scores: usize, lengths: &[usize]) -> Result<()> {
        let steps: usize = lengths.iter().sum();
        shape::expect_len("scores", scores, &[steps, self.classes])?;
        if (self.blank as usize) < self.classes {
            return Ok(());
        }
        Err(Error::value("blank", format!("a class below {}", self.classes), self.blank))
    }

    /// Each row's most probable labels, best first, at most `width`, with ln p of the paths that the beam kept.
    pub fn beam<F: Dispatch>(&self, scores: &[F], lengths: &[usize], width: usize) -> Result<Vec<Vec<Guess>>> {
        self.check_scores(scores.len(), lengths)?;
        shape::positive("beam_width", width)?;
        let mut found: Vec<Vec<Guess>> = vec![Vec::new(); lengths.len()];
        let (mut rows, mut x) = (Vec::with_capacity(lengths.len()), scores);
        for (&length, found) in lengths.iter().zip(&mut found) {
            let (own, rest) = x.split_at(length * self.classes);
            rows.push((own, found));
            x = rest;
        }
        let operations = scores.len().saturating_mul(width).saturating_mul(8);
        parallel::for_each(parallel::worth(operations)?, rows, |(x, found), turn| {
            *found = self.search(x, width, turn)?;
            Ok(())
        })?;
        Ok(found)
    }

    fn search<F: Dispatch>(&self, x: &[F], width: usize, turn: &Turn<'_>) -> Result<Vec<Guess>> {
        let mut p: Vec<f64> = x.iter().map(|x| x.to_f64()).collect();
        let mut sums = zeros(x.len() / self.classes, "scratch")?;
        f64::dispatch(self.isa, Softmax { rows: &mut p, columns: self.classes, log_sums: &mut sums });
        let mut beam = Beam::new(width, self.blank);
        for p in p.chunks_exact(self.classes) {
            turn.go_on()?;
            beam.step(p);
        }
        Ok(beam.guesses())
    }
}

/// So many numbers that are nothing.
fn nothing(count: usize) -> Result<Scaled<Vec<f64>>> {
    let mut scaled = Scaled { mantissas: zeros(count, "scratch")?, exponents: zeros(count, "scratch")? };
    scaled.clear();
    Ok(scaled)
}

/// A walk over the states of a path, step by step.
struct Walk {
    ctc: Ctc,
    path: Vec<u32>,
    /// 0 where two states may be taken at once, else [`NOTHING`].
    skip: Vec<f64>,
    /// The ways so far to each state, behind two more that are nothing but in the beginning.
    ways: Scaled<Vec<f64>>,
    /// The same without the last label.
    sums: Scaled<Vec<f64>>,
    /// The label's own.
    emit: Scaled<Vec<f64>>,
}

impl Walk {
    fn new(ctc: Ctc, path: Vec<u32>) -> Result<Self> {
        let states = path.len();
        // The beginning counts as a blank before the path: from there one may begin with a blank or with a label.
        let may_skip = |s: usize| s >= 1 && path[s] != ctc.blank && (s == 1 || path[s] != path[s - 2]);
        let skip = (0..states).map(|s| if may_skip(s) { 0.0 } else { NOTHING }).collect();
        let mut ways = nothing(states + 2)?;
        ways.exponents[1] = 0.0;
        Ok(Self { ctc, path, skip, ways, sums: nothing(states)?, emit: nothing(states)? })
    }

    /// One step on; `emit` are the probabilities of its classes.
    fn step(&mut self, emit: &Scaled<&[f64]>, number: usize) {
        let Scaled { mantissas, exponents } = &mut self.emit;
        for ((m, e), &label) in mantissas.iter_mut().zip(exponents).zip(&self.path) {
            (*m, *e) = (emit.mantissas[label as usize], emit.exponents[label as usize]);
        }
        let sums = self.sums.from_mut(0);
        f64::dispatch(self.ctc.isa, AddThree { before: self.ways.from(0), skip: &self.skip, sums });
        let ways = self.ways.mantissas[2..].iter_mut().zip(&self.sums.mantissas).zip(&self.emit.mantissas);
        ways.for_each(|((way, sum), emit)| *way = sum * emit);
        let ways = self.ways.exponents[2..].iter_mut().zip(&self.sums.exponents).zip(&self.emit.exponents);
        ways.for_each(|((way, sum), emit)| *way = sum + emit);
        self.ways.exponents[1] = NOTHING;
        if (number + 1).is_multiple_of(DRIFT) {
            self.ways.normalize();
        }
    }

    /// The ways to one of the last two states: mantissa and exponent.
    fn all(&self) -> Result<(f64, f64)> {
        let mut all = nothing(1)?;
        let before = self.ways.from(self.path.len() - 1);
        f64::dispatch(self.ctc.isa, AddThree { before, skip: &[NOTHING], sums: all.from_mut(0) });
        Ok((all.mantissas[0], all.exponents[0]))
    }
}

/// A prefix and the probabilities of its paths so far, by what they end in.
#[derive(Clone, Copy, Debug)]
struct Prefix {
    /// Its last label in the tree.
    node: usize,
    blank: f64,
    label: f64,
}

impl Prefix {
    fn all(&self) -> f64 {
        self.blank + self.label
    }
}

/// The best prefixes. Probabilities are kept relative to the sum of those in the beam.
struct Beam {
    width: usize,
    blank: u32,
    /// A tree of labels: the node before, and the label. Node 0 is the empty prefix.
    tree: Vec<(usize, u32)>,
    children: HashMap<(usize, u32), usize>,
    prefixes: Vec<Prefix>,
    log_scale: f64,
}

impl Beam {
    fn new(width: usize, blank: u32) -> Self {
        let prefixes = vec![Prefix { node: 0, blank: 1.0, label: 0.0 }];
        Self { width, blank, tree: vec![(0, blank)], children: HashMap::new(), prefixes, log_scale: 0.0 }
    }

    fn step(&mut self, p: &[f64]) {
        let place: HashMap<usize, usize> = self.prefixes.iter().enumerate().map(|(i, one)| (one.node, i)).collect();
        // Those that stay as they are; then those that grow by a label, unless they are in the beam already.
        let mut stay: Vec<Prefix> = self.prefixes.clone();
        let mut grown: Vec<(usize, u32, f64)> = Vec::new();
        for (one, new) in self.prefixes.iter().zip(&mut stay) {
            let last = self.tree[one.node].1;
            new.blank = one.all() * p[self.blank as usize];
            new.label = if one.node == 0 { 0.0 } else { one.label * p[last as usize] };
        }
        for one in &self.prefixes {
            let last = self.tree[one.node].1;
            for (label, p) in p.iter().enumerate().map(|(label, p)| (label as u32, p)) {
                if label == self.blank {
                    continue;
                }
                let from = if one.node != 0 && label == last { one.blank } else { one.all() };
                let child = self.children.get(&(one.node, label)).and_then(|node| place.get(node));
                match child {
                    Some(&i) => stay[i].label += from * p,
                    None => grown.push((one.node, label, from * p)),
                }
            }
        }
        let staying = stay.len();
        let weight = |i: usize| if i < staying { stay[i].all() } else { grown[i - staying].2 };
        let mut order: Vec<usize> = (0..staying + grown.len()).filter(|&i| weight(i) != 0.0).collect();
        order.sort_by(|&a, &b| weight(b).total_cmp(&weight(a)));
        order.truncate(self.width);
        let total: f64 = order.iter().map(|&i| weight(i)).sum();
        let mut next = Vec::with_capacity(order.len());
        for i in order {
            let found = if i < staying {
                stay[i]
            } else {
                let (node, label, p) = grown[i - staying];
                Prefix { node: self.child(node, label), blank: 0.0, label: p }
            };
            next.push(Prefix { blank: found.blank / total, label: found.label / total, ..found });
        }
        self.log_scale += ln(total);
        self.prefixes = next;
    }

    fn child(&mut self, node: usize, label: u32) -> usize {
        let tree = &mut self.tree;
        *self.children.entry((node, label)).or_insert_with(|| {
            tree.push((node, label));
            tree.len() - 1
        })
    }

    fn guesses(&self) -> Vec<Guess> {
        let spelled = |mut node: usize| {
            let mut labels = Vec::new();
            while node != 0 {
                labels.push(self.tree[node].1);
                node = self.tree[node].0;
            }
            labels.reverse();
            labels
        };
        self.prefixes.iter().map(|one| (spelled(one.node), self.log_scale + ln(one.all()))).collect()
    }
}
