//! A stack's sizes, its parameters end to end in one buffer in the order of PyTorch's state dict, and
//! the packed copies that the kernels read. It must not know time.

use super::cell::{Cell, Phase, Reset};
use crate::buffer::{Aligned, copied, zeros};
use crate::error::{Error, Result};
use crate::function::Functions;
use crate::kernels::pack::{self, Packed, PackedMatrix};
use crate::narrow::{Matrix, Names, Narrow, Part as Kept, Store, can_be_narrow};
use crate::rng::Rng;
use crate::shape;
use crate::simd::{Dispatch, Isa};
use std::ops::Range;
use std::sync::OnceLock;

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
            return Err(Error::value("dropout", "num_layers > 1, between which to drop,", got));
        }
        let wide = self.input.max(shape::product("hidden_size", &[self.directions(), self.hidden])?);
        // Twice: the packed copies are padded.
        let sizes =
            [2, self.layers, self.directions(), self.cell.gates(), self.hidden, wide.saturating_add(self.hidden)];
        shape::product("input_size, hidden_size and num_layers", &sizes).map(drop)
    }

    /// Each layer's directions, with where their parameters lie.
    pub(crate) fn scans(&self) -> impl Iterator<Item = (usize, usize, Part)> + '_ {
        let mut begin = 0;
        let pairs = (0..self.layers).flat_map(|layer| (0..self.directions()).map(move |direction| (layer, direction)));
        pairs.map(move |(layer, direction)| {
            let part = Part::new(begin, self.cell.gates() * self.hidden, self.inputs(layer), self.hidden, self.bias);
            begin = part.all().end;
            (layer, direction, part)
        })
    }

    /// Where each parameter lies in the flat buffer, in order.
    pub(crate) fn places(&self) -> Vec<Range<usize>> {
        let places = self.scans().flat_map(|(_, _, part)| [part.w_ih, part.w_hh, part.b_ih, part.b_hh]);
        places.filter(|place| !place.is_empty()).collect()
    }

    /// PyTorch's names of the parameters, their place in the flat buffer and their shapes, in order.
    pub fn names(&self) -> Vec<(String, Range<usize>, Vec<usize>)> {
        let mut names = Vec::new();
        for (layer, direction, part) in self.scans() {
            let tail = format!("_l{layer}{}", if direction == 1 { "_reverse" } else { "" });
            let rows = self.cell.gates() * self.hidden;
            names.push((format!("weight_ih{tail}"), part.w_ih.clone(), vec![rows, self.inputs(layer)]));
            names.push((format!("weight_hh{tail}"), part.w_hh.clone(), vec![rows, self.hidden]));
            if self.bias {
                names.push((format!("bias_ih{tail}"), part.b_ih.clone(), vec![rows]));
                names.push((format!("bias_hh{tail}"), part.b_hh.clone(), vec![rows]));
            }
        }
        names
    }
}

/// Where the parameters of one layer and direction lie in the flat buffer.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub w_ih: Range<usize>,
    pub w_hh: Range<usize>,
    pub b_ih: Range<usize>,
    pub b_hh: Range<usize>,
}

impl Part {
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

/// One phase as the forward kernels read it.
#[derive(Debug)]
pub(crate) struct PhasePack<F> {
    /// The slots' biases, panel by panel.
    pub bias: Aligned<F>,
    pub w_ih: PackedMatrix<F>,
    pub w_hh: PackedMatrix<F>,
}

/// The weights of one layer and direction as the backward kernels read them.
#[derive(Debug)]
pub(crate) struct BackwardPack<F> {
    pub w_ih: Packed<F>,
    /// A phase each.
    pub w_hh: Vec<Packed<F>>,
}

/// The parameters at one moment, with what is packed from them on first use. Never changed while
/// anyone else holds them.
#[derive(Debug)]
pub(crate) struct Weights<F> {
    /// Of the stack, and of a model around it.
    pub store: Store<F>,
    /// Where the stack's begin.
    begin: usize,
    /// Raised by every write.
    pub version: u64,
    forward: OnceLock<Vec<Vec<PhasePack<F>>>>,
    backward: OnceLock<Vec<BackwardPack<F>>>,
}

impl<F: Dispatch> Weights<F> {
    pub fn new(store: Store<F>, begin: usize, version: u64) -> Self {
        Self { store, begin, version, forward: OnceLock::new(), backward: OnceLock::new() }
    }

    /// Uniform in ±1/√H as PyTorch, with room for `around` others before and behind.
    pub fn init(config: &Config, around: (usize, usize), rng: &mut Rng) -> Result<Self> {
        let bound = 1.0 / (config.hidden as f64).sqrt();
        let own = around.0..around.0 + config.parameters();
        let mut flat = zeros(own.end + around.1, "weights")?;
        flat[own].iter_mut().for_each(|w| *w = F::from_f64(rng.symmetric() * bound));
        Ok(Self::new(Store::whole(flat), around.0, 0))
    }

    /// All parameters, if they can be learnt.
    pub fn flat(&self) -> Result<&[F]> {
        self.store.flat().ok_or_else(|| self.refusal())
    }

    /// The same, to be written.
    pub fn flat_mut(&mut self) -> Result<&mut [F]> {
        let refusal = self.refusal();
        self.store.flat_mut().ok_or(refusal)
    }

    fn refusal(&self) -> Error {
        let kept = self.store.narrow().map_or("whole", Narrow::name);
        Error::state(format!(
            "{kept} weights do not learn, and are quantized already: train, write or quantize those they were made of"
        ))
    }

