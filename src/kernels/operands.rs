//! What a product is of: its operands, as they lie, and how its terms are added. It must not know how it is computed.

use super::layout::Layout;
use crate::float::Float;
use crate::half::Half;
use crate::simd::Simd;
use std::ops::Range;

/// Terms in a block of [`Sum::Blocks`].
pub const BLOCK: usize = 128;

/// How the terms of an output are added.
#[derive(Clone, Copy, Debug)]
pub enum Sum<'a, F> {
    /// One chain over k from the bias, or from the value in C.
    Chain(Bias<'a, F>),
    /// Blocks of [`BLOCK`] terms, each from zero, added to C in order.
    Blocks,
}

/// Where some of the vectors of a panel begin, in every row.
#[derive(Clone, Copy, Debug)]
pub struct Bias<'a, F> {
    /// The numbers: vector v of panel p at `p * panel + v * lanes`.
    pub data: &'a [F],
    /// From one panel to the next.
    pub panel: usize,
    /// The first vector that begins here; those before it begin with what C holds.
    pub from: usize,
}

impl<F> Bias<'_, F> {
    /// All begin with what C holds.
    pub const NONE: Self = Self { data: &[], panel: 0, from: usize::MAX };
}

/// What W is kept in.
pub trait Weight<F: Float>: Copy {
    /// Whether a left operand of tiles multiplies it, as backward has: a kernel that nobody calls is not made.
    const IN_BACKWARD: bool;
    /// The first numbers as a vector. Panics when there are fewer than its lanes.
    fn load<S: Simd<F>>(s: S, w: &[Self]) -> S::V;
}

impl<F: Float> Weight<F> for F {
    const IN_BACKWARD: bool = true;

    #[inline(always)]
    fn load<S: Simd<F>>(s: S, w: &[F]) -> S::V {
        s.load(w)
    }
}

impl<F: Float> Weight<F> for Half {
    const IN_BACKWARD: bool = false;

    #[inline(always)]
    fn load<S: Simd<F>>(s: S, w: &[Half]) -> S::V {
        s.load_half(w)
    }
}

/// W, packed.
#[derive(Clone, Copy, Debug)]
pub struct Panels<'a, W> {
    /// The numbers, panel by panel, k by k.
    pub data: &'a [W],
    /// Rows of W: the k of the sum.
    pub depth: usize,
    /// How they lie, and for which tile.
    pub layout: Layout,
}

/// A: rows of numbers, found by a constant stride or by a table.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a, F> {
    /// Where all the rows lie.
    pub data: &'a [F],
    /// Where each begins.
    pub at: At<'a>,
}

/// Where row i begins.
#[derive(Clone, Copy, Debug)]
pub enum At<'a> {
    /// At `offset + i * stride`.
    Stride { offset: usize, stride: usize },
    /// At `table[i]`.
    Table(&'a [usize]),
}

impl<'a, F> Rows<'a, F> {
    /// Row i from its first number on.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &'a [F] {
        match self.at {
            At::Stride { offset, stride } => &self.data[offset + i * stride..],
            At::Table(table) => &self.data[table[i]..],
        }
    }
}

/// A: its rows, or packed as its tile wants it.
#[derive(Clone, Copy, Debug)]
pub enum Left<'a, F> {
    /// Row by row.
    Rows(Rows<'a, F>),
    /// By [`Tile::put_left`].
    Tiles(LeftTiles<'a, F>),
}

/// A packed left operand.
#[derive(Clone, Copy, Debug)]
pub struct LeftTiles<'a, F> {
    /// The numbers.
    pub data: &'a [F],
    /// Of the right operand that it is packed for.
    pub layout: Layout,
}

/// Where the outputs of row i and panel p lie: from `i * row + p * panel`, `width` vectors on end.
#[derive(Debug)]
pub struct Outputs<'a, F> {
    /// The numbers.
    pub data: &'a mut [F],
    /// From one row to the next.
    pub row: usize,
    /// From one panel to the next.
    pub panel: usize,
}

/// C[0..rows, panels] += A[0..rows] · W[.., panels], or = bias + A · W where there is a bias
#[derive(Debug)]
pub struct Product<'a, 'c, F, N = F> {
    /// A
    pub a: Left<'a, F>,
    /// Rows of A and C.
    pub rows: usize,
    /// W
    pub w: Panels<'a, N>,
    /// Which panels, and of those the first is C's panel 0.
    pub panels: Range<usize>,
    /// Last panel first: a walk to and fro finds the last panels still in cache.
    pub backwards: bool,
    /// How to add.
    pub sum: Sum<'a, F>,
    /// C
    pub c: Outputs<'c, F>,
}

/// y = b + W x, or y += W x, for some rows x and some panels of W.
#[derive(Debug)]
pub struct Affine<'a, 'c, F> {
    /// x
    pub x: Rows<'a, F>,
    /// Rows of x and y.
    pub rows: usize,
    /// Which panels; see `PackedMatrix::panels_at_once`.
    pub panels: Range<usize>,
    /// Last panel first: a walk to and fro finds the last panels still in cache.
    pub backwards: bool,
    /// What sums begin with.
    pub bias: Bias<'a, F>,
    /// y
    pub y: Outputs<'c, F>,
}

impl<'a, 'c, F: Float> Affine<'a, 'c, F> {
    /// As a product of floats, each output one chain.
    #[inline]
    pub fn product<N: Weight<F>>(self, w: Panels<'a, N>) -> Product<'a, 'c, F, N> {
        let Self { x, rows, panels, backwards, bias, y } = self;
        Product { a: Left::Rows(x), rows, w, panels, backwards, sum: Sum::Chain(bias), c: y }
    }
}
