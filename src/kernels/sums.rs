//! Sums down the columns of a few rows, in the same blocks as [`super::product::Sum::Blocks`]: what a
//! product with a column of ones would give.

use super::product::BLOCK;
use crate::float::Float;
use crate::simd::{Kernel, Simd};

/// sums += Σ rows
#[derive(Debug)]
pub struct ColumnSums<'a, F> {
    /// The rows, on end.
    pub rows: &'a [F],
    /// From one row to the next.
    pub stride: usize,
    /// How many.
    pub count: usize,
    /// A sum a column.
    pub sums: &'a mut [F],
}

impl<F: Float> Kernel<F> for ColumnSums<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) {
        let columns = self.sums.len();
        for begin in (0..self.count).step_by(BLOCK) {
            let end = self.count.min(begin + BLOCK);
            let mut column = 0;
            while column < columns {
                let width = S::LANES.min(columns - column);
                let mut sum = s.splat(F::ZERO);
                for k in begin..end {
                    sum = s.add(sum, s.load_first(&self.rows[k * self.stride + column..][..width]));
                }
                let out = &mut self.sums[column..column + width];
                s.store_first(s.add(s.load_first(out), sum), out);
                column += width;
            }
        }
    }
}
