//! The cells: which gates there are, in which order PyTorch stores them, where each lies in the
//! kernels' slots, and which kernel computes them. The only room, with `io::layout`, that knows a
//! gate's number. It must not know time or memory.

use crate::function::Functions;
use crate::kernels::gates::{Gates, GatesBackward};
use crate::kernels::squash::{Chosen, Squash, Standard};
use crate::kernels::{gru, lstm};
use crate::simd::{Dispatch, Isa};

/// Where the reset gate of a GRU acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// n = tanh(W x + b + r ⊙ (W h + b)): PyTorch, cuDNN, Keras by default.
    After,
    /// n = tanh(W x + b + W (r ⊙ h) + b): Cho et al. 2014, ONNX by default.
    Before,
}

/// A recurrent cell.
///
/// ```
/// use gru_rs::{Cell, Reset};
/// assert_eq!(Cell::Gru(Reset::After).states(), 1);
/// assert_eq!(Cell::Lstm.states(), 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Gated recurrent unit; its state is h.
    Gru(Reset),
    /// Long short-term memory; its states are h and c.
    Lstm,
}

/// What the recurrent product of a phase multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    /// h
    State,
    /// r ⊙ h
    Reset,
}

/// Part of a step whose gates need only what came before: one sweep of products, then the gates.
/// A unit's pre-activations are `slots` numbers; x adds to those from `x_at` on and the recurrent
/// operand to those from `h_at` on, so where both name a slot its chain runs through both.
#[derive(Debug)]
pub(crate) struct Phase {
    /// Pre-activations of a unit.
    pub slots: usize,
    /// The phase's first slot among all the cell's slots, as the gradients lie.
    pub base: usize,
    /// The gates that x feeds, in the order of their slots.
    pub x: &'static [usize],
    /// The slot of the first of them.
    pub x_at: usize,
    /// The gates that the recurrent operand feeds.
    pub h: &'static [usize],
    /// The slot of the first of them.
    pub h_at: usize,
    /// That operand.
    pub of: Operand,
}

/// PyTorch's order of the GRU's gates.
mod gru_gate {
    pub const R: usize = 0;
    pub const Z: usize = 1;
    pub const N: usize = 2;
}

/// PyTorch's order of the LSTM's gates.
mod lstm_gate {
    pub const ALL: &[usize] = &[0, 1, 2, 3];
}

use gru_gate::{N, R, Z};

/// Slots (x part of n, r, z, h part of n): the two parts of n stay apart until r is known.
const GRU_AFTER: &[Phase] =
    &[Phase { slots: 4, base: 0, x: &[N, R, Z], x_at: 0, h: &[R, Z, N], h_at: 1, of: Operand::State }];
const GRU_BEFORE: &[Phase] = &[
    Phase { slots: 2, base: 0, x: &[R, Z], x_at: 0, h: &[R, Z], h_at: 0, of: Operand::State },
    Phase { slots: 1, base: 2, x: &[N], x_at: 0, h: &[N], h_at: 0, of: Operand::Reset },
];
const LSTM: &[Phase] =
    &[Phase { slots: 4, base: 0, x: lstm_gate::ALL, x_at: 0, h: lstm_gate::ALL, h_at: 0, of: Operand::State }];

impl Cell {
    /// Its name, as in a class.
    pub fn name(self) -> &'static str {
        match self {
            Cell::Gru(_) => "GRU",
            Cell::Lstm => "LSTM",
        }
    }

    /// The letters of its gates, in the order of their rows in the weights.
    pub fn gate_names(self) -> &'static [&'static str] {
        match self {
            Cell::Gru(_) => &["r", "z", "n"],
            Cell::Lstm => &["i", "f", "g", "o"],
        }
    }

    /// The letters of the states carried from step to step, h first.
    pub fn state_names(self) -> &'static [&'static str] {
        match self {
            Cell::Gru(_) => &["h"],
            Cell::Lstm => &["h", "c"],
        }
    }

    /// Gates, each with its rows of the weights: 3 or 4.
    pub fn gates(self) -> usize {
        self.gate_names().len()
    }

    /// States carried from step to step: 1 (h) or 2 (h and c).
    pub fn states(self) -> usize {
        self.state_names().len()
    }

    pub(crate) fn phases(self) -> &'static [Phase] {
        match self {
            Cell::Gru(Reset::After) => GRU_AFTER,
            Cell::Gru(Reset::Before) => GRU_BEFORE,
            Cell::Lstm => LSTM,
        }
    }

    /// All slots of all phases: what a row of gradients holds for each unit.
    pub(crate) fn slots(self) -> usize {
        self.phases().iter().map(|phase| phase.slots).sum()
    }

    /// Whether some phase multiplies r ⊙ h.
    pub(crate) fn has_reset_operand(self) -> bool {
        self.phases().iter().any(|phase| phase.of == Operand::Reset)
    }

    /// The gates that x feeds, phase after phase: they lie side by side in a row of gradients.
    pub(crate) fn x_gates(self) -> impl Iterator<Item = usize> {
        self.phases().iter().flat_map(|phase| phase.x.iter().copied())
    }

    /// The first slot that x feeds.
    pub(crate) fn x_slot(self) -> usize {
        self.phases()[0].base + self.phases()[0].x_at
    }

    /// Numbers a step keeps for backward, for each unit.
    pub(crate) fn kept(self) -> usize {
        match self {
            Cell::Gru(Reset::After) => 4,
            Cell::Gru(Reset::Before) => 3,
            Cell::Lstm => 5,
        }
    }

    /// The gates of a phase.
    pub(crate) fn forward<F: Dispatch>(self, isa: Isa, functions: Functions, phase: usize, gates: Gates<'_, F>) {
        if functions == Functions::default() {
            self.forward_by(isa, phase, gates, Standard);
        } else {
            self.forward_by(isa, phase, gates, Chosen::new(functions));
        }
    }

    fn forward_by<F: Dispatch, Q: Squash<F>>(self, isa: Isa, phase: usize, gates: Gates<'_, F>, squash: Q) {
        match (self, phase) {
            (Cell::Gru(Reset::After), _) => F::dispatch(isa, gru::After(gates, squash)),
            (Cell::Gru(Reset::Before), 0) => F::dispatch(isa, gru::BeforeReset(gates, squash)),
            (Cell::Gru(Reset::Before), _) => F::dispatch(isa, gru::BeforeUpdate(gates, squash)),
            (Cell::Lstm, _) => F::dispatch(isa, lstm::Step(gates, squash)),
        }
    }

    /// Their gradients.
    pub(crate) fn backward<F: Dispatch>(
        self, isa: Isa, functions: Functions, phase: usize, gates: GatesBackward<'_, F>,
    ) {
        if functions == Functions::default() {
            self.backward_by(isa, phase, gates, Standard);
        } else {
            self.backward_by(isa, phase, gates, Chosen::new(functions));
        }
    }

    fn backward_by<F: Dispatch, Q: Squash<F>>(self, isa: Isa, phase: usize, gates: GatesBackward<'_, F>, squash: Q) {
        match (self, phase) {
            (Cell::Gru(Reset::After), _) => F::dispatch(isa, gru::AfterBackward(gates, squash)),
            (Cell::Gru(Reset::Before), 0) => F::dispatch(isa, gru::BeforeResetBackward(gates, squash)),
            (Cell::Gru(Reset::Before), _) => F::dispatch(isa, gru::BeforeUpdateBackward(gates, squash)),
            (Cell::Lstm, _) => F::dispatch(isa, lstm::StepBackward(gates, squash)),
        }
    }
}
