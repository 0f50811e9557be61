//! All parameters of a network at one moment, with the copies of each stack's that its kernels read, packed on first
//! use. It must not know time.

use super::cell::Phase;
use super::config::{Config, Places};
use crate::buffer::{Aligned, copied};
use crate::error::Result;
use crate::kernels::pack::{self, Packed, PackedMatrix};
use crate::simd::{Dispatch, Isa};
use crate::weights::{Matrix, Names, Store, Width};
use std::ops::Range;
use std::sync::OnceLock;

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

/// The parameters at one moment. Never changed while anyone else holds them.
#[derive(Debug)]
pub(crate) struct Weights<F> {
    /// Of all the network.
    pub store: Store<F>,
    /// Raised by every write.
    pub version: u64,
    /// For each of the network's stacks.
    packed: Vec<Packs<F>>,
}

/// What the kernels of one stack read, layer by layer, direction by direction.
#[derive(Debug)]
struct Packs<F> {
    /// The phases of each.
    forward: OnceLock<Vec<Vec<PhasePack<F>>>>,
    backward: OnceLock<Vec<BackwardPack<F>>>,
}

/// Which of a network's stacks, and where its parameters begin among all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub config: &'a Config,
    pub isa: Isa,
    pub begin: usize,
    pub index: usize,
}

impl<F: Dispatch> Weights<F> {
    /// Of a network of so many stacks.
    pub fn new(store: Store<F>, stacks: usize, version: u64) -> Self {
        Self { store, version, packed: unpacked(stacks) }
    }

    /// A copy to write to.
    pub fn successor(&self) -> Result<Self> {
        let flat = copied(self.store.flat()?, "weights")?;
        Ok(Self::new(Store::of_floats(flat), self.packed.len(), self.version))
    }

    /// The same with quantized matrices; `names` are all parameters'.
    pub fn quantized(&self, names: &Names, width: Width) -> Result<Self> {
        Ok(Self::new(self.store.quantized(names, width)?, self.packed.len(), self.version + 1))
    }

    /// To be called after writing: what was packed is stale.
    pub fn written(&mut self) {
        self.version += 1;
        self.packed = unpacked(self.packed.len());
    }

    /// For each layer and direction of a stack in order, its phases.
    pub fn forward(&self, view: &View<'_>) -> Result<&[Vec<PhasePack<F>>]> {
        let packer = Packer { store: &self.store, config: view.config, isa: view.isa, begin: view.begin };
        once(&self.packed[view.index].forward, || {
            view.config.scans().map(|(layer, _, places)| packer.forward(layer, &places)).collect()
        })
    }

    /// For each layer and direction of a stack in order.
    pub fn backward(&self, view: &View<'_>) -> Result<&[BackwardPack<F>]> {
        let packer = Packer { store: &self.store, config: view.config, isa: view.isa, begin: view.begin };
        once(&self.packed[view.index].backward, || {
            view.config.scans().map(|(layer, _, places)| packer.backward(layer, &places)).collect()
        })
    }
}

fn unpacked<F>(stacks: usize) -> Vec<Packs<F>> {
    (0..stacks).map(|_| Packs { forward: OnceLock::new(), backward: OnceLock::new() }).collect()
}

/// Packs the parameters of one stack.
struct Packer<'a, F> {
    store: &'a Store<F>,
    config: &'a Config,
    isa: Isa,
    begin: usize,
}

impl<F: Dispatch> Packer<'_, F> {
    fn matrix(&self, place: &Range<usize>) -> Matrix<'_, F> {
        self.store.matrix(&(self.begin + place.start..self.begin + place.end))
    }

    fn numbers(&self, place: &Range<usize>) -> &[F] {
        self.store.numbers(&(self.begin + place.start..self.begin + place.end))
    }

    fn forward(&self, layer: usize, places: &Places) -> Result<Vec<PhasePack<F>>> {
        let (config, isa, units) = (self.config, self.isa, self.config.hidden);
        let (w_ih, w_hh) = (self.matrix(&places.w_ih), self.matrix(&places.w_hh));
        let pack = |phase: &Phase| {
            Ok(PhasePack {
                bias: self.bias(places, phase)?,
                w_ih: pack::by_units(isa, w_ih, &row_blocks(phase.x, units), units, config.inputs(layer))?,
                w_hh: pack::by_units(isa, w_hh, &row_blocks(phase.h, units), units, units)?,
            })
        };
        config.cell.phases().iter().map(pack).collect()
    }

    /// A slot's bias is the sum of those of the gates that x and h put there.
    fn bias(&self, places: &Places, phase: &Phase) -> Result<Aligned<F>> {
        let (config, lanes) = (self.config, F::lanes(self.isa));
        let row = phase.slots * lanes;
        let mut out = Aligned::zeros(config.hidden.div_ceil(lanes) * row, "packed biases")?;
        if config.bias {
            for (bias, gates, at) in [(&places.b_ih, phase.x, phase.x_at), (&places.b_hh, phase.h, phase.h_at)] {
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

    fn backward(&self, layer: usize, places: &Places) -> Result<BackwardPack<F>> {
        let (config, isa, units) = (self.config, self.isa, self.config.hidden);
        let own = &self.store.flat()?[self.begin..];
        let (w_ih, w_hh) = (&own[places.w_ih.clone()], &own[places.w_hh.clone()]);
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
