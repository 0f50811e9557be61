//! A model's scores while its sequences come: after each step those of the sequence so far.

use super::config::{ModelConfig, Numbers};
use super::frames::Frames;
use super::model::Model;
use crate::buffer::{copied, zeros};
use crate::error::{Error, Result};
use crate::nn::embedding::Tokens;
use crate::nn::linear::{LinearScratch, PackedLinear};
use crate::nn::pooling::Running;
use crate::parallel;
use crate::rnn::config::Config;
use crate::rnn::rows::GROUP;
use crate::rnn::stream::Stream;
use crate::rnn::weights::Weights;
use crate::shape;
use crate::simd::Dispatch;
use std::ops::Range;
use std::sync::Arc;

/// A model's states between steps, of some sequences side by side that know nothing of each other.
///
/// The scores after a step are those of [`Model::scores`] for the sequence up to it, to the bit.
///
/// ```
/// use gru_rs::{Config, Model, ModelConfig, ModelStream, Numbers};
/// let model = Model::<f32>::new(ModelConfig::new(Config::gru(3, 8), 2))?;
/// let mut stream = ModelStream::new(&model, 1)?;
/// let mut scores = [0.0; 5 * 2];
/// stream.steps(Numbers::Floats(&[0.5; 5 * 3]), 5, &mut scores)?;
/// assert!(scores[..2] != scores[8..]);
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Debug)]
pub struct ModelStream<F> {
    model: Model<F>,
    stream: Stream<F>,
    /// Of the steps so far what pooling keeps, row by row, and how many there were.
    pooled: Vec<F>,
    counts: Vec<u64>,
    /// If there is a convolution before the stack.
    frames: Option<Frames<F>>,
    /// The head at a version of the weights.
    head: (u64, Arc<PackedLinear<F>>),
    room: Room<F>,
}

/// Memory for a block of steps, row by row.
#[derive(Debug)]
struct Room<F> {
    steps: usize,
    x: Vec<F>,
    y: Vec<F>,
    /// What the head sees.
    seen: Vec<F>,
    scores: Vec<F>,
    scratch: LinearScratch<F>,
}

impl<F: Dispatch> Room<F> {
    fn new(config: &ModelConfig, head: &PackedLinear<F>, rows: usize, steps: usize) -> Result<Self> {
        let room = |width: usize| zeros(rows * steps * width, "stream");
        let (x, y, scores) = (room(config.inputs())?, room(config.rnn.hidden)?, room(config.outputs)?);
        Ok(Self { steps, x, y, seen: room(config.seen())?, scores, scratch: head.scratch(rows * steps)? })
    }
}

/// What a [`ModelStream`] remembers of its sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamState<F> {
    /// The stack's, as a [`Batch`](crate::Batch)'s.
    pub states: Vec<Vec<F>>,
    /// What pooling keeps of the outputs so far, `(batch, kept)`: their sum, their maximum, the last; of
    /// [`Pooling::Concat`](crate::Pooling) last, sum and maximum, of attention the weighted sum, the largest score and the
    /// sum of the weights.
    pub pooled: Vec<F>,
    /// Steps so far.
    pub counts: Vec<u64>,
    /// Of a convolution the last steps, `(batch, kernel, inputs)`, the oldest first; none without one.
    pub window: Vec<F>,
}

impl<F: Dispatch> ModelStream<F> {
    /// Before the first step of `batch` sequences. The stack must have one direction, the scores no chain.
    pub fn new(model: &Model<F>, batch: usize) -> Result<Self> {
        Self::on(model, model.stream(batch)?)
    }

