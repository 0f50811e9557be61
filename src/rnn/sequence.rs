//! Where the steps of the rows of a batch lie in a caller's array, time-major or batch-first, in which
//! order a direction takes them, and how rows are shared out among threads. It must not know cells or
//! weights.

use super::params::Config;
use crate::buffer::zeros;
use crate::error::Result;
use crate::shape::Rows;
use std::ops::Range;

/// Rows of one scan are taken at most this many at a time: their state and the products' outputs stay in
/// the second-level cache, and the weights are read once for all of them.
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
    /// Up to `parts` slices with about as many steps each.
    pub fn new(rows: Rows, parts: usize) -> Result<Self> {
        let slices = split(&rows.lengths, 0..rows.order.len(), parts);
        Self::with(rows, slices)
    }

    /// The same rows, every walk in up to `parts` slices of its own.
    pub fn refine(&self, parts: usize) -> Result<Self> {
        Self::with(self.rows.clone(), self.parts(parts).into_iter().flatten().flatten().collect())
    }

    /// Those slices, by slice and walk of this cut.
    pub fn parts(&self, parts: usize) -> Vec<Vec<Vec<Range<usize>>>> {
        let walk = |walk: Walk<'_>| split(&self.rows.lengths, walk.first..walk.last, parts);
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

    /// Shares an array of `width` numbers a step out among `columns` directions and all slices: the part of
    /// direction d and slice s is number `d * slices + s`.
    pub fn share<'d, F>(&self, data: &'d mut [F], shape: Shape, columns: usize) -> Vec<Out<'d, F>> {
        let Shape { batch_first, seq, width } = shape;
        let (batch, slices) = (self.owners.len(), self.slices.len());
        if columns * slices == 1 {
            return vec![Out::Whole(data, Array::new(batch_first, batch, seq, width), width)];
        }
        let rows = self.slices.iter().map(Range::len);
        let mut pieces: Vec<Vec<&mut [F]>> =
            (0..columns).flat_map(|_| rows.clone()).map(|rows| Vec::with_capacity(rows * seq)).collect();
        for (i, step) in data.chunks_mut(width.max(1)).enumerate() {
            let (owner, _) = self.owners[if batch_first { i / seq } else { i % batch }];
            for (column, piece) in step.chunks_mut(width / columns).enumerate() {
                pieces[column * slices + owner].push(piece);
            }
        }
        let arrays = (0..columns).flat_map(|_| rows.clone()).map(|rows| Array::new(batch_first, rows, seq, 1));
        pieces.into_iter().zip(arrays).map(|(pieces, array)| Out::Pieces(pieces, array)).collect()
    }

    /// Shares the states of a layer, `(layers · directions, batch, hidden)` each, out as [`Self::share`] does;
    /// the parts of several states stand together.
    pub fn share_states<'d, F>(&self, states: &'d mut [Vec<F>], layer: usize, config: &Config) -> Vec<Vec<Out<'d, F>>> {
        let direction = (self.batch() * config.hidden).max(1);
        let shape = Shape { batch_first: false, seq: 1, width: config.hidden };
        let mut all: Vec<Vec<Out<'_, F>>> = Vec::new();
        all.resize_with(config.directions() * self.slices.len(), Vec::new);
        for state in states {
            let directions = state.chunks_mut(direction).skip(layer * config.directions()).take(config.directions());
            let parts = directions.flat_map(|state| self.share(state, shape, 1));
            all.iter_mut().zip(parts).for_each(|(all, part)| all.push(part));
        }
        all
    }
}

/// Up to `parts` ranges of the sorted rows in `range` with about as many steps each, none of them empty.
fn split(lengths: &[usize], range: Range<usize>, parts: usize) -> Vec<Range<usize>> {
    let parts = parts.clamp(1, range.len().max(1));
    let mut left: usize = lengths[range.clone()].iter().sum();
    let (mut first, mut ranges) = (range.start, Vec::with_capacity(parts));
    for part in 0..parts {
        let share = left.div_ceil(parts - part);
        let mut steps = 0;
        let longer = lengths[first..range.end].iter().take_while(|&&length| {
            let more = steps < share;
            steps += if more { length } else { 0 };
            more
        });
        let last = if part + 1 == parts { range.end } else { first + longer.count() };
        left -= steps.min(left);
        ranges.push(first..last);
        first = last;
    }
    ranges.retain(|range| !range.is_empty());
    ranges
}

/// A caller's array.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// `(batch, seq, width)`, not `(seq, batch, width)`.
    pub batch_first: bool,
    pub seq: usize,
    pub width: usize,
}

/// What of an array one task may write.
#[derive(Debug)]
pub enum Out<'a, F> {
    /// All of it, so many numbers a step.
    Whole(&'a mut [F], Array, usize),
    /// The steps of some rows, each a slice, as they lie in memory; the array's strides count slices.
    Pieces(Vec<&'a mut [F]>, Array),
}

impl<F> Out<'_, F> {
    /// The number of row r's step s.
    pub fn index(&self, walk: &Walk<'_>, row: usize, step: usize) -> usize {
        let (Out::Whole(_, array, _) | Out::Pieces(_, array)) = self;
        let (_, rank) = walk.cut.owners[walk.row(row)];
        walk.time(row, step) * array.step + rank * array.row
    }

    /// The step of that number.
    pub fn at(&mut self, index: usize) -> &mut [F] {
        match self {
            Out::Whole(data, _, width) => &mut data[index..index + *width],
            Out::Pieces(pieces, _) => pieces[index],
        }
    }

    /// Row r's step s.
    pub fn step(&mut self, walk: &Walk<'_>, row: usize, step: usize) -> &mut [F] {
        self.at(self.index(walk, row, step))
    }

    /// Row r's only step.
    pub fn only(&mut self, walk: &Walk<'_>, row: usize) -> &mut [F] {
        let (Out::Whole(_, array, _) | Out::Pieces(_, array)) = self;
        let (_, rank) = walk.cut.owners[walk.row(row)];
        let index = rank * array.row;
        self.at(index)
    }
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
