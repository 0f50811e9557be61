//! The model: scores and labels of a batch.

use super::config::{Inputs, ModelConfig, Numbers, Places};
use crate::buffer::zeros;
use crate::dropout::Mask;
use crate::error::{Error, Result};
use crate::kernels::exponential::Softmax;
use crate::nn::convolution::{Convolution, Signal};
use crate::nn::crf::Crf;
use crate::nn::ctc::{Ctc, Guess};
use crate::nn::embedding::{self, Tokens};
use crate::nn::linear::PackedLinear;
use crate::nn::pooling::{self, Part, Pooling, Steps};
use crate::optim::{Memory, Rule};
use crate::rng::Rng;
use crate::rnn::call::{Batch, Output};
use crate::rnn::layers::Rnn;
use crate::rnn::parameters::{Parameters, network};
use crate::rnn::stream::Stream;
use crate::rnn::weights::Weights;
use crate::simd::{Dispatch, Isa};
use crate::weights::Store;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// An embedding, a stack and a head with one flat buffer of parameters, for one or several threads at once.
/// Cloning gives another handle to the same.
///
/// ```
/// use gru_rs::{Adam, Config, Inputs, Loss, Memory, Model, ModelConfig, Numbers, Rule, Targets, Training};
/// // Is the sum of three numbers positive?
/// let x = [1.0, 2.0, -0.5, -1.0, 0.5, -2.0];
/// let inputs = Inputs { numbers: Numbers::Floats(&x), batch: 2, seq: 3, lengths: None, states: &[] };
/// let model = Model::<f32>::new(ModelConfig::new(Config::gru(1, 8), 2))?;
/// let rule = Rule::Adam(Adam {
///     learning_rate: 0.05, betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.0, decoupled: false,
/// });
/// let (mut memory, mut losses) = (Memory::default(), vec![]);
/// for _ in 0..50 {
///     let targets = Targets::Classes(&[1, 0]);
///     let lost = model.loss_and_grad(&inputs, targets, None, &Loss::cross_entropy(), &Training::default())?;
///     model.step(&rule, &lost.gradients, &mut memory)?;
///     losses.push(lost.loss);
/// }
/// assert!(losses[49] < 0.1 * losses[0]);
/// assert_eq!(model.labels(&inputs)?, [1, 0]);
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model<F> {
    pub(super) config: ModelConfig,
    pub(super) places: Places,
    pub(super) rnn: Rnn<F>,
    packed: Packed<F>,
}

/// The head of the newest weights that anyone asked for, for streams and generators, and their version.
type Packed<F> = Arc<Mutex<Option<(u64, Arc<PackedLinear<F>>)>>>;

/// How large an embedding's first numbers are: uniform in ± this.
const EMBEDDING: f64 = 1.0;
/// And a chain's.
const CRF: f64 = 0.1;

/// The rows that the head sees.
pub(super) struct Pooled<F> {
    pub rows: usize,
    pub features: Vec<F>,
    /// Where each maximum stands.
    pub at: Vec<usize>,
    /// Of attention what it was of, and the share of each step.
    pub attended: (Vec<F>, Vec<F>),
}

/// What the stack reads, and of a convolution what that has read.
pub(super) struct Front<'a, F: Clone> {
    pub x: Cow<'a, [F]>,
    pub read: Option<Cow<'a, [F]>>,
}

network!(Model, ModelConfig, 1, |config| config.rnn.seed);

impl<F> Model<F> {
    pub(crate) fn parameters(&self) -> &Arc<Parameters<F>> {
        self.rnn.parameters()
    }

    /// What it was made with.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }
}

impl<F: Dispatch> Model<F> {
    /// Fresh weights from the stack's seed, on a given instruction set.
    pub fn on(isa: Isa, config: ModelConfig) -> Result<Self> {
        config.check()?;
        let places = config.places();
        // Beside the stack's own generator, which goes on to dropout.
        let (mut rng, mut others) = (Rng::new(config.rnn.seed), Rng::new(!config.rnn.seed));
        let mut flat = zeros(config.parameters(), "weights")?;
        config.rnn.draw(&mut flat[places.rnn.clone()], &mut rng);
        let window = config.convolution.map_or(1, |convolution| convolution.window());
        let bounds = [config.seen(), config.rnn.outputs(), window].map(|inputs| 1.0 / (inputs as f64).sqrt());
        let [head, stack, conv] = bounds;
        for (place, bound) in [
            (places.embedding, EMBEDDING),
            (places.w, head),
            (places.b, head),
            (places.crf, CRF),
            (places.pool, stack),
            (places.conv_w, conv),
            (places.conv_b, conv),
        ] {
            others.fill(&mut flat[place], bound);
        }
        let parameters = Parameters::new(isa, config.names().into(), Store::of_floats(flat), 1, rng);
        Ok(Self::around(config, parameters))
    }