    /// With the states of a stack's stream.
    fn on(model: &Model<F>, stream: Stream<F>) -> Result<Self> {
        let (config, batch) = (model.config(), stream.batch());
        if config.crf {
            return Err(Error::value("stream", "a model without a chain, whose best path needs all steps", "crf=True"));
        }
        let (rnn, weights) = (&config.rnn, model.weights());
        let head = (weights.version, model.packed_head(&weights)?);
        let widest = rnn.input.max(config.inputs()).max(rnn.hidden).max(config.seen()).max(config.outputs);
        shape::product("batch_size", &[batch.max(GROUP), widest])?;
        Ok(Self {
            stream,
            pooled: zeros(batch * config.pooling.kept(rnn.hidden), "stream")?,
            counts: zeros(batch, "stream")?,
            room: Room::new(config, &head.1, batch, 1)?,
            frames: Frames::of(model, &weights, batch)?,
            head,
            model: model.clone(),
        })
    }

    /// Sequences side by side.
    pub fn batch(&self) -> usize {
        self.counts.len()
    }

    /// The model.
    pub fn model(&self) -> &Model<F> {
        &self.model
    }

    /// Some steps, `(batch, seq, …)` as a model takes them, to scores `(batch, seq, outputs)`. Takes the newest weights;
    /// the first chunk allocates room for some steps, no other call any, unless rows complete frames of a convolution at
    /// different steps.
    pub fn steps(&mut self, numbers: Numbers<'_, F>, seq: usize, scores: &mut [F]) -> Result<()> {
        let (batch, config) = (self.batch(), self.model.config());
        shape::expect_len("out", scores.len(), &[batch, seq, config.outputs])?;
        // Checked before the first step, so that a refused call leaves all as it was.
        let inputs = super::Inputs { numbers, batch, seq, lengths: None, states: &[] };
        inputs.check_numbers(config.vocabulary, config.inputs())?;
        let apart = self.frames.as_ref().is_some_and(|frames| frames.apart(&self.counts));
        let block = if apart { 1 } else { seq.min(GROUP / batch).max(1) };
        if block > self.room.steps {
            self.room = Room::new(config, &self.head.1, batch, block)?;
        }
        let weights = self.stream.newest();
        if self.head.0 != weights.version {
            self.head = (weights.version, self.model.packed_head(&weights)?);
        }
        if let Some(frames) = &mut self.frames {
            frames.prepare(&self.model, &weights, batch, block)?;
        }
        parallel::alone(|turn| {
            (0..seq).step_by(block).try_for_each(|begin| {
                turn.go_on()?;
                let steps = begin..seq.min(begin + block);
                self.take(&weights, numbers, steps.clone(), seq);
                self.block(&weights, steps, seq, scores)
            })
        })
    }

    /// The inputs of some steps, row by row.
    fn take(&mut self, weights: &Weights<F>, numbers: Numbers<'_, F>, steps: Range<usize>, seq: usize) {
        let (width, batch) = (self.model.config().inputs(), self.counts.len());
        for (row, x) in self.room.x.chunks_exact_mut(steps.len() * width).take(batch).enumerate() {
            let places = row * seq + steps.start..row * seq + steps.end;
            match numbers {
                Numbers::Floats(all) => x.copy_from_slice(&all[places.start * width..places.end * width]),
                Numbers::Tokens(all) => {
                    let per_step = all.len() / (batch * seq);
                    let data = &all[places.start * per_step..places.end * per_step];
                    self.model.embed(weights, Tokens { data, seq: steps.len(), per_step, lengths: None }, x);
                }
            }
        }
    }

    /// The scores of some steps whose inputs were taken.
    fn block(&mut self, weights: &Weights<F>, steps: Range<usize>, seq: usize, scores: &mut [F]) -> Result<()> {
        let (outputs, rows) = (self.model.config().outputs, self.counts.len() * steps.len());
        let frames = self.stack(steps.len())?;
        self.pool(weights, steps.len(), frames);
        let (found, seen) = (&mut self.room.scores[..rows * outputs], rows * self.model.config().seen());
        self.head.1.forward(&self.room.seen[..seen], found, &mut self.room.scratch);
        for (row, found) in found.chunks_exact(steps.len() * outputs).enumerate() {
            scores[(row * seq + steps.start) * outputs..][..found.len()].copy_from_slice(found);
        }
        Ok(())
    }

