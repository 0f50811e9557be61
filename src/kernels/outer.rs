//! Products whose operands are both packed at each call, as dW = Σ dy xᵀ: rows of x become panels over k = row, columns of
//! dy become tiles. All sizes follow from the tile chosen for them. It must not know what the rows stand for, nor
//! how a tile holds its numbers.

use super::choice::with_tile;
use super::product::{Left, LeftTiles, Panels, Rows};
use super::tile::{Layout, Purpose, Tile};
use crate::float::Float;
use crate::simd::{Dispatch, Isa};

/// The columns of such a product, and how they are packed.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    /// Columns that mean something.
    pub count: usize,
    /// Columns with those that fill the last panel: what a row of the product needs room for.
    pub padded: usize,
    layout: Layout,
}

impl Columns {
    /// For `count` columns.
    pub fn new<F: Dispatch>(isa: Isa, count: usize) -> Self {
        let layout = Layout::for_columns::<F>(isa, Purpose::Outer, count);
        Self { count, padded: layout.padded(count), layout }
    }

    /// Numbers that [`Self::right`] needs room for with so many rows.
    pub fn right_len(&self, rows: usize) -> usize {
        self.layout.kind.deep(rows) * self.padded
    }

    /// Numbers that [`Self::left`] needs room for with so many rows and columns.
    pub fn left_len(&self, rows: usize, columns: usize) -> usize {
        with_tile!(self.layout.kind, T => T::left_len(columns, rows))
    }

    /// The right operand, in the caller's buffer. The padding of the last panel is whatever was there: it only reaches
    /// columns that nobody reads.
    pub fn right<'p, F: Float>(&self, rows: &Rows<'_, F>, count: usize, panels: &'p mut [F]) -> Panels<'p, F> {
        for k in 0..count {
            let row = &rows.row(k)[..self.count];
            with_tile!(self.layout.kind, T => T::put_row(row, k, count, self.layout.wide(), panels));
        }
        Panels { data: panels, depth: count, layout: self.layout }
    }

    /// The left operand, in the caller's buffer: `columns` columns of `count` rows, from column `first` on.
    pub fn left<'t, F: Float>(
        &self, rows: &Rows<'_, F>, count: usize, (first, columns): (usize, usize), tiles: &'t mut [F],
    ) -> Left<'t, F> {
        let width = self.layout.width;
        with_tile!(self.layout.kind, T => T::put_left(rows, count, (first, columns), width, tiles));
        Left::Tiles(LeftTiles { data: tiles, layout: self.layout })
    }
}
