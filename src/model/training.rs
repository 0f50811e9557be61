//! The model in training: the loss of a batch, and the gradient of every parameter. It must not know optimizers or epochs.

use super::config::{Inputs, Numbers};
use super::model::{Front, Model, Pooled};
use crate::buffer::{copied, keep_freed, zeros};
use crate::error::{Error, Result};
use crate::nn::convolution::Signal;
use crate::nn::embedding;
use crate::nn::linear::LinearGradients;
use crate::nn::loss::Loss;
use crate::nn::pooling::{self, Part, Pooling};
use crate::nn::targets::Targets;
use crate::rnn::call::{Output, Training};
use crate::rnn::tape::Tape;
use crate::rnn::weights::Weights;
use crate::shape;
use crate::simd::Dispatch;
use crate::weights::Store;
use std::borrow::Cow;
use std::sync::Arc;

/// What a batch has lost.
///
/// ```
/// use gru_rs::{Config, Inputs, Loss, Model, ModelConfig, Numbers, Targets};
/// let model = Model::<f32>::new(ModelConfig::new(Config::gru(1, 8), 2))?;
/// let inputs = Inputs { numbers: Numbers::Floats(&[0.5; 6]), batch: 2, seq: 3, lengths: None, states: &[] };
/// let lost = model.loss(&inputs, Targets::Classes(&[1, 0]), None, &Loss::cross_entropy())?;
/// assert!(lost.loss > 0.0 && lost.gradients.is_empty());
/// assert_eq!(lost.states[0].len(), 2 * 8); // to go on with
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Lost<F> {
    /// The mean.
    pub loss: f64,
    /// Of every parameter, end to end as [`Model::flat`]; none unless they were asked for.
    pub gradients: Vec<F>,
    /// The stack's states after each row's last step.
    pub states: Vec<Vec<F>>,
}

/// A loss of one's own: of the scores, row after row, the loss and its gradient; see [`Model::loss_and_grad_by`].
pub type OwnLoss<'a, F> = dyn FnMut(&[F]) -> Result<(f64, Vec<F>)> + 'a;

/// What the scores of a batch have lost, and the gradient at them; that of the chain, if there is one, is written.
type Lose<'a, F> = dyn FnMut(&Store<F>, &[F], &mut [F]) -> Result<(f64, Vec<F>)> + 'a;

/// What training keeps of forward beside the tape.
struct Record<'a, F: Clone> {
    /// Of a convolution what it has read, and its frames.
    convolved: Option<(Cow<'a, [F]>, Vec<F>)>,
    tape: Tape<F>,
    states: Vec<Vec<F>>,
    weights: Arc<Weights<F>>,
    seed: u64,
    pooled: Pooled<F>,
}

impl<F: Dispatch> Model<F> {
    /// The loss of a batch; `weights` tell how much each row counts.
    pub fn loss(
        &self, inputs: &Inputs<'_, F>, targets: Targets<'_, F>, weights: Option<&[F]>, loss: &Loss,
    ) -> Result<Lost<F>> {
        loss.check(Some(self.config.outputs))?;
        let own = self.weights();
        let Output { y: scores, states } = self.run_with(&own, inputs)?;
        let mut crf = zeros(self.places.crf.len(), "gradients")?;
        let (loss, _) = self.lose(&own.store, &scores, inputs, targets, weights, loss, &mut crf)?;
        Ok(Lost { loss, gradients: vec![], states })
    }

    /// The loss of a batch while training, and the gradient of every parameter.
    pub fn loss_and_grad(
        &self, inputs: &Inputs<'_, F>, targets: Targets<'_, F>, weights: Option<&[F]>, loss: &Loss, training: &Training,
    ) -> Result<Lost<F>> {
        loss.check(Some(self.config.outputs))?;
        self.learn(inputs, training, &mut |store, scores, d_crf| {
            self.lose(store, scores, inputs, targets, weights, loss, d_crf)
        })
    }

