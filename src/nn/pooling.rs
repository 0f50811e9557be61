//! One row of numbers for a whole sequence: from its states or over its steps.
//!
//! ```text
//! concat       [last, mean, max]                                    Howard and Ruder, 2018
//! attention    s_t = w · y_t        Σ_t e^(s_t) y_t / Σ_t e^(s_t)     Lin et al., 2017, of one hop without a hidden layer
//! ```
//!
//! A call over a whole sequence and a stream that takes it step by step give the same bits: both keep the same running
//! numbers, of attention those of an online softmax (Milakov and Gimelshein, 2018).

use crate::buffer::zeros;
use crate::error::Result;
use crate::float::Float;
use crate::kernels::exponential::Exp;
use crate::simd::{Dispatch, Isa};

/// What of a sequence's outputs the head sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The final state of each direction.
    Last,
    /// The mean over the steps.
    Mean,
    /// The maximum over the steps, unit by unit.
    Max,
    /// The final states, the mean and the maximum, one behind the other.
    Concat,
    /// The mean over the steps, of which each counts by a softmax over the sequence of what a learnt vector makes of it.
    Attention,
    /// Every step by itself.
    Each,
}

/// As many numbers of what the head sees as a step has outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The final state of each direction.
    Last,
    /// The mean over the steps.
    Mean,
    /// The maximum over the steps.
    Max,
    /// The mean weighted by attention.
    Attention,
}

impl Pooling {
    /// What the head sees of a sequence, part by part; with [`Pooling::Each`] of a step.
    pub fn parts(self) -> &'static [Part] {
        match self {
            Self::Last | Self::Each => &[Part::Last],
            Self::Mean => &[Part::Mean],
            Self::Max => &[Part::Max],
            Self::Concat => &[Part::Last, Part::Mean, Part::Max],
            Self::Attention => &[Part::Attention],
        }
    }

    /// Numbers that the head sees of so many outputs.
    pub fn seen(self, width: usize) -> usize {
        self.parts().len().saturating_mul(width)
    }

    /// Its own parameters.
    pub fn parameters(self, width: usize) -> usize {
        if self == Self::Attention { width } else { 0 }
    }

    /// Numbers that a stream keeps of a sequence.
    pub fn kept(self, width: usize) -> usize {
        self.parts().iter().map(|part| part.kept(width)).sum()
    }
}

impl Part {
    fn kept(self, width: usize) -> usize {
        if self == Self::Attention { width + ATTENDED } else { width }
    }
}

/// Rows of what the head sees, from those of its parts, each so wide.
pub fn side_by_side<F: Float>(mut parts: Vec<Vec<F>>, width: usize) -> Result<Vec<F>> {
    if parts.len() == 1 {
        return Ok(parts.swap_remove(0));
    }
    let mut all = zeros(parts.iter().map(Vec::len).sum(), "features")?;
    for (row, to) in all.chunks_exact_mut(parts.len() * width).enumerate() {
        for (to, part) in to.chunks_exact_mut(width).zip(&parts) {
            to.copy_from_slice(&part[row * width..][..width]);
        }
    }
    Ok(all)
}

/// The other way round.
pub fn taken_apart<F: Float>(all: Vec<F>, parts: usize, width: usize) -> Vec<Vec<F>> {
    if parts == 1 {
        return vec![all];
    }
    let rows = || all.chunks_exact(parts * width);
    (0..parts).map(|part| rows().flat_map(|row| &row[part * width..][..width]).copied().collect()).collect()
}

/// Where a stream's sequence stands: its parameters, what is kept of it, and how many steps that was.
#[derive(Debug)]
pub struct Running<'a, F> {
    /// The instruction set.
    pub isa: Isa,
    /// The pooling's own parameters.
    pub weight: &'a [F],
    /// As [`Pooling::kept`] says; zeros before the first step.
    pub kept: &'a mut [F],
    /// Steps so far.
    pub count: u64,
}

impl<F: Dispatch> Running<'_, F> {
    /// Takes a step's outputs.
    pub fn take(&mut self, pooling: Pooling, y: &[F]) {
        self.count += 1;
        let (mut rest, first) = (&mut *self.kept, self.count == 1);
        for part in pooling.parts() {
            let (kept, others) = std::mem::take(&mut rest).split_at_mut(part.kept(y.len()));
            rest = others;
            match part {
                Part::Last => kept.copy_from_slice(y),
                Part::Mean => kept.iter_mut().zip(y).for_each(|(sum, &y)| *sum += y),
                Part::Max if first => kept.copy_from_slice(y),
                Part::Max => kept.iter_mut().zip(y).for_each(|(most, &y)| *most = larger(*most, y)),
                Part::Attention => _ = attend(self.isa, self.weight, y, first, kept),
            }
        }
    }

    /// What the head sees of the steps so far; 0 if there were none.
    pub fn give(&self, pooling: Pooling, out: &mut [F]) {
        if self.count == 0 {
            return out.fill(F::ZERO);
        }
        let (mut rest, width) = (&*self.kept, out.len() / pooling.parts().len());
        for (part, out) in pooling.parts().iter().zip(out.chunks_exact_mut(width)) {
            let (kept, others) = rest.split_at(part.kept(width));
            rest = others;
            match part {
                Part::Last | Part::Max => out.copy_from_slice(kept),
                Part::Mean => divided(kept, F::from_f64(self.count as f64), out),
                Part::Attention => divided(&kept[..width], kept[width + TOTAL], out),
            }
        }
    }
}

