//! Numbers m · 2ᵉ with an exponent of their own, for sums over paths in [`crate::nn::ctc`].
//!
//! They reach as far as logarithms do: no product of probabilities is too small. But adding takes neither an exponential
//! nor a logarithm, only powers of two, which are moved bits; and what is added is rounded once, where a logarithm of
//! −1,000 has lost ten bits. Exponents are whole numbers in f64. Mantissas drift from 1 by at most two bits with each sum
//! and product, so they need to be brought back only now and then ([`Scaled::normalize`]).

use super::activation::exp_parts;
use crate::float::Float;
use crate::simd::{Kernel, Simd};

/// The exponent of what stands for 0: finite, so that differences of two are no NaN, and below any that comes of numbers.
pub const NOTHING: f64 = -1e30;
/// The least power of two that is a normal number. What is so much smaller than what it is added to is lost either way.
const LEAST: f64 = -1022.0;
/// Sums and products after which mantissas are brought back: two bits each leave the range of an f64 far away.
pub const DRIFT: usize = 64;

/// Mantissas and exponents.
#[derive(Clone, Debug)]
pub struct Scaled<T> {
    /// Numbers of a few hundred bits around 1.
    pub mantissas: T,
    /// Whole numbers.
    pub exponents: T,
}

impl Scaled<Vec<f64>> {
    /// All of them nothing.
    pub fn clear(&mut self) {
        self.mantissas.fill(1.0);
        self.exponents.fill(NOTHING);
    }

    /// Those from the first on.
    pub fn from(&self, first: usize) -> Scaled<&[f64]> {
        Scaled { mantissas: &self.mantissas[first..], exponents: &self.exponents[first..] }
    }

    /// The same to be written.
    pub fn from_mut(&mut self, first: usize) -> Scaled<&mut [f64]> {
        Scaled { mantissas: &mut self.mantissas[first..], exponents: &mut self.exponents[first..] }
    }

    /// The same numbers with mantissas of [1, 2).
    pub fn normalize(&mut self) {
        const EXPONENT: u64 = 0x7ff << 52;
        for (mantissa, exponent) in self.mantissas.iter_mut().zip(&mut self.exponents) {
            let bits = mantissa.to_bits();
            // A NaN stays one.
            if mantissa.is_finite() {
                *exponent += ((bits & EXPONENT) >> 52) as f64 - 1023.0;
                *mantissa = f64::from_bits(bits & !EXPONENT | 1023 << 52);
            }
        }
    }
}

/// e^x for x ≥ −1e12, each with its exponent.
#[derive(Debug)]
pub struct ScaledExp<'a> {
    /// x
    pub logarithms: &'a [f64],
    /// As many.
    pub powers: Scaled<&'a mut [f64]>,
}

impl Kernel<f64> for ScaledExp<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<f64>>(self, s: S) {
        let Scaled { mantissas, exponents } = self.powers;
        let parts = mantissas.chunks_mut(S::LANES).zip(exponents.chunks_mut(S::LANES));
        for (x, (mantissas, exponents)) in self.logarithms.chunks(S::LANES).zip(parts) {
            let (n, p) = exp_parts(s, s.load_first(x));
            s.store_first(s.add(s.splat(1.0), p), mantissas);
            s.store_first(n.rounded, exponents);
        }
    }
}

/// sums\[s\] = before\[s+2\] + before\[s+1\] + before\[s\] · 2^skip\[s\]
#[derive(Debug)]
pub struct AddThree<'a> {
    /// Two more than the others.
    pub before: Scaled<&'a [f64]>,
    /// 0 or [`NOTHING`].
    pub skip: &'a [f64],
    /// Written.
    pub sums: Scaled<&'a mut [f64]>,
}

impl Kernel<f64> for AddThree<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<f64>>(self, s: S) {
        let Scaled { mantissas, exponents } = self.sums;
        let parts = mantissas.chunks_mut(S::LANES).zip(exponents.chunks_mut(S::LANES)).zip(self.skip.chunks(S::LANES));
        for (i, ((mantissas, exponents), skip)) in parts.enumerate() {
            let part = |of: &[f64], back: usize| s.load_first(&of[i * S::LANES + 2 - back..][..skip.len()]);
            let exponent = |back: usize| part(self.before.exponents, back);
            let (a, b, c) = (exponent(0), exponent(1), s.add(exponent(2), s.load_first(skip)));
            let largest = s.max(s.max(a, b), c);
            let mantissa = |back: usize| part(self.before.mantissas, back);
            let sum = s.mul(mantissa(0), power_of_two(s, s.sub(a, largest)));
            let sum = s.mul_add(mantissa(1), power_of_two(s, s.sub(b, largest)), sum);
            s.store_first(s.mul_add(mantissa(2), power_of_two(s, s.sub(c, largest)), sum), mantissas);
            s.store_first(largest, exponents);
        }
    }
}

/// Mantissas become the numbers themselves, where those are no larger than some few.
#[derive(Debug)]
pub struct Unscale<'a>(pub Scaled<&'a mut [f64]>);

impl Kernel<f64> for Unscale<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<f64>>(self, s: S) {
        let Scaled { mantissas, exponents } = self.0;
        for (m, e) in mantissas.chunks_mut(S::LANES).zip(exponents.chunks(S::LANES)) {
            s.store_first(s.mul(s.load_first(m), power_of_two(s, s.load_first(e))), m);
        }
    }
}

/// 2ᵉ of whole numbers below 1,023; from [`LEAST`] on down always the same. A NaN gives some number, but then its mantissa
/// is a NaN as well.
#[inline(always)]
fn power_of_two<S: Simd<f64>>(s: S, exponent: S::V) -> S::V {
    let exponent = s.max(s.splat(LEAST), exponent);
    s.shift_to_exponent(s.add(exponent, s.splat(f64::ROUND_TO_EXPONENT)))
}
