//! The loop of a tile whose sums stay in registers, over a block of k: each shape of [`super::registers`] is compiled for
//! itself, behind a door of its own. It must not know which shapes there are.

use super::each_row::each_row;
use super::product::{At, Bias, Panels, Product, Rows, Sum, Weight};
use crate::buffer::LINE;
use crate::float::Float;
use crate::simd::{Grid, Kernel, Simd, rows_at};
use std::ops::Range;

/// Bytes of a matrix beyond which the second cache may not hold it from step to step.
const LARGE: usize = 1 << 18;

/// How a tile of M rows reads the left operand.
pub(super) trait LeftTile<F: Float>: Copy {
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
        match self.at {
            At::Stride { offset, stride } => {
                rows_at(&self.data[offset + first * stride + depth.start..], stride, depth.len())
            }
            At::Table(table) => {
                let mut rows: [&[F]; M] = [&[]; M];
                for (row, &begin) in rows.iter_mut().zip(&table[first..first + M]) {
                    *row = &self.data[begin + depth.start..][..depth.len()];
                }
                rows
            }
        }
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
pub(super) struct Tiles<'s, 'a, 'c, F, N, L, const M: usize, const P: usize, const W: usize> {
    pub a: L,
    pub product: &'s mut Product<'a, 'c, F, N>,
    pub panel: usize,
    pub depth: Range<usize>,
    pub first: usize,
    pub tiles: usize,
}

impl<F: Float, N: Weight<F>, L: LeftTile<F>, const M: usize, const P: usize, const W: usize> Kernel<F>
    for Tiles<'_, '_, '_, F, N, L, M, P, W>
{
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) {
        let Product { w, panels, sum, c, backwards, .. } = self.product;
        let vectors = W * S::LANES;
        let depth = self.depth.len();
        let mut block: [&[N]; P] = [&[]; P];
        for p in 0..P {
            let panel = (panels.start + self.panel + p) * w.depth * vectors;
            block[p] = &w.data[panel + self.depth.start * vectors..panel + self.depth.end * vectors];
        }
        let asks = S::REGISTERS == 32 && M > 2;
        let panel = panels.start + self.panel;
        let following = if asks { following::<_, P>(w, panel, &self.depth, *backwards) } else { &[] };
        let mut ahead = following.chunks(2 * LINE / size_of::<N>());
        for t in 0..self.tiles {
            let first = self.first + t * M;
            let rows = self.a.tile::<M>(first, w.depth, &self.depth);
            let outputs = &mut c.data[first * c.row + self.panel * c.panel..];
            let mut outputs = Grid::<F, S, M, P, W>::new(s, outputs, c.row, c.panel);
            let mut total = [[[s.splat(F::ZERO); W]; P]; M];
            if let Sum::Chain(bias) = sum {
                let from = if self.depth.start == 0 { bias.from } else { W };
                begin(s, bias, from, panel, &outputs, &mut total);
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
                if asks && let Some(lines) = ahead.next() {
                    s.prefetch(lines);
                    s.prefetch(&lines[lines.len() / 2..]);
                }
                k += 2;
            }
            if k < depth {
                multiply_add::<F, N, S, L, M, P, W>(s, &rows, k, &block, k * vectors, &mut total);
            }
            each_row!(i of M => {
                for p in 0..P {
                    for v in 0..W {
                        if matches!(sum, Sum::Blocks) {
                            total[i][p][v] = s.add(outputs.load(i, p, v), total[i][p][v]);
                        }
                        outputs.store(i, p, v, total[i][p][v]);
                    }
                }
            });
        }
    }
}

/// What the sums of a chain begin with: vectors before `from` with what C holds, the others with the bias.
#[inline(always)]
fn begin<F: Float, S: Simd<F>, const M: usize, const P: usize, const W: usize>(
    s: S, bias: &Bias<'_, F>, from: usize, panel: usize, outputs: &Grid<'_, F, S, M, P, W>,
    total: &mut [[[S::V; W]; P]; M],
) {
    for p in 0..P {
        for v in 0..W {
            if v < from {
                each_row!(i of M => {
                    total[i][p][v] = outputs.load(i, p, v);
                });
            } else {
                let number = s.load(&bias.data[(panel + p) * bias.panel + v * S::LANES..]);
                each_row!(i of M => {
                    total[i][p][v] = number;
                });
            }
        }
    }
}

/// Where a large W goes on after a block of k of P panels: in the first of them, or in the next ones of the walk.
fn following<'a, N, const P: usize>(w: &Panels<'a, N>, panel: usize, depth: &Range<usize>, backwards: bool) -> &'a [N] {
    let (wide, len) = (w.layout.wide(), depth.len() * w.layout.wide());
    let panels = match (depth.end < w.depth, backwards) {
        (true, _) => Some((panel, depth.end)),
        (false, false) => Some((panel + P, 0)),
        (false, true) => panel.checked_sub(P).map(|panel| (panel, 0)),
    };
    let begin = panels.map_or(0, |(panel, k)| (panel * w.depth + k) * wide);
    if size_of_val(w.data) > LARGE { w.data.get(begin..begin + len).unwrap_or(&[]) } else { &[] }
}

/// One term of every sum of the tile: row number k by the columns at `at`. What there is less of, rows or
/// columns, waits in registers while the other passes; numbers of rows are spread where they are needed, and how many stay is
/// the compiler's to say (when told to hold all of three, it took one register too many of 16).
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
        each_row!(i of M => {
            let x = s.splat(L::at(rows, i, k));
            for p in 0..P {
                for v in 0..W {
                    total[i][p][v] = s.mul_add(x, column[p][v], total[i][p][v]);
                }
            }
        });
    } else {
        for p in 0..P {
            let w = &columns[p][at..at + W * S::LANES];
            for v in 0..W {
                let column = N::load(s, &w[v * S::LANES..]);
                for i in 0..M {
                    total[i][p][v] = s.mul_add(s.splat(L::at(rows, i, k)), column, total[i][p][v]);
                }
            }
        }
    }
}