    fn around(config: ModelConfig, parameters: Arc<Parameters<F>>) -> Self {
        let places = config.places();
        let rnn = Rnn::view(config.rnn.clone(), parameters, (places.rnn.start, 0));
        Self { config, places, rnn, packed: Arc::default() }
    }

    /// The vectors of tokens, those of a step added.
    pub(super) fn embed(&self, weights: &Weights<F>, tokens: Tokens<'_>, x: &mut [F]) {
        embedding::forward(weights.store.matrix(&self.places.embedding), tokens, self.config.inputs(), x);
    }

    /// The stack, one step at a time.
    pub(super) fn stream(&self, batch: usize) -> Result<Stream<F>> {
        self.rnn.stream(batch)
    }

    /// The head of these weights, packed; the same for all who ask for the newest.
    pub(super) fn packed_head(&self, weights: &Weights<F>) -> Result<Arc<PackedLinear<F>>> {
        // A lock that is held is a fork's or another's who packs: whoever finds it so does without.
        let mut known = self.packed.try_lock().ok();
        if let Some((version, head)) = known.as_deref().and_then(Option::as_ref)
            && *version == weights.version
        {
            return Ok(head.clone());
        }
        let (w, b) = (weights.store.matrix(&self.places.w), weights.store.numbers(&self.places.b));
        let head = Arc::new(self.config.head(self.isa()).pack(w, b)?);
        if let Some(known) = known.as_deref_mut() {
            *known = Some((weights.version, head.clone()));
        }
        Ok(head)
    }

    /// The convolution of these weights.
    pub(super) fn packed_convolution(&self, of: &Convolution, weights: &Weights<F>) -> Result<PackedLinear<F>> {
        let (w, b) = (weights.store.matrix(&self.places.conv_w), weights.store.numbers(&self.places.conv_b));
        of.linear(self.isa(), self.config.rnn.input).pack(w, b)
    }

    /// One step of all parameters along their gradients.
    pub fn step(&self, rule: &Rule, gradients: &[F], memory: &mut Memory<F>) -> Result<()> {
        rule.step(self, gradients, memory)
    }

    /// The scores of a batch: `(batch, outputs)`, or with [`Pooling::Each`] `(steps, outputs)`, the steps that
    /// count of each row in order.
    pub fn scores(&self, inputs: &Inputs<'_, F>) -> Result<Vec<F>> {
        Ok(self.run(inputs)?.y)
    }

    /// The scores, in place of the stack's outputs, and the stack's states after each row's last step.
    pub fn run(&self, inputs: &Inputs<'_, F>) -> Result<Output<F>> {
        self.run_with(&self.weights(), inputs)
    }

    pub(super) fn run_with(&self, weights: &Weights<F>, inputs: &Inputs<'_, F>) -> Result<Output<F>> {
        self.config.expect(inputs)?;
        let lengths = inputs.frames(&self.config);
        let (x, inputs) = (self.front(&weights.store, inputs)?.x, &inputs.in_frames(&self.config, &lengths));
        let Output { y, states } = self.rnn.run_with(weights, &self.batch(&x, inputs))?;
        let pooled = self.pool(&weights.store, y, &states, inputs)?;
        Ok(Output { y: self.head(&weights.store, &pooled)?, states })
    }

