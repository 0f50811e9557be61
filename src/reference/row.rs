//! What a recurrence is of, and the sums and functions of one row.

use crate::function::{Function, Functions};

/// The recurrences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// PyTorch's GRU.
    GruResetAfter,
    /// Cho's GRU.
    GruResetBefore,
    /// LSTM.
    Lstm,
}

impl Kind {
    /// Gates, in PyTorch's order: (r, z, n) or (i, f, g, o).
    pub fn gates(self) -> usize {
        match self {
            Kind::GruResetAfter | Kind::GruResetBefore => 3,
            Kind::Lstm => 4,
        }
    }
}

/// The parameters of one layer in one direction, in PyTorch's shapes; empty biases are zeros.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// Which recurrence.
    pub kind: Kind,
    /// Of its gates.
    pub functions: Functions,
    /// Numbers a step of x.
    pub input: usize,
    /// Units.
    pub hidden: usize,
    /// `(gates · hidden, input)`
    pub w_ih: &'a [f64],
    /// `(gates · hidden, hidden)`
    pub w_hh: &'a [f64],
    /// `(gates · hidden,)` or empty
    pub b_ih: &'a [f64],
    /// `(gates · hidden,)` or empty
    pub b_hh: &'a [f64],
}

/// All that happened in a sequence.
#[derive(Clone, Debug)]
pub struct Run {
    /// The inputs.
    pub x: Vec<Vec<f64>>,
    /// h after each step.
    pub y: Vec<Vec<f64>>,
    /// h before each step, and after the last.
    pub h: Vec<Vec<f64>>,
    /// c before each step, and after the last (LSTM).
    pub c: Vec<Vec<f64>>,
    /// Each step's gates, one vector each.
    pub gates: Vec<Vec<Vec<f64>>>,
}

/// The gradients of a sequence.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// Of each step's x.
    pub x: Vec<Vec<f64>>,
    /// Of h before the first step.
    pub h: Vec<f64>,
    /// Of c before the first step (LSTM).
    pub c: Vec<f64>,
    /// Of the weights and biases, shaped as they.
    pub w_ih: Vec<f64>,
    /// See `w_ih`.
    pub w_hh: Vec<f64>,
    /// See `w_ih`; also when there are no biases.
    pub b_ih: Vec<f64>,
    /// See `b_ih`.
    pub b_hh: Vec<f64>,
}

/// A function's value, of an argument within the bound.
fn value(bound: f64, function: Function, x: f64) -> f64 {
    let x = x.clamp(-bound, bound);
    match function {
        Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Function::Tanh => x.tanh(),
        Function::Relu => x.max(0.0),
        Function::HardSigmoid => (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Function::HardSigmoidFifth => (0.2 * x + 0.5).clamp(0.0, 1.0),
    }
}

/// Its derivative where its value is v: 0 where the argument is at a bound.
fn slope(bound: f64, function: Function, v: f64) -> f64 {
    if v <= value(bound, function, -bound) || v >= value(bound, function, bound) {
        return 0.0;
    }
    match function {
        Function::Sigmoid => v * (1.0 - v),
        Function::Tanh => 1.0 - v * v,
        Function::Relu => 1.0,
        Function::HardSigmoid => 1.0 / 6.0,
        Function::HardSigmoidFifth => 0.2,
    }
}

impl Weights<'_> {
    fn bound(&self) -> f64 {
        self.functions.clip.unwrap_or(f64::INFINITY)
    }

    pub(super) fn gate(&self, x: f64) -> f64 {
        value(self.bound(), self.functions.gate, x)
    }

    pub(super) fn d_gate(&self, v: f64) -> f64 {
        slope(self.bound(), self.functions.gate, v)
    }

    pub(super) fn candidate(&self, x: f64) -> f64 {
        value(self.bound(), self.functions.candidate, x)
    }

    pub(super) fn d_candidate(&self, v: f64) -> f64 {
        slope(self.bound(), self.functions.candidate, v)
    }

    /// What goes out of an LSTM's cell: no gate, so without the bound.
    pub(super) fn out(&self, c: f64) -> f64 {
        value(f64::INFINITY, self.functions.candidate, c)
    }

    pub(super) fn d_out(&self, v: f64) -> f64 {
        slope(f64::INFINITY, self.functions.candidate, v)
    }
}

/// W v + b for one row.
pub(super) fn affine(w: &[f64], b: &[f64], row: usize, v: &[f64]) -> f64 {
    let products = w[row * v.len()..].iter().zip(v).map(|(w, v)| w * v);
    b.get(row).copied().unwrap_or(0.0) + products.sum::<f64>()
}

/// Backward of [`affine`] in one row whose result has the gradient d.
pub(super) fn affine_backward(
    w: &[f64], row: usize, v: &[f64], d: f64, d_w: &mut [f64], d_b: &mut [f64], d_v: &mut [f64],
) {
    for (k, value) in v.iter().enumerate() {
        d_w[row * v.len() + k] += d * value;
        d_v[k] += d * w[row * v.len() + k];
    }
    d_b[row] += d;
}
