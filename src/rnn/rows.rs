//! The rows of a batch: in which order a direction takes their steps, and how they are shared out among threads. It
//! must not know cells or weights.

use super::arrays::Array;
use crate::buffer::zeros;
use crate::error::Result;
use crate::shape::Rows;
use std::ops::Range;

/// Rows of one scan are taken at most this many at a time: their state and the products' outputs stay in
/// the second-level cache, and the weights are read once for all of them.
pub const GROUP: usize = 64;

/// A batch cut into slices of rows that different threads may take.
#[derive(Debug)]
pub struct Cut {
    rows: Rows,
    /// Of the sorted rows.
    pub slices: Vec<Range<usize>>,
    /// The slice of each of the caller's rows, and its place among that slice's rows in the caller's order.
    owners: Vec<(usize, usize)>,
}

impl Cut {
    /// Up to `most` slices with about as many steps each.
    pub fn new(rows: Rows, most: usize) -> Result<Self> {
        let slices = split(&rows.lengths, 0..rows.order.len(), most);
        Self::with(rows, slices)
    }

    /// The same rows, every walk in up to `most` slices of its own.
    pub fn refine(&self, most: usize) -> Result<Self> {
        Self::with(self.rows.clone(), self.finer(most).into_iter().flatten().flatten().collect())
    }

    /// Those slices, by slice and walk of this cut.
    pub fn finer(&self, most: usize) -> Vec<Vec<Vec<Range<usize>>>> {
        let walk = |walk: Walk<'_>| split(&self.rows.lengths, walk.first..walk.last, most);
        (0..self.slices.len()).map(|slice| self.walks(slice, false).map(walk).collect()).collect()
    }

    fn with(rows: Rows, slices: Vec<Range<usize>>) -> Result<Self> {
        let mut owners: Vec<(usize, usize)> = zeros(rows.order.len(), "rows")?;
        for (s, slice) in slices.iter().enumerate() {
            rows.order[slice.clone()].iter().for_each(|&row| owners[row].0 = s);
        }
        let mut sizes = vec![0; slices.len()];
        for (owner, rank) in &mut owners {
            *rank = sizes[*owner];
            sizes[*owner] += 1;
        }
        Ok(Self { rows, slices, owners })
    }

    /// The slice of one of the caller's rows.
    pub fn slice_of(&self, row: usize) -> usize {
        self.owners[row].0
    }

    /// All rows.
    pub fn batch(&self) -> usize {
        self.owners.len()
    }

    /// All steps of all rows.
    pub fn total(&self) -> usize {
        self.rows.total()
    }

    /// Steps of a slice's longest row.
    pub fn steps(&self, slice: usize) -> usize {
        self.rows.lengths[self.slices[slice].start]
    }

    /// A slice's rows in groups of one size, give or take one.
    pub fn walks(&self, slice: usize, reverse: bool) -> impl Iterator<Item = Walk<'_>> {
        let Range { start, end } = self.slices[slice];
        let groups = (end - start).div_ceil(GROUP);
        (0..groups).map(move |group| {
            let at = |group| start + (end - start) * group / groups;
            Walk { cut: self, first: at(group), last: at(group + 1), reverse }
        })
    }
}

/// Up to `most` ranges of the sorted rows in `range` with about as many steps each, none of them empty.
fn split(lengths: &[usize], range: Range<usize>, most: usize) -> Vec<Range<usize>> {
    let count = most.clamp(1, range.len().max(1));
    let mut left: usize = lengths[range.clone()].iter().sum();
    let (mut first, mut ranges) = (range.start, Vec::with_capacity(count));
    for index in 0..count {
        let share = left.div_ceil(count - index);
        let mut steps = 0;
        let longer = lengths[first..range.end].iter().take_while(|&&length| {
            let more = steps < share;
            steps += if more { length } else { 0 };
            more
        });
        let last = if index + 1 == count { range.end } else { first + longer.count() };
        left -= steps.min(left);
        ranges.push(first..last);
        first = last;
    }
    ranges.retain(|range| !range.is_empty());
    ranges
}

/// Some rows of a batch in one direction.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'a> {
    cut: &'a Cut,
    first: usize,
    last: usize,
    reverse: bool,
}

impl Walk<'_> {
    /// Rows of the group.
    pub fn len(&self) -> usize {
        self.last - self.first
    }

    /// Steps of its longest row.
    pub fn steps(&self) -> usize {
        self.cut.rows.lengths.get(self.first).copied().unwrap_or(0)
    }

    /// Steps of all its rows.
    pub fn total(&self) -> usize {
        self.cut.rows.lengths[self.first..self.last].iter().sum()
    }

    /// The rows of a range of the whole batch's sorted rows that take step s, as this walk counts them.
    pub fn active_in(&self, rows: &Range<usize>, step: usize) -> Range<usize> {
        let active = self.first + self.active(step);
        rows.start.min(active) - self.first..rows.end.min(active) - self.first
    }

    /// How many of its rows take step s: always the first ones.
    pub fn active(&self, step: usize) -> usize {
        self.cut.rows.lengths[self.first..self.last].partition_point(|&length| length > step)
    }

    /// The rows whose last step is s.
    pub fn ending(&self, step: usize) -> Range<usize> {
        self.active(step + 1)..self.active(step)
    }

    /// Those of the first `active` rows that begin a new sequence with their step s: their states before it are zeros,
    /// and no gradient goes back beyond it. Backwards a sequence ends where the next one begins.
    pub fn beginning(&self, step: usize, active: usize) -> impl Iterator<Item = usize> {
        let rows = if self.cut.rows.has_resets() && !(self.reverse && step == 0) { active } else { 0 };
        (0..rows)
            .filter(move |&row| self.cut.rows.resets(self.row(row), self.time(row, step) + usize::from(self.reverse)))
    }

    /// The place of row r among those of its slice, in the caller's order.
    pub fn rank(&self, row: usize) -> usize {
        self.cut.owners[self.row(row)].1
    }

    /// The caller's index of row r.
    pub fn row(&self, row: usize) -> usize {
        self.cut.rows.order[self.first + row]
    }

    /// Where row r's step s begins in an array: backwards, a row's first step is its last valid one.
    pub fn at(&self, array: Array, row: usize, step: usize) -> usize {
        self.time(row, step) * array.step + self.row(row) * array.row
    }

    /// When row r takes its step s.
    pub fn time(&self, row: usize, step: usize) -> usize {
        if self.reverse { self.cut.rows.lengths[self.first + row] - 1 - step } else { step }
    }
}
