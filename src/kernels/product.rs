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

use super::choice::with_tile;
use super::layout::tile_heights;
pub use super::operands::{Affine, At, BLOCK, Bias, Left, LeftTiles, Outputs, Panels, Product, Rows, Sum, Weight};
use super::tile::{Strip, Tile};
use crate::float::Float;
use crate::simd::{Kernel, Simd};

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
