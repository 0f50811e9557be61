//! The product of rows and a matrix in bfloat16. Both operands are rounded to it; their products are exact in f32, and are
//! summed in the one order that matrix units have, which vectors, and a single number, can have as well:
//!
//! ```text
//! for each 32 of k:   e = Σ x₂ⱼ w₂ⱼ,  o = Σ x₂ⱼ₊₁ w₂ⱼ₊₁     each one chain of fused multiply-adds from 0
//!                     y ← y + (e + o)                        from y = b, or from what is there
//! ```
//!
//! with 0 in place of a y below the smallest normal number, before and after: the unit has no others. Operands are never so
//! small that a sum of their products would be one ([`crate::bfloat16`]). The numbers of a float64 network are summed in f64.

use super::each_row::each_row;
use super::product::{Affine, Rows};
use crate::bfloat16::Bfloat16;
use crate::buffer::{Aligned, zeros};
use crate::error::Result;
use crate::float::Float;
use crate::simd::{Dispatch, Isa, Kernel, Pair, Simd};
use std::ops::Range;

/// Terms of a block: what a matrix unit adds up at once.
const BLOCK: usize = 32;

/// A matrix for such products: vector by vector of columns, for each two of k the vector's numbers side by side.
#[derive(Debug)]
pub struct PackedPairs {
    data: Aligned<Pair>,
    depth: usize,
    lanes: usize,
    /// Vectors of a panel, and of all panels.
    width: usize,
    vectors: usize,
}

impl PackedPairs {
    /// For sums of `depth` products, in panels of `width` vectors; column c's numbers are found by `column`, none for one
    /// that nobody reads.
    pub fn new<'w>(
        (lanes, width): (usize, usize), depth: usize, columns: usize, column: impl Fn(usize) -> Option<&'w [Bfloat16]>,
    ) -> Result<Self> {
        let (pairs, vectors) = (depth.next_multiple_of(BLOCK) / 2, columns.div_ceil(lanes));
        let mut data: Aligned<Pair> = Aligned::zeros(vectors * pairs * lanes, "packed weights")?;
        for c in 0..columns {
            let vector = &mut data[c / lanes * pairs * lanes..];
            for (j, two) in column(c).unwrap_or_default()[..].chunks(2).take(depth.div_ceil(2)).enumerate() {
                let [even, odd] = [0, 1].map(|k| if 2 * j + k < depth { two[k] } else { Bfloat16::default() });
                vector[j * lanes + c % lanes] = Pair::new(even, odd);
            }
        }
        Ok(Self { data, depth, lanes, width, vectors })
    }

    /// Where a vector lies in a row of the results, and what it begins with: nothing for what is there.
    #[inline(always)]
    fn place<'a, F>(&self, vector: usize, of: &Affine<'a, '_, F>) -> (usize, &'a [F]) {
        let (panel, v) = (vector / self.width, vector % self.width);
        let begin = panel * of.bias.panel + v * self.lanes;
        let bias = if v < of.bias.from { &[][..] } else { &of.bias.data[begin..] };
        (panel * of.y.panel + v * self.lanes, bias)
    }

    /// Terms with those that fill the last block.
    fn deep(&self) -> usize {
        self.depth.next_multiple_of(BLOCK)
    }
}

/// Memory for rows that are rounded.
#[derive(Debug, Default)]
pub struct PairsScratch<F> {
    rows: Vec<F>,
}

impl<F: Dispatch> PairsScratch<F> {
    /// For products of up to `rows` rows with this matrix; what there is room for stays.
    pub fn make_room(&mut self, rows: usize, w: &PackedPairs) -> Result<()> {
        if self.rows.len() < rows * w.deep() {
            self.rows = zeros(rows * w.deep(), "scratch")?;
        }
        Ok(())
    }

    /// The product, of all panels that the matrix has. There must be room.
    pub fn multiply(&mut self, isa: Isa, mut of: Affine<'_, '_, F>, w: &PackedPairs) {
        assert!(w.lanes == F::lanes(isa), "W is packed for other vectors");
        let x = &mut self.rows[..of.rows * w.deep()];
        F::dispatch(isa, Round { a: of.x, depth: w.depth, row: w.deep(), to: &mut x[..] });
        F::dispatch(isa, Pairs { x, w, of: &mut of });
    }
}

/// Rows as operands.
struct Round<'a, F> {
    a: Rows<'a, F>,
    depth: usize,
    /// From one row to the next; the last numbers are zeros.
    row: usize,
    to: &'a mut [F],
}

impl<F: Float> Kernel<F> for Round<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, _: S) {
        for (i, to) in self.to.chunks_exact_mut(self.row.max(1)).enumerate() {
            let (numbers, rest) = to.split_at_mut(self.depth);
            numbers.iter_mut().zip(&self.a.row(i)[..self.depth]).for_each(|(to, x)| *to = x.to_bfloat16());
            rest.fill(F::ZERO);
        }
    }
}

/// The product of rounded rows.
struct Pairs<'s, 'a, 'c, F> {
    x: &'s [F],
    w: &'s PackedPairs,
    of: &'s mut Affine<'a, 'c, F>,
}