    /// The same by a loss of one's own: given the scores, row after row, it says the loss and its gradient, shaped as they.
    ///
    /// ```
    /// use gru_rs::{Config, Inputs, Model, ModelConfig, Numbers, Training};
    /// let model = Model::<f32>::new(ModelConfig::new(Config::gru(1, 8), 2))?;
    /// let inputs = Inputs { numbers: Numbers::Floats(&[0.5; 6]), batch: 2, seq: 3, lengths: None, states: &[] };
    /// // The sum of all scores.
    /// let mut sum = |scores: &[f32]| Ok((scores.iter().map(|&x| f64::from(x)).sum(), vec![1.0; scores.len()]));
    /// let lost = model.loss_and_grad_by(&inputs, &Training::default(), &mut sum)?;
    /// assert_eq!(lost.gradients[lost.gradients.len() - 2..], [2.0, 2.0]); // the head's bias, of two rows
    /// # Ok::<(), gru_rs::Error>(())
    /// ```
    pub fn loss_and_grad_by(
        &self, inputs: &Inputs<'_, F>, training: &Training, loss: &mut OwnLoss<'_, F>,
    ) -> Result<Lost<F>> {
        if self.config.crf {
            return Err(Error::value("loss", "cross-entropy for a chain over the labels", "a function"));
        }
        self.learn(inputs, training, &mut |_, scores, _| {
            let (lost, d_scores) = loss(scores)?;
            shape::expect_len("gradient", d_scores.len(), &[scores.len()])?;
            Ok((lost, d_scores))
        })
    }

    fn learn(&self, inputs: &Inputs<'_, F>, training: &Training, lose: &mut Lose<'_, F>) -> Result<Lost<F>> {
        keep_freed();
        self.config.expect(inputs)?;
        self.with_seed(training.seed, |seed| {
            let mut record = self.forward(inputs, seed, training)?;
            let states = std::mem::take(&mut record.states);
            let scores = self.head(&record.weights.store, &record.pooled)?;
            let mut gradient = zeros(self.config.parameters(), "gradients")?;
            let d_crf = &mut gradient[self.places.crf.clone()];
            let (lost, d_scores) = lose(&record.weights.store, &scores, d_crf)?;
            self.backward(record, inputs, &d_scores, &mut gradient)?;
            Ok(Lost { loss: lost, gradients: gradient, states })
        })
    }

    #[expect(clippy::too_many_arguments, reason = "what a loss is of")]
    fn lose(
        &self, store: &Store<F>, scores: &[F], inputs: &Inputs<'_, F>, targets: Targets<'_, F>, weights: Option<&[F]>,
        loss: &Loss, d_crf: &mut [F],
    ) -> Result<(f64, Vec<F>)> {
        let lengths = (0..inputs.batch).map(|row| self.config.frames(inputs.length(row)));
        if let Loss::Ctc { blank } = *loss {
            let Targets::Spelling(targets) = targets else {
                return Err(Error::value("targets", "sequences of labels for CTC", targets.kind()));
            };
            let lengths: Vec<usize> = lengths.collect();
            return self.ctc(blank)?.loss(scores, &lengths, targets, weights);
        }
        if let Some(crf) = self.crf() {
            let Targets::Classes(targets) = targets else {
                return Err(Error::value("targets", "labels for a chain", targets.kind()));
            };
            let lengths: Vec<usize> = lengths.collect();
            return crf.loss(store.numbers(&self.places.crf), scores, &lengths, targets, weights, d_crf);
        }
        if let (Some(weights), Pooling::Each) = (weights, self.config.pooling) {
            shape::expect_len("sample_weight", weights.len(), &[inputs.batch])?;
            let steps: Vec<F> = weights.iter().zip(lengths).flat_map(|(&w, n)| std::iter::repeat_n(w, n)).collect();
            return loss.of(self.isa(), scores, self.config.outputs, targets, Some(&steps));
        }
        loss.of(self.isa(), scores, self.config.outputs, targets, weights)
    }

