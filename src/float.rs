//! The two number types of the crate, and what the numerics must know of each: how to round, where
//! the exponent sits, and the constants of the exponential. It must not know of vectors or layers.

use std::fmt::{Debug, Display};
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// `f32` or `f64`.
pub trait Float:
    sealed::Sealed
    + Copy
    + Default
    + Debug
    + Display
    + PartialEq
    + PartialOrd
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Send
    + Sync
    + 'static
{
    /// NumPy's name of the type.
    const NAME: &'static str;
    /// 0
    const ZERO: Self;
    /// 1
    const ONE: Self;
    /// 2
    const TWO: Self;
    /// 1 / ln 2
    const LOG2_E: Self;
    /// −ln 2, rounded to the type.
    const NEG_LN2_HI: Self;
    /// What rounding `NEG_LN2_HI` lost.
    const NEG_LN2_LO: Self;
    /// 1.5 · 2^(mantissa bits) + exponent bias. Added to a small y it leaves round(y) + bias in the
    /// lowest bits, ready to be shifted into the exponent.
    const ROUND_TO_EXPONENT: Self;
    /// c₀, c₁, … with eʳ − 1 ≈ r + r² (c₀ + c₁ r + …) for |r| ≤ ln 2 / 2, interpolated at Chebyshev
    /// nodes; its own error is below a tenth of the type's rounding.
    const EXP_POLY: &'static [Self];
    /// Sigmoid's argument is clamped to ± this: the product of two denominators 1 + eˣ stays finite,
    /// so that two sigmoids share one division. Below it the value is under 2.2e-19 (f64: 1e-152).
    const SIGMOID_LIMIT: Self;
    /// tanh is ±1 to the last bit beyond this.
    const TANH_LIMIT: Self;
    /// e to the power of minus this is still a normal number.
    const EXP_LIMIT: Self;
    /// The smallest number with all its bits; below it many processors take a hundred times as long.
    const MIN_NORMAL: Self;
    /// The largest finite number.
    const MAX: Self;
    /// States and gradients smaller than this have faded and count as 0. `MIN_NORMAL` · 2²⁶, so that their
    /// products with a weight that is not itself very small are normal numbers too.
    const FADED: Self;

    /// `self * a + b` with one rounding.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// 0 if smaller than `limit` in magnitude, else as it is: a NaN stays.
    fn flush(self, limit: Self) -> Self;
    /// Correctly rounded square root.
    fn sqrt(self) -> Self;
    /// The bits shifted left by the width of the mantissa: the second half of 2ⁿ, see `ROUND_TO_EXPONENT`.
    fn shift_to_exponent(self) -> Self;
    /// Whether all are the same, NaNs and the signs of zeros included.
    fn same_bits(a: &[Self], b: &[Self]) -> bool;
    /// Rounded from `f64`.
    fn from_f64(x: f64) -> Self;
    /// Rounded from an integer.
    fn from_i32(x: i32) -> Self;
    /// 1.5 · 2^(mantissa bits). Added to a small y it leaves round(y), ties to even, in the lowest bits.
    const ROUND: Self;
    /// The lowest eight bits.
    fn low_byte(self) -> i8;
    /// The nearest number of bfloat16, as an operand of a product is rounded; see [`crate::bfloat16`].
    fn to_bfloat16(self) -> Self;
    /// Exactly.
    fn to_f64(self) -> f64;
}

macro_rules! float {
    ($t:ident, $name:literal, $bits:literal, $bias:literal, $bfloat16:path, $consts:tt) => {
        impl Float for $t {
            const NAME: &'static str = $name;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const TWO: Self = 2.0;
            const LOG2_E: Self = std::$t::consts::LOG2_E;
            const NEG_LN2_HI: Self = -std::$t::consts::LN_2;
            const ROUND_TO_EXPONENT: Self = 1.5 * (1u64 << $bits) as $t + $bias;
            const MIN_NORMAL: Self = $t::MIN_POSITIVE;
            const MAX: Self = $t::MAX;
            const FADED: Self = $t::MIN_POSITIVE * (1u64 << 26) as $t;
            float!(@consts $consts);

            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                $t::mul_add(self, a, b)
            }
            #[inline(always)]
            fn flush(self, limit: Self) -> Self {
                if self.abs() < limit { 0.0 } else { self }
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $t::sqrt(self)
            }
            #[inline(always)]
            fn shift_to_exponent(self) -> Self {
                $t::from_bits(self.to_bits() << $bits)
            }
            fn same_bits(a: &[Self], b: &[Self]) -> bool {
                // Without a way out within a chunk, which would keep the compiler from vectors.
                let differ = |a: &[Self], b: &[Self]| a.iter().zip(b).fold(0, |d, (a, b)| d | a.to_bits() ^ b.to_bits());
                a.len() == b.len() && a.chunks(1024).zip(b.chunks(1024)).all(|(a, b)| differ(a, b) == 0)
            }
            const ROUND: Self = 1.5 * (1u64 << $bits) as $t;
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn from_i32(x: i32) -> Self {
                x as $t
            }
            #[inline(always)]
            fn low_byte(self) -> i8 {
                self.to_bits() as i8
            }
            #[inline(always)]
            fn to_bfloat16(self) -> Self {
                $bfloat16(self)
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
        }
    };
    (@consts { $($consts:tt)* }) => { $($consts)* };
}

float!(f32, "float32", 23, 127.0, crate::bfloat16::round_f32, {
    const NEG_LN2_LO: Self = NEG_LN2_LO_F32;
    const EXP_POLY: &'static [Self] = &POLY_F32;
    const SIGMOID_LIMIT: Self = 43.0;
    const TANH_LIMIT: Self = 10.0;
    const EXP_LIMIT: Self = 87.0;
});
float!(f64, "float64", 52, 1023.0, crate::bfloat16::round_f64, {
    const NEG_LN2_LO: Self = NEG_LN2_LO_F64;
    const EXP_POLY: &'static [Self] = &POLY_F64;
    const SIGMOID_LIMIT: Self = 350.0;
    const TANH_LIMIT: Self = 20.0;
    const EXP_LIMIT: Self = 708.0;
});

/// −ln 2 − f32(−ln 2)
const NEG_LN2_LO_F32: f32 = 1.904_654_2e-9;
/// −ln 2 − f64(−ln 2)
const NEG_LN2_LO_F64: f64 = -2.319_046_813_846_299_6e-17;
const POLY_F32: [f32; 5] = [0.5, 0.166_665_76, 0.041_666_556, 0.008_363_203, 0.001_392_621_3];
const POLY_F64: [f64; 10] = [
    0.500_000_000_000_000_1,
    0.166_666_666_666_666_69,
    0.041_666_666_666_623_99,
    0.008_333_333_333_330_051,
    0.001_388_888_891_728_179_4,
    0.000_198_412_698_631_059_68,
    2.480_152_119_021_773e-5,
    2.755_726_837_868_419_2e-6,
    2.762_013_871_973_399_4e-7,
    2.510_042_415_700_506_7e-8,
];
