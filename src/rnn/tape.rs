//! What training keeps between forward and backward, and backward over the whole stack. It must not
//! know how a scan does its work.

use super::params::Weights;
use super::scan::Kept;
use super::scan_backward::{Backward, IoBackward, ParamSums, WorkspaceBackward};
use super::sequence::{Array, Walk};
use super::stack::{Batch, Shared, expect_states, mask};
use crate::buffer::{Aligned, zeros};
use crate::error::{Error, Result};
use crate::shape::{self, Rows};
use crate::simd::Dispatch;
use std::sync::Arc;

/// The record of one [`forward`](crate::Rnn::forward), good for one backward.
#[derive(Debug)]
pub struct Tape<F> {
    shared: Arc<Shared<F>>,
    batch: usize,
    seq: usize,
    rows: Rows,
    pub(super) seed: u64,
    /// None once used.
    record: Option<Record<F>>,
}

/// What backward reads.
#[derive(Debug)]
pub(super) struct Record<F> {
    pub weights: Arc<Weights<F>>,
    /// Each layer's input, as its scans saw it.
    pub inputs: Vec<Aligned<F>>,
    /// Each scan's steps, in the order of the parameters.
    pub kept: Vec<Kept<F>>,
}

impl<F> Tape<F> {
    /// Leaves the memory to the layer's next calls.
    fn let_go(&mut self) {
        if let Some(Record { inputs, kept, .. }) = self.record.take() {
            let kept = kept.into_iter().flat_map(|kept| [kept.gates, kept.states]);
            self.shared.spare.give(inputs.into_iter().chain(kept));
        }
    }
}

impl<F> Drop for Tape<F> {
    fn drop(&mut self) {
        self.let_go();
    }
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
    pub(super) fn new(shared: Arc<Shared<F>>, batch: &Batch<'_, F>, rows: Rows, seed: u64, record: Record<F>) -> Self {
        Self { shared, batch: batch.batch, seq: batch.seq, rows, seed, record: Some(record) }
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        let Some(record) = &self.record else { return 0 };
        let kept: usize = record.kept.iter().map(|kept| kept.gates.len() + kept.states.len()).sum();
        let inputs: usize = record.inputs.iter().map(|x| x.len()).sum();
        (kept + inputs) * size_of::<F>()
    }

    /// The gradients of a loss whose gradient is `d_y` at the outputs and `d_states` at the final
    /// states; what is missing counts as zero. What `d_y` holds past a row's length is ignored.
    ///
    /// A second call, or one after the weights were written, is [`Error::State`]. Arguments that cannot
    /// be used leave the tape good.
    pub fn backward(&mut self, d_y: Option<&[F]>, d_states: &[&[F]]) -> Result<Gradients<F>> {
        let config = &self.shared.config;
        let used = || Error::state("this tape was used: a tape is good for one backward");
        let record = self.record.as_ref().ok_or_else(used)?;
        if self.shared.version() != record.weights.version {
            return Err(Error::state("the weights were written since this tape's forward: run forward again"));
        }
        let outputs = self.seq * self.batch * config.outputs();
        if let Some(d_y) = d_y {
            shape::expect_len("dy", d_y.len(), &[outputs])?;
        }
        expect_states("dh_n", config, d_states, self.batch)?;
        let gradients = self.layers(record, d_y, d_states)?;
        self.let_go();
        Ok(gradients)
    }

    fn layers(&self, record: &Record<F>, d_y: Option<&[F]>, d_finals: &[&[F]]) -> Result<Gradients<F>> {
        let config = &self.shared.config;
        let state_len = config.layers * config.directions() * self.batch * config.hidden;
        let mut states =
            (0..config.cell.states()).map(|_| zeros(state_len, "gradients")).collect::<Result<Vec<_>>>()?;
        let mut flat = zeros(config.parameters(), "gradients")?;
        let mut above: Option<Vec<F>> = None;
        for layer in (0..config.layers).rev() {
            let mut d_x = zeros(record.inputs[layer].len(), "gradients")?;
            for direction in 0..config.directions() {
                let d_y = above.as_deref().or(d_y).map(|d_y| d_y.get(direction * config.hidden..).unwrap_or_default());
                let array = |width| Array::new(config.batch_first, self.batch, self.seq, width);
                let mut io = IoBackward {
                    batch: self.batch,
                    x: &record.inputs[layer],
                    x_array: array(config.inputs(layer)),
                    d_y,
                    y_array: array(config.outputs()),
                    d_finals,
                    d_x: &mut d_x,
                    d_initial: &mut states,
                };
                self.scan(record, (layer, direction), &mut io, &mut flat)?;
            }
            if layer > 0 {
                mask(&mut d_x, config.dropout, self.seed, layer - 1);
            }
            above = Some(d_x);
        }
        Ok(Gradients { x: above.unwrap_or_default(), states, flat })
    }

    fn scan(
        &self, record: &Record<F>, (layer, direction): (usize, usize), io: &mut IoBackward<'_, F>, flat: &mut [F],
    ) -> Result<()> {
        let scan = self.shared.scan(layer, direction);
        let pack = &record.weights.backward(&self.shared.config, self.shared.isa)?[scan.index];
        let spare = &self.shared.spare;
        let mut sums = ParamSums::new(&scan, spare)?;
        let mut work = WorkspaceBackward::new(&scan, self.rows.order.len(), pack, &sums, spare)?;
        let kept = &record.kept[scan.index];
        let mut kept_first = 0;
        for walk in Walk::groups(&self.rows, direction == 1) {
            let (work, sums) = (&mut work, &mut sums);
            Backward { scan, pack, walk, io, work, kept, kept_first, sums }.run();
            kept_first += walk.total();
        }
        if let Some((_, _, part)) = self.shared.config.scans().nth(scan.index) {
            sums.write(&scan, &part, flat);
        }
        spare.give(work.into_buffers().into_iter().chain(sums.into_buffers()));
        Ok(())
    }
}
