//! The seam below products of floats. A tile is a few rows by a few panels of sums that stay in registers; here is all
//! that follows from its shape: how large it is, how it wants its operands packed, its loop over a block of k, and what it
//! does with a row or two. An instruction set may bring a tile of its own, and each purpose has its own choice, made in
//! [`super::choice`] and nowhere else. What is packed remembers its [`Layout`], and a product refuses any other.
//!
//! Whatever a tile does, the order of each sum is fixed by [`super::product::Sum`] alone. It must not know what a matrix
//! stands for, nor which instruction set it runs on beyond [`Simd`].

use super::layout::tile_heights;
pub use super::layout::{Layout, Purpose, TileKind};
use super::operands::{BLOCK, Product, Rows, Weight};
use crate::float::Float;
use crate::simd::Simd;
use std::ops::Range;

/// A tile of sums, as functions of its shape. Each implementation has its value in [`TileKind`].
///
/// A right operand lies panel by panel, each of `width` vectors of columns, for each k side by side; a tile that wants
/// another order within a panel writes its own `put_row` and `put_column`. `wide` is a panel's columns, width · lanes.
pub trait Tile {
    /// Its value.
    const KIND: TileKind;
    /// Terms after which a chain moves on to the next tile, so that a panel's part stays in the first-level cache.
    const DEPTH: usize = BLOCK;
    /// Widths of panels whose left operands may be tiles, which backward has alone.
    const TILED: [bool; 5] = [true; 5];
    /// Up to so many rows of a left operand that lies row by row go to [`Self::few`].
    const FEW: usize = 0;

    /// Whether the instruction set can have it. Where it cannot, its kernels are not made.
    #[inline(always)]
    fn fits<F: Float, S: Simd<F>>() -> bool {
        true
    }
    /// The width of panel that wastes least on `columns` columns.
    fn best_width(columns: usize, lanes: usize) -> usize;
    /// Rows of the tallest tile for panels of `width`.
    fn tallest(width: usize) -> usize;
    /// Panels that share a tile when there are so many rows.
    fn panels_at_once(rows: usize, width: usize) -> usize;

    /// k's that a panel has room for, of `depth`. Where there are more, `put_row` of the last row and `put_column` make
    /// them 0: buffers hold anything.
    fn deep(depth: usize) -> usize {
        depth
    }
    /// Puts row k of a right operand of `depth` rows into its panels.
    #[inline(always)]
    fn put_row<N: Copy>(row: &[N], k: usize, depth: usize, wide: usize, panels: &mut [N]) {
        for (p, part) in row.chunks(wide).enumerate() {
            panels[(p * depth + k) * wide..][..part.len()].copy_from_slice(part);
        }
    }
    /// Puts a column of a right operand into its panel, of which it is column number `at`.
    #[inline(always)]
    fn put_column<N: Copy>(column: &[N], at: usize, wide: usize, panel: &mut [N]) {
        for (out, &number) in panel[at..].iter_mut().step_by(wide).zip(column) {
            *out = number;
        }
    }
    /// Numbers of a packed left operand.
    fn left_len(columns: usize, depth: usize) -> usize {
        columns * depth
    }
    /// `columns` columns of `count` rows, from column `first` on, as a left operand for panels of `width`: the tile whose
    /// first row is r begins at r · count and holds, for each k, its rows side by side.
    fn put_left<F: Float>(
        rows: &Rows<'_, F>, count: usize, (first, columns): (usize, usize), width: usize, tiles: &mut [F],
    ) {
        side_by_side(rows, count, (first, columns), Self::tallest(width), tiles);
    }

    /// Adds a block of k to some tiles, one below the other.
    fn strip<F: Float, S: Simd<F>, N: Weight<F>>(s: S, product: &mut Product<'_, '_, F, N>, of: Strip);
    /// The whole product of at most [`Self::FEW`] rows.
    #[inline(always)]
    fn few<F: Float, S: Simd<F>, N: Weight<F>>(s: S, product: &mut Product<'_, '_, F, N>)
    where
        Self: Sized,
    {
        product.walk::<S, Self>(s);
    }
}

/// Some tiles of a product and some of its k.
#[derive(Clone, Debug)]
pub struct Strip {
    /// The first panel, counted from the product's first one, and how many share a tile.
    pub panel: usize,
    /// See there.
    pub count: usize,
    /// k's, at most [`Tile::DEPTH`].
    pub depth: Range<usize>,
    /// The first row.
    pub first: usize,
    /// Rows of a tile.
    pub rows: usize,
    /// Tiles, at least one.
    pub tiles: usize,
}

/// Tile by tile, k by k, the tile's columns side by side.
fn side_by_side<F: Float>(
    rows: &Rows<'_, F>, count: usize, (first, columns): (usize, usize), tallest: usize, tiles: &mut [F],
) {
    fn tile<F: Float, const M: usize>(rows: &Rows<'_, F>, count: usize, column: usize, tile: &mut [F]) {
        for (k, out) in tile.chunks_exact_mut(M).take(count).enumerate() {
            out.copy_from_slice(&rows.row(k)[column..column + M]);
        }
    }
    let (height, taller, number) = tile_heights(columns, tallest);
    let mut column = 0;
    for t in 0..number {
        let height = height + usize::from(t < taller);
        let (at, out) = (first + column, &mut tiles[column * count..(column + height) * count]);
        match height {
            1 => tile::<F, 1>(rows, count, at, out),
            2 => tile::<F, 2>(rows, count, at, out),
            3 => tile::<F, 3>(rows, count, at, out),
            4 => tile::<F, 4>(rows, count, at, out),
            5 => tile::<F, 5>(rows, count, at, out),
            6 => tile::<F, 6>(rows, count, at, out),
            7 => tile::<F, 7>(rows, count, at, out),
            8 => tile::<F, 8>(rows, count, at, out),
            _ => unreachable!("a tile of {height} rows"),
        }
        column += height;
    }
}
