//! The matrix product under everything: C += A · W, with W in panels.
//!
//! A panel is `width` vectors of columns wide; it holds, for each k, those vectors side by side, so the
//! innermost loop reads it once, front to back. The sums of a few rows by a panel or more are a tile, which stays in
//! registers: [`super::tile`] says what a tile is, [`super::registers`] has one. Here is the walk over tiles; it must not
//! know how large they are, nor in what order a panel holds its numbers.
//!
//! Two ways to sum, both fixed by the shape alone so that neither threads nor instruction sets nor
//! other rows change a bit: [`Sum::Chain`] carries each output through all k in one chain, starting
//! from a bias or from what C holds; [`Sum::Blocks`] sums [`BLOCK`] terms at a time from zero and adds the blocks to
//! C in order, which keeps long sums accurate.

use super::tile::{Layout, Strip, Tile, tile_heights, with_tile};
use crate::float::Float;
use crate::half::Half;
use crate::simd::{Kernel, Simd};
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

impl<F: Float, N: Weight<F>> Kernel<F> for Product<'_, '_, F, N> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(mut self, s: S) {
        with_tile!(self.w.layout.kind, T => self.by::<S, T>(s));
    }
}

impl<F: Float, N: Weight<F>> Product<'_, '_, F, N> {
    /// By that tile and no other. Panics when an operand is packed for another one, or for other vectors.
    #[inline(always)]
    pub fn by<S: Simd<F>, T: Tile>(&mut self, s: S) {
        let layout = self.w.layout;
        assert!(
            T::fits::<F, S>() && layout.kind == T::KIND && layout.lanes == S::LANES,
            "W is packed for another tile"
        );
        match self.a {
            Left::Rows(_) if self.rows <= T::FEW => T::few(s, self),
            Left::Tiles(a) if a.layout != layout => panic!("A is packed for another tile"),
            _ => self.walk::<S, T>(s),
        }
    }

    /// All panels, by tiles.
    #[inline(always)]
    pub(super) fn walk<S: Simd<F>, T: Tile>(&mut self, s: S) {
        let (count, width) = (self.panels.len(), self.w.layout.width);
        let at_once = T::panels_at_once(self.rows, width);
        let heights = tile_heights(self.rows, T::tallest(width));
        let groups = count.div_ceil(at_once);
        for g in 0..groups {
            let first = at_once * if self.backwards { groups - 1 - g } else { g };
            // The last panels go one by one if they are too few.
            let (some, end) = if first + at_once <= count { (at_once, first + at_once) } else { (1, count) };
            let mut panel = first;
            while panel < end {
                self.depth_blocks::<S, T>(s, panel, some, heights);
                panel += some;
            }
        }
    }

    /// All rows by `count` panels, one block of k after another.
    #[inline(always)]
    fn depth_blocks<S: Simd<F>, T: Tile>(&mut self, s: S, panel: usize, count: usize, heights: (usize, usize, usize)) {
        let (rows, taller, tiles) = heights;
        let block = if matches!(self.sum, Sum::Blocks) { BLOCK } else { T::DEPTH };
        let mut begin = 0;
        while begin < self.w.depth {
            let depth = begin..self.w.depth.min(begin + block);
            begin = depth.end;
            if taller > 0 {
                let rows = rows + 1;
                T::strip(s, self, Strip { panel, count, depth: depth.clone(), first: 0, rows, tiles: taller });
            }
            if tiles > taller {
                let first = taller * (rows + 1);
                T::strip(s, self, Strip { panel, count, depth, first, rows, tiles: tiles - taller });
            }
        }
    }
}
