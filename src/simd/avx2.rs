//! AVX2 with FMA and F16C, which came before it: 8 × f32, 4 × f64, 16 registers.

use super::Pair;
use super::bytes::{Bytes, BytesKernel};
use super::intrinsics::simd_by_intrinsics;
use crate::half::Half;
use std::arch::x86_64::*;

/// Proof that this CPU has AVX2, FMA and F16C.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// The token, if the CPU has the instructions.
    pub(super) fn detect() -> Option<Self> {
        let all =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        all.then_some(Self(()))
    }
}

/// Not less, or not a number: the mask that keeps a lane.
macro_rules! flush {
    ($name:ident, $vector:ident, $sign:ident, $without:ident, $compare:ident, $and:ident) => {
        #[inline]
        #[target_feature(enable = "avx2,fma,f16c")]
        fn $name(a: $vector, limit: $vector) -> $vector {
            $and(a, $compare::<_CMP_NLT_UQ>($without($sign(-0.0), a), limit))
        }
    };
}
flush!(flush_f32, __m256, _mm256_set1_ps, _mm256_andnot_ps, _mm256_cmp_ps, _mm256_and_ps);
flush!(flush_f64, __m256d, _mm256_set1_pd, _mm256_andnot_pd, _mm256_cmp_pd, _mm256_and_pd);

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn half_to_f32(x: &[Half; 8]) -> __m256 {
    // SAFETY: as many bytes as it reads.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(x.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn half_to_f64(x: &[Half; 4]) -> __m256d {
    // SAFETY: as many bytes as it reads.
    _mm256_cvtps_pd(_mm_cvtph_ps(unsafe { _mm_loadl_epi64(x.as_ptr().cast()) }))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn pairs_to_f32(x: &[Pair; 8]) -> [__m256; 2] {
    // SAFETY: as many bytes as it reads.
    let bits = unsafe { _mm256_loadu_si256(x.as_ptr().cast()) };
    let odd = _mm256_and_si256(bits, _mm256_set1_epi32(-0x1_0000));
    [_mm256_castsi256_ps(_mm256_slli_epi32::<16>(bits)), _mm256_castsi256_ps(odd)]
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn pairs_to_f64(x: &[Pair; 4]) -> [__m256d; 2] {
    // SAFETY: as many bytes as it reads.
    let bits = unsafe { _mm_loadu_si128(x.as_ptr().cast()) };
    let odd = _mm_and_si128(bits, _mm_set1_epi32(-0x1_0000));
    [_mm_slli_epi32::<16>(bits), odd].map(|bits| _mm256_cvtps_pd(_mm_castsi128_ps(bits)))
}

simd_by_intrinsics!(
    Avx2, "avx2,fma,f16c", f32, __m256, 8, 16;
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
    _mm256_castps_si256, _mm256_slli_epi32<23>, _mm256_castsi256_ps; half_to_f32, pairs_to_f32
);
simd_by_intrinsics!(
    Avx2, "avx2,fma,f16c", f64, __m256d, 4, 16;
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
    _mm256_castpd_si256, _mm256_slli_epi64<52>, _mm256_castsi256_pd; half_to_f64, pairs_to_f64
);

/// Four products of each lane: the signs of the row's bytes go over to the weights, for the instruction multiplies bytes of
/// 0 to 255 by signed ones, and adds two products in 16 bits, which those of 127 do not overflow.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn dot(sums: __m256i, (signs, sizes): (__m256i, __m256i), w: &[i8; 32]) -> __m256i {
    // SAFETY: as many bytes as it reads.
    let w = unsafe { _mm256_loadu_si256(w.as_ptr().cast()) };
    let pairs = _mm256_maddubs_epi16(sizes, _mm256_sign_epi8(w, signs));
    _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
}

/// Four bytes for every lane, with their signs and without.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn four(x: [i8; 4]) -> (__m256i, __m256i) {
    let x = _mm256_set1_epi32(i32::from_le_bytes(x.map(|x| x as u8)));
    (x, _mm256_abs_epi8(x))
}

impl Bytes for Avx2 {
    type Sums = __m256i;
    type Four = (__m256i, __m256i);
    const LANES: usize = 8;
    const ROWS: usize = 2;

    #[inline(always)]
    fn call<K: BytesKernel>(self, kernel: K) {
        #[target_feature(enable = "avx2,fma,f16c")]
        #[inline(never)]
        fn door<K: BytesKernel>(bytes: Avx2, kernel: K) {
            kernel.run(bytes);
        }
        // SAFETY: the token exists only where the CPU has the features.
        unsafe { door(self, kernel) }
    }
    #[inline(always)]
    fn begin(self, _: &[i32]) -> __m256i {
        // SAFETY: the token proves the instruction.
        unsafe { _mm256_setzero_si256() }
    }
    #[inline(always)]
    fn four(self, x: [i8; 4]) -> (__m256i, __m256i) {
        // SAFETY: the token proves the instructions.
        unsafe { four(x) }
    }
    #[inline(always)]
    fn dot(self, sums: __m256i, x: (__m256i, __m256i), w: &[i8]) -> __m256i {
        // SAFETY: the token proves the instructions.
        unsafe { dot(sums, x, w.first_chunk().expect("a full vector")) }
    }
    #[inline(always)]
    fn store(self, sums: __m256i, to: &mut [i32]) {
        let to: &mut [i32; 8] = to.first_chunk_mut().expect("a full vector");
        // SAFETY: the token proves the instruction; the array has room for what it writes.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), sums) }
    }
}
