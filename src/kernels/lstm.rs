//! The gates of the LSTM, forward and backward.
//!
//! ```text
//! i, f, o = σ(W_i· x + b_i· + W_h· h + b_h·)      g = tanh(W_ig x + b_ig + W_hg h + b_hg)
//! c' = f ⊙ c + i ⊙ g                              h' = o ⊙ tanh(c')
//! ```
//! With d the gradient of h', e that of c' and t = tanh(c'):
//! ```text
//! e += d ⊙ o ⊙ (1 − t²)                 d c = e ⊙ f             d h = Wᵀ d pre
//! d pre-i = e ⊙ g ⊙ i (1 − i)           d pre-f = e ⊙ c ⊙ f (1 − f)
//! d pre-g = e ⊙ i ⊙ (1 − g²)            d pre-o = d ⊙ t ⊙ o (1 − o)
//! ```
//! Gers, Schmidhuber and Cummins, "Learning to Forget: Continual Prediction with LSTM", 2000.

use super::gates::{Gates, GatesBackward, unless_faded};
use super::squash::Squash;
use crate::float::Float;
use crate::simd::{Kernel, Simd};

/// c' = f ⊙ c + i ⊙ g
#[inline(always)]
fn cell<F: Float, S: Simd<F>>(s: S, i: S::V, f: S::V, g: S::V, c: S::V) -> S::V {
    unless_faded(s, s.mul_add(f, c, s.mul(i, g)))
}

/// Slots (i, f, g, o); keeps them and c.
pub struct Step<'a, F, Q>(pub Gates<'a, F>, pub Q);

impl<F: Float, Q: Squash<F>> Kernel<F> for Step<'_, F, Q> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) {
        let Self(mut gates, squash) = self;
        for panel in gates.panels.clone() {
            for row in 0..gates.rows {
                let [i, f, g, o] = gates.pre(s, panel, row);
                let (i, f) = squash.gates(s, i, f);
                let (g, o) = squash.candidate_and_gate(s, g, o);
                gates.put(s, panel, row, 0, 4, [i, f, g, o]);
            }
        }
        for panel in gates.panels.clone() {
            for row in 0..gates.rows {
                let [i, f, g, o] = gates.pre(s, panel, row);
                let (at_h, at_c) = (gates.at::<S>(0, panel, row), gates.at::<S>(1, panel, row));
                let c = s.load(&gates.states[at_c..]);
                let next = cell(s, i, f, g, c);
                s.store(next, &mut gates.next[at_c..]);
                s.store(unless_faded(s, s.mul(o, squash.out(s, next))), &mut gates.next[at_h..]);
                gates.keep(s, panel, row, 0, 5, [i, f, g, o, c]);
            }
        }
    }
}

/// Backward of [`Step`]. tanh(c') is computed again, with the same bits: cheaper than keeping it.
pub struct StepBackward<'a, F, Q>(pub GatesBackward<'a, F>, pub Q);

impl<F: Float, Q: Squash<F>> Kernel<F> for StepBackward<'_, F, Q> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd<F>>(self, s: S) {
        let Self(mut gates, squash) = self;
        for row in 0..gates.rows {
            for panel in 0..gates.panels::<S>() {
                let [i, f, g, o, c] = gates.kept(s, panel, row);
                let t = squash.out(s, cell(s, i, f, g, c));
                let d = gates.d_h(s, panel, row);
                let at_h = row * gates.carry_row + panel * S::LANES;
                let at_c = gates.carry_state + at_h;
                let e = s.load(&gates.carry[at_c..]);
                let e = s.mul_add(s.mul(d, o), squash.d_out(s, t), e);
                gates.store(s, panel, row, 0, s.mul(s.mul(e, g), squash.d_gate(s, i)));
                gates.store(s, panel, row, 1, s.mul(s.mul(e, c), squash.d_gate(s, f)));
                gates.store(s, panel, row, 2, s.mul(s.mul(e, i), squash.d_candidate(s, g)));
                gates.store(s, panel, row, 3, s.mul(s.mul(d, t), squash.d_gate(s, o)));
                s.store(unless_faded(s, s.mul(e, f)), &mut gates.carry[at_c..]);
                s.store(s.splat(F::ZERO), &mut gates.carry[at_h..]);
            }
        }
    }
}
