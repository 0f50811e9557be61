//! A linear-chain conditional random field over the labels of a sequence: its loss and its best path.
//!
//! ```text
//! s(y) = start[y₁] + Σ_t x_t[y_t] + Σ_t trans[y_t, y_{t+1}] + end[y_T]        p(y) = e^s(y) / Z
//! ```
//! ln Z by the forward algorithm; its gradient, the expected counts, by forward and backward. All in f64: a step
//! takes the exponential of a vector less its largest number, and a product with e^trans, made once.
//! Lafferty, McCallum and Pereira, "Conditional Random Fields", 2001.

use super::targets::check_weights;
use crate::buffer::zeros;
use crate::error::{Error, Result};
use crate::kernels::exponential::{Exp, ln};
use crate::shape;
use crate::simd::{Dispatch, Isa};

/// A field over so many labels; its parameters are start, end, each `(labels,)`, and trans, `(labels, labels)`,
/// from the row's label to the column's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crf {
    /// The instruction set.
    pub isa: Isa,
    /// Labels.
    pub labels: usize,
}

/// The parameters in f64, and what is made of them once for many sequences.
#[derive(Debug)]
struct Field {
    labels: usize,
    start: Vec<f64>,
    end: Vec<f64>,
    trans: Vec<f64>,
    /// The largest transition, and e to the power of the others less it.
    largest: f64,
    exp: Vec<f64>,
}

/// The largest number, −∞ of none; a NaN stays.
fn largest(numbers: &[f64]) -> f64 {
    numbers.iter().fold(f64::NEG_INFINITY, |a, &b| if b > a || b.is_nan() { b } else { a })
}

/// A vector less its largest number, to the power of e; and that number.
fn exp_all(isa: Isa, numbers: &[f64], out: &mut [f64]) -> f64 {
    let shift = largest(numbers);
    out.iter_mut().zip(numbers).for_each(|(out, x)| *out = x - shift);
    f64::dispatch(isa, Exp(out));
    shift
}

impl Crf {
    /// Numbers in start, end and trans.
    pub fn parameters(&self) -> usize {
        self.labels * (self.labels + 2)
    }

    fn field<F: Dispatch>(&self, parameters: &[F]) -> Result<Field> {
        let labels = self.labels;
        shape::expect_len("crf", parameters.len(), &[self.parameters()])?;
        let mut all = parameters.iter().map(|p| p.to_f64());
        let start = all.by_ref().take(labels).collect();
        let end = all.by_ref().take(labels).collect();
        let trans: Vec<f64> = all.collect();
        let mut exp = zeros(trans.len(), "scratch")?;
        let largest = exp_all(self.isa, &trans, &mut exp);
        Ok(Field { labels, start, end, trans, largest, exp })
    }

