//! The gates of the GRU, both reset variants, forward and backward.
//!
//! ```text
//! r  = σ(W_ir x + b_ir + W_hr h + b_hr)
//! z  = σ(W_iz x + b_iz + W_hz h + b_hz)
//! n  = tanh(W_in x + b_in + r ⊙ (W_hn h + b_hn))    reset after
//! n  = tanh(W_in x + b_in + W_hn (r ⊙ h) + b_hn)    reset before
//! h' = (1 − z) ⊙ n + z ⊙ h = n + z ⊙ (h − n)
//! ```
//! With d the gradient of h':
//! ```text
//! d pre-z = d ⊙ (h − n) ⊙ z (1 − z)        d pre-n = d ⊙ (1 − z) ⊙ (1 − n²)
//! reset after:   d (W_hn h + b_hn) = d pre-n ⊙ r        d pre-r = d pre-n ⊙ (W_hn h + b_hn) ⊙ r (1 − r)
//! reset before:  d (r ⊙ h) = W_hnᵀ d pre-n              d pre-r = d (r ⊙ h) ⊙ h ⊙ r (1 − r)
//! d h = d ⊙ z + Wᵀ d pre  (+ d (r ⊙ h) ⊙ r, reset before)
//! ```
//! Cho et al., "Learning Phrase Representations using RNN Encoder–Decoder", 2014 (reset before).

use super::gates::{Gates, GatesBackward, unless_faded};
use super::squash::Squash;
use crate::float::Float;
use crate::simd::{Kernel, Simd};

/// h' = n + z ⊙ (h − n)
#[inline(always)]
fn blend<F: Float, S: Simd<F>>(s: S, z: S::V, n: S::V, h: S::V) -> S::V {
    unless_faded(s, s.mul_add(z, s.sub(h, n), n))
}

/// Reset after: slots (x part of n, r, z, h part of n); keeps r, z, n and the h part of n.
pub struct After<'a, F, Q>(pub Gates<'a, F>, pub Q);

impl<F: Float, Q: Squash<F>> Kernel<F> for After<'_, F, Q> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) {
        let Self(mut g, f) = self;
        for panel in g.panels.clone() {
            for row in 0..g.rows {
                let [_, r, z, _] = g.pre(s, panel, row);
                let (r, z) = f.gates(s, r, z);
                g.put(s, panel, row, 1, 4, [r, z]);
            }
        }
        for panel in g.panels.clone() {
            for row in 0..g.rows {
                let [n_x, r, z, n_h] = g.pre(s, panel, row);
                let n = f.candidate(s, s.mul_add(r, n_h, n_x));
                let at = g.at::<S>(0, panel, row);
                let h = s.load(&g.states[at..]);
                s.store(blend(s, z, n, h), &mut g.next[at..]);
                g.keep(s, panel, row, 0, 4, [r, z, n, n_h]);
            }
        }
    }
}

/// Reset before, first phase: slots (r, z); puts r ⊙ h and z aside, keeps r and z.
pub struct BeforeReset<'a, F, Q>(pub Gates<'a, F>, pub Q);

impl<F: Float, Q: Squash<F>> Kernel<F> for BeforeReset<'_, F, Q> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) {
        let Self(mut g, f) = self;
        for panel in g.panels.clone() {
            for row in 0..g.rows {
                let [r, z] = g.pre(s, panel, row);
                let (r, z) = f.gates(s, r, z);
                let h = s.load(&g.states[g.at::<S>(0, panel, row)..]);
                let (reset, update) = (g.at::<S>(0, panel, row), g.at::<S>(1, panel, row));
                s.store(unless_faded(s, s.mul(r, h)), &mut g.reset[reset..]);
                s.store(z, &mut g.reset[update..]);
                g.keep(s, panel, row, 0, 3, [r, z]);
            }
        }
    }
}

/// Reset before, second phase: slot n; keeps n.
pub struct BeforeUpdate<'a, F, Q>(pub Gates<'a, F>, pub Q);

