//! What training keeps between forward and backward, and backward over the whole stack. It must not
//! know how a scan does its work.

use super::arrays::{Array, Shape};
use super::backward::products::ParamSums;
use super::backward::recurrence::IoBackward;
use super::backward::team::{Job, Team};
use super::call::{Batch, Memory, Output};
use super::forward::kept::Kept;
use super::forward::layer::Pass;
use super::rows::Cut;
use super::stack::{FEWEST_ROWS, Stack, expect_states};
use super::weights::Weights;
use crate::buffer::{Aligned, copied, zeros};
use crate::dropout::Mask;
use crate::error::{Error, Result};
use crate::parallel;
use crate::shape;
use crate::simd::Dispatch;
use std::ops::Range;
use std::sync::Arc;

/// The record of one [`forward`](crate::Rnn::forward), good for one backward.
#[derive(Debug)]
pub struct Tape<F> {
    stack: Arc<Stack<F>>,
    batch: usize,
    seq: usize,
    cut: Cut,
    seed: u64,
    memory: Memory,
    /// None once used.
    record: Option<Record<F>>,
}

/// What backward reads.
#[derive(Debug)]
struct Record<F> {
    weights: Arc<Weights<F>>,
    /// Each layer's input, as its scans saw it; with little memory the first layer's alone.
    inputs: Vec<Aligned<F>>,
    /// With little memory and several layers, the initial states.
    initial: Vec<Vec<F>>,
    /// Each layer's steps, scan by scan and slice by slice.
    kept: Vec<Vec<Kept<F>>>,
}

