//! Sequence to sequence: a stack reads the source, another writes the target, token by token, and looks back by
//! attention.
//!
//! ```text
//! y, s = encoder(source)          s₀ = s, or tanh (W [s→; s←] + b) of two directions
//! h_t = decoder(target_{t−1})     c_t = attention of h_t on y
//! x_t = W_head tanh (W [c_t; h_t] + b) + b_head, without attention W_head h_t + b_head
//! ```
//! Luong, Pham and Manning, "Effective Approaches to Attention-based Neural Machine Translation", 2015: the decoder does not
//! read what attention saw, so it runs over a whole target at once.

mod backward;
mod beam;
mod config;

pub use beam::Hypothesis;
pub use config::EncoderDecoderConfig;

use super::config::{Inputs, Numbers};
use super::training::Lost;
use crate::buffer::{copied, keep_freed, zeros};
use crate::dropout::Mask;
use crate::error::{Error, Result};
use crate::nn::attention::{Attend, Attention, tanh_layer};
use crate::nn::embedding::{self, Tokens};
use crate::nn::linear::Linear;
use crate::nn::loss::Loss;
use crate::nn::pooling::{self, Steps};
use crate::nn::targets::{Spelling, Targets};
use crate::optim::{Memory, Rule};
use crate::parallel;
use crate::rng::Rng;
use crate::rnn::call::{Batch, Output, Training};
use crate::rnn::layers::Rnn;
use crate::rnn::parameters::{Parameters, network};
use crate::rnn::tape::Tape;
use crate::rnn::weights::Weights;
use crate::shape;
use crate::simd::{Dispatch, Isa};
use crate::weights::Store;
use config::Places;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// How large an embedding's first numbers are: uniform in ± this.
const EMBEDDING: f64 = 1.0;

/// An encoder and a decoder with one flat buffer of parameters, for one or several threads at once.
///
/// ```
/// use gru_rs::{Adam, Attention, Config, EncoderDecoder, EncoderDecoderConfig, Inputs, Loss, Memory, Numbers, Rule};
/// use gru_rs::{Spelling, Training};
/// // Backwards: 0 and 1 begin and end what is written.
/// let source = [2, 3, 4, 4, 2, 3];
/// let inputs = Inputs { numbers: Numbers::Tokens(&source), batch: 2, seq: 3, lengths: None, states: &[] };
/// let wanted = Spelling { labels: &[4, 3, 2, 3, 2, 4], lengths: &[3, 3] };
/// let config = EncoderDecoderConfig {
///     vocabulary: Some(5), attention: Some(Attention::Dot), ..EncoderDecoderConfig::new(Config::gru(8, 16), 5)
/// };
/// let model = EncoderDecoder::<f32>::new(config)?;
/// let rule = Rule::Adam(Adam {
///     learning_rate: 0.02, betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.0, decoupled: false,
/// });
/// let mut memory = Memory::default();
/// for _ in 0..60 {
///     let lost = model.loss_and_grad(&inputs, wanted, None, &Loss::cross_entropy(), &Training::default())?;
///     model.step(&rule, &lost.gradients, &mut memory)?;
/// }
/// let found = model.decode(&inputs, 1, 10, 0.0)?;
/// assert_eq!(found[0][0].labels, [4, 3, 2]);
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct EncoderDecoder<F> {
    config: EncoderDecoderConfig,
    places: Places,
    /// Two views of the same parameters.
    encoder: Rnn<F>,
    decoder: Rnn<F>,
}

/// What the decoder reads and should write, row by row: the target between its begin and end.
struct Lesson {
    pub tokens: Vec<u32>,
    pub wanted: Vec<u32>,
    /// Steps of each row, and of the longest.
    pub lengths: Vec<usize>,
    pub seq: usize,
}

/// What the encoder has read, ready for attention.
struct Source<F> {
    pub seq: usize,
    pub lengths: Vec<usize>,
    /// `(batch, seq, width)`
    pub y: Vec<F>,
    /// `(batch, seq, hidden)`
    pub keys: Vec<F>,
    /// The decoder's first states, `(layers, batch, hidden)`.
    pub initial: Vec<Vec<F>>,
}

/// Of a GRU one, of an LSTM two; or what the bridge reads.
type States<F> = Vec<Vec<F>>;

/// What reading a source gives: for a decoder, for backward, and what the bridge has read.
struct Reading<F> {
    pub source: Source<F>,
    tape: Option<Tape<F>>,
    ends: States<F>,
}

