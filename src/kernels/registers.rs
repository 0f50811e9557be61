//! Tiles of sums that stay in registers: which shapes there are. For 16 vector registers: a few rows by one panel, or one
//! or two rows by several panels when there are no more. 9 to 12 sums hide the latency of the multiply-add and leave
//! registers for the operands. For 32: twice as many sums, which read half as many operands for each. For no vectors: one
//! row by one panel. It must not know more of an instruction set than [`Simd`] says.

use super::product::{Left, Product, Weight};
use super::registers_loop::Tiles;
use super::tile::{Strip, Tile, TileKind};
use crate::float::Float;
use crate::simd::Simd;

/// A strip of tiles, each shape, (width, panels: rows), compiled for itself; with left operands of tiles where it is `TILED`.
macro_rules! strip {
    ($s:ident, $product:ident, $of:ident: $(($width:literal, $count:literal: $($rows:literal)*))*) => {{
        let Strip { panel, count, depth, first, rows, tiles } = $of;
        match ($product.w.layout.width, count, rows, $product.a) {
            $($(($width, $count, $rows, Left::Rows(a)) => {
                let product = $product;
                $s.call(Tiles::<_, _, _, $rows, $count, $width> { a, product, panel, depth, first, tiles });
            }
            ($width, $count, $rows, Left::Tiles(a)) if N::IN_BACKWARD && const { Self::TILED[$width] } => {
                let (a, product) = (a.data, $product);
                $s.call(Tiles::<_, _, _, $rows, $count, $width> { a, product, panel, depth, first, tiles });
            })*)*
            shape => unreachable!("no tile of (width, panels, rows) {:?}", (shape.0, shape.1, shape.2)),
        }
    }};
}

/// The width that costs least for some vectors, with those that fill the last panel; of each width the rate of its tile was
/// measured, in percent of the best one's.
fn least_cost<const N: usize>(vectors: usize, rates: [(usize, usize); N]) -> usize {
    let cost = |&(width, rate): &(usize, usize)| vectors.next_multiple_of(width) * 100 / rate;
    rates.into_iter().min_by_key(cost).map_or(1, |(width, _)| width)
}

/// One row by one panel, where there are no vectors. A multiply-add may be a call there, across which nothing stays in
/// registers: larger tiles would be no faster, and were a sixth of the library.
#[derive(Clone, Copy, Debug)]
pub struct OneRow;

impl Tile for OneRow {
    const KIND: TileKind = TileKind::OneRow;

    #[inline(always)]
    fn fits<F: Float, S: Simd<F>>() -> bool {
        S::REGISTERS == 0
    }

    /// The widest without padding.
    fn best_width(columns: usize, _: usize) -> usize {
        (1..=4).rev().min_by_key(|&width| columns.next_multiple_of(width)).unwrap_or(1)
    }

    #[inline(always)]
    fn tallest(_: usize) -> usize {
        1
    }

    #[inline(always)]
    fn panels_at_once(_: usize, _: usize) -> usize {
        1
    }

    #[inline(always)]
    fn strip<F: Float, S: Simd<F>, N: Weight<F>>(s: S, product: &mut Product<'_, '_, F, N>, of: Strip) {
        strip!(s, product, of: (1, 1: 1)(2, 1: 1)(3, 1: 1)(4, 1: 1));
    }
}

/// Twelve sums in 16 registers.
#[derive(Clone, Copy, Debug)]
pub struct Registers16;

impl Tile for Registers16 {
    const KIND: TileKind = TileKind::Registers16;

    #[inline(always)]
    fn fits<F: Float, S: Simd<F>>() -> bool {
        S::REGISTERS == 16
    }

    /// Padding against the tile's efficiency.
    fn best_width(columns: usize, lanes: usize) -> usize {
        least_cost(columns.div_ceil(lanes), [(4, 100), (3, 98), (2, 98), (1, 95)])
    }

    /// With `panels_at_once` it makes 12 sums. Two ways that look as good are not: 4 rows × 3 vectors fill all 16
    /// registers of AVX2 and spill, and 3 × 3 sums are too few (measured: 41 and 85 of 103 GFLOP/s, against 94 for 2 rows
    /// × 2 panels × 3).
    #[inline(always)]
    fn tallest(width: usize) -> usize {
        match width {
            1 | 2 => 6,
            3 => 2,
            _ => 3,
        }
    }

    /// Two narrow ones, and more when there are too few rows to fill the tile.
    #[inline(always)]
    fn panels_at_once(rows: usize, width: usize) -> usize {
        match (rows, width) {
            (1, 1..=3) | (2, 1) => 4,
            (1, 4) | (2, 2) => 2,
            (_, 1 | 3) => 2,
            _ => 1,
        }
    }

    #[inline(always)]
    fn strip<F: Float, S: Simd<F>, N: Weight<F>>(s: S, product: &mut Product<'_, '_, F, N>, of: Strip) {
        strip!(s, product, of: (1, 1: 1 2 3 4 5 6)(1, 2: 3 4 5 6)(1, 4: 1 2)(2, 1: 1 2 3 4 5 6)(2, 2: 2)(2, 4: 1)
               (3, 1: 1 2)(3, 2: 1 2)(3, 4: 1)(4, 1: 1 2 3)(4, 2: 1));
    }
}

/// 24 sums in 32 registers: a panel of three vectors is read once for 8 rows, a quarter as often as by [`Registers16`], so that
/// it may come from the second cache, and as few as three rows fill the registers.
#[derive(Clone, Copy, Debug)]
pub struct Registers32;

impl Tile for Registers32 {
    const KIND: TileKind = TileKind::Registers32;
    /// Those that `best_width` chooses: the kernels of each more are a hundredth of the library.
    const TILED: [bool; 5] = [false, true, false, true, false];

    #[inline(always)]
    fn fits<F: Float, S: Simd<F>>() -> bool {
        S::REGISTERS == 32
    }

    fn best_width(columns: usize, lanes: usize) -> usize {
        least_cost(columns.div_ceil(lanes), [(3, 100), (1, 96)])
    }

    #[inline(always)]
    fn tallest(width: usize) -> usize {
        if width == 4 { 6 } else { 8 }
    }

    #[inline(always)]
    fn panels_at_once(rows: usize, width: usize) -> usize {
        match (rows, width) {
            (1, 1..=3) | (2, 1) => 4,
            (1, 4) | (2, 2 | 3) | (3 | 4, 1) => 2,
            _ => 1,
        }
    }

    #[inline(always)]
    fn strip<F: Float, S: Simd<F>, N: Weight<F>>(s: S, product: &mut Product<'_, '_, F, N>, of: Strip) {
        strip!(s, product, of: (1, 1: 1 2 3 4 5 6 7 8)(1, 2: 2 3 4)(1, 4: 1 2)(2, 1: 1 2 3 4 5 6 7 8)(2, 2: 2)
               (2, 4: 1)(3, 1: 1 2 3 4 5 6 7 8)(3, 2: 2)(3, 4: 1)(4, 1: 1 2 3 4 5 6)(4, 2: 1));
    }
}