    /// The outputs of some steps, or of the frames that they complete, and how many these are of a row.
    fn stack(&mut self, steps: usize) -> Result<usize> {
        let ModelConfig { rnn: Config { input, hidden, .. }, .. } = *self.model.config();
        let (batch, y) = (self.counts.len(), &mut self.room.y);
        let Some(frames) = &mut self.frames else {
            let rows = batch * steps;
            self.stream.steps_on(steps, &self.room.x[..rows * input], &mut y[..rows * hidden])?;
            return Ok(steps);
        };
        let waits: Vec<bool> = match frames.apart(&self.counts) {
            true => self.counts.iter().map(|&count| !frames.completes(count)).collect(),
            false => vec![],
        };
        let (x, made) = frames.take(&self.room.x, &self.counts, steps)?;
        if made == 0 {
            return Ok(0);
        }
        let before = if waits.is_empty() { vec![] } else { self.stream.states()? };
        self.stream.steps_on(made, x, &mut y[..batch * made * hidden])?;
        if !waits.is_empty() {
            // All rows step together: those that wait for more steps stay where they were.
            let mut states = self.stream.states()?;
            for (state, before) in states.iter_mut().zip(&before) {
                let rows = state.chunks_exact_mut(hidden).zip(before.chunks_exact(hidden)).enumerate();
                rows.filter(|(row, _)| waits[row % batch]).for_each(|(_, (now, before))| now.copy_from_slice(before));
            }
            self.stream.set_states(&states.iter().map(|state| &state[..]).collect::<Vec<_>>())?;
        }
        Ok(made)
    }

    /// Makes of the outputs of some steps, or frames, what the head sees after each step.
    fn pool(&mut self, weights: &Weights<F>, steps: usize, made: usize) {
        let (config, width) = (self.model.config(), self.pooled.len() / self.counts.len());
        let (pooling, isa, weight) = (config.pooling, self.model.isa(), weights.store.numbers(&self.model.places.pool));
        let (hidden, seen, frames) = (config.rnn.hidden, config.seen(), self.frames.as_ref());
        let rows = self.pooled.chunks_exact_mut(width).zip(&mut self.counts);
        for (row, ((kept, count), out)) in rows.zip(self.room.seen.chunks_exact_mut(steps * seen)).enumerate() {
            let mut y = self.room.y[row * made * hidden..].chunks_exact(hidden);
            let taken = frames.map_or(*count, |frames| frames.count(*count));
            let mut running = Running { isa, weight, kept, count: taken };
            for out in out.chunks_exact_mut(seen) {
                if frames.is_none_or(|frames| frames.completes(*count))
                    && let Some(y) = y.next()
                {
                    running.take(pooling, y);
                }
                *count += 1;
                running.give(pooling, out);
            }
        }
    }

    /// Begins again: the sequences that the mask says, or all.
    pub fn reset(&mut self, mask: Option<&[bool]>) -> Result<()> {
        self.stream.reset(mask)?;
        let width = self.pooled.len() / self.counts.len();
        for (row, (pooled, count)) in self.pooled.chunks_exact_mut(width).zip(&mut self.counts).enumerate() {
            if mask.is_none_or(|mask| mask[row]) {
                pooled.fill(F::ZERO);
                *count = 0;
                if let Some(frames) = &mut self.frames {
                    frames.row_mut(row).fill(F::ZERO);
                }
            }
        }
        Ok(())
    }

    /// A stream of its own that goes on from here, on the same model.
    pub fn duplicate(&mut self) -> Result<Self> {
        let stream = self.stream.duplicate()?;
        self.with_rows(stream, |row| row)
    }

