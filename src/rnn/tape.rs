//! What training keeps between forward and backward, and backward over the whole stack. It must not
//! know how a scan does its work.

use super::params::{BackwardPack, Weights};
use super::scan::{Kept, Scan};
use super::scan_backward::{Backward, IoBackward, ParamSums, WorkspaceBackward};
use super::sequence::{Array, Cut, Shape};
use super::stack::{Batch, Shared, expect_states, mask};
use crate::buffer::{Aligned, Spare, zeros};
use crate::error::{Error, Result};
use crate::parallel::{self, Turn};
use crate::shape;
use crate::simd::Dispatch;
use std::sync::Arc;

/// The record of one [`forward`](crate::Rnn::forward), good for one backward.
#[derive(Debug)]
pub struct Tape<F> {
    shared: Arc<Shared<F>>,
    batch: usize,
    seq: usize,
    cut: Cut,
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
    /// Each layer's steps, scan by scan and slice by slice.
    pub kept: Vec<Vec<Kept<F>>>,
}

impl<F> Tape<F> {
    /// Leaves the memory to the layer's next calls.
    fn let_go(&mut self) {
        if let Some(Record { inputs, kept, .. }) = self.record.take() {
            let kept = kept.into_iter().flatten().flat_map(|kept| [kept.gates, kept.states]);
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
    pub(super) fn new(shared: Arc<Shared<F>>, batch: &Batch<'_, F>, cut: Cut, seed: u64, record: Record<F>) -> Self {
        Self { shared, batch: batch.batch, seq: batch.seq, cut, seed, record: Some(record) }
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        let Some(record) = &self.record else { return 0 };
        let kept: usize = record.kept.iter().flatten().map(|kept| kept.gates.len() + kept.states.len()).sum();
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
            let d_y = above.as_deref().or(d_y);
            let mut d_x = self.layer(record, layer, (d_y, d_finals), &mut states, &mut flat)?;
            if layer > 0 {
                mask(&mut d_x, config.dropout, self.seed, layer - 1);
            }
            above = Some(d_x);
        }
        Ok(Gradients { x: above.unwrap_or_default(), states, flat })
    }

    /// Gives back the gradient of the layer's input.
    fn layer(
        &self, record: &Record<F>, layer: usize, (d_y, d_finals): (Option<&[F]>, &[&[F]]), states: &mut [Vec<F>],
        flat: &mut [F],
    ) -> Result<Vec<F>> {
        let (config, cut, spare) = (&self.shared.config, &self.cut, &self.shared.spare);
        let packs = record.weights.backward(config, self.shared.isa)?;
        let array = |width| Array::new(config.batch_first, self.batch, self.seq, width);
        let x = &record.inputs[layer];
        // Each direction has gradients of the inputs of its own, for directions to run side by side.
        let mut d_x = zeros(x.len(), "gradients")?;
        let mut d_x_reverse = zeros(if config.bidirectional { x.len() } else { 0 }, "gradients")?;
        let shape = Shape { batch_first: config.batch_first, seq: self.seq, width: config.inputs(layer) };
        let d_x_parts = [&mut d_x, &mut d_x_reverse].into_iter().take(config.directions());
        let d_x_parts = d_x_parts.flat_map(|d_x| cut.share(d_x, shape, 1));
        let mut all_sums: Vec<Option<ParamSums<F>>> = Vec::new();
        all_sums.resize_with(config.directions() * cut.slices.len(), || None);
        let tasks = self.shared.scans(layer, cut).zip(&record.kept[layer]).zip(d_x_parts);
        let tasks = tasks.zip(cut.share_states(states, layer, config)).zip(&mut all_sums);
        let tasks: Vec<_> = tasks
            .map(|((((scan, kept), d_x), d_initial), sums)| Task {
                scan: scan.0,
                slice: scan.1,
                reverse: scan.2,
                pack: &packs[scan.0.index],
                io: IoBackward {
                    batch: self.batch,
                    x,
                    x_array: array(config.inputs(layer)),
                    d_y: d_y.map(|d_y| d_y.get(usize::from(scan.2) * config.hidden..).unwrap_or_default()),
                    y_array: array(config.outputs()),
                    d_finals,
                    d_x,
                    d_initial,
                },
                kept,
                sums,
            })
            .collect();
        let threads = self.shared.threads(cut.total().saturating_mul(2))?;
        parallel::for_each(threads, tasks, |task, turn| task.run(cut, spare, turn))?;
        d_x.iter_mut().zip(d_x_reverse).for_each(|(sum, d)| *sum += d);
        self.write(layer, all_sums, flat);
        Ok(d_x)
    }

    /// Adds the slices' sums in order, and copies them to the parameters' places in the flat gradient.
    fn write(&self, layer: usize, all_sums: Vec<Option<ParamSums<F>>>, flat: &mut [F]) {
        let mut all_sums = all_sums.into_iter().flatten();
        for direction in 0..self.shared.config.directions() {
            let scan = self.shared.scan(layer, direction);
            let slices = all_sums.by_ref().take(self.cut.slices.len());
            let sums = slices.reduce(|mut sums, others| {
                sums.add(&others);
                self.shared.spare.give(others.into_buffers());
                sums
            });
            if let (Some(sums), Some((_, _, part))) = (sums, self.shared.config.scans().nth(scan.index)) {
                sums.write(&scan, &part, flat);
                self.shared.spare.give(sums.into_buffers());
            }
        }
    }
}

/// A slice of the batch back through one layer in one direction.
struct Task<'a, F> {
    scan: Scan,
    slice: usize,
    reverse: bool,
    pack: &'a BackwardPack<F>,
    io: IoBackward<'a, F>,
    kept: &'a Kept<F>,
    sums: &'a mut Option<ParamSums<F>>,
}

impl<F: Dispatch> Task<'_, F> {
    fn run(self, cut: &Cut, spare: &Spare<F>, turn: &Turn<'_>) -> Result<()> {
        let Self { scan, slice, reverse, pack, mut io, kept, sums } = self;
        let sums = sums.insert(ParamSums::new(&scan, spare)?);
        let mut work = WorkspaceBackward::new(&scan, cut.slices[slice].len(), pack, sums, spare)?;
        let mut kept_first = 0;
        for walk in cut.walks(slice, reverse) {
            let (io, work, sums) = (&mut io, &mut work, &mut *sums);
            Backward { scan, pack, walk, io, work, kept, kept_first, sums }.run(turn)?;
            kept_first += walk.total();
        }
        spare.give(work.into_buffers());
        Ok(())
    }
}