/// What attention gives for some rows: what it asked with, each row's weights, and what it saw beside the rows.
struct Attended<F> {
    queries: Vec<F>,
    pub weights: Vec<Vec<F>>,
    pub joined: Vec<F>,
}

/// What is kept of forward for backward.
struct Record<F> {
    pub tapes: Option<(Tape<F>, Tape<F>)>,
    pub source: Source<F>,
    /// The encoder's final states, two by two: what the bridge reads, layer by layer, state by state.
    pub ends: Vec<Vec<F>>,
    /// The decoder's outputs that count, `(steps, hidden)`, and what attention asks with.
    pub rows: Vec<F>,
    pub queries: Vec<F>,
    /// Each row's attention.
    pub weights: Vec<Vec<F>>,
    /// What the head's layer reads and gives.
    pub joined: Vec<F>,
    pub combined: Vec<F>,
    /// What the head sees.
    pub features: Vec<F>,
}

network!(EncoderDecoder, EncoderDecoderConfig, 2, |config| config.encoder.seed);

impl<F> EncoderDecoder<F> {
    pub(crate) fn parameters(&self) -> &Arc<Parameters<F>> {
        self.encoder.parameters()
    }

    /// What it was made with.
    pub fn config(&self) -> &EncoderDecoderConfig {
        &self.config
    }
}

impl<F: Dispatch> EncoderDecoder<F> {
    /// Fresh weights from the encoder's seed, on a given instruction set.
    pub fn on(isa: Isa, config: EncoderDecoderConfig) -> Result<Self> {
        config.check()?;
        let (places, hidden, decoder) = (config.places(), config.encoder.hidden, config.decoder());
        // Beside the encoder's own generator, which goes on to dropout.
        let (mut rng, mut others) = (Rng::new(config.encoder.seed), Rng::new(!config.encoder.seed));
        let mut flat = zeros(config.parameters(), "weights")?;
        config.encoder.draw(&mut flat[places.encoder], &mut rng);
        decoder.draw(&mut flat[places.decoder], &mut Rng::new(decoder.seed));
        let over = |inputs: usize| 1.0 / (inputs.max(1) as f64).sqrt();
        let values = config.encoder.outputs();
        let bounds = [
            (places.source, EMBEDDING),
            (places.target, EMBEDDING),
            (places.bridge, over(2 * hidden)),
            (places.keys, over(values)),
            (places.queries, over(hidden)),
            (places.v, over(hidden)),
            (places.combine, over(values + hidden)),
            (places.head, over(hidden)),
        ];
        for (place, bound) in bounds {
            others.fill(&mut flat[place], bound);
        }
        let parameters = Parameters::new(isa, config.names().into(), Store::of_floats(flat), 2, rng);
        Ok(Self::around(config, parameters))
    }

    fn around(config: EncoderDecoderConfig, parameters: Arc<Parameters<F>>) -> Self {
        let places = config.places();
        let encoder = Rnn::view(config.encoder.clone(), parameters.clone(), (places.encoder.start, 0));
        let decoder = Rnn::view(config.decoder(), parameters, (places.decoder.start, 1));
        Self { config, places, encoder, decoder }
    }

    /// One step of all parameters along their gradients.
    pub fn step(&self, rule: &Rule, gradients: &[F], memory: &mut Memory<F>) -> Result<()> {
        rule.step(self, gradients, memory)
    }

    /// The loss of a batch: `targets` are its rows' tokens without begin and end, `weights` tell how much each row counts. The
    /// mean over all tokens, the ends among them.
    pub fn loss(
        &self, inputs: &Inputs<'_, F>, targets: Spelling<'_>, weights: Option<&[F]>, loss: &Loss,
    ) -> Result<Lost<F>> {
        let (lesson, own) = (self.lesson(inputs, targets, loss)?, self.weights());
        let record = self.forward(&own, inputs, &lesson, None)?;
        let (loss, _) = self.lose(&own.store, &record, &lesson, weights, loss)?;
        Ok(Lost { loss, gradients: vec![], states: vec![] })
    }

    /// The loss of a batch while training, and the gradient of every parameter.
    pub fn loss_and_grad(
        &self, inputs: &Inputs<'_, F>, targets: Spelling<'_>, weights: Option<&[F]>, loss: &Loss, training: &Training,
    ) -> Result<Lost<F>> {
        keep_freed();
        let (lesson, own) = (self.lesson(inputs, targets, loss)?, self.weights());
        self.with_seed(training.seed, |seed| {
            let training = Training { seed: Some(seed), ..*training };
            let record = self.forward(&own, inputs, &lesson, Some(&training))?;
            let (lost, d_scores) = self.lose(&own.store, &record, &lesson, weights, loss)?;
            let mut gradients = zeros(self.config.parameters(), "gradients")?;
            self.backward(own.store.flat()?, record, inputs, &lesson, seed, &d_scores, &mut gradients)?;
            Ok(Lost { loss: lost, gradients, states: vec![] })
        })
    }

