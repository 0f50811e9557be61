//! The length of a vector of any size, in f64: sixteen sums side by side, added in a fixed order, so that neither the
//! instruction set nor the compiler chooses the bits.

use crate::float::Float;
use crate::simd::{Kernel, Simd};

/// Sums side by side.
const SUMS: usize = 16;

/// Σ x²
#[derive(Debug)]
pub struct SumOfSquares<'a, F>(pub &'a [F]);

impl<F: Float> Kernel<F> for SumOfSquares<'_, F> {
    type Out = f64;

    #[inline(always)]
    fn run<S: Simd<F>>(self, _: S) -> f64 {
        let mut sums = [0.0; SUMS];
        let mut chunks = self.0.chunks_exact(SUMS);
        for chunk in &mut chunks {
            for (sum, x) in sums.iter_mut().zip(chunk) {
                *sum += x.to_f64() * x.to_f64();
            }
        }
        for (sum, x) in sums.iter_mut().zip(chunks.remainder()) {
            *sum += x.to_f64() * x.to_f64();
        }
        sums.iter().sum()
    }
}

/// x · factor
#[derive(Debug)]
pub struct Scale<'a, F>(pub &'a mut [F], pub F);

impl<F: Float> Kernel<F> for Scale<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, _: S) {
        self.0.iter_mut().for_each(|x| *x = *x * self.1);
    }
}
