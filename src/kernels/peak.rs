//! What the machine could do: multiply-adds on registers alone. Benchmarks and the guard against slow
//! kernels divide by it.

use crate::float::Float;
use crate::simd::{Kernel, Simd};

/// Twelve independent chains of `steps` multiply-adds; gives back the number of operations (2 each)
/// and a number that depends on all of them.
pub struct Peak {
    /// Length of a chain.
    pub steps: usize,
}

impl<F: Float> Kernel<F> for Peak {
    type Out = (usize, F);

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) -> (usize, F) {
        // Unknown to the compiler, or it would see where the chains end.
        let (a, b) = std::hint::black_box((F::from_f64(0.999), F::from_f64(1e-3)));
        let (a, b) = (s.splat(a), s.splat(b));
        let mut sums = [s.splat(F::ONE); 12];
        for _ in 0..std::hint::black_box(self.steps) {
            for sum in &mut sums {
                *sum = s.mul_add(*sum, a, b);
            }
        }
        let mut total = s.splat(F::ZERO);
        for sum in sums {
            total = s.add(total, sum);
        }
        let mut out = [F::ZERO; crate::simd::MAX_LANES];
        s.store(total, &mut out);
        (2 * self.steps * 12 * S::LANES, out[0])
    }
}
