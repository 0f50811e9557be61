//! What a model is made of, where its parameters lie, and what it reads.

use crate::error::{Error, Result};
use crate::nn::convolution::Convolution;
use crate::nn::embedding::Tokens;
use crate::nn::linear::Linear;
use crate::nn::pooling::Pooling;
use crate::rnn::config::Config;
use crate::shape;
use crate::simd::Isa;
use std::ops::Range;

/// What a model is: embedding, stack, head.
///
/// ```
/// use gru_rs::{Config, Model, ModelConfig};
/// // Of 1,000 words, each 16 numbers, to 3 classes.
/// let config = ModelConfig { vocabulary: Some(1000), ..ModelConfig::new(Config::gru(16, 32), 3) };
/// let model = Model::<f32>::new(config)?;
/// assert_eq!(model.config().names()[0].0, "embedding.weight");
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// Tokens that an embedding turns into [`Self::inputs`] numbers each; without one the inputs are numbers.
    pub vocabulary: Option<usize>,
    /// What makes of some steps one of the stack's; without one the stack reads the steps as they are.
    pub convolution: Option<Convolution>,
    /// The stack. It is batch-first in a model.
    pub rnn: Config,
    /// Share of the stack's inputs that training drops.
    pub input_dropout: f64,
    /// Drop the same inputs of a row at every step (Gal and Ghahramani, 2016).
    pub variational: bool,
    /// What of the outputs the head sees.
    pub pooling: Pooling,
    /// Share of that which training drops.
    pub output_dropout: f64,
    /// Scores of the head.
    pub outputs: usize,
    /// A chain over the labels of a sequence, on the scores of each step.
    pub crf: bool,
}

/// Where the parameters lie in the flat buffer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Places {
    pub embedding: Range<usize>,
    pub rnn: Range<usize>,
    pub w: Range<usize>,
    pub b: Range<usize>,
    pub crf: Range<usize>,
    pub pool: Range<usize>,
    pub conv_w: Range<usize>,
    pub conv_b: Range<usize>,
}

impl ModelConfig {
    /// Numbers in, so many scores of the last state out, nothing dropped.
    pub fn new(rnn: Config, outputs: usize) -> Self {
        let rnn = Config { batch_first: true, ..rnn };
        let (input_dropout, output_dropout) = (0.0, 0.0);
        let (vocabulary, convolution, variational, pooling, crf) = (None, None, false, Pooling::Last, false);
        Self { vocabulary, convolution, rnn, input_dropout, variational, pooling, output_dropout, outputs, crf }
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.rnn.check()?;
        shape::positive("output_size", self.outputs)?;
        if let Some(vocabulary) = self.vocabulary {
            shape::positive("vocabulary_size", vocabulary)?;
            shape::product("vocabulary_size", &[vocabulary, self.inputs()])?;
        }
        if let Some(convolution) = &self.convolution {
            convolution.check(self.rnn.input)?;
        }
        shape::product("output_size", &[2, self.outputs, self.outputs.saturating_add(self.seen())])?;
        for (name, share) in [("input_dropout", self.input_dropout), ("output_dropout", self.output_dropout)] {
            if !(0.0..1.0).contains(&share) {
                return Err(Error::value(name, "a number of [0, 1)", share));
            }
        }
        if !self.rnn.batch_first {
            return Err(Error::value("batch_first", "a stack that is batch-first in a model", false));
        }
        if self.crf && self.pooling != Pooling::Each {
            return Err(Error::value("crf", "pooling of each step by itself", format!("{:?}", self.pooling)));
        }
        Ok(())
    }

    /// Numbers of a step, or of a token's vector.
    pub fn inputs(&self) -> usize {
        self.convolution.map_or(self.rnn.input, |convolution| convolution.inputs)
    }

    /// Steps of the stack for so many that a row has.
    pub fn frames(&self, steps: usize) -> usize {
        self.convolution.map_or(steps, |convolution| convolution.frames(steps))
    }

    /// Numbers that the head sees.
    pub(super) fn seen(&self) -> usize {
        self.pooling.seen(self.rnn.outputs())
    }

    /// Whether a batch fits.
    pub(super) fn expect<F: Copy>(&self, inputs: &Inputs<'_, F>) -> Result<()> {
        inputs.check(self.vocabulary, self.inputs())?;
        if self.convolution.is_some() && !inputs.states.is_empty() {
            let expected = "none for a model with a convolution, whose first frames reach back to steps before";
            return Err(Error::value("states", expected, format!("{}", inputs.states.len())));
        }
        Ok(())
    }

    pub(super) fn places(&self) -> Places {
        let embedding = 0..self.vocabulary.unwrap_or(0) * self.inputs();
        let rnn = embedding.end..embedding.end + self.rnn.parameters();
        let w = rnn.end..rnn.end + self.outputs * self.seen();
        let b = w.end..w.end + self.outputs;
        let crf = b.end..b.end + if self.crf { self.outputs * (self.outputs + 2) } else { 0 };
        let pool = crf.end..crf.end + self.pooling.parameters(self.rnn.outputs());
        let (window, channels) = self.convolution.map_or((0, 0), |one| (one.window(), self.rnn.input));
        let conv_w = pool.end..pool.end + channels * window;
        let conv_b = conv_w.end..conv_w.end + channels;
        Places { embedding, rnn, w, b, crf, pool, conv_w, conv_b }
    }

