//! What the gates of every cell read and write, forward and backward, for some rows at one step.
//! It knows the layout of the buffers; which slot is which gate is known to [`super::gru`] and
//! [`super::lstm`] and to `rnn::cell`.
//!
//! The gates of a row depend on each other in one long chain of operations, so they are computed in two
//! stages, each over all rows: shorter chains, of which the processor keeps more in flight.
//!
//! Units come in panels of one vector. A pre-activation row holds its slots side by side, a vector
//! each; so does a kept row. States lie unit by unit in rows of `padded` numbers, one state after the
//! other (h, then c).

use super::product::Rows;
use crate::float::Float;
use crate::simd::Simd;
use std::ops::Range;

/// A state or a gradient that has faded is 0: numbers near the end of the range are slow, and a sequence
/// that lets go of its past comes there within a few hundred steps and stays.
#[inline(always)]
pub(super) fn unless_faded<F: Float, S: Simd<F>>(s: S, v: S::V) -> S::V {
    s.flush(v, s.splat(F::FADED))
}

/// One phase of one step, forward.
#[derive(Debug)]
pub struct Gates<'a, F> {
    /// Rows that take this step.
    pub rows: usize,
    /// Panels whose pre-activations are ready.
    pub panels: Range<usize>,
    /// Pre-activations: row r of the first panel at `r * slots * lanes`. The gates' values take their place
    /// from one stage to the next.
    pub pre: &'a mut [F],
    /// From one panel to the next in `pre`.
    pub pre_panel: usize,
    /// The states before the step.
    pub states: &'a [F],
    /// The states after it.
    pub next: &'a mut [F],
    /// From one state to the next.
    pub state: usize,
    /// From one row to the next in a state.
    pub row: usize,
    /// Reset-before only: r ⊙ h, then z, each shaped as a state.
    pub reset: &'a mut [F],
    /// Where training keeps what backward needs: row by row, panel by panel. Empty at inference.
    pub kept: &'a mut [F],
    /// From one row to the next in `kept`.
    pub kept_row: usize,
}

impl<F: Float> Gates<'_, F> {
    /// Where the slots of row r in panel p lie.
    #[inline(always)]
    fn slots<S: Simd<F>>(&self, slots: usize, panel: usize, row: usize) -> usize {
        (panel - self.panels.start) * self.pre_panel + row * slots * S::LANES
    }

    /// The slots of row r in panel p as vectors.
    #[inline(always)]
    pub fn pre<S: Simd<F>, const SLOTS: usize>(&self, s: S, panel: usize, row: usize) -> [S::V; SLOTS] {
        let pre = &self.pre[self.slots::<S>(SLOTS, panel, row)..][..SLOTS * S::LANES];
        let mut slots = [s.splat(F::ZERO); SLOTS];
        for (i, slot) in slots.iter_mut().enumerate() {
            *slot = s.load(&pre[i * S::LANES..]);
        }
        slots
    }

    /// Puts values in place of the slots from `first` of `all` on.
    #[inline(always)]
    pub fn put<S: Simd<F>, const N: usize>(
        &mut self, s: S, panel: usize, row: usize, first: usize, all: usize, values: [S::V; N],
    ) {
        let at = self.slots::<S>(all, panel, row) + first * S::LANES;
        let pre = &mut self.pre[at..][..N * S::LANES];
        for (i, value) in values.into_iter().enumerate() {
            s.store(value, &mut pre[i * S::LANES..]);
        }
    }

    /// Where unit 0 of the panel lies in row r of state (or of `reset`) i.
    #[inline(always)]
    pub fn at<S: Simd<F>>(&self, i: usize, panel: usize, row: usize) -> usize {
        i * self.state + row * self.row + panel * S::LANES
    }

    /// Keeps vectors for backward, from slot `first` of `all`.
    #[inline(always)]
    pub fn keep<S: Simd<F>, const N: usize>(
        &mut self, s: S, panel: usize, row: usize, first: usize, all: usize, values: [S::V; N],
    ) {
        if !self.kept.is_empty() {
            let kept = &mut self.kept[row * self.kept_row + (panel * all + first) * S::LANES..];
            for (i, value) in values.into_iter().enumerate() {
                s.store(value, &mut kept[i * S::LANES..]);
            }
        }
    }
}

/// One phase of one step, backward, over all panels.
#[derive(Debug)]
pub struct GatesBackward<'a, F> {
    /// Rows that took this step.
    pub rows: usize,
    /// Units.
    pub hidden: usize,
    /// What forward kept.
    pub kept: &'a [F],
    /// From one row to the next in `kept`.
    pub kept_row: usize,
    /// h before the step, in rows of `states_row`.
    pub states: &'a [F],
    /// From one row to the next in `states`.
    pub states_row: usize,
    /// The gradient of this step's output, if there is one.
    pub d_y: Option<Rows<'a, F>>,
    /// The gradient of the states after the step; becomes that of the states before it, without what
    /// goes through the products.
    pub carry: &'a mut [F],
    /// From one state to the next in `carry`.
    pub carry_state: usize,
    /// From one row to the next in `carry` and `d_reset`.
    pub carry_row: usize,
    /// Reset-before only: the gradient of r ⊙ h.
    pub d_reset: &'a mut [F],
    /// Reset-before only: r ⊙ h again, in rows of `states_row`.
    pub operand: &'a mut [F],
    /// The gradients of the pre-activations: row by row, slot by slot, unit by unit.
    pub d_gates: &'a mut [F],
    /// From one row to the next in `d_gates`.
    pub d_row: usize,
}

impl<F: Float> GatesBackward<'_, F> {
    /// Panels of one vector.
    #[inline(always)]
    pub fn panels<S: Simd<F>>(&self) -> usize {
        self.hidden.div_ceil(S::LANES)
    }

    /// What forward kept of row r in panel p.
    #[inline(always)]
    pub fn kept<S: Simd<F>, const N: usize>(&self, s: S, panel: usize, row: usize) -> [S::V; N] {
        let kept = &self.kept[row * self.kept_row + panel * N * S::LANES..];
        let mut values = [s.splat(F::ZERO); N];
        for (i, value) in values.iter_mut().enumerate() {
            *value = s.load(&kept[i * S::LANES..]);
        }
        values
    }

    /// h before the step.
    #[inline(always)]
    pub fn state<S: Simd<F>>(&self, s: S, panel: usize, row: usize) -> S::V {
        s.load(&self.states[row * self.states_row + panel * S::LANES..])
    }

    /// The gradient of h after the step: what later steps say plus what the output says.
    #[inline(always)]
    pub fn d_h<S: Simd<F>>(&self, s: S, panel: usize, row: usize) -> S::V {
        let carry = s.load(&self.carry[row * self.carry_row + panel * S::LANES..]);
        match &self.d_y {
            Some(d_y) => {
                let units = self.units::<S>(panel);
                s.add(carry, s.load_first(&d_y.row(row)[units.start..units.end]))
            }
            None => carry,
        }
    }

    /// The units of a panel.
    #[inline(always)]
    pub fn units<S: Simd<F>>(&self, panel: usize) -> Range<usize> {
        panel * S::LANES..self.hidden.min((panel + 1) * S::LANES)
    }

    /// Stores the gradient of a slot's pre-activation, unless it has faded.
    #[inline(always)]
    pub fn store<S: Simd<F>>(&mut self, s: S, panel: usize, row: usize, slot: usize, value: S::V) {
        let units = self.units::<S>(panel);
        let at = row * self.d_row + slot * self.hidden;
        s.store_first(unless_faded(s, value), &mut self.d_gates[at + units.start..at + units.end]);
    }
}