fn divided<F: Float>(sums: &[F], by: F, out: &mut [F]) {
    out.iter_mut().zip(sums).for_each(|(out, &sum)| *out = sum / by);
}

/// The larger one. A NaN is larger than anything, as in NumPy.
fn larger<F: Float>(most: F, y: F) -> F {
    if y > most || y.to_f64().is_nan() { y } else { most }
}

/// The outputs of a batch, `(batch, seq, width)`, and how much of each row counts.
#[derive(Clone, Copy, Debug)]
pub struct Steps<'a> {
    /// Rows.
    pub batch: usize,
    /// Steps of a row.
    pub seq: usize,
    /// Numbers a step.
    pub width: usize,
    /// Each row's steps; all have `seq` when there is none.
    pub lengths: Option<&'a [usize]>,
}

impl Steps<'_> {
    /// A row's steps.
    pub fn length(&self, row: usize) -> usize {
        self.lengths.map_or(self.seq, |lengths| lengths[row])
    }

    /// A gradient for each output.
    pub fn zeros<F: Float>(&self) -> Result<Vec<F>> {
        zeros(self.batch * self.seq * self.width, "gradients")
    }

    /// Whether no row ends before the others.
    fn all_count(&self) -> bool {
        self.lengths.is_none_or(|lengths| lengths.iter().all(|&length| length == self.seq))
    }

    /// The numbers of a row's steps that count.
    fn of(&self, row: usize) -> std::ops::Range<usize> {
        let begin = row * self.seq * self.width;
        begin..begin + self.length(row) * self.width
    }
}

/// The mean over a row's steps, added in order; 0 for a row without steps.
pub fn mean<F: Float>(y: &[F], steps: Steps<'_>, out: &mut [F]) {
    for (row, out) in out.chunks_exact_mut(steps.width).enumerate() {
        for y in y[steps.of(row)].chunks_exact(steps.width) {
            out.iter_mut().zip(y).for_each(|(sum, &y)| *sum += y);
        }
        let count = F::from_f64(steps.length(row).max(1) as f64);
        out.iter_mut().for_each(|sum| *sum = *sum / count);
    }
}

/// d y += d mean / steps
pub fn mean_backward<F: Float>(d_out: &[F], steps: Steps<'_>, d_y: &mut [F]) {
    for (row, d_out) in d_out.chunks_exact(steps.width).enumerate() {
        let count = F::from_f64(steps.length(row).max(1) as f64);
        for d_y in d_y[steps.of(row)].chunks_exact_mut(steps.width) {
            d_y.iter_mut().zip(d_out).for_each(|(d_y, &d)| *d_y += d / count);
        }
    }
}

/// The maximum over a row's steps, and at which step it first stands; 0 for a row without steps.
pub fn max<F: Float>(y: &[F], steps: Steps<'_>, out: &mut [F], at: &mut [usize]) {
    let rows = out.chunks_exact_mut(steps.width).zip(at.chunks_exact_mut(steps.width));
    for (row, (out, at)) in rows.enumerate() {
        for (step, y) in y[steps.of(row)].chunks_exact(steps.width).enumerate() {
            for ((out, at), &y) in out.iter_mut().zip(&mut *at).zip(y) {
                // A NaN is larger than anything, as in NumPy.
                if step == 0 || y > *out || y.to_f64().is_nan() && !out.to_f64().is_nan() {
                    (*out, *at) = (y, step);
                }
            }
        }
    }
}

/// d y += d max at the step where it stands.
pub fn max_backward<F: Float>(d_out: &[F], at: &[usize], steps: Steps<'_>, d_y: &mut [F]) {
    let rows = d_out.chunks_exact(steps.width).zip(at.chunks_exact(steps.width));
    for (row, (d_out, at)) in rows.enumerate().filter(|&(row, _)| steps.length(row) > 0) {
        let d_y = &mut d_y[steps.of(row)];
        for (unit, (&d, &step)) in d_out.iter().zip(at).enumerate() {
            d_y[step * steps.width + unit] += d;
        }
    }
}

/// Behind the sum of the outputs, weighted: the largest score, and the sum of the weights.
const ATTENDED: usize = 2;
const MOST: usize = 0;
const TOTAL: usize = 1;

