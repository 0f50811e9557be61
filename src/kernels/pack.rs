//! Weights laid out for [`super::product`], as their tile wants them. It knows rows, columns and panels; which rows
//! belong to which gate is told by the caller, and how a panel holds its numbers is known to [`super::tile`].

use super::bytes::{BytesScratch, PackedBytes, ROWS};
use super::choice::with_tile;
use super::pairs::{PackedPairs, PairsScratch};
use super::product::{Affine, Panels, Rows};
use super::tile::{Layout, Purpose, Tile};
use crate::buffer::Aligned;
use crate::error::Result;
use crate::half::Half;
use crate::simd::{Dispatch, Isa};
use crate::weights::Matrix;

/// A packed matrix that owns its numbers.
#[derive(Debug)]
pub struct Packed<N> {
    data: Aligned<N>,
    depth: usize,
    columns: usize,
    layout: Layout,
}

impl<N: Copy + Default> Packed<N> {
    /// Zeros, and where to put what they shall be.
    fn zeros(depth: usize, columns: usize, layout: Layout) -> Result<Self> {
        let data = Aligned::zeros(layout.kind.deep(depth) * layout.padded(columns), "packed weights")?;
        Ok(Self { data, depth, columns, layout })
    }

    /// What a product reads.
    pub fn panels(&self) -> Panels<'_, N> {
        Panels { data: &self.data, depth: self.depth, layout: self.layout }
    }

    /// Columns with those that fill the last panel: what a row of the product needs room for.
    pub fn padded(&self) -> usize {
        self.layout.padded(self.columns)
    }
}

/// A packed matrix that is of floats or quantized.
#[derive(Debug)]
pub enum PackedMatrix<F> {
    /// As it was learnt.
    Float(Packed<F>),
    /// For products of bytes.
    Int8(PackedBytes<F>),
    /// Of 16 bits.
    Float16(Packed<Half>),
    /// For products in bfloat16.
    Bfloat16(PackedPairs),
}

/// Memory for rows that a matrix wants rounded.
#[derive(Debug, Default)]
pub struct Operands<F> {
    bytes: BytesScratch<F>,
    pairs: PairsScratch<F>,
}

/// What a matrix is kept in changes how it is multiplied. Only here is known which kind does what.
impl<F: Dispatch> PackedMatrix<F> {
    /// How many panels are best asked for at a time; a matrix of bytes is always multiplied whole.
    pub fn panels_at_once(&self, rows: usize) -> usize {
        let of = |layout: Layout| layout.kind.panels_at_once(rows, layout.width);
        match self {
            Self::Float(w) => of(w.layout),
            Self::Float16(w) => of(w.layout),
            Self::Int8(_) | Self::Bfloat16(_) => usize::MAX,
        }
    }

    /// Whether it rounds what it multiplies: that needs room, and is done once for all panels.
    pub fn rounds(&self) -> bool {
        matches!(self, Self::Int8(_) | Self::Bfloat16(_))
    }

    /// Memory for products of up to `rows` rows.
    pub fn make_room(&self, rows: usize, scratch: &mut Operands<F>) -> Result<()> {
        match self {
            Self::Int8(w) => scratch.bytes.make_room(rows, w),
            Self::Bfloat16(w) => scratch.pairs.make_room(rows, w),
            Self::Float(_) | Self::Float16(_) => Ok(()),
        }
    }

    /// The product. There must be room.
    #[inline]
    pub fn multiply(&self, isa: Isa, of: Affine<'_, '_, F>, scratch: &mut Operands<F>) {
        match self {
            Self::Float(w) => F::dispatch(isa, of.product(w.panels())),
            Self::Float16(w) => F::dispatch(isa, of.product(w.panels())),
            Self::Int8(w) => scratch.bytes.multiply(isa, of, w),
            Self::Bfloat16(w) => scratch.pairs.multiply(isa, of, w),
        }
    }

    /// Whether so many rows' products may be made before what they are added to is there, with the same bits.
    pub fn sums_ahead(&self, rows: usize) -> bool {
        matches!(self, Self::Int8(_)) && rows <= ROWS
    }

