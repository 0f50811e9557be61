//! Numbers of bfloat16: the first half of an f32, its sign, its 8 bits of exponent and 7 of mantissa. Here is how numbers are
//! rounded to them as operands of a product, and nothing of the product itself.
//!
//! Matrix units know no numbers below the smallest normal one, 2⁻¹²⁶, and make such sums 0. So an operand below 2⁻⁵⁶ in magnitude is 0
//! here: products of the others, and sums of them, are multiples of 2⁻¹²⁶, none of which but 0 is so small.

use crate::half::to_odd;

/// A number of bfloat16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bfloat16(pub u16);

impl Bfloat16 {
    /// The largest.
    pub const MAX: f32 = f32::from_bits(0x7f7f_0000);

    /// An operand smaller than this in magnitude is 0. 2⁻⁵⁶
    pub const SMALLEST: f32 = f32::from_bits((127 - 56) << 23);

    /// The nearest operand.
    pub fn from_f64(x: f64) -> Self {
        Self(((round_f64(x) as f32).to_bits() >> 16) as u16)
    }

    /// Exactly.
    pub fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

/// The nearest of bfloat16, of two the even one, beyond [`Bfloat16::MAX`] infinite, below [`Bfloat16::SMALLEST`] 0; a NaN stays.
#[inline(always)]
pub(crate) fn round_f32(x: f32) -> f32 {
    let bits = x.to_bits();
    let rounded = f32::from_bits((bits.wrapping_add(0x7fff + (bits >> 16 & 1))) & 0xffff_0000);
    let size = x.abs();
    // In one expression each, so that the compiler makes vectors of it.
    let kept = if size < Bfloat16::SMALLEST { 0.0 } else { rounded };
    if size.is_nan() { f32::NAN } else { kept }
}

/// The same of an f64.
pub(crate) fn round_f64(x: f64) -> f64 {
    round_f32(to_odd(x)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_one_is_itself() {
        for bits in 0..=u16::MAX {
            let x = Bfloat16(bits).to_f32();
            if x.is_nan() {
                assert!(round_f32(x).is_nan() && round_f64(x.into()).is_nan());
            } else {
                let expected = if x.abs() < Bfloat16::SMALLEST { 0.0 } else { x };
                assert_eq!(round_f32(x).to_bits(), expected.to_bits(), "{x:e}");
                assert_eq!(round_f64(x.into()).to_bits(), f64::from(expected).to_bits(), "{x:e}");
                assert_eq!(Bfloat16::from_f64(x.into()).to_f32(), expected);
            }
        }
    }

    /// Of the numbers between two neighbours the nearer, and of the middle the even one.
    #[test]
    fn rounds_to_nearest() {
        let smallest = (Bfloat16::SMALLEST.to_bits() >> 16) as u16;
        for bits in smallest..0x7f7f {
            let [below, above] = [bits, bits + 1].map(|bits| f64::from(Bfloat16(bits).to_f32()));
            let (middle, little) = ((below + above) / 2.0, (above - below) / (1u64 << 40) as f64);
            let even = if bits % 2 == 0 { below } else { above };
            assert_eq!([middle, middle - little, middle + little].map(round_f64), [even, below, above]);
            assert_eq!([-middle, little - middle, -middle - little].map(round_f64), [-even, -below, -above]);
            let (middle, little) = (middle as f32, middle as f32 * f32::EPSILON);
            assert_eq!(
                [middle, middle - little, middle + little].map(|x| f64::from(round_f32(x))),
                [even, below, above]
            );
        }
        // In the middle of it and what would be the next one.
        let largest = f64::from(Bfloat16::MAX) * 255.5 / 255.0;
        assert_eq!(
            [largest * 0.999_999, largest, 1e300, f64::INFINITY].map(round_f64),
            [f64::from(Bfloat16::MAX), f64::INFINITY, f64::INFINITY, f64::INFINITY]
        );
        assert_eq!(round_f32(Bfloat16::SMALLEST * 0.999_999_9), 0.0);
    }
}