impl<F: Float, Q: Squash<F>> Kernel<F> for BeforeUpdate<'_, F, Q> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) {
        let Self(mut g, f) = self;
        for panel in g.panels.clone() {
            for row in 0..g.rows {
                let [n] = g.pre(s, panel, row);
                let n = f.candidate(s, n);
                let z = s.load(&g.reset[g.at::<S>(1, panel, row)..]);
                let at = g.at::<S>(0, panel, row);
                let h = s.load(&g.states[at..]);
                s.store(blend(s, z, n, h), &mut g.next[at..]);
                g.keep(s, panel, row, 2, 3, [n]);
            }
        }
    }
}

/// (d pre-z, d pre-n) from d = d h'.
#[inline(always)]
fn d_blend<F: Float, Q: Squash<F>, S: Simd<F>>(s: S, f: Q, d: S::V, z: S::V, n: S::V, h: S::V) -> (S::V, S::V) {
    let d_z = s.mul(s.mul(d, s.sub(h, n)), f.d_gate(s, z));
    let d_n = s.mul(s.neg_mul_add(d, z, d), f.d_candidate(s, n));
    (d_z, d_n)
}

/// Backward of [`After`].
pub struct AfterBackward<'a, F, Q>(pub GatesBackward<'a, F>, pub Q);

impl<F: Float, Q: Squash<F>> Kernel<F> for AfterBackward<'_, F, Q> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) {
        let Self(mut g, f) = self;
        for row in 0..g.rows {
            for panel in 0..g.panels::<S>() {
                let [r, z, n, n_h] = g.kept(s, panel, row);
                let d = g.d_h(s, panel, row);
                let (d_z, d_n) = d_blend(s, f, d, z, n, g.state(s, panel, row));
                g.store(s, panel, row, 0, d_n);
                g.store(s, panel, row, 1, s.mul(s.mul(d_n, n_h), f.d_gate(s, r)));
                g.store(s, panel, row, 2, d_z);
                g.store(s, panel, row, 3, s.mul(d_n, r));
                s.store(unless_faded(s, s.mul(d, z)), &mut g.carry[row * g.carry_row + panel * S::LANES..]);
            }
        }
    }
}

/// Backward of [`BeforeUpdate`]; clears the gradient of r ⊙ h for the product to come.
pub struct BeforeUpdateBackward<'a, F, Q>(pub GatesBackward<'a, F>, pub Q);

impl<F: Float, Q: Squash<F>> Kernel<F> for BeforeUpdateBackward<'_, F, Q> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) {
        let Self(mut g, f) = self;
        for row in 0..g.rows {
            for panel in 0..g.panels::<S>() {
                let [r, z, n] = g.kept(s, panel, row);
                let h = g.state(s, panel, row);
                let d = g.d_h(s, panel, row);
                let (d_z, d_n) = d_blend(s, f, d, z, n, h);
                g.store(s, panel, row, 1, d_z);
                g.store(s, panel, row, 2, d_n);
                let at = row * g.carry_row + panel * S::LANES;
                s.store(unless_faded(s, s.mul(d, z)), &mut g.carry[at..]);
                s.store(s.splat(F::ZERO), &mut g.d_reset[at..]);
                s.store(unless_faded(s, s.mul(r, h)), &mut g.operand[row * g.states_row + panel * S::LANES..]);
            }
        }
    }
}

/// Backward of [`BeforeReset`].
pub struct BeforeResetBackward<'a, F, Q>(pub GatesBackward<'a, F>, pub Q);

impl<F: Float, Q: Squash<F>> Kernel<F> for BeforeResetBackward<'_, F, Q> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) {
        let Self(mut g, f) = self;
        for row in 0..g.rows {
            for panel in 0..g.panels::<S>() {
                let [r, _, _] = g.kept(s, panel, row);
                let at = row * g.carry_row + panel * S::LANES;
                let d_reset = s.load(&g.d_reset[at..]);
                let d_r = s.mul(s.mul(d_reset, g.state(s, panel, row)), f.d_gate(s, r));
                g.store(s, panel, row, 0, d_r);
                let carry = s.load(&g.carry[at..]);
                s.store(s.mul_add(d_reset, r, carry), &mut g.carry[at..]);
            }
        }
    }
}