    fn forward<'a>(&self, inputs: &Inputs<'a, F>, seed: u64, training: &Training) -> Result<Record<'a, F>> {
        let weights = self.weights();
        let Front { mut x, read } = self.front(&weights.store, inputs)?;
        let lengths = inputs.frames(&self.config);
        let inputs = &inputs.in_frames(&self.config, &lengths);
        let convolved = read.map(|read| Ok((read, copied(&x, "frames")?))).transpose()?;
        if self.config.input_dropout > 0.0 {
            self.drop_inputs(seed, inputs.seq, x.to_mut())?;
        }
        let training = Training { seed: Some(seed), ..*training };
        let (Output { y, states }, tape) =
            self.rnn.forward_with(weights.clone(), &self.batch(&x, inputs), &training)?;
        let mut pooled = self.pool(&weights.store, y, &states, inputs)?;
        self.masks(seed)[1].apply(&mut pooled.features)?;
        Ok(Record { convolved, tape, states, weights, seed, pooled })
    }

    fn backward(
        &self, record: Record<'_, F>, inputs: &Inputs<'_, F>, d_scores: &[F], gradient: &mut [F],
    ) -> Result<()> {
        let Record { convolved, mut tape, weights, seed, pooled, .. } = record;
        let lengths = inputs.frames(&self.config);
        let in_frames = &inputs.in_frames(&self.config, &lengths);
        let places = &self.places;
        let (d_w, d_b) = gradient[places.w.start..places.b.end].split_at_mut(places.w.len());
        let mut sums = LinearGradients { w: d_w, b: d_b };
        let head = self.config.head(self.isa());
        let w = &weights.store.flat()?[places.w.clone()];
        let mut d = head.backward(w, &pooled.features, d_scores, pooled.rows, &mut sums)?;
        self.masks(seed)[1].apply(&mut d)?;
        let weight = weights.store.numbers(&places.pool);
        let d_pool = &mut gradient[places.pool.clone()];
        let (d_y, d_states) = self.unpool(weight, d, &pooled, in_frames, d_pool)?;
        drop(pooled);
        let d_states: Vec<&[F]> = d_states.iter().map(|d| &d[..]).collect();
        let gradients = tape.gradients(d_y.as_deref(), &d_states)?;
        gradient[places.rnn.clone()].copy_from_slice(&gradients.flat);
        let mut d_x = gradients.x;
        let learns = matches!(inputs.numbers, Numbers::Tokens(_)) || convolved.is_some();
        if learns && self.config.input_dropout > 0.0 {
            self.drop_inputs(seed, in_frames.seq, &mut d_x)?;
        }
        if let Some((read, frames)) = convolved {
            d_x = self.convolution_backward(&weights.store, inputs, (&read, &frames), d_x, gradient)?;
        }
        if let Numbers::Tokens(tokens) = inputs.numbers {
            let d_table = &mut gradient[places.embedding.clone()];
            embedding::backward(&d_x, inputs.tokens(tokens), self.config.inputs(), d_table);
        }
        Ok(())
    }

    /// The gradients of what the convolution has read, if that is learnt.
    fn convolution_backward(
        &self, store: &Store<F>, inputs: &Inputs<'_, F>, (read, frames): (&[F], &[F]), mut d_frames: Vec<F>,
        gradient: &mut [F],
    ) -> Result<Vec<F>> {
        let Some(convolution) = self.config.convolution else { return Ok(d_frames) };
        let w = &store.flat()?[self.places.conv_w.clone()];
        let mut d_read = match inputs.numbers {
            Numbers::Tokens(_) => Some(zeros(read.len(), "gradients")?),
            Numbers::Floats(_) => None,
        };
        let places = &self.places;
        let (d_w, d_b) = gradient[places.conv_w.start..places.conv_b.end].split_at_mut(places.conv_w.len());
        let (signal, mut sums) =
            (Signal { x: read, seq: inputs.seq, lengths: inputs.lengths }, LinearGradients { w: d_w, b: d_b });
        let linear = convolution.linear(self.isa(), self.config.rnn.input);
        convolution.backward(linear, w, &signal, (frames, &mut d_frames), &mut sums, d_read.as_deref_mut())?;
        Ok(d_read.unwrap_or_default())
    }

    /// The gradients of the stack's outputs and of its last states, where the head sees them, from those of what it sees;
    /// that of the pooling's own parameters is written.
    #[expect(clippy::type_complexity, reason = "what a tape takes")]
    fn unpool(
        &self, weight: &[F], d: Vec<F>, pooled: &Pooled<F>, inputs: &Inputs<'_, F>, d_weight: &mut [F],
    ) -> Result<(Option<Vec<F>>, Vec<Vec<F>>)> {
        let (steps, parts) = (self.steps(inputs), self.config.pooling.parts());
        if self.config.pooling == Pooling::Each {
            return Ok((Some(pooling::each_backward(d, steps)?), vec![]));
        }
        let of_steps = parts != [Part::Last];
        let (mut d_y, mut d_states) = (if of_steps { steps.zeros()? } else { vec![] }, vec![]);
        for (part, d) in parts.iter().zip(pooling::taken_apart(d, parts.len(), steps.width)) {
            match part {
                Part::Last => {
                    let len = self.config.rnn.layers * inputs.batch * steps.width;
                    // Of h, and for an LSTM of c, which the head does not see.
                    let states = (0..self.config.rnn.cell.states()).map(|_| zeros(len, "gradients"));
                    d_states = states.collect::<Result<_>>()?;
                    let places = self.last(inputs.batch);
                    places.for_each(|(state, feature)| d_states[0][state].copy_from_slice(&d[feature]));
                }
                Part::Mean => pooling::mean_backward(&d, steps, &mut d_y),
                Part::Max => pooling::max_backward(&d, &pooled.at, steps, &mut d_y),
                Part::Attention => {
                    let (y, shares) = &pooled.attended;
                    pooling::attention_backward(&d, weight, (y, shares), steps, &mut d_y, d_weight);
                }
            }
        }
        Ok((of_steps.then_some(d_y), d_states))
    }
}
