//! The matrix product under everything: C += A · W, with W in panels.
//!
//! A panel is `width` vectors of columns wide; it holds, for each k, those vectors side by side, so the
//! innermost loop reads it once, front to back. The tile in registers is a few rows by one panel
//! (or one or two rows by several panels, when there are no more): 9 to 12 sums hide the latency of
//! the multiply-add and leave registers for the operands.
//!
//! Two ways to sum, both fixed by the shape alone so that neither threads nor instruction sets nor
//! other rows change a bit: [`Sum::Chain`] carries each output through all k in one chain, starting
//! from a bias or from what C holds; [`Sum::Blocks`] sums [`BLOCK`] terms at a time from zero and adds the blocks to
//! C in order, which keeps long sums accurate.

use crate::float::Float;
use crate::half::Half;
use crate::simd::{Kernel, Simd};
use std::ops::Range;

/// Terms in a block of [`Sum::Blocks`]; also the depth after which a chain moves to the next tile,
/// so that a panel's block stays in the first-level cache.
pub const BLOCK: usize = 128;

/// Rows of the tallest tile for panels of `width`. With [`panels_at_once`] it makes 12 sums. Two ways that
/// look as good are not: 4 rows × 3 vectors fill all 16 registers of AVX2 and spill, and 3 × 3 sums are
/// too few (measured: 41 and 85 of 103 GFLOP/s, against 94 for 2 rows × 2 panels × 3).
pub fn tallest(width: usize) -> usize {
    match width {
        1 | 2 => 6,
        3 => 2,
        _ => 3,
    }
}

/// Panels that share a tile: two narrow ones, and more when there are too few rows to fill it.
pub fn panels_at_once(rows: usize, width: usize) -> usize {
    match (rows, width) {
        (1, 1..=3) | (2, 1) => 4,
        (1, 4) | (2, 2) => 2,
        (_, 1 | 3) => 2,
        _ => 1,
    }
}

/// (h, n, tiles): `rows` rows shared out evenly, so that no lone last row leaves the registers idle:
/// the first n of the tiles have h + 1 rows, the others h.
pub fn tile_heights(rows: usize, tallest: usize) -> (usize, usize, usize) {
    let tiles = rows.div_ceil(tallest);
    (rows / tiles.max(1), rows % tiles.max(1), tiles)
}

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

/// W: `panels × depth × width` vectors.
#[derive(Clone, Copy, Debug)]
pub struct Panels<'a, W> {
    /// The numbers, panel by panel, k by k.
    pub data: &'a [W],
    /// Rows of W: the k of the sum.
    pub depth: usize,
    /// Vectors side by side in a panel, 1 to 4.
    pub width: usize,
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

/// A: its rows, or its tiles interleaved as [`super::pack::columns_as_tiles`] does.
#[derive(Clone, Copy, Debug)]
pub enum Left<'a, F> {
    /// Row by row.
    Rows(Rows<'a, F>),
    /// The tile whose first row is r begins at r · depth and holds, for each k, its rows side by side.
    Tiles(&'a [F]),
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
        let count = self.panels.len();
        let at_once = panels_at_once(self.rows, self.w.width);
        let heights = tile_heights(self.rows, tallest(self.w.width));
        let groups = count.div_ceil(at_once);
        for g in 0..groups {
            let first = at_once * if self.backwards { groups - 1 - g } else { g };
            if first + at_once <= count {
                self.depth_blocks(s, first, at_once, heights);
            } else {
                for panel in first..count {
                    self.depth_blocks(s, panel, 1, heights);
                }
            }
        }
    }
}

impl<F: Float, N: Weight<F>> Product<'_, '_, F, N> {
    /// All rows by `count` panels, one block of k after another.
    #[inline(always)]
    fn depth_blocks<S: Simd<F>>(&mut self, s: S, panel: usize, count: usize, heights: (usize, usize, usize)) {
        let (rows, taller, tiles) = heights;
        for begin in (0..self.w.depth).step_by(BLOCK) {
            let depth = BLOCK.min(self.w.depth - begin);
            self.strip(s, panel, count, begin..begin + depth, 0, rows + 1, taller);
            self.strip(s, panel, count, begin..begin + depth, taller * (rows + 1), rows, tiles - taller);
        }
    }

    /// `tiles` tiles of `rows` rows from row `first` on.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "the bounds of five nested loops")]
    fn strip<S: Simd<F>>(
        &mut self, s: S, panel: usize, count: usize, depth: Range<usize>, first: usize, rows: usize, tiles: usize,
    ) {
        macro_rules! strip {
            ($(($width:literal, $count:literal: $($rows:literal)*))*) => {
                match (self.w.width, count, rows, self.a) {
                    $($(($width, $count, $rows, Left::Rows(a)) => {
                        s.call(Strip::<_, _, _, $rows, $count, $width> { a, product: self, panel, depth, first, tiles });
                    }
                    ($width, $count, $rows, Left::Tiles(a)) if N::IN_BACKWARD => {
                        s.call(Strip::<_, _, _, $rows, $count, $width> { a, product: self, panel, depth, first, tiles });
                    })*)*
                    shape => unreachable!("no tile of (width, panels, rows) {:?}", (shape.0, shape.1, shape.2)),
                }
            };
        }
        if tiles > 0 {
            strip!((1, 1: 1 2 3 4 5 6)(1, 2: 3 4 5 6)(1, 4: 1 2)(2, 1: 1 2 3 4 5 6)(2, 2: 2)(2, 4: 1)
                   (3, 1: 1 2)(3, 2: 1 2)(3, 4: 1)(4, 1: 1 2 3)(4, 2: 1));
        }
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

/// One block of k for `tiles` tiles of M rows by P panels of W vectors, one below the other.
struct Strip<'s, 'a, 'c, F, N, L, const M: usize, const P: usize, const W: usize> {
    a: L,
    product: &'s mut Product<'a, 'c, F, N>,
    panel: usize,
    depth: Range<usize>,
    first: usize,
    tiles: usize,
}

impl<F: Float, N: Weight<F>, L: LeftTile<F>, const M: usize, const P: usize, const W: usize> Kernel<F>
    for Strip<'_, '_, '_, F, N, L, M, P, W>
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
