//! What all calls on one stack of layers share: its configuration, its view of the parameters, memory to be used again.
//! It must not know time.

use super::config::Config;
use super::parameters::Parameters;
use super::rows::Cut;
use super::sizes::Scan;
use super::weights::{BackwardPack, PhasePack, View, Weights};
use crate::buffer::{Spare, zeros};
use crate::error::{Error, Result};
use crate::parallel;
use crate::shape;
use crate::simd::{Dispatch, Isa};
use std::sync::Arc;

/// Rows below which a slice wastes what its weights cost to read.
pub const FEWEST_ROWS: usize = 8;

#[derive(Debug)]
pub(crate) struct Stack<F> {
    pub config: Config,
    pub parameters: Arc<Parameters<F>>,
    /// Where its parameters begin among the network's, and which of the network's stacks it is.
    pub place: (usize, usize),
    /// Memory of calls past for those to come.
    pub spare: Arc<Spare<F>>,
}

impl<F: Dispatch> Stack<F> {
    pub fn isa(&self) -> Isa {
        self.parameters.isa()
    }

    fn view(&self) -> View<'_> {
        let (begin, index) = self.place;
        View { config: &self.config, isa: self.isa(), begin, index }
    }

    /// For each layer and direction in order, its phases as forward reads them.
    pub fn forward<'w>(&self, weights: &'w Weights<F>) -> Result<&'w [Vec<PhasePack<F>>]> {
        weights.forward(&self.view())
    }

    /// For each layer and direction in order, its weights as backward reads them.
    pub fn backward<'w>(&self, weights: &'w Weights<F>) -> Result<&'w [BackwardPack<F>]> {
        weights.backward(&self.view())
    }

    /// Zeros, shaped as the states of a batch.
    pub fn states(&self, batch: usize, what: &'static str) -> Result<Vec<Vec<F>>> {
        let len = self.config.layers * self.config.directions() * batch * self.config.hidden;
        (0..self.config.cell.states()).map(|_| zeros(len, what)).collect()
    }

    /// Floating-point operations of a pass of so many steps of rows.
    pub fn operations(&self, steps: usize) -> usize {
        self.config.parameters().saturating_mul(steps).saturating_mul(2)
    }

    /// Threads for it.
    pub fn threads(&self, steps: usize) -> Result<usize> {
        parallel::worth(self.operations(steps))
    }

    /// A layer's scans, each once for every slice, with slice and whether it runs backwards.
    pub fn scans(&self, layer: usize, cut: &Cut) -> impl Iterator<Item = (Scan, usize, bool)> {
        let slices = cut.slices.len();
        (0..self.config.directions()).flat_map(move |direction| {
            (0..slices).map(move |slice| (self.scan(layer, direction), slice, direction == 1))
        })
    }

    /// The scans in the order of the parameters.
    pub fn scan(&self, layer: usize, direction: usize) -> Scan {
        let Config { cell, functions, hidden, .. } = self.config;
        let index = layer * self.config.directions() + direction;
        Scan { cell, functions, isa: self.isa(), input: self.config.inputs(layer), hidden, index }
    }
}

/// None, or one slice of the right length for each state of the cell.
pub fn expect_states<F>(argument: &'static str, config: &Config, states: &[&[F]], batch: usize) -> Result<()> {
    if !states.is_empty() && states.len() != config.cell.states() {
        let expected = format!("{} for {}", config.cell.states(), config.cell.name());
        return Err(Error::value(argument, format!("no states or {expected}"), states.len()));
    }
    let sizes = [config.layers, config.directions(), batch, config.hidden];
    shape::product("the states", &sizes)?;
    states.iter().try_for_each(|state| shape::expect_len(argument, state.len(), &sizes))
}