    /// The label of each row, or with [`Pooling::Each`] of each step: the highest score's, or the best path's.
    pub fn labels(&self, inputs: &Inputs<'_, F>) -> Result<Vec<u32>> {
        let weights = self.weights();
        let scores = self.run_with(&weights, inputs)?.y;
        if let Some(crf) = self.crf() {
            return crf.decode(weights.store.numbers(&self.places.crf), &scores, &self.steps_of_rows(inputs));
        }
        let first_best = |row: &[F]| (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best });
        Ok(scores.chunks_exact(self.config.outputs).map(|row| first_best(row) as u32).collect())
    }

    /// The probability of each label at each step, `(steps, labels)` in f64: of a chain its marginals, over all paths;
    /// without one the softmax of the scores.
    ///
    /// ```
    /// use gru_rs::{Inputs, Model, ModelConfig, Numbers, Pooling, Config};
    /// let config = ModelConfig { pooling: Pooling::Each, crf: true, ..ModelConfig::new(Config::gru(2, 4), 3) };
    /// let model = Model::<f32>::new(config)?;
    /// let x = [0.5; 2 * 5];
    /// let inputs = Inputs { numbers: Numbers::Floats(&x), batch: 1, seq: 5, lengths: None, states: &[] };
    /// let p = model.marginals(&inputs)?;
    /// assert!(p.chunks(3).all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-12));
    /// # Ok::<(), gru_rs::Error>(())
    /// ```
    pub fn marginals(&self, inputs: &Inputs<'_, F>) -> Result<Vec<f64>> {
        let weights = self.weights();
        let scores = self.run_with(&weights, inputs)?.y;
        if let Some(crf) = self.crf() {
            return crf.marginals(weights.store.numbers(&self.places.crf), &scores, &self.steps_of_rows(inputs));
        }
        let (columns, mut found) = (self.config.outputs, zeros(scores.len(), "probabilities")?);
        found.iter_mut().zip(&scores).for_each(|(to, score): (&mut f64, &F)| *to = score.to_f64());
        for row in found.chunks_exact_mut(columns) {
            f64::dispatch(self.isa(), Softmax { rows: row, columns, log_sums: &mut [0.0] });
        }
        Ok(found)
    }

    /// What the steps of each row spell, with a head of each step trained by [`Loss::Ctc`]: by the best label of each step,
    /// without a probability; or the best guesses of a beam so wide, the best first.
    pub fn spell(&self, inputs: &Inputs<'_, F>, blank: u32, beam: Option<usize>) -> Result<Vec<Vec<Guess>>> {
        let ctc = self.ctc(blank)?;
        let scores = self.scores(inputs)?;
        let lengths = self.steps_of_rows(inputs);
        match beam {
            Some(width) => ctc.beam(&scores, &lengths, width),
            None => Ok(ctc.greedy(&scores, &lengths)?.into_iter().map(|labels| vec![(labels, f64::NAN)]).collect()),
        }
    }

    /// Steps of the stack of each row.
    fn steps_of_rows(&self, inputs: &Inputs<'_, F>) -> Vec<usize> {
        (0..inputs.batch).map(|row| self.config.frames(inputs.length(row))).collect()
    }

    pub(super) fn crf(&self) -> Option<Crf> {
        self.config.crf.then(|| Crf { isa: self.isa(), labels: self.config.outputs })
    }

    /// How the scores of all steps are read as fewer labels.
    pub(super) fn ctc(&self, blank: u32) -> Result<Ctc> {
        if self.config.pooling != Pooling::Each || self.config.crf {
            return Err(Error::value("loss", "scores of each step without a chain for CTC", "another model"));
        }
        Ok(Ctc { isa: self.isa(), classes: self.config.outputs, blank })
    }

    pub(super) fn batch<'a>(&self, x: &'a [F], inputs: &Inputs<'a, F>) -> Batch<'a, F> {
        Batch { x, batch: inputs.batch, seq: inputs.seq, states: inputs.states, lengths: inputs.lengths, resets: None }
    }

    pub(super) fn steps<'a>(&self, inputs: &Inputs<'a, F>) -> Steps<'a> {
        let width = self.config.rnn.outputs();
        Steps { batch: inputs.batch, seq: inputs.seq, width, lengths: inputs.lengths }
    }

    /// The masks of a seed before and behind the stack. The stack's own begin at index 0.
    pub(super) fn masks(&self, seed: u64) -> [Mask; 2] {
        let shares = [self.config.input_dropout, self.config.output_dropout];
        [1, 2].map(|place| Mask { share: shares[place - 1], seed: !seed, first: (place as u64) << 60 })
    }

    /// Drops inputs, or the gradients of the same ones.
    pub(super) fn drop_inputs(&self, seed: u64, seq: usize, x: &mut [F]) -> Result<()> {
        let (mask, width) = (self.masks(seed)[0], self.config.rnn.input);
        if self.config.variational {
            mask.apply_by(x, |i| i / (seq * width) * width + i % width)
        } else {
            mask.apply(x)
        }
    }

    /// What the stack reads, before any of it is dropped.
    pub(super) fn front<'a>(&self, store: &Store<F>, inputs: &Inputs<'a, F>) -> Result<Front<'a, F>> {
        let width = self.config.inputs();
        let read = match inputs.numbers {
            Numbers::Floats(x) => Cow::Borrowed(x),
            Numbers::Tokens(tokens) => {
                let mut x = zeros((inputs.batch * inputs.seq).saturating_mul(width), "inputs")?;
                embedding::forward(store.matrix(&self.places.embedding), inputs.tokens(tokens), width, &mut x);
                Cow::Owned(x)
            }
        };
        let Some(convolution) = self.config.convolution else { return Ok(Front { x: read, read: None }) };
        let (w, b) = (store.matrix(&self.places.conv_w), store.numbers(&self.places.conv_b));
        let linear = convolution.linear(self.isa(), self.config.rnn.input);
        let signal = Signal { x: &read, seq: inputs.seq, lengths: inputs.lengths };
        let frames = convolution.forward(linear, w, b, &signal, inputs.batch)?;
        Ok(Front { x: Cow::Owned(frames), read: Some(read) })
    }

    pub(super) fn pool(
        &self, store: &Store<F>, y: Vec<F>, states: &[Vec<F>], inputs: &Inputs<'_, F>,
    ) -> Result<Pooled<F>> {
        let (steps, parts) = (self.steps(inputs), self.config.pooling.parts());
        let mut pooled = Pooled { rows: inputs.batch, features: vec![], at: vec![], attended: (vec![], vec![]) };
        if self.config.pooling == Pooling::Each {
            pooled.features = pooling::each(y, steps);
            pooled.rows = pooled.features.len() / steps.width;
            return Ok(pooled);
        }
        let mut features = Vec::with_capacity(parts.len());
        for part in parts {
            let mut found = zeros(inputs.batch * steps.width, "features")?;
            match part {
                Part::Last => {
                    let places = self.last(inputs.batch);
                    places.for_each(|(state, feature)| found[feature].copy_from_slice(&states[0][state]));
                }
                Part::Mean => pooling::mean(&y, steps, &mut found),
                Part::Max => {
                    pooled.at = zeros(found.len(), "features")?;
                    pooling::max(&y, steps, &mut found, &mut pooled.at);
                }
                Part::Attention => {
                    let (mut shares, weight) = (zeros(inputs.batch * inputs.seq, "features")?, &self.places.pool);
                    pooling::attention(self.isa(), store.numbers(weight), &y, steps, &mut found, &mut shares)?;
                    pooled.attended.1 = shares;
                }
            }
            features.push(found);
        }
        pooled.features = pooling::side_by_side(features, steps.width)?;
        if parts.contains(&Part::Attention) {
            pooled.attended.0 = y;
        }
        Ok(pooled)
    }

    /// Where the last layer's final states lie in `(layers · directions, batch, hidden)`, and where among the
    /// features, `(batch, directions · hidden)`.
    pub(super) fn last(&self, batch: usize) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let (hidden, directions) = (self.config.rnn.hidden, self.config.rnn.directions());
        let top = (self.config.rnn.layers - 1) * directions;
        let all = (0..directions).flat_map(move |direction| (0..batch).map(move |row| (direction, row)));
        all.map(move |(direction, row)| {
            let (state, feature) =
                (((top + direction) * batch + row) * hidden, (row * directions + direction) * hidden);
            (state..state + hidden, feature..feature + hidden)
        })
    }

    pub(super) fn head(&self, store: &Store<F>, pooled: &Pooled<F>) -> Result<Vec<F>> {
        let (w, b) = (store.matrix(&self.places.w), store.numbers(&self.places.b));
        self.config.head(self.isa()).forward(w, b, &pooled.features, pooled.rows)
    }
}
