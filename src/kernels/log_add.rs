//! ln (eᵃ + eᵇ + eᶜ) over vectors: a step of the sums over paths in [`crate::nn::ctc`].

use super::activation::exp;
use crate::float::Float;
use crate::simd::{Kernel, Simd};

/// What stands for ln 0: finite, so that differences of two are no NaN, and so small that whatever is added to it
/// is lost in rounding.
pub const NOTHING: f64 = -1e30;

/// out\[s\] = ln (e^before\[s+2\] + e^before\[s+1\] + e^(before\[s\] + skip\[s\])) + emit\[s\]
#[derive(Debug)]
pub struct LogAdd<'a> {
    /// Two more than the others.
    pub before: &'a [f64],
    /// 0 or [`NOTHING`].
    pub skip: &'a [f64],
    /// What is added.
    pub emit: &'a [f64],
    /// The sums.
    pub out: &'a mut [f64],
}

impl Kernel<f64> for LogAdd<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<f64>>(self, s: S) {
        let parts = self.out.chunks_mut(S::LANES).zip(self.skip.chunks(S::LANES)).zip(self.emit.chunks(S::LANES));
        for (i, ((out, skip), emit)) in parts.enumerate() {
            let before = |back: usize| s.load_first(&self.before[i * S::LANES + 2 - back..][..out.len()]);
            let (a, b, c) = (before(0), before(1), s.add(before(2), s.load_first(skip)));
            let largest = s.max(s.max(a, b), c);
            let powers = s.add(s.add(fading(s, a, largest), fading(s, b, largest)), fading(s, c, largest));
            s.store_first(s.add(s.add(largest, ln_to_3(s, powers)), s.load_first(emit)), out);
        }
    }
}

/// e^(x − largest), a NaN for a NaN.
#[inline(always)]
fn fading<S: Simd<f64>>(s: S, x: S::V, largest: S::V) -> S::V {
    exp(s, s.max(s.splat(-f64::EXP_LIMIT), s.sub(x, largest)))
}

/// ln √3
const LN_MIDDLE: f64 = 0.549_306_144_334_054_8;
/// √3
const MIDDLE: f64 = 1.732_050_807_568_877_2;

/// ln x of [1, 3], to 4e-16: ln √3 + 2 artanh q with q = (x − √3) / (x + √3), below .268; the series goes to q²⁷, as
/// the next term is below 2e-18.
#[inline(always)]
fn ln_to_3<S: Simd<f64>>(s: S, x: S::V) -> S::V {
    let middle = s.splat(MIDDLE);
    let q = s.div(s.sub(x, middle), s.add(x, middle));
    let square = s.mul(q, q);
    let mut series = s.splat(2.0 / 27.0);
    for i in (0..13).rev() {
        series = s.mul_add(series, square, s.splat(2.0 / (2.0 * i as f64 + 1.0)));
    }
    s.mul_add(q, series, s.splat(LN_MIDDLE))
}
