//! AVX-512 F: 16 × f32, 8 × f64.

use super::intrinsics::simd_by_intrinsics;
use std::arch::x86_64::*;

/// Proof that this CPU has AVX-512 F.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

impl Avx512 {
    /// The token, if the CPU has the instructions.
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }
}

/// Not less, or not a number: the mask that keeps a lane.
macro_rules! flush {
    ($name:ident, $vector:ident, $magnitude:ident, $compare:ident, $keep:ident) => {
        #[inline]
        #[target_feature(enable = "avx512f")]
        fn $name(a: $vector, limit: $vector) -> $vector {
            $keep($compare::<_CMP_NLT_UQ>($magnitude(a), limit), a)
        }
    };
}
flush!(flush_f32, __m512, _mm512_abs_ps, _mm512_cmp_ps_mask, _mm512_maskz_mov_ps);
flush!(flush_f64, __m512d, _mm512_abs_pd, _mm512_cmp_pd_mask, _mm512_maskz_mov_pd);

simd_by_intrinsics!(
    Avx512, "avx512f", f32, __m512, 16;
    _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps;
    add(a, b): _mm512_add_ps,
    sub(a, b): _mm512_sub_ps,
    mul(a, b): _mm512_mul_ps,
    div(a, b): _mm512_div_ps,
    mul_add(a, b, c): _mm512_fmadd_ps,
    neg_mul_add(a, b, c): _mm512_fnmadd_ps,
    max(a, b): _mm512_max_ps,
    min(a, b): _mm512_min_ps,
    flush(a, limit): flush_f32;
    _mm512_castps_si512, _mm512_slli_epi32<23>, _mm512_castsi512_ps
);
simd_by_intrinsics!(
    Avx512, "avx512f", f64, __m512d, 8;
    _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd;
    add(a, b): _mm512_add_pd,
    sub(a, b): _mm512_sub_pd,
    mul(a, b): _mm512_mul_pd,
    div(a, b): _mm512_div_pd,
    mul_add(a, b, c): _mm512_fmadd_pd,
    neg_mul_add(a, b, c): _mm512_fnmadd_pd,
    max(a, b): _mm512_max_pd,
    min(a, b): _mm512_min_pd,
    flush(a, limit): flush_f64;
    _mm512_castpd_si512, _mm512_slli_epi64<52>, _mm512_castsi512_pd
);