    fn lesson(&self, inputs: &Inputs<'_, F>, targets: Spelling<'_>, loss: &Loss) -> Result<Lesson> {
        let config = &self.config;
        loss.check(Some(config.outputs))?;
        self.check(inputs)?;
        targets.check(inputs.batch)?;
        let lengths: Vec<usize> = targets.lengths.iter().map(|length| length + 1).collect();
        let seq = lengths.iter().copied().max().unwrap_or(0);
        let mut tokens = zeros(shape::product("targets", &[inputs.batch, seq])?, "targets")?;
        let marks = [config.begin, config.end];
        if let Some(mark) = targets.labels.iter().find(|label| marks.contains(label)) {
            let expected = format!("tokens without begin ({}) and end ({}), which are added", config.begin, config.end);
            return Err(Error::value("targets", expected, mark));
        }
        let (mut wanted, mut rest) = (Vec::with_capacity(lengths.iter().sum()), targets.labels);
        for (tokens, &length) in tokens.chunks_exact_mut(seq.max(1)).zip(targets.lengths) {
            let (own, others) = rest.split_at(length);
            rest = others;
            tokens[0] = config.begin;
            tokens[1..=length].copy_from_slice(own);
            wanted.extend_from_slice(own);
            wanted.push(config.end);
        }
        let lesson = Lesson { tokens, wanted, lengths, seq };
        self.written(&lesson).check(config.outputs)?;
        Ok(lesson)
    }

    fn check(&self, inputs: &Inputs<'_, F>) -> Result<()> {
        if !inputs.states.is_empty() {
            return Err(Error::value(
                "states",
                "none for an encoder, which begins with its source",
                inputs.states.len(),
            ));
        }
        inputs.check(self.config.vocabulary, self.config.encoder.input)
    }