impl<F> Tape<F> {
    /// Leaves the memory to the layer's next calls.
    fn let_go(&mut self) {
        if let Some(Record { inputs, kept, .. }) = self.record.take() {
            let kept = kept.into_iter().flatten().flat_map(Kept::into_buffers);
            self.stack.spare.give(inputs.into_iter().chain(kept));
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
    /// An empty one.
    pub(super) fn new(
        stack: &Arc<Stack<F>>, weights: Arc<Weights<F>>, batch: &Batch<'_, F>, cut: Cut, seed: u64, memory: Memory,
    ) -> Result<Self> {
        let stack = stack.clone();
        let recomputes = memory == Memory::Low && stack.config.layers > 1;
        let initial = if recomputes { batch.states } else { &[] };
        let record = Record {
            weights,
            inputs: vec![stack.spare.copied(batch.x, "tape")?],
            initial: initial.iter().map(|state| copied(state, "tape")).collect::<Result<_>>()?,
            kept: Vec::new(),
        };
        Ok(Self { stack, batch: batch.batch, seq: batch.seq, cut, seed, memory, record: Some(record) })
    }

    /// Runs the layers and keeps what backward needs.
    pub(super) fn fill(&mut self, batch: &Batch<'_, F>) -> Result<Output<F>> {
        let Self { stack, cut, seed, memory, record: Some(record), .. } = self else {
            unreachable!("a tape is filled when it is new");
        };
        let weights = record.weights.clone();
        let (pass, slices) = pass(stack, &weights, *batch, cut)?;
        let mut states = stack.states(batch.batch, "states")?;
        let mut below: Option<Vec<F>> = None;
        for layer in 0..stack.config.layers {
            if let Some(y) = &mut below {
                between(stack.config.dropout, *seed, layer - 1, y)?;
                if *memory == Memory::Full {
                    record.inputs.push(stack.spare.copied(y, "tape")?);
                }
            }
            let scans = stack.scans(layer, cut);
            let new = |(scan, slice, _)| Kept::new(&scan, cut.walks(slice, false), *memory, &stack.spare);
            let mut kept = scans.map(new).collect::<Result<Vec<_>>>()?;
            let keeps = kept.iter_mut().zip(stack.scans(layer, cut));
            let keeps =
                keeps.flat_map(|(kept, (scan, slice, _))| kept.share(&scan, cut.walks(slice, false), &slices[slice]));
            below = Some(pass.layer(layer, below.as_deref(), keeps.collect(), &mut states)?);
            record.kept.push(kept);
        }
        Ok(Output { y: below.unwrap_or_default(), states })
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        let Some(record) = &self.record else { return 0 };
        let kept: usize = record.kept.iter().flatten().map(Kept::len).sum();
        let inputs: usize = record.inputs.iter().map(|x| x.len()).sum();
        let initial: usize = record.initial.iter().map(Vec::len).sum();
        (kept + inputs + initial) * size_of::<F>()
    }

    /// The gradients of a loss whose gradient is `d_y` at the outputs and `d_states` at the final
    /// states; what is missing counts as zero. What `d_y` holds past a row's length is ignored.
    ///
    /// A second call, or one after the weights were written, is [`Error::State`]. Arguments that cannot
    /// be used leave the tape good.
    pub fn backward(&mut self, d_y: Option<&[F]>, d_states: &[&[F]]) -> Result<Gradients<F>> {
        let written = |record: &Record<F>| self.stack.parameters.version() != record.weights.version;
        if self.record.as_ref().is_some_and(written) {
            return Err(Error::state("the weights were written since this tape's forward: run forward again"));
        }
        self.gradients(d_y, d_states)
    }

    /// The same within the call that made the tape: whatever was written since, the weights are still that call's.
    pub(crate) fn gradients(&mut self, d_y: Option<&[F]>, d_states: &[&[F]]) -> Result<Gradients<F>> {
        let config = &self.stack.config;
        let used = || Error::state("this tape was used: a tape is good for one backward");
        let record = self.record.as_ref().ok_or_else(used)?;
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
        let config = &self.stack.config;
        let mut states = self.stack.states(self.batch, "gradients")?;
        let mut flat = zeros(config.parameters(), "gradients")?;
        let mut above: Option<Vec<F>> = None;
        for layer in (0..config.layers).rev() {
            let d_y = above.as_deref().or(d_y);
            let mut d_x = self.layer(record, layer, (d_y, d_finals), &mut states, &mut flat)?;
            if layer > 0 {
                between(config.dropout, self.seed, layer - 1, &mut d_x)?;
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
        let (config, cut) = (&self.stack.config, &self.cut);
        let backward = self.stack.backward(&record.weights)?;
        let forward = self.stack.forward(&record.weights)?;
        let array = |width| Array::new(config.batch_first, self.batch, self.seq, width);
        let recomputed = if layer < record.inputs.len() { Vec::new() } else { self.recomputed_inputs(record, layer)? };
        let x = record.inputs.get(layer).map_or(&recomputed[..], |x| x);
        // Each direction has gradients of the inputs of its own, for directions to run side by side.
        let mut d_x = zeros(x.len(), "gradients")?;
        let mut d_x_reverse = zeros(if config.bidirectional { x.len() } else { 0 }, "gradients")?;
        let shape = Shape { batch_first: config.batch_first, seq: self.seq, width: config.inputs(layer) };
        let d_x_shares = [&mut d_x, &mut d_x_reverse].into_iter().take(config.directions());
        let d_x_shares = d_x_shares.flat_map(|d_x| cut.share(d_x, shape, 1));
        let mut all_sums: Vec<Option<ParamSums<F>>> = Vec::new();
        all_sums.resize_with(config.directions() * cut.slices.len(), || None);
        let jobs = self.stack.scans(layer, cut).zip(&record.kept[layer]).zip(d_x_shares);
        let jobs = jobs.zip(cut.share_states(states, layer, config)).zip(&mut all_sums);
        let jobs = jobs.map(|(((((scan, slice, reverse), kept), d_x), d_initial), sums)| Job {
            scan,
            slice,
            reverse,
            pack: &backward[scan.index],
            packs: &forward[scan.index],
            io: IoBackward {
                batch: self.batch,
                x,
                x_array: array(config.inputs(layer)),
                d_y: d_y.map(|d_y| d_y.get(usize::from(reverse) * config.hidden..).unwrap_or_default()),
                y_array: array(config.outputs()),
                d_finals,
                d_initial,
            },
            d_x,
            kept,
            sums,
        });
        self.work(jobs.collect())?;
        d_x.iter_mut().zip(d_x_reverse).for_each(|(sum, d)| *sum += d);
        self.write(layer, all_sums, flat);
        Ok(d_x)
    }

    /// A layer's inputs, by forward through the layers below.
    fn recomputed_inputs(&self, record: &Record<F>, layer: usize) -> Result<Vec<F>> {
        let initial: Vec<&[F]> = record.initial.iter().map(|state| &state[..]).collect();
        let (batch, seq) = (self.batch, self.seq);
        let batch = Batch { x: &record.inputs[0], batch, seq, states: &initial, lengths: None, resets: None };
        let (pass, _) = pass(&self.stack, &record.weights, batch, &self.cut)?;
        let mut below: Option<Vec<F>> = None;
        for l in 0..layer {
            let mut y = pass.layer(l, below.as_deref(), Vec::new(), &mut [])?;
            between(self.stack.config.dropout, self.seed, l, &mut y)?;
            below = Some(y);
        }
        Ok(below.unwrap_or_default())
    }

    /// A thread for each job, or several if there are more threads than jobs.
    fn work(&self, jobs: Vec<Job<'_, F>>) -> Result<()> {
        let (cut, spare) = (&self.cut, &self.stack.spare);
        let steps = cut.total().saturating_mul(2);
        let threads = self.stack.threads(steps)?;
        if jobs.len() >= threads || self.stack.operations(steps) < WORTH_SHARING {
            return parallel::for_each(threads, jobs, |job, turn| {
                let team = Team::new(job, cut, 1, spare)?;
                team.work(spare, turn)?;
                team.leave(spare);
                Ok(())
            });
        }
        let teams = jobs.into_iter().map(|job| Team::new(job, cut, threads, spare));
        let teams = teams.collect::<Result<Vec<_>>>()?;
        let seats = teams.iter().cycle().take(if teams.is_empty() { 0 } else { threads }).collect();
        parallel::for_each(threads, seats, |team: &Team<'_, F>, turn| team.work(spare, turn))?;
        teams.into_iter().for_each(|team| team.leave(spare));
        Ok(())
    }

    /// Adds the slices' sums in order, and copies them to the parameters' places in the flat gradient.
    fn write(&self, layer: usize, all_sums: Vec<Option<ParamSums<F>>>, flat: &mut [F]) {
        let mut all_sums = all_sums.into_iter().flatten();
        for direction in 0..self.stack.config.directions() {
            let scan = self.stack.scan(layer, direction);
            let slices = all_sums.by_ref().take(self.cut.slices.len());
            let sums = slices.reduce(|mut sums, others| {
                sums.add(&others);
                self.stack.spare.give(others.into_buffers());
                sums
            });
            if let (Some(sums), Some((_, _, places))) = (sums, self.stack.config.scans().nth(scan.index)) {
                sums.write(&scan, &places, flat);
                self.stack.spare.give(sums.into_buffers());
            }
        }
    }
}

/// Floating-point operations from which on threads that share a job, and wait for each other, pay.
const WORTH_SHARING: usize = 100_000_000;

/// A pass over the rows of a cut, each walk in finer slices if there are threads enough; and those slices.
fn pass<'a, F: Dispatch>(
    stack: &'a Stack<F>, weights: &'a Weights<F>, batch: Batch<'a, F>, cut: &Cut,
) -> Result<(Pass<'a, F>, Vec<Slices>)> {
    let threads = stack.threads(cut.total())?;
    let walks = (0..cut.slices.len()).map(|slice| cut.walks(slice, false).count()).sum::<usize>();
    let rows = cut.batch() / walks.max(1);
    let most = threads.div_ceil((walks * stack.config.directions()).max(1)).min(rows / FEWEST_ROWS);
    Ok((Pass { stack, weights, batch, cut: cut.refine(most)?, threads }, cut.finer(most)))
}

/// The finer slices of each walk of a slice.
type Slices = Vec<Vec<Range<usize>>>;

/// Drops some of the outputs of a layer, or the gradients of the same ones.
fn between<F: Dispatch>(share: f64, seed: u64, layer: usize, numbers: &mut [F]) -> Result<()> {
    let first = layer as u64 * numbers.len() as u64;
    Mask { share, seed, first }.apply(numbers)
}
