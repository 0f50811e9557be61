//! NEON, which every aarch64 has: 4 × f32, 2 × f64, 32 registers.
//!
//! Two things differ from x86. The multiply-adds take the sum first. And the maximum and minimum of the
//! CPU give a NaN for a NaN in either operand, and tell 0 from −0, where [`super::Simd`] asks for `b`: so
//! they are made of a comparison and a selection. It must not know what is computed with them.

use super::Pair;
use super::bytes::{Bytes, BytesKernel};
use super::intrinsics::simd_by_intrinsics;
use crate::half::Half;
use std::arch::aarch64::*;
use std::arch::asm;

/// Proof that this CPU has NEON.
#[derive(Clone, Copy, Debug)]
pub struct Neon(());

impl Neon {
    /// The token, if the CPU has the instructions.
    pub(super) fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

/// The operations that are more than one intrinsic, or one with its operands in another order. Here the
/// intrinsics are safe: the functions have the feature themselves, and calling them is what needs the token.
macro_rules! compose {
    ($name:ident, $vector:ident: $fma:ident, $fms:ident, $greater:ident, $less:ident, $select:ident, $magnitude:ident, $splat:ident) => {
        mod $name {
            use super::*;

            #[inline]
            #[target_feature(enable = "neon")]
            pub fn mul_add(a: $vector, b: $vector, c: $vector) -> $vector {
                $fma(c, a, b)
            }
            #[inline]
            #[target_feature(enable = "neon")]
            pub fn neg_mul_add(a: $vector, b: $vector, c: $vector) -> $vector {
                $fms(c, a, b)
            }
            #[inline]
            #[target_feature(enable = "neon")]
            pub fn max(a: $vector, b: $vector) -> $vector {
                $select($greater(a, b), a, b)
            }
            #[inline]
            #[target_feature(enable = "neon")]
            pub fn min(a: $vector, b: $vector) -> $vector {
                $select($less(a, b), a, b)
            }
            #[inline]
            #[target_feature(enable = "neon")]
            pub fn flush(a: $vector, limit: $vector) -> $vector {
                $select($less($magnitude(a), limit), $splat(0.0), a)
            }
        }
    };
}
compose!(f32_lanes, float32x4_t: vfmaq_f32, vfmsq_f32, vcgtq_f32, vcltq_f32, vbslq_f32, vabsq_f32, vdupq_n_f32);
compose!(f64_lanes, float64x2_t: vfmaq_f64, vfmsq_f64, vcgtq_f64, vcltq_f64, vbslq_f64, vabsq_f64, vdupq_n_f64);

/// By name: the intrinsics take a type of 16 bits that Rust does not have yet.
#[inline]
#[target_feature(enable = "neon")]
fn half_to_f32(x: &[Half; 4]) -> float32x4_t {
    // SAFETY: as many bytes as it reads.
    let narrow = unsafe { vld1_u16(x.as_ptr().cast()) };
    let wide: float32x4_t;
    // SAFETY: NEON's, of registers alone.
    unsafe { asm!("fcvtl {0:v}.4s, {1:v}.4h", out(vreg) wide, in(vreg) narrow, options(pure, nomem, nostack)) };
    wide
}

#[inline]
#[target_feature(enable = "neon")]
fn half_to_f64(x: &[Half; 2]) -> float64x2_t {
    let x = half_to_f32(&[x[0], x[1], Half::default(), Half::default()]);
    vcvt_f64_f32(vget_low_f32(x))
}

#[inline]
#[target_feature(enable = "neon")]
fn pairs_to_f32(x: &[Pair; 4]) -> [float32x4_t; 2] {
    // SAFETY: as many bytes as it reads.
    let bits = unsafe { vld1q_u32(x.as_ptr().cast()) };
    let odd = vandq_u32(bits, vdupq_n_u32(0xffff_0000));
    [vreinterpretq_f32_u32(vshlq_n_u32::<16>(bits)), vreinterpretq_f32_u32(odd)]
}

#[inline]
#[target_feature(enable = "neon")]
fn pairs_to_f64(x: &[Pair; 2]) -> [float64x2_t; 2] {
    let [even, odd] = pairs_to_f32(&[x[0], x[1], Pair::default(), Pair::default()]);
    [vcvt_f64_f32(vget_low_f32(even)), vcvt_f64_f32(vget_low_f32(odd))]
}

simd_by_intrinsics!(
    Neon, "neon", f32, float32x4_t, 4, 32;
    vdupq_n_f32, vld1q_f32, vst1q_f32;
    add(a, b): vaddq_f32,
    sub(a, b): vsubq_f32,
    mul(a, b): vmulq_f32,
    div(a, b): vdivq_f32,
    mul_add(a, b, c): f32_lanes::mul_add,
    neg_mul_add(a, b, c): f32_lanes::neg_mul_add,
    max(a, b): f32_lanes::max,
    min(a, b): f32_lanes::min,
    flush(a, limit): f32_lanes::flush;
    vreinterpretq_s32_f32, vshlq_n_s32<23>, vreinterpretq_f32_s32; half_to_f32, pairs_to_f32
);
simd_by_intrinsics!(
    Neon, "neon", f64, float64x2_t, 2, 32;
    vdupq_n_f64, vld1q_f64, vst1q_f64;
    add(a, b): vaddq_f64,
    sub(a, b): vsubq_f64,
    mul(a, b): vmulq_f64,
    div(a, b): vdivq_f64,
    mul_add(a, b, c): f64_lanes::mul_add,
    neg_mul_add(a, b, c): f64_lanes::neg_mul_add,
    max(a, b): f64_lanes::max,
    min(a, b): f64_lanes::min,
    flush(a, limit): f64_lanes::flush;
    vreinterpretq_s64_f64, vshlq_n_s64<52>, vreinterpretq_f64_s64; half_to_f64, pairs_to_f64
);

/// Proof that this CPU has the instruction for products of bytes, and with it NEON.
#[derive(Clone, Copy, Debug)]
pub struct Dot(());

impl Dot {
    /// The token, if the CPU has the instruction.
    pub(super) fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("dotprod").then_some(Self(()))
    }
}

