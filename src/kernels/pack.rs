//! Weights and operands laid out for [`super::product`]. It knows rows, columns and panels; which rows
//! belong to which gate is told by the caller.

use super::bytes::PackedBytes;
use super::product::{Panels, Rows, tile_heights};
use crate::buffer::Aligned;
use crate::error::Result;
use crate::float::Float;
use crate::half::Half;
use crate::simd::{Dispatch, Isa};
use crate::weights::Matrix;

/// A packed matrix that owns its numbers.
#[derive(Debug, Default)]
pub struct Packed<F> {
    data: Aligned<F>,
    depth: usize,
    width: usize,
}

impl<F> Packed<F> {
    /// What a product reads.
    pub fn panels(&self) -> Panels<'_, F> {
        Panels { data: &self.data, depth: self.depth, width: self.width }
    }
}

/// The width of panel that wastes least on `columns` columns: padding against the tile's efficiency.
pub fn best_width(columns: usize, lanes: usize) -> usize {
    let vectors = columns.div_ceil(lanes);
    // Measured rates of the tiles in percent of the widest one's.
    let cost = |(width, rate): (usize, usize)| vectors.next_multiple_of(width) * 100 / rate;
    [(4, 100), (3, 95), (2, 95), (1, 75)].into_iter().min_by_key(|&w| cost(w)).map_or(4, |(width, _)| width)
}

/// A packed matrix that is whole or narrow.
#[derive(Debug)]
pub enum PackedMatrix<F> {
    /// As it was learnt.
    Whole(Packed<F>),
    /// For products of bytes.
    Int8(PackedBytes<F>),
    /// Of 16 bits.
    Float16(Packed<Half>),
}

/// Panels for y += W x, one vector of units a panel: for each k the units' weights of the first of
/// `row_blocks`, then of the second, … W is `(…, depth)`; a row block is `units` rows from the row given.
pub fn by_units<F: Dispatch>(
    isa: Isa, w: Matrix<'_, F>, row_blocks: &[usize], units: usize, depth: usize,
) -> Result<PackedMatrix<F>> {
    let (lanes, width) = (F::lanes(isa), row_blocks.len());
    Ok(match w {
        Matrix::Whole(w) => PackedMatrix::Whole(panels_by_units(w, row_blocks, units, depth, lanes)?),
        Matrix::Float16(w) => PackedMatrix::Float16(panels_by_units(w, row_blocks, units, depth, lanes)?),
        Matrix::Int8(w, scales) => {
            let columns = units.next_multiple_of(lanes) * width;
            PackedMatrix::Int8(PackedBytes::new(isa.bytes(), depth, columns, |column| {
                let unit = column / (width * lanes) * lanes + column % lanes;
                let row = row_blocks[column / lanes % width] + unit;
                (unit < units).then(|| (&w[row * depth..], scales[row]))
            })?)
        }
    })
}

fn panels_by_units<N: Copy + Default>(
    w: &[N], row_blocks: &[usize], units: usize, depth: usize, lanes: usize,
) -> Result<Packed<N>> {
    let width = row_blocks.len();
    let mut data = Aligned::zeros(units.div_ceil(lanes) * depth * width * lanes, "packed weights")?;
    if depth > 0 {
        for (p, panel) in data.chunks_exact_mut(depth * width * lanes).enumerate() {
            for (block, first) in row_blocks.iter().enumerate() {
                for (lane, unit) in (p * lanes..units.min((p + 1) * lanes)).enumerate() {
                    let row = &w[(first + unit) * depth..][..depth];
                    for (out, &weight) in panel[block * lanes + lane..].iter_mut().step_by(width * lanes).zip(row) {
                        *out = weight;
                    }
                }
            }
        }
    }
    Ok(Packed { data, depth, width })
}

/// Panels for dx += Wᵀ dy: k runs over the rows of the `row_blocks` in order, the columns of W are the
/// columns of the panels.
pub fn by_columns<F: Float>(
    w: &[F], row_blocks: &[usize], units: usize, columns: usize, lanes: usize,
) -> Result<Packed<F>> {
    let width = best_width(columns, lanes);
    let depth = row_blocks.len() * units;
    let wide = width * lanes;
    let mut data = Aligned::zeros(columns.next_multiple_of(wide) * depth, "packed weights")?;
    let rows = row_blocks.iter().flat_map(|first| *first..first + units);
    for (k, row) in rows.enumerate() {
        copy_columns(&w[row * columns..][..columns], k, depth, wide, &mut data);
    }
    Ok(Packed { data, depth, width })
}

/// Row k of all panels.
#[inline(always)]
fn copy_columns<F: Float>(row: &[F], k: usize, depth: usize, wide: usize, panels: &mut [F]) {
    for (p, part) in row.chunks(wide).enumerate() {
        panels[(p * depth + k) * wide..][..part.len()].copy_from_slice(part);
    }
}

/// Rows of an operand as panels over k = row, in the caller's buffer. The padding of the last panel is
/// whatever was there: it only reaches columns that nobody reads.
pub fn rows_as_panels<'p, F: Float>(
    rows: &Rows<'_, F>, count: usize, columns: usize, width: usize, lanes: usize, panels: &'p mut [F],
) -> Panels<'p, F> {
    let wide = width * lanes;
    for k in 0..count {
        copy_columns(&rows.row(k)[..columns], k, count, wide, panels);
    }
    Panels { data: panels, depth: count, width }
}

/// `columns` columns of `rows` from column `first` on, as the interleaved left operand of a product
/// with tiles of at most `tallest` rows: tile by tile, k by k, the tile's columns side by side.
pub fn columns_as_tiles<F: Float>(
    rows: &Rows<'_, F>, count: usize, first: usize, columns: usize, tallest: usize, tiles: &mut [F],
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