/// Takes a step: all weights are relative to the largest score so far. Gives its score.
fn attend<F: Dispatch>(isa: Isa, weight: &[F], y: &[F], first: bool, kept: &mut [F]) -> F {
    let (sums, of_all) = kept.split_at_mut(y.len());
    let score = dot(weight, y);
    if first {
        sums.copy_from_slice(y);
        (of_all[MOST], of_all[TOTAL]) = (score, F::ONE);
    } else if score > of_all[MOST] {
        let faded = exp(isa, of_all[MOST] - score);
        sums.iter_mut().zip(y).for_each(|(sum, &y)| *sum = *sum * faded + y);
        (of_all[MOST], of_all[TOTAL]) = (score, of_all[TOTAL] * faded + F::ONE);
    } else {
        let share = exp(isa, score - of_all[MOST]);
        sums.iter_mut().zip(y).for_each(|(sum, &y)| *sum += share * y);
        of_all[TOTAL] += share;
    }
    score
}

fn exp<F: Dispatch>(isa: Isa, x: F) -> F {
    let mut one = [x];
    F::dispatch(isa, Exp(&mut one));
    one[0]
}

/// Partial sums of a dot product, whatever the width of a vector.
const PARTS: usize = 16;

fn dot<F: Float>(a: &[F], b: &[F]) -> F {
    let mut parts = [F::ZERO; PARTS];
    for (a, b) in a.chunks(PARTS).zip(b.chunks(PARTS)) {
        parts.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (&a, &b))| *sum += a * b);
    }
    parts.into_iter().fold(F::ZERO, |sum, part| sum + part)
}

/// The mean over a row's steps weighted by attention, and the share of each step, `(batch, seq)`; 0 for a row without
/// steps.
pub fn attention<F: Dispatch>(
    isa: Isa, weight: &[F], y: &[F], steps: Steps<'_>, out: &mut [F], shares: &mut [F],
) -> Result<()> {
    let mut kept = zeros(steps.width + ATTENDED, "features")?;
    for (row, out) in out.chunks_exact_mut(steps.width).enumerate().filter(|&(row, _)| steps.length(row) > 0) {
        let shares = &mut shares[row * steps.seq..][..steps.length(row)];
        for (step, (y, score)) in y[steps.of(row)].chunks_exact(steps.width).zip(&mut *shares).enumerate() {
            *score = attend(isa, weight, y, step == 0, &mut kept);
        }
        let (most, total) = (kept[steps.width + MOST], kept[steps.width + TOTAL]);
        divided(&kept[..steps.width], total, out);
        shares.iter_mut().for_each(|score| *score = *score - most);
        F::dispatch(isa, Exp(&mut *shares));
        shares.iter_mut().for_each(|share| *share = *share / total);
    }
    Ok(())
}

/// With a the shares of the steps, d s_t = a_t (d out · y_t − Σ a d out · y), d y_t += a_t d out + d s_t w, and
/// d w += Σ d s_t y_t.
pub fn attention_backward<F: Float>(
    d_out: &[F], weight: &[F], (y, shares): (&[F], &[F]), steps: Steps<'_>, d_y: &mut [F], d_weight: &mut [F],
) {
    for (row, d_out) in d_out.chunks_exact(steps.width).enumerate() {
        let shares = &shares[row * steps.seq..][..steps.length(row)];
        let of_row = || y[steps.of(row)].chunks_exact(steps.width);
        let mean = of_row().zip(shares).fold(F::ZERO, |sum, (y, &share)| sum + share * dot(d_out, y));
        let d_y = d_y[steps.of(row)].chunks_exact_mut(steps.width);
        for ((d_y, y), &share) in d_y.zip(of_row()).zip(shares) {
            let d_score = share * (dot(d_out, y) - mean);
            for (d_y, (&d, &w)) in d_y.iter_mut().zip(d_out.iter().zip(weight)) {
                *d_y += share * d + d_score * w;
            }
            d_weight.iter_mut().zip(y).for_each(|(sum, &y)| *sum += d_score * y);
        }
    }
}

/// The steps that count, one after the other without gaps.
pub fn each<F: Float>(y: Vec<F>, steps: Steps<'_>) -> Vec<F> {
    if steps.all_count() {
        return y;
    }
    let rows: Vec<&[F]> = (0..steps.batch).map(|row| &y[steps.of(row)]).collect();
    rows.concat()
}

/// The gradients of [`each`] back at their places; 0 past a row's length.
pub fn each_backward<F: Float>(d_out: Vec<F>, steps: Steps<'_>) -> Result<Vec<F>> {
    if steps.all_count() {
        return Ok(d_out);
    }
    let mut d_y = steps.zeros()?;
    let mut begin = 0;
    for row in 0..steps.batch {
        let d_y = &mut d_y[steps.of(row)];
        d_y.copy_from_slice(&d_out[begin..begin + d_y.len()]);
        begin += d_y.len();
    }
    Ok(d_y)
}