    /// The head on an instruction set.
    pub(super) fn head(&self, isa: Isa) -> Linear {
        Linear { isa, inputs: self.seen(), outputs: self.outputs, spread: true }
    }

    /// All parameters.
    pub fn parameters(&self) -> usize {
        self.places().conv_b.end
    }

    /// The parameters' names, their place in the flat buffer and their shapes, in order.
    pub fn names(&self) -> Vec<(String, Range<usize>, Vec<usize>)> {
        let (places, labels) = (self.places(), self.outputs);
        let mut names = Vec::new();
        if let Some(vocabulary) = self.vocabulary {
            names.push(("embedding.weight".into(), places.embedding, vec![vocabulary, self.inputs()]));
        }
        let moved = |at: Range<usize>| places.rnn.start + at.start..places.rnn.start + at.end;
        let of_rnn = self.rnn.names().into_iter();
        names.extend(of_rnn.map(|(name, at, shape)| (format!("rnn.{name}"), moved(at), shape)));
        names.push(("head.weight".into(), places.w, vec![labels, self.seen()]));
        names.push(("head.bias".into(), places.b, vec![labels]));
        if self.crf {
            let (start, end) = (places.crf.start, places.crf.start + labels);
            names.push(("crf.start".into(), start..end, vec![labels]));
            names.push(("crf.end".into(), end..end + labels, vec![labels]));
            names.push(("crf.transitions".into(), end + labels..places.crf.end, vec![labels, labels]));
        }
        if !places.pool.is_empty() {
            names.push(("pool.weight".into(), places.pool.clone(), vec![places.pool.len()]));
        }
        if let Some(convolution) = &self.convolution {
            let channels = self.rnn.input;
            names.push(("conv.weight".into(), places.conv_w, vec![channels, convolution.window()]));
            names.push(("conv.bias".into(), places.conv_b, vec![channels]));
        }
        names
    }
}

/// What a row's steps are.
#[derive(Clone, Copy, Debug)]
pub enum Numbers<'a, F> {
    /// `(batch, seq, input)`
    Floats(&'a [F]),
    /// `(batch, seq)`, below the vocabulary's size; or `(batch, seq, k)`, where the vectors of a step's k tokens are
    /// added.
    Tokens(&'a [u32]),
}

/// A batch of sequences. What lies past a row's length is never read.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a, F> {
    /// The steps.
    pub numbers: Numbers<'a, F>,
    /// Rows.
    pub batch: usize,
    /// Steps.
    pub seq: usize,
    /// Each row's steps, in any order, zeros allowed; all have `seq` when there is none.
    pub lengths: Option<&'a [usize]>,
    /// The stack's states before the first step, as a [`Batch`](crate::Batch)'s: none for zeros.
    pub states: &'a [&'a [F]],
}

impl<'a, F: Copy> Inputs<'a, F> {
    /// The same with the lengths of the stack's steps.
    pub(super) fn in_frames(&self, config: &ModelConfig, lengths: &'a [usize]) -> Self {
        Self { seq: config.frames(self.seq), lengths: self.lengths.map(|_| lengths), ..*self }
    }

    /// Those lengths.
    pub(super) fn frames(&self, config: &ModelConfig) -> Vec<usize> {
        self.lengths.unwrap_or(&[]).iter().map(|&length| config.frames(length)).collect()
    }

    /// Whether they fit a model with a vocabulary, or one that reads so many numbers a step.
    pub(super) fn check(&self, vocabulary: Option<usize>, numbers: usize) -> Result<()> {
        shape::Rows::new(self.batch, self.seq, self.lengths)?;
        self.check_numbers(vocabulary, numbers)
    }

    /// The same of whole rows.
    pub(super) fn check_numbers(&self, vocabulary: Option<usize>, numbers: usize) -> Result<()> {
        match (self.numbers, vocabulary) {
            (Numbers::Floats(x), None) => shape::expect_len("x", x.len(), &[self.batch, self.seq, numbers]),
            (Numbers::Tokens(tokens), Some(vocabulary)) => {
                let per_step = self.per_step(tokens);
                shape::expect_len("x", tokens.len(), &[self.batch, self.seq, per_step])?;
                self.tokens(tokens).check(vocabulary)
            }
            (Numbers::Floats(_), Some(_)) => Err(Error::value("x", "tokens for a model with a vocabulary", "numbers")),
            (Numbers::Tokens(_), None) => Err(Error::value("x", "numbers for a model without vocabulary", "tokens")),
        }
    }

    pub(super) fn tokens<'t>(&'t self, data: &'t [u32]) -> Tokens<'t> {
        Tokens { data, seq: self.seq, per_step: self.per_step(data), lengths: self.lengths }
    }

    fn per_step(&self, data: &[u32]) -> usize {
        (data.len() / (self.batch * self.seq).max(1)).max(1)
    }

    /// A row's steps.
    pub(super) fn length(&self, row: usize) -> usize {
        self.lengths.map_or(self.seq, |lengths| lengths[row])
    }
}