    /// Memory for [`Self::sum_ahead`].
    pub fn make_room_ahead(&self, rows: usize, scratch: &mut Operands<F>) -> Result<()> {
        self.make_room(rows.min(ROWS), scratch)
    }

    /// The products alone, if [`Self::sums_ahead`].
    pub fn sum_ahead(&self, isa: Isa, x: Rows<'_, F>, rows: usize, backwards: bool, scratch: &mut Operands<F>) {
        if let Self::Int8(w) = self {
            scratch.bytes.sum_ahead(isa, x, rows, w, backwards);
        }
    }

    /// What [`Self::multiply`] does, of products that were made ahead.
    pub fn add(&self, isa: Isa, of: Affine<'_, '_, F>, scratch: &mut Operands<F>) {
        if let Self::Int8(w) = self {
            scratch.bytes.add(isa, of, w);
        }
    }
}

/// Panels for y += W x, one vector of units a panel: for each k the units' weights of the first of
/// `row_blocks`, then of the second, … W is `(…, depth)`; a row block is `units` rows from the row given.
pub fn by_units<F: Dispatch>(
    isa: Isa, w: Matrix<'_, F>, row_blocks: &[usize], units: usize, depth: usize,
) -> Result<PackedMatrix<F>> {
    let layout = Layout::new::<F>(isa, Purpose::Forward, row_blocks.len());
    let Layout { lanes, width, .. } = layout;
    let padded = units.next_multiple_of(lanes) * width;
    // The row of W that is a column here, if it is of a unit.
    let row_of = |column: usize| {
        let unit = column / (width * lanes) * lanes + column % lanes;
        (unit < units).then(|| row_blocks[column / lanes % width] + unit)
    };
    Ok(match w {
        Matrix::Float(w) => PackedMatrix::Float(panels_by_units(w, row_blocks, units, depth, layout)?),
        Matrix::Float16(w) => PackedMatrix::Float16(panels_by_units(w, row_blocks, units, depth, layout)?),
        Matrix::Int8(w, scales) => PackedMatrix::Int8(PackedBytes::new(isa.bytes(), depth, padded, |column| {
            row_of(column).map(|row| (&w[row * depth..], scales[row]))
        })?),
        Matrix::Bfloat16(w) => PackedMatrix::Bfloat16(PackedPairs::new((lanes, width), depth, padded, |column| {
            row_of(column).map(|row| &w[row * depth..][..depth])
        })?),
    })
}

fn panels_by_units<N: Copy + Default>(
    w: &[N], row_blocks: &[usize], units: usize, depth: usize, layout: Layout,
) -> Result<Packed<N>> {
    let Layout { kind, lanes, width } = layout;
    let mut packed = Packed::zeros(depth, units.next_multiple_of(lanes) * width, layout)?;
    if depth > 0 {
        for (p, panel) in packed.data.chunks_exact_mut(kind.deep(depth) * layout.wide()).enumerate() {
            for (block, first) in row_blocks.iter().enumerate() {
                for (lane, unit) in (p * lanes..units.min((p + 1) * lanes)).enumerate() {
                    let column = &w[(first + unit) * depth..][..depth];
                    with_tile!(kind, T => T::put_column(column, block * lanes + lane, layout.wide(), panel));
                }
            }
        }
    }
    Ok(packed)
}

/// Panels for dx += Wᵀ dy: k runs over the rows of the `row_blocks` in order, the columns of W are the
/// columns of the panels.
pub fn by_columns<F: Dispatch>(
    isa: Isa, w: &[F], row_blocks: &[usize], units: usize, columns: usize,
) -> Result<Packed<F>> {
    let layout = Layout::for_columns::<F>(isa, Purpose::Backward, columns);
    let depth = row_blocks.len() * units;
    let mut packed = Packed::zeros(depth, columns, layout)?;
    let rows = row_blocks.iter().flat_map(|first| *first..first + units);
    for (k, row) in rows.enumerate() {
        let row = &w[row * columns..][..columns];
        with_tile!(layout.kind, T => T::put_row(row, k, depth, layout.wide(), &mut packed.data));
    }
    Ok(packed)
}
