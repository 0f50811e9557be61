//! The only unsafe code of the crate: vectors of one instruction set behind one trait.
//!
//! A value of a type that implements [`Simd`] is a proof that this machine has the instructions:
//! the tokens have private fields and are made by [`dispatch::Isa`] alone, after asking the CPU.
//! What may be built on them is only + − × ÷ √, fused multiply-add, comparison and moving of bits:
//! all exact or correctly rounded, so every instruction set gives the same bits. It must not know
//! what a gate or a layer is.
#![allow(unsafe_code, reason = "loads, stores and intrinsics; each behind a length check and a CPU check")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bytes;
mod dispatch;
mod dispatch_bytes;
mod grid;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod intrinsics;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pair;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod vnni;

pub use bytes::{Bytes, BytesKernel};
pub use dispatch::{Dispatch, Isa};
pub use dispatch_bytes::BytesIsa;
pub use grid::{Grid, rows_at};

use crate::float::Float;
use crate::half::Half;
pub use pair::Pair;

/// Vectors of `F` in one instruction set. `self` is the proof that it is there.
pub trait Simd<F: Float>: Copy + Send + Sync + 'static {
    /// A vector register.
    type V: Copy;
    /// Numbers in a vector.
    const LANES: usize;
    /// Vectors that fit into registers.
    const REGISTERS: usize;

    /// Runs a kernel compiled for this instruction set. Never inlined: a door, so that one kernel's
    /// registers are not spilled for another's.
    fn call<K: Kernel<F>>(self, kernel: K) -> K::Out;

    /// All lanes equal.
    fn splat(self, x: F) -> Self::V;
    /// The first `LANES` numbers. Panics when there are fewer.
    fn load(self, x: &[F]) -> Self::V;
    /// Writes the first `LANES` numbers. Panics when there is less room.
    fn store(self, v: Self::V, x: &mut [F]);
    /// a + b
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// a − b
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// a · b
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// a / b
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// a · b + c, rounded once
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// c − a · b, rounded once
    fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// a if a > b, else b: a NaN in `b` is kept.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// a if a < b, else b: a NaN in `b` is kept.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// The first `LANES` numbers of 16 bits, exactly. Panics when there are fewer.
    fn load_half(self, x: &[Half]) -> Self::V;
    /// The first `LANES` pairs, exactly: their first numbers, and their second ones. Panics when there are fewer.
    fn load_pairs(self, x: &[Pair]) -> [Self::V; 2];
    /// Each lane's [`Float::flush`].
    fn flush(self, a: Self::V, limit: Self::V) -> Self::V;
    /// Each lane's [`Float::shift_to_exponent`].
    fn shift_to_exponent(self, a: Self::V) -> Self::V;

    /// Asks for the line of the cache that the first number is in, into the second cache.
    #[inline(always)]
    fn prefetch<N>(self, _: &[N]) {}

    /// As many numbers as there are, at most `LANES`; the other lanes are 0.
    #[inline(always)]
    fn load_first(self, x: &[F]) -> Self::V {
        if x.len() >= Self::LANES {
            return self.load(x);
        }
        let mut lanes = [F::ZERO; MAX_LANES];
        lanes[..x.len()].copy_from_slice(x);
        self.load(&lanes)
    }

    /// Writes as many numbers as there is room for, at most `LANES`.
    #[inline(always)]
    fn store_first(self, v: Self::V, x: &mut [F]) {
        if x.len() >= Self::LANES {
            return self.store(v, x);
        }
        let mut lanes = [F::ZERO; MAX_LANES];
        self.store(v, &mut lanes);
        x.copy_from_slice(&lanes[..x.len()]);
    }
}

/// The most lanes any instruction set has.
pub const MAX_LANES: usize = 16;

/// Work that can be compiled for any instruction set. Implementations mark `run` `#[inline(always)]`,
/// as all that it calls: that is how the instruction set reaches the innermost loop.
pub trait Kernel<F: Float> {
    /// What it gives back.
    type Out;
    /// Does the work with the vectors of `simd`.
    fn run<S: Simd<F>>(self, simd: S) -> Self::Out;
}