    fn written<'a>(&self, lesson: &'a Lesson) -> Tokens<'a> {
        Tokens { data: &lesson.tokens, seq: lesson.seq, per_step: 1, lengths: Some(&lesson.lengths) }
    }

    fn masks(&self, seed: u64) -> [Mask; 3] {
        let shares = [self.config.input_dropout, self.config.input_dropout, self.config.output_dropout];
        [0, 1, 2].map(|place| Mask { share: shares[place], seed: !seed, first: (place as u64 + 1) << 60 })
    }

    fn attention_layer(&self) -> Linear {
        self.config.linear(self.isa(), self.config.encoder.outputs(), self.config.encoder.hidden)
    }

    fn square(&self) -> Linear {
        self.config.linear(self.isa(), self.config.encoder.hidden, self.config.encoder.hidden)
    }

    fn combine(&self) -> Linear {
        let hidden = self.config.encoder.hidden;
        self.config.linear(self.isa(), self.config.encoder.outputs() + hidden, hidden)
    }

    fn head(&self) -> Linear {
        self.config.linear(self.isa(), self.config.encoder.hidden, self.config.outputs)
    }

    fn bridge(&self) -> Linear {
        self.config.linear(self.isa(), 2 * self.config.encoder.hidden, self.config.encoder.hidden)
    }

    /// A matrix and its bias behind it.
    fn split(place: &Range<usize>, linear: Linear) -> (Range<usize>, Range<usize>) {
        let middle = place.start + linear.inputs * linear.outputs;
        (place.start..middle, middle..middle + linear.outputs)
    }

    fn bridge_place(&self, index: usize) -> Range<usize> {
        let len = self.places.bridge.len() / self.config.bridges();
        self.places.bridge.start + index * len..self.places.bridge.start + (index + 1) * len
    }

    /// Reads the source; with training the tape comes back, and what the bridge has read.
    fn read(
        &self, weights: &Arc<Weights<F>>, inputs: &Inputs<'_, F>, training: Option<&Training>,
    ) -> Result<Reading<F>> {
        let store = &weights.store;
        let width = self.config.encoder.input;
        let mut x = match inputs.numbers {
            Numbers::Floats(x) => Cow::Borrowed(x),
            Numbers::Tokens(tokens) => {
                let mut x = zeros(inputs.batch * inputs.seq * width, "inputs")?;
                embedding::forward(store.matrix(&self.places.source), inputs.tokens(tokens), width, &mut x);
                Cow::Owned(x)
            }
        };
        if let Some(seed) = training.and_then(|training| training.seed).filter(|_| self.config.input_dropout > 0.0) {
            self.masks(seed)[0].apply(x.to_mut())?;
        }
        let (batch, seq) = (inputs.batch, inputs.seq);
        let of = Batch { x: &x, batch, seq, states: &[], lengths: inputs.lengths, resets: None };
        let (output, tape) = run(&self.encoder, weights, &of, training)?;
        let Output { y, states } = output;
        let (ends, initial) = self.cross(store, batch, states)?;
        let keys = if self.config.attention.is_some() {
            let none = zeros(self.config.encoder.hidden, "scratch")?;
            self.attention_layer().forward(store.matrix(&self.places.keys), &none, &y, batch * seq)?
        } else {
            vec![]
        };
        let lengths = (0..batch).map(|row| inputs.length(row)).collect();
        Ok(Reading { source: Source { seq, lengths, y, keys, initial }, tape, ends })
    }

    /// The decoder's first states from the encoder's last ones, and what the bridge has read.
    fn cross(&self, store: &Store<F>, batch: usize, states: States<F>) -> Result<(States<F>, States<F>)> {
        let (hidden, layers) = (self.config.encoder.hidden, self.config.encoder.layers);
        if !self.config.encoder.bidirectional {
            return Ok((vec![], states));
        }
        let (mut ends, mut initial) = (Vec::new(), Vec::new());
        for (kind, state) in states.iter().enumerate() {
            let mut all = Vec::with_capacity(layers * batch * hidden);
            for layer in 0..layers {
                let [forth, back] = [0, 1].map(|way| &state[(2 * layer + way) * batch * hidden..][..batch * hidden]);
                let pairs = forth.chunks_exact(hidden).zip(back.chunks_exact(hidden));
                let both: Vec<F> = pairs.flat_map(|(forth, back)| [forth, back].concat()).collect();
                let (w, b) = Self::split(&self.bridge_place(kind * layers + layer), self.bridge());
                all.extend(tanh_layer(self.bridge(), store.matrix(&w), store.numbers(&b), &both, batch)?);
                ends.push(both);
            }
            initial.push(all);
        }
        Ok((ends, initial))
    }

    fn forward(
        &self, weights: &Arc<Weights<F>>, inputs: &Inputs<'_, F>, lesson: &Lesson, training: Option<&Training>,
    ) -> Result<Record<F>> {
        let Reading { source, tape: encoder_tape, ends } = self.read(weights, inputs, training)?;
        let store = &weights.store;
        let width = self.config.embedding;
        let mut x = zeros(inputs.batch * lesson.seq * width, "inputs")?;
        embedding::forward(store.matrix(&self.places.target), self.written(lesson), width, &mut x);
        let seed = training.and_then(|training| training.seed);
        if let Some(seed) = seed {
            self.masks(seed)[1].apply(&mut x)?;
        }
        let initial: Vec<&[F]> = source.initial.iter().map(|state| &state[..]).collect();
        let lengths = Some(&lesson.lengths[..]);
        let batch = Batch { x: &x, batch: inputs.batch, seq: lesson.seq, states: &initial, lengths, resets: None };
        let training = training.map(|training| Training { seed: seed.map(|seed| seed.wrapping_add(1)), ..*training });
        let (output, decoder_tape) = run(&self.decoder, weights, &batch, training.as_ref())?;
        let rows = pooling::each(output.y, self.steps(inputs.batch, lesson));
        let Attended { queries, weights: attention, joined } = self.attend(store, &source, &rows, &lesson.lengths)?;
        let combined = self.combined(store, &joined)?;
        let mut features = copied(if combined.is_empty() { &rows } else { &combined }, "features")?;
        if let Some(seed) = seed {
            self.masks(seed)[2].apply(&mut features)?;
        }
        let tapes = encoder_tape.zip(decoder_tape);
        Ok(Record { tapes, source, ends, rows, queries, weights: attention, joined, combined, features })
    }

    fn steps<'a>(&self, batch: usize, lesson: &'a Lesson) -> Steps<'a> {
        Steps { batch, seq: lesson.seq, width: self.config.encoder.hidden, lengths: Some(&lesson.lengths) }
    }

    /// A row's attention; the row of the source is told.
    fn attend_to<'a>(&self, v: &'a [F], source: &'a Source<F>, row: usize, kind: Attention) -> Attend<'a, F> {
        let (n, width) = (self.config.encoder.hidden, self.config.encoder.outputs());
        let (begin, length) = (row * source.seq, source.lengths[row]);
        let keys = &source.keys[begin * n..(begin + length) * n];
        let values = &source.y[begin * width..(begin + length) * width];
        Attend { isa: self.isa(), kind, v, keys, values, n, width }
    }

    /// Of the decoder's outputs, `lengths` rows for each row of the source: what attention asks with, its weights, and
    /// its context beside the outputs, `(rows, width + hidden)`.
    fn attend(&self, store: &Store<F>, source: &Source<F>, rows: &[F], lengths: &[usize]) -> Result<Attended<F>> {
        let Some(kind) = self.config.attention else {
            return Ok(Attended { queries: vec![], weights: vec![], joined: vec![] });
        };
        let (n, width) = (self.config.encoder.hidden, self.config.encoder.outputs());
        let queries = match kind {
            Attention::Dot => copied(rows, "attention")?,
            Attention::Additive => {
                let none = zeros(n, "scratch")?;
                self.square().forward(store.matrix(&self.places.queries), &none, rows, rows.len() / n)?
            }
        };
        let v = store.numbers(&self.places.v);
        let mut joined = zeros(rows.len() / n * (width + n), "attention")?;
        let mut weights: Vec<Vec<F>> = vec![Vec::new(); lengths.len()];
        let (mut tasks, mut operations) = (Vec::with_capacity(lengths.len()), 0);
        let (mut q, mut h, mut out) = (&queries[..], rows, &mut joined[..]);
        for (row, (&length, weights)) in lengths.iter().zip(&mut weights).enumerate() {
            let (own, rest) = out.split_at_mut(length * (width + n));
            tasks.push((row, &q[..length * n], &h[..length * n], own, weights));
            (q, h, out) = (&q[length * n..], &h[length * n..], rest);
            operations += length * source.lengths[row] * (n + width) * 2;
        }
        parallel::for_each(parallel::worth(operations)?, tasks, |(row, q, h, out, weights), _| {
            let context;
            (*weights, context) = self.attend_to(v, source, row, kind).forward(q)?;
            let both = context.chunks_exact(width).zip(h.chunks_exact(n));
            for (out, (context, h)) in out.chunks_exact_mut(width + n).zip(both) {
                out[..width].copy_from_slice(context);
                out[width..].copy_from_slice(h);
            }
            Ok(())
        })?;
        Ok(Attended { queries, weights, joined })
    }

    /// The layer before the head; nothing without attention.
    fn combined(&self, store: &Store<F>, joined: &[F]) -> Result<Vec<F>> {
        if self.config.attention.is_none() {
            return Ok(vec![]);
        }
        let linear = self.combine();
        let (w, b) = Self::split(&self.places.combine, linear);
        tanh_layer(linear, store.matrix(&w), store.numbers(&b), joined, joined.len() / linear.inputs)
    }

    fn lose(
        &self, store: &Store<F>, record: &Record<F>, lesson: &Lesson, weights: Option<&[F]>, loss: &Loss,
    ) -> Result<(f64, Vec<F>)> {
        let (w, b) = Self::split(&self.places.head, self.head());
        let scores = self.head().forward(store.matrix(&w), store.numbers(&b), &record.features, lesson.wanted.len())?;
        let per_step: Option<Vec<F>> = match weights {
            Some(weights) => {
                shape::expect_len("sample_weight", weights.len(), &[lesson.lengths.len()])?;
                let steps = weights.iter().zip(&lesson.lengths).flat_map(|(&w, &n)| std::iter::repeat_n(w, n));
                Some(steps.collect())
            }
            None => None,
        };
        let targets = Targets::Classes(&lesson.wanted);
        loss.of(self.isa(), &scores, self.config.outputs, targets, per_step.as_deref())
    }
}

/// A pass of a stack, with a tape while training.
fn run<F: Dispatch>(
    rnn: &Rnn<F>, weights: &Arc<Weights<F>>, batch: &Batch<'_, F>, training: Option<&Training>,
) -> Result<(Output<F>, Option<Tape<F>>)> {
    match training {
        None => Ok((rnn.run_with(weights, batch)?, None)),
        Some(training) => rnn.forward_with(weights.clone(), batch, training).map(|(output, tape)| (output, Some(tape))),
    }
}
