//! AVX-512 F: 16 × f32, 8 × f64.

use super::Pair;
use super::avx2::{dot, four};
use super::bytes::{Bytes, BytesKernel};
use super::intrinsics::simd_by_intrinsics;
use crate::half::Half;
use std::arch::x86_64::*;

/// Proof that this CPU has AVX-512 F, and with it AVX2, FMA and F16C.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

impl Avx512 {
    /// The token, if the CPU has the instructions.
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f") && super::avx2::Avx2::detect().is_some()).then_some(Self(()))
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

/// Two halves: on Zen 4 the conversion to 512 bits takes longer than two to 256 (a tenth of a product's time).
#[inline]
#[target_feature(enable = "avx512f,f16c")]
fn half_to_f32(x: &[Half; 16]) -> __m512 {
    // SAFETY: as many bytes as it reads.
    let low = unsafe { _mm_loadu_si128(x.as_ptr().cast()) };
    // SAFETY: as above.
    let high = unsafe { _mm_loadu_si128(x[8..].as_ptr().cast()) };
    let (low, high) = (_mm256_cvtph_ps(low), _mm256_cvtph_ps(high));
    _mm512_castpd_ps(_mm512_insertf64x4(_mm512_castps_pd(_mm512_castps256_ps512(low)), _mm256_castps_pd(high), 1))
}

#[inline]
#[target_feature(enable = "avx512f,f16c")]
fn half_to_f64(x: &[Half; 8]) -> __m512d {
    // SAFETY: as many bytes as it reads.
    _mm512_cvtps_pd(_mm256_cvtph_ps(unsafe { _mm_loadu_si128(x.as_ptr().cast()) }))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn pairs_to_f32(x: &[Pair; 16]) -> [__m512; 2] {
    // SAFETY: as many bytes as it reads.
    let bits = unsafe { _mm512_loadu_si512(x.as_ptr().cast()) };
    let odd = _mm512_and_si512(bits, _mm512_set1_epi32(-0x1_0000));
    [_mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits)), _mm512_castsi512_ps(odd)]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn pairs_to_f64(x: &[Pair; 8]) -> [__m512d; 2] {
    // SAFETY: as many bytes as it reads.
    let bits = unsafe { _mm256_loadu_si256(x.as_ptr().cast()) };
    let odd = _mm256_and_si256(bits, _mm256_set1_epi32(-0x1_0000));
    [_mm256_slli_epi32::<16>(bits), odd].map(|bits| _mm512_cvtps_pd(_mm256_castsi256_ps(bits)))
}

simd_by_intrinsics!(
    Avx512, "avx512f", f32, __m512, 16, 32;
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
    _mm512_castps_si512, _mm512_slli_epi32<23>, _mm512_castsi512_ps; half_to_f32, pairs_to_f32
);
simd_by_intrinsics!(
    Avx512, "avx512f", f64, __m512d, 8, 32;
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
    _mm512_castpd_si512, _mm512_slli_epi64<52>, _mm512_castsi512_pd; half_to_f64, pairs_to_f64
);

/// Without VNNI: two halves by AVX2, whose vectors of bytes are of 256 bits.
impl Bytes for Avx512 {
    type Sums = [__m256i; 2];
    type Four = (__m256i, __m256i);
    const LANES: usize = 16;
    const ROWS: usize = 2;

    #[inline(always)]
    fn call<K: BytesKernel>(self, kernel: K) {
        #[target_feature(enable = "avx512f,avx2,fma,f16c")]
        #[inline(never)]
        fn door<K: BytesKernel>(bytes: Avx512, kernel: K) {
            kernel.run(bytes);
        }
        // SAFETY: the token exists only where the CPU has the features.
        unsafe { door(self, kernel) }
    }
    #[inline(always)]
    fn begin(self, _: &[i32]) -> [__m256i; 2] {
        // SAFETY: the token proves the instruction.
        [unsafe { _mm256_setzero_si256() }; 2]
    }
    #[inline(always)]
    fn four(self, x: [i8; 4]) -> (__m256i, __m256i) {
        // SAFETY: the token proves the instructions.
        unsafe { four(x) }
    }
    #[inline(always)]
    fn dot(self, [low, high]: [__m256i; 2], x: (__m256i, __m256i), w: &[i8]) -> [__m256i; 2] {
        let (first, second) = w.split_at(32);
        // SAFETY: the token proves the instructions.
        let low = unsafe { dot(low, x, first.first_chunk().expect("half a vector")) };
        // SAFETY: as above.
        let high = unsafe { dot(high, x, second.first_chunk().expect("half a vector")) };
        [low, high]
    }
    #[inline(always)]
    fn store(self, [low, high]: [__m256i; 2], to: &mut [i32]) {
        let to: &mut [i32; 16] = to.first_chunk_mut().expect("a full vector");
        // SAFETY: the token proves the instruction; the array has room for what it writes.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), low) };
        // SAFETY: as above.
        unsafe { _mm256_storeu_si256(to[8..].as_mut_ptr().cast(), high) };
    }
}
