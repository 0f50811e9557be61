//! What a stack is made of, and where its parameters lie: end to end in the order of PyTorch's state dict. It must not
//! know time.

use super::cell::{Cell, Reset};
use crate::buffer::expect_room;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::function::Functions;
use crate::rng::Rng;
use crate::shape;
use std::ops::Range;

/// Bytes of the names of a layer's direction, here and in Python.
const NAMES: usize = 2048;

/// What a layer is: the arguments of its constructor.
///
/// ```
/// use gru_rs::{Config, Gru};
/// let config = Config { layers: 2, bidirectional: true, ..Config::gru(3, 8) };
/// let gru = Gru::<f32>::new(config)?;
/// assert_eq!(gru.config().outputs(), 16);
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// GRU or LSTM.
    pub cell: Cell,
    /// Of its gates.
    pub functions: Functions,
    /// Numbers a step of the input.
    pub input: usize,
    /// Units of a layer and direction.
    pub hidden: usize,
    /// Layers, one on the other.
    pub layers: usize,
    /// Whether there are biases.
    pub bias: bool,
    /// A second direction, whose outputs stand beside the first's.
    pub bidirectional: bool,
    /// Share of the outputs of every layer but the last that training drops.
    pub dropout: f64,
    /// Whether arrays are `(batch, seq, …)`.
    pub batch_first: bool,
    /// Of the initial weights and of dropout.
    pub seed: u64,
}

impl Config {
    /// One layer of a GRU with the reset of PyTorch.
    pub fn gru(input: usize, hidden: usize) -> Self {
        Self {
            cell: Cell::Gru(Reset::After),
            functions: Functions::default(),
            input,
            hidden,
            layers: 1,
            bias: true,
            bidirectional: false,
            dropout: 0.0,
            batch_first: false,
            seed: 0,
        }
    }

    /// One layer of an LSTM.
    pub fn lstm(input: usize, hidden: usize) -> Self {
        Self { cell: Cell::Lstm, ..Self::gru(input, hidden) }
    }

    /// 1, or 2 when bidirectional.
    pub fn directions(&self) -> usize {
        1 + usize::from(self.bidirectional)
    }

    /// Numbers a step of the output.
    pub fn outputs(&self) -> usize {
        self.directions() * self.hidden
    }

    /// Numbers a step of a layer's input.
    pub fn inputs(&self, layer: usize) -> usize {
        if layer == 0 { self.input } else { self.outputs() }
    }

    /// All parameters.
    pub fn parameters(&self) -> usize {
        let rows = self.cell.gates() * self.hidden;
        let scan = |input: usize| rows * (input + self.hidden + if self.bias { 2 } else { 0 });
        self.directions() * (scan(self.input) + (self.layers - 1) * scan(self.outputs()))
    }

    pub(crate) fn check(&self) -> Result<()> {
        shape::positive("input_size", self.input)?;
        shape::positive("hidden_size", self.hidden)?;
        shape::positive("num_layers", self.layers)?;
        self.functions.check()?;
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::value("dropout", "a number of [0, 1)", self.dropout));
        }
        if self.dropout > 0.0 && self.layers == 1 {
            let got = format!("{} with 1 layer", self.dropout);
            return Err(Error::value("dropout", "num_layers > 1, between which to drop", got));
        }
        let wide = self.input.max(shape::product("hidden_size", &[self.directions(), self.hidden])?);
        // Twice: the packed copies are padded.
        let sizes =
            [2, self.layers, self.directions(), self.cell.gates(), self.hidden, wide.saturating_add(self.hidden)];
        shape::product("input_size, hidden_size and num_layers", &sizes)?;
        expect_room(self.layers, self.directions() * NAMES, "names of parameters")
    }

    /// Each layer's directions, with where their parameters lie.
    pub(crate) fn scans(&self) -> impl Iterator<Item = (usize, usize, Places)> + '_ {
        let mut begin = 0;
        let pairs = (0..self.layers).flat_map(|layer| (0..self.directions()).map(move |direction| (layer, direction)));
        pairs.map(move |(layer, direction)| {
            let places =
                Places::new(begin, self.cell.gates() * self.hidden, self.inputs(layer), self.hidden, self.bias);
            begin = places.all().end;
            (layer, direction, places)
        })
    }

    /// First weights, uniform in ±1/√hidden as PyTorch's.
    pub(crate) fn draw<F: Float>(&self, flat: &mut [F], rng: &mut Rng) {
        rng.fill(flat, 1.0 / (self.hidden as f64).sqrt());
    }

    /// PyTorch's names of the parameters, their place in the flat buffer and their shapes, in order.
    pub fn names(&self) -> Vec<(String, Range<usize>, Vec<usize>)> {
        let mut names = Vec::new();
        for (layer, direction, places) in self.scans() {
            let tail = format!("_l{layer}{}", if direction == 1 { "_reverse" } else { "" });
            let rows = self.cell.gates() * self.hidden;
            names.push((format!("weight_ih{tail}"), places.w_ih.clone(), vec![rows, self.inputs(layer)]));
            names.push((format!("weight_hh{tail}"), places.w_hh.clone(), vec![rows, self.hidden]));
            if self.bias {
                names.push((format!("bias_ih{tail}"), places.b_ih.clone(), vec![rows]));
                names.push((format!("bias_hh{tail}"), places.b_hh.clone(), vec![rows]));
            }
        }
        names
    }
}

/// Where the parameters of one layer and direction lie in the flat buffer.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub w_ih: Range<usize>,
    pub w_hh: Range<usize>,
    pub b_ih: Range<usize>,
    pub b_hh: Range<usize>,
}

impl Places {
    fn new(begin: usize, rows: usize, inputs: usize, hidden: usize, bias: bool) -> Self {
        let w_ih = begin..begin + rows * inputs;
        let w_hh = w_ih.end..w_ih.end + rows * hidden;
        let biases = if bias { rows } else { 0 };
        let b_ih = w_hh.end..w_hh.end + biases;
        let b_hh = b_ih.end..b_ih.end + biases;
        Self { w_ih, w_hh, b_ih, b_hh }
    }

    pub fn all(&self) -> Range<usize> {
        self.w_ih.start..self.b_hh.end
    }
}