    /// −ln p of the labels, summed over all sequences with their weights and divided by the weighted number of steps; its
    /// gradient at the scores, `(steps, labels)`, sequence after sequence; that of the parameters is added to `d`.
    pub fn loss<F: Dispatch>(
        &self, parameters: &[F], scores: &[F], lengths: &[usize], targets: &[u32], weights: Option<&[F]>, d: &mut [F],
    ) -> Result<(f64, Vec<F>)> {
        let labels = self.labels;
        let steps: usize = lengths.iter().sum();
        shape::expect_len("scores", scores.len(), &[steps, labels])?;
        shape::expect_len("targets", targets.len(), &[steps])?;
        check_weights(weights, lengths.len())?;
        if let Some((step, label)) = targets.iter().enumerate().find(|&(_, &label)| label as usize >= labels) {
            let got = format!("{label} at step {step}");
            return Err(Error::value("targets", format!("labels below {labels}"), got));
        }
        let field = self.field(parameters)?;
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[row].to_f64());
        let all: f64 = lengths.iter().enumerate().map(|(row, &length)| weight(row) * length as f64).sum();
        let share = if all > 0.0 { 1.0 / all } else { 0.0 };
        let mut counts = zeros(self.parameters(), "gradients")?;
        let (mut loss, mut d_scores, mut begin) = (0.0, zeros(scores.len(), "gradients")?, 0);
        for (row, &length) in lengths.iter().enumerate().filter(|&(_, &length)| length > 0) {
            let of = begin * labels..(begin + length) * labels;
            let x: Vec<f64> = scores[of.clone()].iter().map(|x| x.to_f64()).collect();
            let weight = weight(row) * share;
            let targets = &targets[begin..begin + length];
            let mut sequence = Sequence::new(self.isa, &field, &x)?;
            loss += weight * (sequence.log_partition() - field.score(&x, targets));
            sequence.expect(weight, targets, &mut d_scores[of], &mut counts)?;
            begin += length;
        }
        d.iter_mut().zip(counts).for_each(|(sum, count)| *sum += F::from_f64(count));
        Ok((loss, d_scores))
    }

    /// The probability of each label at each step, over all paths, `(steps, labels)`, sequence after sequence.
    pub fn marginals<F: Dispatch>(&self, parameters: &[F], scores: &[F], lengths: &[usize]) -> Result<Vec<f64>> {
        let labels = self.labels;
        shape::expect_len("scores", scores.len(), &[lengths.iter().sum(), labels])?;
        let field = self.field(parameters)?;
        let (mut found, mut begin) = (zeros(scores.len(), "probabilities")?, 0);
        for &length in lengths.iter().filter(|&&length| length > 0) {
            let of = begin * labels..(begin + length) * labels;
            let x: Vec<f64> = scores[of.clone()].iter().map(|x| x.to_f64()).collect();
            Sequence::new(self.isa, &field, &x)?.marginals(&mut found[of])?;
            begin += length;
        }
        Ok(found)
    }

    /// Each sequence's labels of the highest s(y), by Viterbi's algorithm; of equal ones the lowest labels, from the end.
    pub fn decode<F: Dispatch>(&self, parameters: &[F], scores: &[F], lengths: &[usize]) -> Result<Vec<u32>> {
        let labels = self.labels;
        let steps: usize = lengths.iter().sum();
        shape::expect_len("scores", scores.len(), &[steps, labels])?;
        let field = self.field(parameters)?;
        let (mut best, mut begin) = (zeros(steps, "labels")?, 0);
        let mut from = zeros(lengths.iter().max().map_or(0, |&longest| longest * labels), "scratch")?;
        for &length in lengths.iter().filter(|&&length| length > 0) {
            let x: Vec<f64> = scores[begin * labels..(begin + length) * labels].iter().map(|x| x.to_f64()).collect();
            field.best_path(&x, &mut from, &mut best[begin..begin + length]);
            begin += length;
        }
        Ok(best)
    }
}

impl Field {
    /// s(y)
    fn score(&self, x: &[f64], labels: &[u32]) -> f64 {
        let at = |step: usize| labels[step] as usize;
        let steps: f64 = (0..labels.len()).map(|step| x[step * self.labels + at(step)]).sum();
        let moves: f64 = (1..labels.len()).map(|step| self.trans[at(step - 1) * self.labels + at(step)]).sum();
        self.start[at(0)] + steps + moves + self.end[at(labels.len() - 1)]
    }

    fn best_path(&self, x: &[f64], from: &mut [u32], path: &mut [u32]) {
        let labels = self.labels;
        let mut score: Vec<f64> = self.start.iter().zip(x).map(|(start, x)| start + x).collect();
        let mut next = score.clone();
        for step in 1..path.len() {
            for (to, next) in next.iter_mut().enumerate() {
                let ways = (0..labels).map(|label| score[label] + self.trans[label * labels + to]);
                let (label, best) = first_best(ways);
                from[step * labels + to] = label as u32;
                *next = best + x[step * labels + to];
            }
            std::mem::swap(&mut score, &mut next);
        }
        let (mut label, _) = first_best(score.iter().zip(&self.end).map(|(score, end)| score + end));
        for step in (0..path.len()).rev() {
            path[step] = label as u32;
            if step > 0 {
                label = from[step * labels + label] as usize;
            }
        }
    }
}

/// The largest number and the first place where it stands.
fn first_best(numbers: impl Iterator<Item = f64>) -> (usize, f64) {
    numbers.enumerate().fold((0, f64::NEG_INFINITY), |a, b| if b.1 > a.1 { b } else { a })
}

/// The forward algorithm over one sequence: ln Σ over all beginnings, for each step and label.
struct Sequence<'a> {
    isa: Isa,
    field: &'a Field,
    /// ln of the sum of all paths that end here, with the score of the step.
    forward: Vec<f64>,
    /// e to the power of one step's numbers.
    exp: Vec<f64>,
    log_partition: f64,
}

