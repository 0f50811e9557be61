//! Shares of a caller's arrays, each to be written by one task. It must not know what is written.

use super::arrays::{Array, Shape};
use super::config::Config;
use super::rows::{Cut, Walk};
use std::ops::Range;

impl Cut {
    /// Shares an array of `width` numbers a step out among `columns` directions and all slices: the share of
    /// direction d and slice s is number `d * slices + s`.
    pub fn share<'d, F>(&self, data: &'d mut [F], shape: Shape, columns: usize) -> Vec<Out<'d, F>> {
        let Shape { batch_first, seq, width } = shape;
        let (batch, slices) = (self.batch(), self.slices.len());
        if columns * slices == 1 {
            return vec![Out::Whole(data, Array::new(batch_first, batch, seq, width), width)];
        }
        let rows = self.slices.iter().map(Range::len);
        let mut pieces: Vec<Vec<&mut [F]>> =
            (0..columns).flat_map(|_| rows.clone()).map(|rows| Vec::with_capacity(rows * seq)).collect();
        for (i, step) in data.chunks_mut(width.max(1)).enumerate() {
            let owner = self.slice_of(if batch_first { i / seq } else { i % batch });
            for (column, piece) in step.chunks_mut(width / columns).enumerate() {
                pieces[column * slices + owner].push(piece);
            }
        }
        let arrays = (0..columns).flat_map(|_| rows.clone()).map(|rows| Array::new(batch_first, rows, seq, 1));
        pieces.into_iter().zip(arrays).map(|(pieces, array)| Out::Pieces(pieces, array)).collect()
    }

    /// Shares the states of a layer, `(layers · directions, batch, hidden)` each, out as [`Self::share`] does;
    /// the shares of several states stand together.
    pub fn share_states<'d, F>(&self, states: &'d mut [Vec<F>], layer: usize, config: &Config) -> Vec<Vec<Out<'d, F>>> {
        let direction = (self.batch() * config.hidden).max(1);
        let shape = Shape { batch_first: false, seq: 1, width: config.hidden };
        let mut all: Vec<Vec<Out<'_, F>>> = Vec::new();
        all.resize_with(config.directions() * self.slices.len(), Vec::new);
        for state in states {
            let directions = state.chunks_mut(direction).skip(layer * config.directions()).take(config.directions());
            let shares = directions.flat_map(|state| self.share(state, shape, 1));
            all.iter_mut().zip(shares).for_each(|(all, share)| all.push(share));
        }
        all
    }
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
        walk.time(row, step) * array.step + walk.rank(row) * array.row
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
        let index = walk.rank(row) * array.row;
        self.at(index)
    }
}
