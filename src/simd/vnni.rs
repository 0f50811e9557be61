//! The instructions of x86 that multiply bytes and add the products at once, in vectors of 256 and of 512 bits. They
//! take one operand of 0 to 255: so the rows' bytes are raised by 128, and the sums begin as much lower.

use super::avx2::Avx2;
use super::avx512::Avx512;
use super::bytes::{Bytes, BytesKernel};
use std::arch::x86_64::*;

macro_rules! vnni {
    ($(#[$doc:meta])* $token:ident, $features:literal, $detect:expr, $vector:ident, $lanes:literal, $rows:literal;
     $load:ident, $store:ident, $splat:ident, $dot:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $token(());

        impl $token {
            /// The token, if the CPU has the instructions.
            pub(super) fn detect() -> Option<Self> {
                $detect.then_some(Self(()))
            }
        }

        impl Bytes for $token {
            type Sums = $vector;
            type Four = $vector;
            const LANES: usize = $lanes;
            const ROWS: usize = $rows;

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
            fn begin(self, start: &[i32]) -> $vector {
                let start: &[i32; $lanes] = start.first_chunk().expect("a full vector");
                // SAFETY: the token proves the instruction; the array has as many numbers as it reads.
                unsafe { $load(start.as_ptr().cast()) }
            }
            #[inline(always)]
            fn four(self, x: [i8; 4]) -> $vector {
                // To raise by 128 is to turn the highest bit over.
                let raised = i32::from_le_bytes(x.map(|x| x as u8)) ^ 0x8080_8080_u32 as i32;
                // SAFETY: the token proves the instruction.
                unsafe { $splat(raised) }
            }
            #[inline(always)]
            fn dot(self, sums: $vector, x: $vector, w: &[i8]) -> $vector {
                let w: &[i8; 4 * $lanes] = w.first_chunk().expect("a full vector");
                // SAFETY: the token proves the instruction; the array has as many bytes as it reads.
                let w = unsafe { $load(w.as_ptr().cast()) };
                // SAFETY: the token proves the instruction.
                unsafe { $dot(sums, x, w) }
            }
            #[inline(always)]
            fn store(self, sums: $vector, to: &mut [i32]) {
                let to: &mut [i32; $lanes] = to.first_chunk_mut().expect("a full vector");
                // SAFETY: the token proves the instruction; the array has room for what it writes.
                unsafe { $store(to.as_mut_ptr().cast(), sums) }
            }
        }
    };
}

vnni!(
    /// Proof that this CPU has AVX-VNNI, and with it AVX2.
    Vnni256, "avx2,fma,avxvnni", is_x86_feature_detected!("avxvnni") && Avx2::detect().is_some(), __m256i, 8, 2;
    _mm256_loadu_si256, _mm256_storeu_si256, _mm256_set1_epi32, _mm256_dpbusd_avx_epi32
);
vnni!(
    /// Proof that this CPU has the VNNI of AVX-512.
    Vnni512, "avx512f,avx512vnni", is_x86_feature_detected!("avx512vnni") && Avx512::detect().is_some(), __m512i, 16, 4;
    _mm512_loadu_si512, _mm512_storeu_si512, _mm512_set1_epi32, _mm512_dpbusd_epi32
);