impl<'a> Sequence<'a> {
    fn new(isa: Isa, field: &'a Field, x: &[f64]) -> Result<Self> {
        let labels = field.labels;
        let (mut forward, mut exp): (Vec<f64>, _) = (zeros(x.len(), "scratch")?, zeros(labels, "scratch")?);
        for (label, forward) in forward[..labels].iter_mut().enumerate() {
            *forward = field.start[label] + x[label];
        }
        for step in 1..x.len() / labels {
            let (before, now) = forward.split_at_mut(step * labels);
            let shift = exp_all(isa, &before[(step - 1) * labels..], &mut exp) + field.largest;
            for (to, now) in now[..labels].iter_mut().enumerate() {
                let sum: f64 = exp.iter().enumerate().map(|(label, exp)| exp * field.exp[label * labels + to]).sum();
                *now = shift + ln(sum) + x[step * labels + to];
            }
        }
        let last: Vec<f64> = forward[x.len() - labels..].iter().zip(&field.end).map(|(a, b)| a + b).collect();
        let shift = exp_all(isa, &last, &mut exp);
        let log_partition = shift + ln(exp.iter().sum());
        Ok(Self { isa, field, forward, exp, log_partition })
    }

    fn log_partition(&self) -> f64 {
        self.log_partition
    }

    /// The probabilities of the last step's labels.
    fn last(&self) -> Vec<f64> {
        let ways = self.forward[self.forward.len() - self.field.labels..].iter().zip(&self.field.end);
        let mut p: Vec<f64> = ways.map(|(forward, end)| forward + end - self.log_partition).collect();
        f64::dispatch(self.isa, Exp(&mut p));
        p
    }

    /// From the probabilities of a step's labels to those of the step before; each move's to `way`, row by row:
    /// p(i, j) = p(j) f_i e^trans_ij / Σ_k f_k e^trans_kj, f the forward sums. `into` is scratch.
    #[inline]
    fn step_back(&mut self, step: usize, p: &mut [f64], into: &mut [f64], mut way: impl FnMut(usize, f64)) {
        let (field, labels) = (self.field, self.field.labels);
        exp_all(self.isa, &self.forward[(step - 1) * labels..step * labels], &mut self.exp);
        into.fill(0.0);
        for (from, row) in self.exp.iter().zip(field.exp.chunks_exact(labels)) {
            into.iter_mut().zip(row).for_each(|(sum, exp)| *sum += from * exp);
        }
        // Where no way leads the sum is 0, and so is the probability.
        into.iter_mut().zip(&*p).for_each(|(sum, p)| *sum = if *sum == 0.0 { 0.0 } else { p / *sum });
        for (i, (from, p)) in self.exp.iter().zip(p).enumerate() {
            *p = 0.0;
            let row = &field.exp[i * labels..(i + 1) * labels];
            for (j, (exp, into)) in row.iter().zip(&*into).enumerate() {
                let move_p = from * exp * into;
                *p += move_p;
                way(i * labels + j, move_p);
            }
        }
    }

    /// The probability of each label at each step, over all paths.
    fn marginals(&mut self, out: &mut [f64]) -> Result<()> {
        let labels = self.field.labels;
        let (mut p, mut into) = (self.last(), zeros(labels, "scratch")?);
        for step in (0..out.len() / labels).rev() {
            out[step * labels..(step + 1) * labels].copy_from_slice(&p);
            if step > 0 {
                self.step_back(step, &mut p, &mut into, |_, _| ());
            }
        }
        Ok(())
    }

    /// Adds `weight` times (expected − actual) counts: to `d_x` for each step and label, to `counts` for start,
    /// end and trans.
    fn expect<F: Dispatch>(&mut self, weight: f64, targets: &[u32], d_x: &mut [F], counts: &mut [f64]) -> Result<()> {
        let labels = self.field.labels;
        let (mut p, mut into) = (self.last(), zeros(labels, "scratch")?);
        let (start, rest) = counts.split_at_mut(labels);
        let (end, trans) = rest.split_at_mut(labels);
        for step in (0..targets.len()).rev() {
            let target = targets[step] as usize;
            let actual = |label: usize| if label == target { 1.0 } else { 0.0 };
            let off = || p.iter().enumerate().map(|(label, p)| weight * (p - actual(label)));
            d_x[step * labels..].iter_mut().zip(off()).for_each(|(d, off)| *d = F::from_f64(off));
            if step + 1 == targets.len() {
                end.iter_mut().zip(off()).for_each(|(sum, off)| *sum += off);
            }
            if step == 0 {
                start.iter_mut().zip(off()).for_each(|(sum, off)| *sum += off);
                break;
            }
            self.step_back(step, &mut p, &mut into, |way, p| trans[way] += weight * p);
            trans[targets[step - 1] as usize * labels + target] -= weight;
        }
        Ok(())
    }
}
