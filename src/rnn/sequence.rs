//! Where the steps of the rows of a batch lie in a caller's array, time-major or batch-first, and in
//! which order a direction takes them. It must not know cells or weights.

use crate::shape::Rows;
use std::ops::Range;

/// Rows of one scan are taken this many at a time: their state and the products' outputs stay in the
/// second-level cache, and the weights are read once for all of them. Fixed, so that what is summed
/// over rows does not depend on threads.
pub const GROUP: usize = 64;

/// A C-contiguous `(seq, batch, width)` or `(batch, seq, width)` array.
#[derive(Clone, Copy, Debug)]
pub struct Array {
    /// From a step to the next.
    pub step: usize,
    /// From a row to the next.
    pub row: usize,
}

impl Array {
    /// The strides of an array of `width` numbers a step.
    pub fn new(batch_first: bool, batch: usize, seq: usize, width: usize) -> Self {
        if batch_first { Self { step: width, row: seq * width } } else { Self { step: batch * width, row: width } }
    }
}

/// Some rows of a batch in one direction.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'a> {
    rows: &'a Rows,
    first: usize,
    last: usize,
    reverse: bool,
}

impl<'a> Walk<'a> {
    /// The groups of a batch.
    pub fn groups(rows: &'a Rows, reverse: bool) -> impl Iterator<Item = Walk<'a>> {
        let all = rows.order.len();
        (0..all).step_by(GROUP).map(move |first| Walk { rows, first, last: all.min(first + GROUP), reverse })
    }

    /// Rows of the group.
    pub fn len(&self) -> usize {
        self.last - self.first
    }

    /// Steps of its longest row.
    pub fn steps(&self) -> usize {
        self.rows.lengths.get(self.first).copied().unwrap_or(0)
    }

    /// Steps of all its rows.
    pub fn total(&self) -> usize {
        self.rows.lengths[self.first..self.last].iter().sum()
    }

    /// How many of its rows take step s: always the first ones.
    pub fn active(&self, step: usize) -> usize {
        self.rows.lengths[self.first..self.last].partition_point(|&length| length > step)
    }

    /// The rows whose last step is s.
    pub fn ending(&self, step: usize) -> Range<usize> {
        self.active(step + 1)..self.active(step)
    }

    /// The caller's index of row r.
    pub fn row(&self, row: usize) -> usize {
        self.rows.order[self.first + row]
    }

    /// Where row r's step s begins in an array: backwards, a row's first step is its last valid one.
    pub fn at(&self, array: Array, row: usize, step: usize) -> usize {
        let time = if self.reverse { self.rows.lengths[self.first + row] - 1 - step } else { step };
        time * array.step + self.row(row) * array.row
    }
}
