//! Tiles of sums that stay in registers. For 16 vector registers: a few rows by one panel, or one or two rows by several
//! panels when there are no more. 9 to 12 sums hide the latency of the multiply-add and leave registers for the operands.
//! For no vectors: one row by one panel. It must not know more of an instruction set than [`Simd`] says.

use super::product::{Left, Product, Rows, Sum, Weight};
use super::tile::{Strip, Tile, TileKind};
use crate::float::Float;
use crate::simd::{Kernel, Simd};
use std::ops::Range;

/// A strip of tiles, each shape, (width, panels: rows), compiled for itself.
macro_rules! strip {
    ($s:ident, $product:ident, $of:ident: $(($width:literal, $count:literal: $($rows:literal)*))*) => {{
        let Strip { panel, count, depth, first, rows, tiles } = $of;
        match ($product.w.layout.width, count, rows, $product.a) {
            $($(($width, $count, $rows, Left::Rows(a)) => {
                let product = $product;
                $s.call(Tiles::<_, _, _, $rows, $count, $width> { a, product, panel, depth, first, tiles });
            }
            ($width, $count, $rows, Left::Tiles(a)) if N::IN_BACKWARD => {
                let (a, product) = (a.data, $product);
                $s.call(Tiles::<_, _, _, $rows, $count, $width> { a, product, panel, depth, first, tiles });
            })*)*
            shape => unreachable!("no tile of (width, panels, rows) {:?}", (shape.0, shape.1, shape.2)),
        }
    }};
}

/// One row by one panel, where there are no vectors. A multiply-add may be a call there, across which nothing stays in
/// registers: larger tiles would be no faster, and were a sixth of the library.
#[derive(Clone, Copy, Debug)]
pub struct OneRow;

impl Tile for OneRow {
    const KIND: TileKind = TileKind::OneRow;

    #[inline(always)]
    fn fits<F: Float, S: Simd<F>>() -> bool {
        S::LANES == 1
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

/// Twelve sums, on whatever has vectors, and 16 registers or more for them.
#[derive(Clone, Copy, Debug)]
pub struct Registers16;

impl Tile for Registers16 {
    const KIND: TileKind = TileKind::Registers16;

    #[inline(always)]
    fn fits<F: Float, S: Simd<F>>() -> bool {
        S::LANES > 1
    }

    /// Padding against the tile's efficiency.
    fn best_width(columns: usize, lanes: usize) -> usize {
        let vectors = columns.div_ceil(lanes);
        // Measured rates of the tiles in percent of the widest one's.
        let cost = |(width, rate): (usize, usize)| vectors.next_multiple_of(width) * 100 / rate;
        [(4, 100), (3, 95), (2, 95), (1, 75)].into_iter().min_by_key(|&w| cost(w)).map_or(4, |(width, _)| width)
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

/// How a tile of M rows reads the left operand.
trait LeftTile<F: Float>: Copy {
    type Tile<'t, const M: usize>: Copy
    where
        Self: 't;
    fn tile<'t, const M: usize>(&'t self, first: usize, whole_depth: usize, depth: &Range<usize>) -> Self::Tile<'t, M>;
    fn at<const M: usize>(tile: &Self::Tile<'_, M>, i: usize, k: usize) -> F;
}

impl<F: Float> LeftTile<F> for Rows<'_, F> {
    type Tile<'t, const M: usize>
        = [&'t [F]; M]
    where
        Self: 't;
    #[inline(always)]
    fn tile<'t, const M: usize>(&'t self, first: usize, _: usize, depth: &Range<usize>) -> [&'t [F]; M] {
        let mut rows: [&[F]; M] = [&[]; M];
        for i in 0..M {
            rows[i] = &self.row(first + i)[depth.start..][..depth.len()];
        }
        rows
    }
    #[inline(always)]
    fn at<const M: usize>(tile: &[&[F]; M], i: usize, k: usize) -> F {
        tile[i][k]
    }
}

impl<F: Float> LeftTile<F> for &[F] {
    type Tile<'t, const M: usize>
        = &'t [[F; M]]
    where
        Self: 't;
    #[inline(always)]
    fn tile<'t, const M: usize>(&'t self, first: usize, whole: usize, depth: &Range<usize>) -> &'t [[F; M]] {
        &self[first * whole..].as_chunks().0[depth.start..][..depth.len()]
    }
    #[inline(always)]
    fn at<const M: usize>(tile: &&[[F; M]], i: usize, k: usize) -> F {
        tile[k][i]
    }
}

/// One block of k for tiles of M rows by P panels of W vectors, one below the other.
struct Tiles<'s, 'a, 'c, F, N, L, const M: usize, const P: usize, const W: usize> {
    a: L,
    product: &'s mut Product<'a, 'c, F, N>,
    panel: usize,
    depth: Range<usize>,
    first: usize,
    tiles: usize,
}