impl<F: Float> Kernel<F> for Pairs<'_, '_, '_, F> {
    type Out = ();

    /// Few rows share their vectors' operands with several vectors, so that there are sums enough under way.
    #[inline(always)]
    fn run<S: Simd<F>>(mut self, s: S) {
        let at_once = match (S::REGISTERS, self.of.rows) {
            (0, _) => 1,
            (_, 1) => 4,
            (32, 2) if Self::TALL => 4,
            (32, 3 | 4) if Self::TALL => 2,
            (_, 2) => 2,
            _ => 1,
        };
        let (all, turns) = (self.w.vectors, self.w.vectors.div_ceil(at_once));
        for turn in 0..turns {
            let first = at_once * if self.of.backwards { turns - 1 - turn } else { turn };
            if first + at_once <= all {
                self.strip(s, first..first + at_once);
            } else {
                (first..all).for_each(|vector| self.strip(s, vector..vector + 1));
            }
        }
    }
}

impl<F: Float> Pairs<'_, '_, '_, F> {
    /// Whether there are tiles of more than two rows. A float64 network in bfloat16 is there to be compared with.
    const TALL: bool = size_of::<F>() == 4;

    /// All rows by some vectors.
    #[inline(always)]
    fn strip<S: Simd<F>>(&mut self, s: S, vectors: Range<usize>) {
        let (tallest, first) = (if Self::TALL { S::REGISTERS / 4 } else { 2 }, vectors.start);
        if S::REGISTERS == 0 {
            return (0..self.of.rows).for_each(|row| self.tile::<S, 1, 1>(s, row, first));
        }
        let mut row = 0;
        while row < self.of.rows {
            let left = (self.of.rows - row).min(tallest);
            match (left, vectors.len()) {
                (1, 4) => self.tile::<S, 1, 4>(s, row, first),
                (2, 4) if Self::TALL && S::REGISTERS == 32 => self.tile::<S, 2, 4>(s, row, first),
                (2, 2) => self.tile::<S, 2, 2>(s, row, first),
                (3, 2) if Self::TALL && S::REGISTERS == 32 => self.tile::<S, 3, 2>(s, row, first),
                (4, 2) if Self::TALL && S::REGISTERS == 32 => self.tile::<S, 4, 2>(s, row, first),
                (1, 1) => self.tile::<S, 1, 1>(s, row, first),
                (2, 1) => self.tile::<S, 2, 1>(s, row, first),
                (3, 1) if Self::TALL => self.tile::<S, 3, 1>(s, row, first),
                (4, 1) if Self::TALL => self.tile::<S, 4, 1>(s, row, first),
                (5, 1) if Self::TALL && S::REGISTERS == 32 => self.tile::<S, 5, 1>(s, row, first),
                (6, 1) if Self::TALL && S::REGISTERS == 32 => self.tile::<S, 6, 1>(s, row, first),
                (7, 1) if Self::TALL && S::REGISTERS == 32 => self.tile::<S, 7, 1>(s, row, first),
                (8, 1) if Self::TALL && S::REGISTERS == 32 => self.tile::<S, 8, 1>(s, row, first),
                shape => unreachable!("no tile of (rows, vectors) {shape:?}"),
            }
            row += left;
        }
    }

    #[inline(always)]
    fn tile<S: Simd<F>, const M: usize, const V: usize>(&mut self, s: S, row: usize, vector: usize) {
        s.call(Tile::<F, M, V> { x: self.x, w: self.w, of: &mut *self.of, row, vector });
    }
}

/// M rows by V vectors.
struct Tile<'s, 'a, 'c, F, const M: usize, const V: usize> {
    x: &'s [F],
    w: &'s PackedPairs,
    of: &'s mut Affine<'a, 'c, F>,
    row: usize,
    vector: usize,
}

