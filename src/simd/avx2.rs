//! AVX2 with FMA: 8 × f32, 4 × f64, 16 registers.

use super::intrinsics::simd_by_intrinsics;
use std::arch::x86_64::*;

/// Proof that this CPU has AVX2 and FMA.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// The token, if the CPU has the instructions.
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

/// Not less, or not a number: the mask that keeps a lane.
macro_rules! flush {
    ($name:ident, $vector:ident, $sign:ident, $without:ident, $compare:ident, $and:ident) => {
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        fn $name(a: $vector, limit: $vector) -> $vector {
            $and(a, $compare::<_CMP_NLT_UQ>($without($sign(-0.0), a), limit))
        }
    };
}
flush!(flush_f32, __m256, _mm256_set1_ps, _mm256_andnot_ps, _mm256_cmp_ps, _mm256_and_ps);
flush!(flush_f64, __m256d, _mm256_set1_pd, _mm256_andnot_pd, _mm256_cmp_pd, _mm256_and_pd);

simd_by_intrinsics!(
    Avx2, "avx2,fma", f32, __m256, 8;
    _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps;
    add(a, b): _mm256_add_ps,
    sub(a, b): _mm256_sub_ps,
    mul(a, b): _mm256_mul_ps,
    div(a, b): _mm256_div_ps,
    mul_add(a, b, c): _mm256_fmadd_ps,
    neg_mul_add(a, b, c): _mm256_fnmadd_ps,
    max(a, b): _mm256_max_ps,
    min(a, b): _mm256_min_ps,
    flush(a, limit): flush_f32;
    _mm256_castps_si256, _mm256_slli_epi32<23>, _mm256_castsi256_ps
);
simd_by_intrinsics!(
    Avx2, "avx2,fma", f64, __m256d, 4;
    _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd;
    add(a, b): _mm256_add_pd,
    sub(a, b): _mm256_sub_pd,
    mul(a, b): _mm256_mul_pd,
    div(a, b): _mm256_div_pd,
    mul_add(a, b, c): _mm256_fmadd_pd,
    neg_mul_add(a, b, c): _mm256_fnmadd_pd,
    max(a, b): _mm256_max_pd,
    min(a, b): _mm256_min_pd,
    flush(a, limit): flush_f64;
    _mm256_castpd_si256, _mm256_slli_epi64<52>, _mm256_castsi256_pd
);
