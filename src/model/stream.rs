//! A model's scores while its sequences come: after each step those of the sequence so far.

use super::config::Numbers;
use super::net::Model;
use crate::buffer::zeros;
use crate::error::{Error, Result};
use crate::nn::embedding::Tokens;
use crate::nn::linear::{LinearScratch, PackedLinear};
use crate::nn::pooling::Pooling;
use crate::parallel;
use crate::rnn::stream::Stream;
use crate::shape;
use crate::simd::Dispatch;

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
    /// Of the steps so far the sum or the maximum, `(batch, hidden)`, and how many there were.
    pooled: Vec<F>,
    counts: Vec<u64>,
    /// The head at a version of the weights.
    head: (u64, PackedLinear<F>),
    scratch: LinearScratch<F>,
    /// One step: inputs, outputs, what the head sees, scores.
    x: Vec<F>,
    y: Vec<F>,
    features: Vec<F>,
    scores: Vec<F>,
}

/// What a [`ModelStream`] remembers of its sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamState<F> {
    /// The stack's, as a [`Batch`](crate::Batch)'s.
    pub states: Vec<Vec<F>>,
    /// The sum or the maximum of the outputs so far, `(batch, hidden)`.
    pub pooled: Vec<F>,
    /// Steps so far.
    pub counts: Vec<u64>,
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
        let (rnn, outputs) = (&config.rnn, config.outputs);
        let head = model.packed_head()?;
        shape::product("batch_size", &[batch, rnn.input.max(rnn.hidden).max(outputs)])?;
        let room = |width: usize| zeros(batch * width, "stream");
        Ok(Self {
            stream,
            pooled: room(rnn.hidden)?,
            counts: zeros(batch, "stream")?,
            scratch: head.1.scratch(batch)?,
            head,
            x: room(rnn.input)?,
            y: room(rnn.hidden)?,
            features: room(rnn.hidden)?,
            scores: room(outputs)?,
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

    /// Some steps, `(batch, seq, …)` as a model takes them, to scores `(batch, seq, outputs)`.
    pub fn steps(&mut self, numbers: Numbers<'_, F>, seq: usize, scores: &mut [F]) -> Result<()> {
        let (batch, config) = (self.batch(), self.model.config());
        let (input, outputs) = (config.rnn.input, config.outputs);
        shape::expect_len("out", scores.len(), &[batch, seq, outputs])?;
        // Checked before the first step, so that a refused call leaves all as it was.
        let inputs = super::Inputs { numbers, batch, seq, lengths: None, states: &[] };
        inputs.check_numbers(config.vocabulary, input)?;
        if self.head.0 != self.model.version() {
            self.head = self.model.packed_head()?;
        }
        parallel::alone(|turn| {
            for step in 0..seq {
                turn.go_on()?;
                self.take(numbers, seq, step);
                self.stream.step(&self.x, &mut self.y)?;
                self.pool();
                self.head.1.forward(&self.features, &mut self.scores, &mut self.scratch);
                for (row, from) in self.scores.chunks_exact(outputs).enumerate() {
                    scores[(row * seq + step) * outputs..][..outputs].copy_from_slice(from);
                }
            }
            Ok(())
        })
    }

    /// The inputs of a step.
    fn take(&mut self, numbers: Numbers<'_, F>, seq: usize, step: usize) {
        let width = self.x.len() / self.batch();
        for (row, x) in self.x.chunks_exact_mut(width).enumerate() {
            let place = row * seq + step;
            match numbers {
                Numbers::Floats(all) => x.copy_from_slice(&all[place * width..][..width]),
                Numbers::Tokens(all) => {
                    let per_step = all.len() / (self.counts.len() * seq);
                    let data = &all[place * per_step..][..per_step];
                    self.model.embed(Tokens { data, seq: 1, per_step, lengths: None }, x);
                }
            }
        }
    }

    /// What the head sees of the steps so far.
    fn pool(&mut self) {
        self.counts.iter_mut().for_each(|count| *count += 1);
        let width = self.y.len() / self.counts.len();
        for (i, ((&y, pooled), feature)) in self.y.iter().zip(&mut self.pooled).zip(&mut self.features).enumerate() {
            let count = self.counts[i / width];
            *feature = match self.model.config().pooling {
                Pooling::Last | Pooling::Each => y,
                Pooling::Mean => {
                    *pooled += y;
                    *pooled / F::from_f64(count as f64)
                }
                Pooling::Max => {
                    // A NaN is larger than anything, as in NumPy.
                    if count == 1 || y > *pooled || y.to_f64().is_nan() {
                        *pooled = y;
                    }
                    *pooled
                }
            };
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
        }
        let states: Vec<&[F]> = state.iter().flat_map(|state| &state.states).map(|state| &state[..]).collect();
        let mut stream = self.stream.duplicate()?;
        stream.join(&states)?;
        let mut joined = self.with_rows(stream, |row| row)?;
        if let Some(state) = state {
            joined.pooled[last * width..].copy_from_slice(&state.pooled);
            joined.counts[last] = state.counts[0];
        }
        *self = joined;
        Ok(())
    }

    /// Lets a sequence go, and gives back what is remembered of it; those behind it move up. One has to stay.
    pub fn leave(&mut self, row: usize) -> Result<StreamState<F>> {
        let mut stream = self.stream.duplicate()?;
        let states = stream.leave(row)?;
        let width = self.pooled.len() / self.batch();
        let left = StreamState {
            states,
            pooled: self.pooled[row * width..][..width].to_vec(),
            counts: vec![self.counts[row]],
        };
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
        }
        Ok(other)
    }

    /// All that it remembers.
    pub fn state(&mut self) -> Result<StreamState<F>> {
        Ok(StreamState { states: self.stream.states()?, pooled: self.pooled.clone(), counts: self.counts.clone() })
    }

    /// Goes on from there.
    pub fn set_state(&mut self, state: &StreamState<F>) -> Result<()> {
        shape::expect_len("pooled", state.pooled.len(), &[self.pooled.len()])?;
        shape::expect_len("counts", state.counts.len(), &[self.counts.len()])?;
        let states: Vec<&[F]> = state.states.iter().map(|state| &state[..]).collect();
        self.stream.set_states(&states)?;
        self.pooled.copy_from_slice(&state.pooled);
        self.counts.copy_from_slice(&state.counts);
        Ok(())
    }
}
