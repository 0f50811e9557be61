//! What training keeps between forward and backward, and backward over the whole stack. It must not
//! know how a scan does its work.

use super::params::Weights;
use super::scan::Kept;
use super::scan_backward::{Backward, IoBackward, ParamSums, WorkspaceBackward};
use super::sequence::{Array, Walk};
use super::stack::{Batch, Shared, expect_states, mask};
use crate::buffer::{copied, zeros};
use crate::error::{Error, Result};
use crate::shape::{self, Rows};
use crate::simd::Dispatch;
use std::sync::Arc;

/// The record of one [`forward`](crate::Rnn::forward), good for one backward.
#[derive(Debug)]
pub struct Tape<F> {
    shared: Arc<Shared<F>>,
    pub(super) weights: Arc<Weights<F>>,
    batch: usize,
    seq: usize,
    rows: Rows,
    pub(super) seed: u64,
    /// Each layer's input, as its scans saw it.
    inputs: Vec<Vec<F>>,
    /// Each scan's steps, in the order of the parameters; none once used.
    kept: Vec<Kept<F>>,
    used: bool,
}

/// The gradients of a loss.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients<F> {
    /// Of the inputs, shaped as they; 0 past a row's length.
    pub x: Vec<F>,
    /// Of the initial states, shaped as they.
    pub states: Vec<Vec<F>>,
    /// Of the parameters, end to end as [`flat`](crate::Rnn::flat).
    pub flat: Vec<F>,
}

impl<F: Dispatch> Tape<F> {
    pub(super) fn new(shared: Arc<Shared<F>>, batch: &Batch<'_, F>, rows: Rows, seed: u64) -> Result<Self> {
        let weights = shared.weights();
        let inputs = vec![copied(batch.x, "tape")?];
        let (batch, seq) = (batch.batch, batch.seq);
        Ok(Self { shared, weights, batch, seq, rows, seed, inputs, kept: Vec::new(), used: false })
    }

    pub(super) fn keep(&mut self, kept: Kept<F>) {
        self.kept.push(kept);
    }

    pub(super) fn keep_input(&mut self, input: Vec<F>) {
        self.inputs.push(input);
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        let kept: usize = self.kept.iter().map(|kept| kept.gates.len() + kept.states.len()).sum();
        let inputs: usize = self.inputs.iter().map(Vec::len).sum();
        (kept + inputs) * size_of::<F>()
    }

    /// The gradients of a loss whose gradient is `d_y` at the outputs and `d_states` at the final
    /// states; what is missing counts as zero. What `d_y` holds past a row's length is ignored.
    ///
    /// A second call, or one after the weights were written, is [`Error::State`]. Arguments that cannot
    /// be used leave the tape good.
    pub fn backward(&mut self, d_y: Option<&[F]>, d_states: &[&[F]]) -> Result<Gradients<F>> {
        let config = &self.shared.config;
        if self.used {
            return Err(Error::state("this tape was used: a tape is good for one backward"));
        }
        if self.shared.version() != self.weights.version {
            return Err(Error::state("the weights were written since this tape's forward: run forward again"));
        }
        let outputs = self.seq * self.batch * config.outputs();
        if let Some(d_y) = d_y {
            shape::expect_len("dy", d_y.len(), &[outputs])?;
        }
        expect_states("dh_n", config, d_states, self.batch)?;
        let gradients = self.layers(d_y, d_states)?;
        self.used = true;
        self.kept.clear();
        self.inputs.clear();
        Ok(gradients)
    }

    fn layers(&self, d_y: Option<&[F]>, d_finals: &[&[F]]) -> Result<Gradients<F>> {
        let config = &self.shared.config;
        let state_len = config.layers * config.directions() * self.batch * config.hidden;
        let mut states =
            (0..config.cell.states()).map(|_| zeros(state_len, "gradients")).collect::<Result<Vec<_>>>()?;
        let mut flat = zeros(config.parameters(), "gradients")?;
        let mut above: Option<Vec<F>> = None;
        for layer in (0..config.layers).rev() {
            let mut d_x = zeros(self.inputs[layer].len(), "gradients")?;
            for direction in 0..config.directions() {
                let d_y = above.as_deref().or(d_y).map(|d_y| d_y.get(direction * config.hidden..).unwrap_or_default());
                let array = |width| Array::new(config.batch_first, self.batch, self.seq, width);
                let mut io = IoBackward {
                    batch: self.batch,
                    x: &self.inputs[layer],
                    x_array: array(config.inputs(layer)),
                    d_y,
                    y_array: array(config.outputs()),
                    d_finals,
                    d_x: &mut d_x,
                    d_initial: &mut states,
                };
                self.scan(layer, direction, &mut io, &mut flat)?;
            }
            if layer > 0 {
                mask(&mut d_x, config.dropout, self.seed, layer - 1);
            }
            above = Some(d_x);
        }
        Ok(Gradients { x: above.unwrap_or_default(), states, flat })
    }

    fn scan(&self, layer: usize, direction: usize, io: &mut IoBackward<'_, F>, flat: &mut [F]) -> Result<()> {
        let scan = self.shared.scan(layer, direction);
        let pack = &self.weights.backward(&self.shared.config, self.shared.isa)?[scan.index];
        let mut sums = ParamSums::new(&scan)?;
        let mut work = WorkspaceBackward::new(&scan, self.rows.order.len(), pack, &sums)?;
        let kept = &self.kept[scan.index];
        let mut kept_first = 0;
        for walk in Walk::groups(&self.rows, direction == 1) {
            let (work, sums) = (&mut work, &mut sums);
            Backward { scan, pack, walk, io, work, kept, kept_first, sums }.run();
            kept_first += walk.total();
        }
        if let Some((_, _, part)) = self.shared.config.scans().nth(scan.index) {
            sums.write(&scan, &part, flat);
        }
        Ok(())
    }
}