    /// A copy to write to.
    pub fn successor(&self) -> Result<Self> {
        let flat = copied(self.flat()?, "weights")?;
        Ok(Self::new(Store::whole(flat), self.begin, self.version))
    }

    /// With the same numbers, whatever they are kept in.
    pub fn duplicate(&self) -> Result<Self> {
        Ok(Self::new(self.store.duplicate()?, self.begin, self.version))
    }

    /// The same with narrow matrices; `names` are all parameters'.
    pub fn narrowed(&self, names: &Names, narrow: Narrow) -> Result<Self> {
        let flat = self.flat()?;
        let parts = names.iter().map(|(name, place, shape)| match can_be_narrow(name, shape) {
            true => Kept::narrowed(&flat[place.clone()], shape[1], narrow, name),
            false => Ok(Kept::Whole(copied(&flat[place.clone()], "narrow weights")?)),
        });
        Ok(Self::new(Store::of(parts.collect::<Result<_>>()?)?, self.begin, self.version + 1))
    }

    /// A matrix of the stack's own.
    fn matrix(&self, place: &Range<usize>) -> Matrix<'_, F> {
        self.store.matrix(&(self.begin + place.start..self.begin + place.end))
    }

    /// Biases of the stack's own.
    fn numbers(&self, place: &Range<usize>) -> &[F] {
        self.store.numbers(&(self.begin + place.start..self.begin + place.end))
    }

    /// The stack's own, to be learnt.
    fn own(&self) -> Result<&[F]> {
        Ok(&self.flat()?[self.begin..])
    }

    /// To be called after writing: what was packed is stale.
    pub fn written(&mut self) {
        self.version += 1;
        self.forward = OnceLock::new();
        self.backward = OnceLock::new();
    }

    /// For each layer and direction in order, its phases.
    pub fn forward(&self, config: &Config, isa: Isa) -> Result<&[Vec<PhasePack<F>>]> {
        once(&self.forward, || {
            let scans = config.scans();
            scans.map(|(layer, _, part)| self.pack_forward(config, layer, &part, isa)).collect()
        })
    }

    /// For each layer and direction in order.
    pub fn backward(&self, config: &Config, isa: Isa) -> Result<&[BackwardPack<F>]> {
        once(&self.backward, || {
            let scans = config.scans();
            scans.map(|(layer, _, part)| self.pack_backward(config, layer, &part, isa)).collect()
        })
    }

    fn pack_forward(&self, config: &Config, layer: usize, part: &Part, isa: Isa) -> Result<Vec<PhasePack<F>>> {
        let units = config.hidden;
        let (w_ih, w_hh) = (self.matrix(&part.w_ih), self.matrix(&part.w_hh));
        let pack = |phase: &Phase| {
            Ok(PhasePack {
                bias: self.pack_bias(config, part, phase, F::lanes(isa))?,
                w_ih: pack::by_units(isa, w_ih, &row_blocks(phase.x, units), units, config.inputs(layer))?,
                w_hh: pack::by_units(isa, w_hh, &row_blocks(phase.h, units), units, units)?,
            })
        };
        config.cell.phases().iter().map(pack).collect()
    }

    /// A slot's bias is the sum of those of the gates that x and h put there.
    fn pack_bias(&self, config: &Config, part: &Part, phase: &Phase, lanes: usize) -> Result<Aligned<F>> {
        let row = phase.slots * lanes;
        let mut out = Aligned::zeros(config.hidden.div_ceil(lanes) * row, "packed biases")?;
        if config.bias {
            for (bias, gates, at) in [(&part.b_ih, phase.x, phase.x_at), (&part.b_hh, phase.h, phase.h_at)] {
                for (slot, gate) in (at..).zip(gates) {
                    let units = &self.numbers(bias)[gate * config.hidden..][..config.hidden];
                    for (unit, &value) in units.iter().enumerate() {
                        out[unit / lanes * row + slot * lanes + unit % lanes] += value;
                    }
                }
            }
        }
        Ok(out)
    }

    fn pack_backward(&self, config: &Config, layer: usize, part: &Part, isa: Isa) -> Result<BackwardPack<F>> {
        let units = config.hidden;
        let (w_ih, w_hh) = (&self.own()?[part.w_ih.clone()], &self.own()?[part.w_hh.clone()]);
        let x_gates: Vec<usize> = config.cell.x_gates().collect();
        let w_ih = pack::by_columns(isa, w_ih, &row_blocks(&x_gates, units), units, config.inputs(layer))?;
        let pack_hh = |phase: &Phase| pack::by_columns(isa, w_hh, &row_blocks(phase.h, units), units, units);
        Ok(BackwardPack { w_ih, w_hh: config.cell.phases().iter().map(pack_hh).collect::<Result<_>>()? })
    }
}

/// What was made before, or is made now; a failure is not remembered, the next caller tries again.
fn once<T>(cell: &OnceLock<Vec<T>>, make: impl FnOnce() -> Result<Vec<T>>) -> Result<&[T]> {
    match cell.get() {
        Some(made) => Ok(made),
        None => make().map(|made| &cell.get_or_init(|| made)[..]),
    }
}

/// The first rows of the gates' weights.
fn row_blocks(gates: &[usize], units: usize) -> Vec<usize> {
    gates.iter().map(|gate| gate * units).collect()
}
