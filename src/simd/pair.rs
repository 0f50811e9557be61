//! Two numbers of bfloat16 side by side, as matrix units take them.

use crate::bfloat16::Bfloat16;

/// Two numbers: the first one in the lower half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Pair(u32);

impl Pair {
    /// Of both.
    pub fn new(even: Bfloat16, odd: Bfloat16) -> Self {
        Self(u32::from(even.0) | u32::from(odd.0) << 16)
    }

    /// The first one.
    #[inline(always)]
    pub fn even(self) -> f32 {
        f32::from_bits(self.0 << 16)
    }

    /// The second one.
    #[inline(always)]
    pub fn odd(self) -> f32 {
        f32::from_bits(self.0 & 0xffff_0000)
    }
}