/// Products of 16 bits, added two by two and two by two again.
#[inline]
#[target_feature(enable = "neon")]
fn dot_plain(sums: int32x4_t, x: int8x16_t, w: int8x16_t) -> int32x4_t {
    let low = vpaddlq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(w)));
    let high = vpaddlq_s16(vmull_s8(vget_high_s8(x), vget_high_s8(w)));
    vaddq_s32(sums, vpaddq_s32(low, high))
}

/// By name: Rust's intrinsic is not stable yet.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot_at_once(mut sums: int32x4_t, x: int8x16_t, w: int8x16_t) -> int32x4_t {
    // SAFETY: the feature's, of registers alone.
    unsafe {
        asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) sums, in(vreg) x, in(vreg) w, options(pure, nomem, nostack))
    };
    sums
}

macro_rules! bytes {
    ($token:ident, $features:literal, $dot:ident) => {
        impl Bytes for $token {
            type Sums = int32x4_t;
            type Four = int8x16_t;
            const LANES: usize = 4;
            const ROWS: usize = 4;

            #[inline(always)]
            fn call<K: BytesKernel>(self, kernel: K) {
                #[target_feature(enable = $features)]
                #[inline(never)]
                fn door<K: BytesKernel>(bytes: $token, kernel: K) {
                    kernel.run(bytes);
                }
                // SAFETY: the token exists only where the CPU has the features.
                unsafe { door(self, kernel) }
            }
            #[inline(always)]
            fn begin(self, _: &[i32]) -> int32x4_t {
                // SAFETY: the token proves the instruction.
                unsafe { vdupq_n_s32(0) }
            }
            #[inline(always)]
            fn four(self, x: [i8; 4]) -> int8x16_t {
                // SAFETY: the token proves the instructions.
                unsafe { vreinterpretq_s8_s32(vdupq_n_s32(i32::from_le_bytes(x.map(|x| x as u8)))) }
            }
            #[inline(always)]
            fn dot(self, sums: int32x4_t, x: int8x16_t, w: &[i8]) -> int32x4_t {
                let w: &[i8; 16] = w.first_chunk().expect("a full vector");
                // SAFETY: the token proves the instruction; the array has as many bytes as it reads.
                let w = unsafe { vld1q_s8(w.as_ptr()) };
                // SAFETY: the token proves the instruction.
                unsafe { $dot(sums, x, w) }
            }
            #[inline(always)]
            fn store(self, sums: int32x4_t, to: &mut [i32]) {
                let to: &mut [i32; 4] = to.first_chunk_mut().expect("a full vector");
                // SAFETY: the token proves the instruction; the array has room for what it writes.
                unsafe { vst1q_s32(to.as_mut_ptr(), sums) }
            }
        }
    };
}
bytes!(Neon, "neon", dot_plain);
bytes!(Dot, "neon,dotprod", dot_at_once);
