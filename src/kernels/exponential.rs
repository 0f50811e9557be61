//! eˣ over slices, softmax over rows, and the logarithm that their losses need: the same bits on every
//! instruction set, as in [`super::activation`]. Sums over a row run in [`PARTS`] partial sums whatever the
//! width of a vector.

use super::activation::exp;
use crate::float::Float;
use crate::simd::{Kernel, MAX_LANES, Simd};

/// Partial sums of a row, so that its sum is no long chain: as many as the widest vector has lanes.
const PARTS: usize = 16;

/// x = eˣ for x ≤ 0, and 0 where that has faded. What is above 0 by rounding counts as it is.
#[derive(Debug)]
pub struct Exp<'a, F>(pub &'a mut [F]);

impl<F: Float> Kernel<F> for Exp<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) {
        exp_all(s, self.0);
    }
}

#[inline(always)]
fn exp_all<F: Float, S: Simd<F>>(s: S, numbers: &mut [F]) {
    for part in numbers.chunks_mut(S::LANES) {
        // A NaN in the second operand is kept.
        let x = s.max(s.splat(-F::EXP_LIMIT), s.load_first(part));
        s.store_first(s.flush(exp(s, x), s.splat(F::FADED)), part);
    }
}

/// Each row becomes its softmax, eˣ / Σ eˣ, and the logarithm of Σ eˣ is given beside it, in f64.
#[derive(Debug)]
pub struct Softmax<'a, F> {
    /// The rows, on end.
    pub rows: &'a mut [F],
    /// Numbers in a row, at least one.
    pub columns: usize,
    /// One for each row.
    pub log_sums: &'a mut [f64],
}

impl<F: Float> Kernel<F> for Softmax<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) {
        for (row, log_sum) in self.rows.chunks_exact_mut(self.columns).zip(self.log_sums) {
            let largest = largest(s, row);
            row.iter_mut().for_each(|x| *x = *x - largest);
            exp_all(s, row);
            let total = sum(row);
            row.iter_mut().for_each(|x| *x = *x / total);
            *log_sum = largest.to_f64() + ln(total.to_f64());
        }
    }
}

/// The largest of a row. A NaN may be passed over: what is made of the row has it.
#[inline(always)]
fn largest<F: Float, S: Simd<F>>(s: S, row: &[F]) -> F {
    let mut parts = [row[0]; MAX_LANES];
    let chunks = row.chunks_exact(S::LANES);
    let rest = chunks.remainder();
    let largest = chunks.fold(s.splat(row[0]), |largest, x| s.max(s.load(x), largest));
    s.store(largest, &mut parts);
    parts.iter().chain(rest).fold(row[0], |a, &b| if b > a { b } else { a })
}

/// Σ x in [`PARTS`] partial sums, added in order.
#[inline(always)]
pub fn sum<F: Float>(numbers: &[F]) -> F {
    let mut parts = [F::ZERO; PARTS];
    let chunks = numbers.chunks_exact(PARTS);
    let rest = chunks.remainder();
    for chunk in chunks {
        for i in 0..PARTS {
            parts[i] += chunk[i];
        }
    }
    parts.iter_mut().zip(rest).for_each(|(part, &x)| *part += x);
    parts.into_iter().fold(F::ZERO, |all, part| all + part)
}

/// ln x by operations that round the same everywhere, to about one unit in the last place; the limits of
/// x ↦ ln x at 0 and ∞, NaN below 0.
///
/// x = 2ᵏ m with m in [√½, √2), and ln m = 2 artanh((m − 1) / (m + 1)), as in Sun's fdlibm.
pub fn ln(x: f64) -> f64 {
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    if x.is_infinite() {
        return x;
    }
    // Numbers below the normal range have no exponent of their own.
    let (x, shift) = if x < f64::MIN_POSITIVE { (x * (1u64 << 54) as f64, 54.0) } else { (x, 0.0) };
    let bits = x.to_bits();
    let mut m = f64::from_bits(bits & 0x000f_ffff_ffff_ffff | 0x3ff0_0000_0000_0000);
    let mut k = (bits >> 52) as f64 - 1023.0 - shift;
    if m > std::f64::consts::SQRT_2 {
        m *= 0.5;
        k += 1.0;
    }
    // With s = f / (2 + f), ln (1 + f) = 2s + 2s³/3 + … = f − f²/2 + s (f²/2 + 2s²/3 + 2s⁴/5 + …), where f is exact.
    let f = m - 1.0;
    let s = f / (2.0 + f);
    let square = s * s;
    let half = 0.5 * f * f;
    // Up to s²²: s² < 0.0295, so the next term is below 1e-18.
    let series = (1..=11).rev().fold(0.0, |sum, i| sum * square + 2.0 / f64::from(2 * i + 1));
    let correction = half - s * (half + square * series);
    if k == 0.0 { f - correction } else { k * LN2_HI - ((correction - k * LN2_LO) - f) }
}

/// ln 2 in 32 bits, so that its product with an exponent is exact, and the rest.
const LN2_HI: f64 = 0.693_147_180_369_123_8;
const LN2_LO: f64 = 1.908_214_929_270_587_7e-10;
