//! Seeded numbers, the same on every machine: SplitMix64 (Steele, Lea and Flood, "Fast Splittable
//! Pseudorandom Number Generators", 2014), also by index, so that a mask need not be stored.

use crate::float::Float;

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A generator and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Where it stands, to be kept or sent.
    pub fn state(&self) -> u64 {
        self.state
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// The next number of [0, 1), from 53 bits.
    pub fn uniform(&mut self) -> f64 {
        unit(self.next_u64())
    }

    /// The next number of [−1, 1), from 53 bits.
    pub fn symmetric(&mut self) -> f64 {
        2.0 * self.uniform() - 1.0
    }

    /// The next numbers of [−bound, bound).
    pub fn fill<F: Float>(&mut self, numbers: &mut [F], bound: f64) {
        numbers.iter_mut().for_each(|number| *number = F::from_f64(self.symmetric() * bound));
    }
}

/// Number `index` of [0, 1) of the generator of a seed.
pub fn at(seed: u64, index: u64) -> f64 {
    unit(mix(seed.wrapping_add(STEP.wrapping_mul(index.wrapping_add(1)))))
}

fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values_of_seed_1234567() {
        let mut rng = Rng::new(1_234_567);
        assert_eq!(rng.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn by_index_as_in_order() {
        let mut rng = Rng::new(7);
        for index in 0..100 {
            assert_eq!(at(7, index), unit(rng.next_u64()));
        }
    }
}
