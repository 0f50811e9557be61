//! Dropout whose mask is never stored: a number's fate follows from a seed and its index, so that backward
//! can decide it again. It must not know what the numbers are.

use crate::float::Float;
use crate::rng;

/// Sets a share of the numbers to zero and scales the others so that the mean stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mask {
    /// Of the numbers that are dropped, in [0, 1).
    pub share: f64,
    /// The same seed and indices, the same mask.
    pub seed: u64,
    /// The index of the first number: masks of one seed must not overlap.
    pub first: u64,
}

impl Mask {
    /// Forward on outputs, or backward on their gradients.
    pub fn apply<F: Float>(&self, numbers: &mut [F]) {
        self.apply_by(numbers, |index| index);
    }

    /// The same for numbers that share fates: number i has that of number `index(i)`.
    pub fn apply_by<F: Float>(&self, numbers: &mut [F], index: impl Fn(usize) -> usize) {
        if self.share == 0.0 {
            return;
        }
        let scale = F::from_f64(1.0 / (1.0 - self.share));
        for (i, number) in numbers.iter_mut().enumerate() {
            let dropped = rng::at(self.seed, self.first + index(i) as u64) < self.share;
            *number = if dropped { F::ZERO } else { *number * scale };
        }
    }
}
