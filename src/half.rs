//! Numbers of 16 bits: a sign, 5 bits of exponent, 10 of mantissa (IEEE 754 binary16). They are kept, never computed
//! with.

/// A number of 16 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Half(pub u16);

impl Half {
    /// The largest.
    pub const MAX: f32 = 65504.0;

    /// The nearest, of two the even one; beyond [`Self::MAX`] infinite.
    pub fn from_f32(x: f32) -> Self {
        let sign = (x.to_bits() >> 16 & 0x8000) as u16;
        let x = x.abs();
        let bits = if x.is_nan() {
            0x7e00
        } else if x < 6.103_515_6e-5 {
            // Below the smallest normal number, 2⁻¹⁴, all are multiples of 2⁻²⁴, as f32 is beside 0.5.
            ((x + 0.5).to_bits() - 0.5f32.to_bits()) as u16
        } else if x >= 65520.0 {
            0x7c00
        } else {
            // The exponent's bias from 127 to 15, and 13 bits less of the mantissa, to the nearest even.
            let bits = x.to_bits() - (112 << 23);
            ((bits + 0xfff + (bits >> 13 & 1)) >> 13) as u16
        };
        Self(sign | bits)
    }

    /// The nearest as well.
    pub fn from_f64(x: f64) -> Self {
        Self::from_f32(to_odd(x))
    }

    /// Exactly.
    pub fn to_f32(self) -> f32 {
        let sign = u32::from(self.0 & 0x8000) << 16;
        let bits = u32::from(self.0 & 0x7fff);
        let size = match bits {
            0..0x400 => (bits as f32 * 5.960_464_5e-8).to_bits(), // 2⁻²⁴
            0x7c00.. => 0xff << 23 | (bits & 0x3ff) << 13 | u32::from(bits > 0x7c00) << 22,
            _ => (bits << 13) + (112 << 23),
        };
        f32::from_bits(sign | size)
    }
}

/// An f32 that is rounded to fewer bits as x would be: exactly x, or the one beside it whose last bit is set, so that it lies in
/// no middle where x does not and nothing is rounded twice.
pub(crate) fn to_odd(x: f64) -> f32 {
    let near = x as f32;
    let wide = f64::from(near);
    if wide == x || x.is_nan() {
        return near;
    }
    let towards_zero = near.to_bits() - u32::from(wide.abs() > x.abs());
    f32::from_bits(towards_zero | 1)
}

#[cfg(test)]
mod tests {
    use super::Half;

    #[test]
    fn every_one_there_and_back() {
        for bits in 0..=u16::MAX {
            let x = Half(bits).to_f32();
            if x.is_nan() {
                assert!(Half::from_f32(x).to_f32().is_nan());
            } else {
                assert_eq!(Half::from_f32(x), Half(bits), "{x:e}");
            }
        }
    }

    /// Of the numbers between two neighbours the nearer, and of the middle the even one.
    #[test]
    fn rounds_to_nearest() {
        for bits in 0..0x7bff {
            let (below, above) = (Half(bits).to_f32(), Half(bits + 1).to_f32());
            let middle = (below + above) / 2.0;
            assert_eq!(Half::from_f32(middle).0 % 2, 0, "{middle:e}");
            assert_eq!(Half::from_f32(f32::from_bits(middle.to_bits() - 1)), Half(bits), "{middle:e}");
            assert_eq!(Half::from_f32(-f32::from_bits(middle.to_bits() + 1)), Half(0x8000 | (bits + 1)), "{middle:e}");
        }
        for bits in 0..0x7bff {
            let (below, above) = (f64::from(Half(bits).to_f32()), f64::from(Half(bits + 1).to_f32()));
            let (middle, little) = ((below + above) / 2.0, (above - below) / (1u64 << 35) as f64);
            assert_eq!(Half::from_f64(middle), Half(bits + bits % 2), "{middle:e}");
            assert_eq!(Half::from_f64(middle - little), Half(bits), "{middle:e}");
            assert_eq!(Half::from_f64(-middle - little), Half(0x8000 | (bits + 1)), "{middle:e}");
        }
        assert_eq!(
            [65519.0, 65520.0, 1e30, f32::INFINITY].map(Half::from_f32).map(|x| x.0),
            [0x7bff, 0x7c00, 0x7c00, 0x7c00]
        );
    }
}