impl<F: Float, const M: usize, const V: usize> Kernel<F> for Tile<'_, '_, '_, F, M, V> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) {
        let (deep, least) = (self.w.deep(), s.splat(F::MIN_NORMAL));
        let mut rows: [&[F]; M] = [&[]; M];
        for i in 0..M {
            rows[i] = &self.x[(self.row + i) * deep..][..deep];
        }
        let mut w: [&[Pair]; V] = [&[]; V];
        let (mut places, mut total) = ([0; V], [[s.splat(F::ZERO); V]; M]);
        for v in 0..V {
            let len = deep / 2 * S::LANES;
            w[v] = &self.w.data[(self.vector + v) * len..][..len];
            let (at, bias) = self.w.place(self.vector + v, self.of);
            places[v] = self.row * self.of.y.row + at;
            each_row!(i of M => {
                let begin = if bias.is_empty() { &self.of.y.data[places[v] + i * self.of.y.row..] } else { bias };
                total[i][v] = s.flush(s.load(begin), least);
            });
        }
        for block in 0..deep / BLOCK {
            let mut sums = [[[s.splat(F::ZERO); 2]; V]; M];
            for j in block * BLOCK / 2..(block + 1) * BLOCK / 2 {
                let mut pairs = [[s.splat(F::ZERO); 2]; V];
                for v in 0..V {
                    pairs[v] = s.load_pairs(&w[v][j * S::LANES..]);
                }
                each_row!(i of M => {
                    for k in 0..2 {
                        let x = s.splat(rows[i][2 * j + k]);
                        for v in 0..V {
                            sums[i][v][k] = s.mul_add(x, pairs[v][k], sums[i][v][k]);
                        }
                    }
                });
            }
            each_row!(i of M => {
                for v in 0..V {
                    let [even, odd] = sums[i][v];
                    total[i][v] = s.flush(s.add(total[i][v], s.add(even, odd)), least);
                }
            });
        }
        for v in 0..V {
            each_row!(i of M => {
                s.store(total[i][v], &mut self.of.y.data[places[v] + i * self.of.y.row..]);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::product::{Bias, Outputs};
    use crate::kernels::tests::{below, numbers, rows_of};
    use crate::rng::Rng;

    /// The sum as the page says it, one number at a time.
    fn sum<F: Float>(begin: F, x: &[F], w: &[Bfloat16]) -> F {
        let mut y = begin.flush(F::MIN_NORMAL);
        for (x, w) in x.chunks(BLOCK).zip(w.chunks(BLOCK)) {
            let chain = |first: usize| {
                let terms = x.iter().zip(w).skip(first).step_by(2);
                terms.fold(F::ZERO, |sum, (x, w)| x.to_bfloat16().mul_add(F::from_f64(w.to_f32().into()), sum))
            };
            y += chain(0) + chain(1);
            y = y.flush(F::MIN_NORMAL);
        }
        y
    }

    /// Of that size.
    fn sized<F: Float>(count: usize, size: f64, rng: &mut Rng) -> Vec<F> {
        numbers::<F>(count, rng).into_iter().map(|x| x * F::from_f64(size)).collect()
    }

    /// With rows, columns and k on both sides of every tile's and block's; numbers near the smallest operands among them.
    fn every_sum_has_the_one_order<F: Dispatch>(isa: Isa, rng: &mut Rng) {
        let (rows, depth, panels, width) = (below(20, rng), below(150, rng), below(6, rng), below(4, rng));
        let (lanes, columns) = (F::lanes(isa), panels * width * F::lanes(isa));
        let size = [1.0, 1.0, 1e-16, 1e30][below(4, rng) - 1];
        let x = sized::<F>(rows * (depth + 3), size, rng);
        let w: Vec<_> = sized::<F>(columns * depth, size.min(1.0), rng)
            .into_iter()
            .map(|w| Bfloat16::from_f64(w.to_f64()))
            .collect();
        let bias = sized::<F>(columns, size * size.min(1.0), rng);
        let from = [0, 1, usize::MAX][below(3, rng) - 1];
        let there = sized::<F>(rows * columns, size * size.min(1.0), rng);

        let packed = PackedPairs::new((lanes, width), depth, columns, |c| Some(&w[c * depth..][..depth])).unwrap();
        let mut scratch = PairsScratch::default();
        scratch.make_room(rows, &packed).unwrap();
        let (mut y, panel) = (there.clone(), width * lanes);
        let of = Affine {
            x: rows_of(&x, depth + 3),
            rows,
            panels: 0..panels,
            backwards: rows % 2 == 0,
            bias: Bias { data: &bias, panel, from },
            y: Outputs { data: &mut y, row: columns, panel },
        };
        scratch.multiply(isa, of, &packed);

        for (n, (got, there)) in y.iter().zip(&there).enumerate() {
            let (row, column) = (n / columns, n % columns);
            let begin = if column % panel / lanes >= from { bias[column] } else { *there };
            let expected = sum(begin, &x[row * (depth + 3)..][..depth], &w[column * depth..][..depth]);
            assert!(
                F::same_bits(&[*got], &[expected]),
                "{got} {expected} {rows} {depth} {panels} {width} {}",
                isa.name()
            );
        }
    }

    #[test]
    fn sums_have_the_order_of_matrix_units() {
        let mut rng = Rng::new(9);
        for isa in Isa::available() {
            for _ in 0..if cfg!(miri) { 2 } else { 80 } {
                every_sum_has_the_one_order::<f32>(isa, &mut rng);
                every_sum_has_the_one_order::<f64>(isa, &mut rng);
            }
        }
    }

    /// A sum of products that would leave the normal numbers in the middle: none is there to be made 0.
    #[test]
    fn no_sum_is_below_the_normal_numbers() {
        let mut rng = Rng::new(10);
        for _ in 0..1000 {
            let mut operand = || Bfloat16::SMALLEST * (1.0 + (rng.symmetric() as f32).abs());
            let operands: Vec<f32> = (0..BLOCK).map(|_| operand().to_bfloat16()).collect();
            let mut sum = 0.0f32;
            for pair in operands.chunks(2) {
                sum = pair[0].mul_add(if sum > 0.0 { -pair[1] } else { pair[1] }, sum);
                assert!(sum == 0.0 || sum.abs() >= f32::MIN_POSITIVE, "{sum:e}");
            }
        }
    }
}
