//! The operations of an instruction set from the names of its intrinsics: AVX2, AVX-512 and NEON, f32
//! and f64 differ in nothing else. Where a CPU has no single instruction for an operation, or takes its
//! operands in another order, its file names a function of its own. It must not know any of them.

/// Into the second cache and further out; no address is wrong.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn prefetch(address: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
    // SAFETY: a hint, which reads nothing.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(address) };
}

/// There is no intrinsic for it yet.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(super) fn prefetch(_: *const i8) {}

/// Implements [`super::Simd`] for a token whose private field proves that the CPU has `$features`.
macro_rules! simd_by_intrinsics {
    ($token:ident, $features:literal, $float:ident, $vector:ident, $lanes:literal, $registers:literal;
     $splat:ident, $load:ident, $store:ident;
     $($operation:ident($($operand:ident),*): $intrinsic:path),*;
     $to_bits:ident, $shift:ident<$by:literal>, $from_bits:ident; $half:path, $pairs:path) => {
        impl super::Simd<$float> for $token {
            type V = $vector;
            const LANES: usize = $lanes;
            const REGISTERS: usize = $registers;

            #[inline(always)]
            fn call<K: super::Kernel<$float>>(self, kernel: K) -> K::Out {
                #[target_feature(enable = $features)]
                #[inline(never)]
                fn door<K: super::Kernel<$float>>(simd: $token, kernel: K) -> K::Out {
                    kernel.run(simd)
                }
                // SAFETY: the token exists only where the CPU has the features.
                unsafe { door(self, kernel) }
            }
            #[inline(always)]
            fn splat(self, x: $float) -> $vector {
                // SAFETY: the token proves the instruction.
                unsafe { $splat(x) }
            }
            #[inline(always)]
            fn load(self, x: &[$float]) -> $vector {
                let x: &[$float; $lanes] = x.first_chunk().expect("a full vector");
                // SAFETY: the token proves the instruction; the array has as many numbers as it reads.
                unsafe { $load(x.as_ptr()) }
            }
            #[inline(always)]
            fn store(self, v: $vector, x: &mut [$float]) {
                let x: &mut [$float; $lanes] = x.first_chunk_mut().expect("a full vector");
                // SAFETY: the token proves the instruction; the array has room for what it writes.
                unsafe { $store(x.as_mut_ptr(), v) }
            }
            $(
                #[inline(always)]
                fn $operation(self, $($operand: $vector),*) -> $vector {
                    // SAFETY: the token proves the instruction.
                    unsafe { $intrinsic($($operand),*) }
                }
            )*
            #[inline(always)]
            fn load_half(self, x: &[crate::half::Half]) -> $vector {
                let x: &[crate::half::Half; $lanes] = x.first_chunk().expect("a full vector");
                // SAFETY: the token proves the instruction; the array has as many numbers as it reads.
                unsafe { $half(x) }
            }
            #[inline(always)]
            fn prefetch<N>(self, x: &[N]) {
                super::intrinsics::prefetch(x.as_ptr().cast());
            }
            #[inline(always)]
            fn load_pairs(self, x: &[crate::simd::Pair]) -> [$vector; 2] {
                let x: &[crate::simd::Pair; $lanes] = x.first_chunk().expect("a full vector");
                // SAFETY: the token proves the instruction; the array has as many numbers as it reads.
                unsafe { $pairs(x) }
            }
            #[inline(always)]
            fn shift_to_exponent(self, a: $vector) -> $vector {
                // SAFETY: the token proves the instruction.
                let bits = unsafe { $to_bits(a) };
                // SAFETY: as above.
                let shifted = unsafe { $shift::<$by>(bits) };
                // SAFETY: as above.
                unsafe { $from_bits(shifted) }
            }
        }
    };
}
pub(super) use simd_by_intrinsics;
