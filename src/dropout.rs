//! Dropout whose mask is never stored: a number's fate follows from a seed and its index, so that backward
//! can decide it again, and threads can share out the numbers. It must not know what the numbers are.

use crate::error::Result;
use crate::float::Float;
use crate::parallel;
use crate::rng;

/// Floating-point operations that take as long as a number's fate.
const OPERATIONS: usize = 64;
/// Numbers of a thread's task.
const PART: usize = 1 << 15;

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
    pub fn apply<F: Float>(&self, numbers: &mut [F]) -> Result<()> {
        self.apply_by(numbers, |index| index)
    }

    /// The same for numbers that share fates: number i has that of number `index(i)`.
    pub fn apply_by<F: Float>(&self, numbers: &mut [F], index: impl Fn(usize) -> usize + Sync) -> Result<()> {
        if self.share == 0.0 {
            return Ok(());
        }
        let scale = F::from_f64(1.0 / (1.0 - self.share));
        let threads = parallel::worth(numbers.len().saturating_mul(OPERATIONS))?;
        let parts = numbers.chunks_mut(PART).enumerate().collect();
        parallel::for_each(threads, parts, |(part, numbers), _| {
            for (i, number) in numbers.iter_mut().enumerate() {
                let place = index(part * PART + i) as u64;
                let dropped = rng::at(self.seed, self.first + place) < self.share;
                *number = if dropped { F::ZERO } else { *number * scale };
            }
            Ok(())
        })
    }
}