    /// Takes another sequence in, behind the others, with what another stream remembers of one.
    pub fn join(&mut self, state: Option<&StreamState<F>>) -> Result<()> {
        let (last, width) = (self.batch(), self.pooled.len() / self.batch());
        if let Some(state) = state {
            shape::expect_len("pooled", state.pooled.len(), &[width])?;
            shape::expect_len("counts", state.counts.len(), &[1])?;
            let window = self.frames.as_ref().map_or(0, |frames| frames.row(0).len());
            shape::expect_len("window", state.window.len(), &[window])?;
        }
        let states: Vec<&[F]> = state.iter().flat_map(|state| &state.states).map(|state| &state[..]).collect();
        let mut stream = self.stream.duplicate()?;
        stream.join(&states)?;
        let mut joined = self.with_rows(stream, |row| row)?;
        if let Some(state) = state {
            joined.pooled[last * width..].copy_from_slice(&state.pooled);
            joined.counts[last] = state.counts[0];
            if let Some(frames) = &mut joined.frames {
                frames.row_mut(last).copy_from_slice(&state.window);
            }
        }
        *self = joined;
        Ok(())
    }

    /// Lets a sequence go, and gives back what is remembered of it; those behind it move up. One has to stay.
    pub fn leave(&mut self, row: usize) -> Result<StreamState<F>> {
        let mut stream = self.stream.duplicate()?;
        let states = stream.leave(row)?;
        let width = self.pooled.len() / self.batch();
        let pooled = copied(&self.pooled[row * width..][..width], "states")?;
        let window = self.frames.as_ref().map_or(Ok(vec![]), |frames| copied(frames.row(row), "states"))?;
        let left = StreamState { states, pooled, counts: vec![self.counts[row]], window };
        *self = self.with_rows(stream, |r| if r < row { r } else { r + 1 })?;
        Ok(left)
    }

    /// Another whose rows remember what those of this one do, or nothing where there is none.
    fn with_rows(&self, stream: Stream<F>, from: impl Fn(usize) -> usize) -> Result<Self> {
        let mut other = Self::on(&self.model, stream)?;
        let width = self.pooled.len() / self.batch();
        let rows = other.pooled.chunks_exact_mut(width).zip(&mut other.counts).enumerate();
        for (row, (pooled, count)) in rows.filter(|&(row, _)| from(row) < self.batch()) {
            pooled.copy_from_slice(&self.pooled[from(row) * width..][..width]);
            *count = self.counts[from(row)];
            if let (Some(to), Some(frames)) = (&mut other.frames, &self.frames) {
                to.row_mut(row).copy_from_slice(frames.row(from(row)));
            }
        }
        Ok(other)
    }

    /// All that it remembers.
    pub fn state(&mut self) -> Result<StreamState<F>> {
        let (pooled, counts) = (copied(&self.pooled, "states")?, copied(&self.counts, "states")?);
        let window = self.frames.as_ref().map_or(Ok(vec![]), Frames::state)?;
        Ok(StreamState { states: self.stream.states()?, pooled, counts, window })
    }

    /// Goes on from there.
    pub fn set_state(&mut self, state: &StreamState<F>) -> Result<()> {
        shape::expect_len("pooled", state.pooled.len(), &[self.pooled.len()])?;
        shape::expect_len("counts", state.counts.len(), &[self.counts.len()])?;
        let window = self.frames.as_ref().map_or(0, |frames| frames.row(0).len());
        shape::expect_len("window", state.window.len(), &[self.batch(), window])?;
        let states: Vec<&[F]> = state.states.iter().map(|state| &state[..]).collect();
        self.stream.set_states(&states)?;
        for (row, window) in state.window.chunks_exact(window.max(1)).enumerate() {
            self.frames.iter_mut().for_each(|frames| frames.row_mut(row).copy_from_slice(window));
        }
        self.pooled.copy_from_slice(&state.pooled);
        self.counts.copy_from_slice(&state.counts);
        Ok(())
    }
}
