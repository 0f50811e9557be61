//! exp, sigmoid and tanh over vectors, from correctly rounded operations only, so that every
//! instruction set gives the same bits. A NaN comes out as a NaN.
//!
//! The exponential: with n = round(x / ln 2) and r = x − n ln 2, eˣ = 2ⁿ eʳ, and eʳ − 1 is a
//! polynomial. Keeping eˣ − 1 = 2ⁿ (eʳ − 1) + (2ⁿ − 1) keeps tanh exact to the last bits around zero.
//! Divisions are the dearest operation, so they are shared: a/b and c/d take one, as 1/(b d).

use crate::float::Float;
use crate::simd::{Kernel, Simd};

/// A whole number n as it is and as it comes of rounding: n + [`Float::ROUND_TO_EXPONENT`].
#[derive(Clone, Copy)]
pub struct Whole<V> {
    /// n
    pub rounded: V,
    shifted: V,
}

/// n and eʳ − 1 with eˣ = 2ⁿ eʳ.
#[inline(always)]
pub fn exp_parts<F: Float, S: Simd<F>>(s: S, x: S::V) -> (Whole<S::V>, S::V) {
    let magic = s.splat(F::ROUND_TO_EXPONENT);
    let shifted = s.mul_add(x, s.splat(F::LOG2_E), magic);
    let n = s.sub(shifted, magic);
    let r = s.mul_add(n, s.splat(F::NEG_LN2_HI), x);
    let r = s.mul_add(n, s.splat(F::NEG_LN2_LO), r);
    let (last, rest) = F::EXP_POLY.split_last().expect("a polynomial");
    let mut q = s.splat(*last);
    for &c in rest.iter().rev() {
        q = s.mul_add(q, r, s.splat(c));
    }
    (Whole { rounded: n, shifted }, s.mul_add(s.mul(r, r), q, r))
}

/// 2ⁿ of an n that small.
#[inline(always)]
fn power<F: Float, S: Simd<F>>(s: S, n: Whole<S::V>) -> S::V {
    s.shift_to_exponent(n.shifted)
}

/// eˣ for |x| up to the limits of [`sigmoid`] and [`tanh`].
#[inline(always)]
pub fn exp<F: Float, S: Simd<F>>(s: S, x: S::V) -> S::V {
    let (n, p) = exp_parts(s, x);
    let scale = power(s, n);
    s.mul_add(scale, p, scale)
}

#[inline(always)]
fn clamp<F: Float, S: Simd<F>>(s: S, x: S::V, limit: F) -> S::V {
    s.min(s.splat(limit), s.max(s.splat(-limit), x))
}

/// A quotient not yet divided.
#[derive(Clone, Copy)]
pub struct Quotient<V> {
    over: V,
    under: V,
}

/// σ(x) = 1 / (1 + e⁻ˣ).
#[inline(always)]
pub fn sigmoid<F: Float, S: Simd<F>>(s: S, x: S::V) -> Quotient<S::V> {
    let x = clamp(s, s.sub(s.splat(F::ZERO), x), F::SIGMOID_LIMIT);
    let one = s.splat(F::ONE);
    Quotient { over: one, under: s.add(one, exp(s, x)) }
}

/// tanh(x) = m / (m + 2) with m = e²ˣ − 1.
#[inline(always)]
pub fn tanh<F: Float, S: Simd<F>>(s: S, x: S::V) -> Quotient<S::V> {
    let x = clamp(s, x, F::TANH_LIMIT);
    let (n, p) = exp_parts(s, s.add(x, x));
    let scale = power(s, n);
    let m = s.mul_add(scale, p, s.sub(scale, s.splat(F::ONE)));
    Quotient { over: m, under: s.add(m, s.splat(F::TWO)) }
}

/// The value of one quotient.
#[inline(always)]
pub fn divide<F: Float, S: Simd<F>>(s: S, a: Quotient<S::V>) -> S::V {
    s.div(a.over, a.under)
}

/// The values of two quotients by one division.
#[inline(always)]
pub fn divide_both<F: Float, S: Simd<F>>(s: S, a: Quotient<S::V>, b: Quotient<S::V>) -> (S::V, S::V) {
    let inverse = s.div(s.splat(F::ONE), s.mul(a.under, b.under));
    (s.mul(a.over, s.mul(inverse, b.under)), s.mul(b.over, s.mul(inverse, a.under)))
}

/// x = tanh x over a slice.
#[derive(Debug)]
pub struct Tanh<'a, F>(pub &'a mut [F]);

impl<F: Float> Kernel<F> for Tanh<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) {
        for part in self.0.chunks_mut(S::LANES) {
            let quotient = tanh(s, s.load_first(part));
            s.store_first(divide(s, quotient), part);
        }
    }
}