impl<F: Float, N: Weight<F>, L: LeftTile<F>, const M: usize, const P: usize, const W: usize> Kernel<F>
    for Tiles<'_, '_, '_, F, N, L, M, P, W>
{
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) {
        let Product { w, panels, sum, c, .. } = self.product;
        let vectors = W * S::LANES;
        let depth = self.depth.len();
        let mut block: [&[N]; P] = [&[]; P];
        for p in 0..P {
            let panel = (panels.start + self.panel + p) * w.depth * vectors;
            block[p] = &w.data[panel + self.depth.start * vectors..panel + self.depth.end * vectors];
        }
        for tile in 0..self.tiles {
            let first = self.first + tile * M;
            let rows = self.a.tile::<M>(first, w.depth, &self.depth);
            let tile = &mut c.data[first * c.row + self.panel * c.panel..];
            let mut total = [[[s.splat(F::ZERO); W]; P]; M];
            if let Sum::Chain(bias) = sum {
                let biased = if self.depth.start == 0 { bias.from } else { W };
                for i in 0..M {
                    for p in 0..P {
                        let from = &tile[i * c.row + p * c.panel..][..vectors];
                        let begin = (panels.start + self.panel + p) * bias.panel;
                        for v in 0..W {
                            let from = if v < biased { from } else { &bias.data[begin..] };
                            total[i][p][v] = s.load(&from[v * S::LANES..]);
                        }
                    }
                }
            }
            let mut columns = block.map(|b| b.chunks_exact(2 * vectors));
            let mut k = 0;
            'pairs: while k + 1 < depth {
                let mut terms: [&[N]; P] = [&[]; P];
                for p in 0..P {
                    match columns[p].next() {
                        Some(w) => terms[p] = w,
                        None => break 'pairs,
                    }
                }
                multiply_add::<F, N, S, L, M, P, W>(s, &rows, k, &terms, 0, &mut total);
                multiply_add::<F, N, S, L, M, P, W>(s, &rows, k + 1, &terms, vectors, &mut total);
                k += 2;
            }
            if k < depth {
                multiply_add::<F, N, S, L, M, P, W>(s, &rows, k, &block, k * vectors, &mut total);
            }
            for i in 0..M {
                for p in 0..P {
                    let to = &mut tile[i * c.row + p * c.panel..][..vectors];
                    for v in 0..W {
                        let out = &mut to[v * S::LANES..];
                        if matches!(sum, Sum::Blocks) {
                            total[i][p][v] = s.add(s.load(out), total[i][p][v]);
                        }
                        s.store(total[i][p][v], out);
                    }
                }
            }
        }
    }
}

/// One term of every sum of the tile: row number k by the columns at `at`. What there is less of, rows or
/// columns, waits in registers while the other passes.
#[inline(always)]
fn multiply_add<F: Float, N: Weight<F>, S: Simd<F>, L: LeftTile<F>, const M: usize, const P: usize, const W: usize>(
    s: S, rows: &L::Tile<'_, M>, k: usize, columns: &[&[N]; P], at: usize, total: &mut [[[S::V; W]; P]; M],
) {
    if M > P * W {
        let mut column = [[s.splat(F::ZERO); W]; P];
        for p in 0..P {
            let w = &columns[p][at..at + W * S::LANES];
            for v in 0..W {
                column[p][v] = N::load(s, &w[v * S::LANES..]);
            }
        }
        for i in 0..M {
            let x = s.splat(L::at(rows, i, k));
            for p in 0..P {
                for v in 0..W {
                    total[i][p][v] = s.mul_add(x, column[p][v], total[i][p][v]);
                }
            }
        }
    } else {
        let mut x = [s.splat(F::ZERO); M];
        for i in 0..M {
            x[i] = s.splat(L::at(rows, i, k));
        }
        for p in 0..P {
            let w = &columns[p][at..at + W * S::LANES];
            for v in 0..W {
                let column = N::load(s, &w[v * S::LANES..]);
                for i in 0..M {
                    total[i][p][v] = s.mul_add(x[i], column, total[i][p][v]);
                }
            }
        }
    }
}
