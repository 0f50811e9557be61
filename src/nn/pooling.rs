//! One row of numbers for a whole sequence: from its states or over its steps.

use crate::buffer::zeros;
use crate::error::Result;
use crate::float::Float;

/// What of a sequence's outputs the head sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The final state of each direction.
    Last,
    /// The mean over the steps.
    Mean,
    /// The maximum over the steps, unit by unit.
    Max,
    /// Every step by itself.
    Each,
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
    fn zeros<F: Float>(&self) -> Result<Vec<F>> {
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

/// d y = d mean / steps
pub fn mean_backward<F: Float>(d_out: &[F], steps: Steps<'_>) -> Result<Vec<F>> {
    let mut d_y = steps.zeros()?;
    for (row, d_out) in d_out.chunks_exact(steps.width).enumerate() {
        let count = F::from_f64(steps.length(row).max(1) as f64);
        for d_y in d_y[steps.of(row)].chunks_exact_mut(steps.width) {
            d_y.iter_mut().zip(d_out).for_each(|(d_y, &d)| *d_y = d / count);
        }
    }
    Ok(d_y)
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

/// d y = d max at the step where it stands, 0 elsewhere.
pub fn max_backward<F: Float>(d_out: &[F], at: &[usize], steps: Steps<'_>) -> Result<Vec<F>> {
    let mut d_y = steps.zeros()?;
    let rows = d_out.chunks_exact(steps.width).zip(at.chunks_exact(steps.width));
    for (row, (d_out, at)) in rows.enumerate().filter(|&(row, _)| steps.length(row) > 0) {
        let d_y = &mut d_y[steps.of(row)];
        for (unit, (&d, &step)) in d_out.iter().zip(at).enumerate() {
            d_y[step * steps.width + unit] = d;
        }
    }
    Ok(d_y)
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
