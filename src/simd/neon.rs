//! NEON, which every aarch64 has: 4 × f32, 2 × f64, 32 registers.
//!
//! Two things differ from x86. The multiply-adds take the sum first. And the maximum and minimum of the
//! CPU give a NaN for a NaN in either operand, and tell 0 from −0, where [`super::Simd`] asks for `b`: so
//! they are made of a comparison and a selection. It must not know what is computed with them.

use super::intrinsics::simd_by_intrinsics;
use std::arch::aarch64::*;

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

simd_by_intrinsics!(
    Neon, "neon", f32, float32x4_t, 4;
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
    vreinterpretq_s32_f32, vshlq_n_s32<23>, vreinterpretq_f32_s32
);
simd_by_intrinsics!(
    Neon, "neon", f64, float64x2_t, 2;
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
    vreinterpretq_s64_f64, vshlq_n_s64<52>, vreinterpretq_f64_s64
);
