//! One number at a time: the plain twin of the other instruction sets, and the fallback for a CPU
//! that has none of them. `mul_add` may be a library call there: right, and slow.

use super::bytes::{Bytes, BytesKernel, dot};
use super::{Kernel, Pair, Simd};
use crate::float::Float;
use crate::half::Half;

/// Needs no proof.
#[derive(Clone, Copy, Debug)]
pub struct Scalar(pub(super) ());

impl<F: Float> Simd<F> for Scalar {
    type V = F;
    const LANES: usize = 1;
    const REGISTERS: usize = 0;

    #[inline(never)]
    fn call<K: Kernel<F>>(self, kernel: K) -> K::Out {
        kernel.run(self)
    }
    #[inline(always)]
    fn splat(self, x: F) -> F {
        x
    }
    #[inline(always)]
    fn load(self, x: &[F]) -> F {
        x[0]
    }
    #[inline(always)]
    fn store(self, v: F, x: &mut [F]) {
        x[0] = v;
    }
    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        a + b
    }
    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        a - b
    }
    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        a * b
    }
    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        a / b
    }
    #[inline(always)]
    fn mul_add(self, a: F, b: F, c: F) -> F {
        a.mul_add(b, c)
    }
    #[inline(always)]
    fn neg_mul_add(self, a: F, b: F, c: F) -> F {
        (-a).mul_add(b, c)
    }
    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        if a > b { a } else { b }
    }
    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        if a < b { a } else { b }
    }
    #[inline(always)]
    fn load_pairs(self, x: &[Pair]) -> [F; 2] {
        [x[0].even(), x[0].odd()].map(|x| F::from_f64(x.into()))
    }
    #[inline(always)]
    fn load_half(self, x: &[Half]) -> F {
        F::from_f64(x[0].to_f32().into())
    }
    #[inline(always)]
    fn flush(self, a: F, limit: F) -> F {
        a.flush(limit)
    }
    #[inline(always)]
    fn shift_to_exponent(self, a: F) -> F {
        a.shift_to_exponent()
    }
}

impl Bytes for Scalar {
    type Sums = i32;
    type Four = [i8; 4];
    const LANES: usize = 1;
    const ROWS: usize = 2;

    #[inline(never)]
    fn call<K: BytesKernel>(self, kernel: K) {
        kernel.run(self);
    }
    #[inline(always)]
    fn begin(self, _: &[i32]) -> i32 {
        0
    }
    #[inline(always)]
    fn four(self, x: [i8; 4]) -> [i8; 4] {
        x
    }
    #[inline(always)]
    fn dot(self, sums: i32, x: [i8; 4], w: &[i8]) -> i32 {
        sums + dot(x, w)
    }
    #[inline(always)]
    fn store(self, sums: i32, to: &mut [i32]) {
        to[0] = sums;
    }
}
