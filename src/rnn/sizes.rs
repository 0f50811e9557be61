//! One direction of one layer as numbers: what every file about a scan asks for. It must not know what is done with them.

use super::cell::Cell;
use crate::function::Functions;
use crate::simd::{Dispatch, Isa};

/// A layer's direction: its sizes and its place among all (layer · directions + direction).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan {
    pub cell: Cell,
    pub functions: Functions,
    pub isa: Isa,
    pub input: usize,
    pub hidden: usize,
    pub index: usize,
}

impl Scan {
    /// Units rounded up to whole vectors.
    pub fn padded<F: Dispatch>(&self) -> usize {
        self.hidden.next_multiple_of(F::lanes(self.isa))
    }

    /// From one row to the next in scratch that a product reads. A cache line over a multiple of one, so
    /// that the rows of a tile do not fall on the same few sets of the cache: worth a third of the speed.
    pub fn stride<F: Dispatch>(numbers: usize) -> usize {
        let line = 64 / size_of::<F>();
        numbers.next_multiple_of(line) + line
    }

    /// Numbers of its weights.
    pub fn parameters(&self) -> usize {
        self.cell.gates() * self.hidden * (self.input + self.hidden)
    }

    /// Where row r of the caller's states begins.
    pub fn state_at(&self, batch: usize, row: usize) -> usize {
        (self.index * batch + row) * self.hidden
    }
}
