//! The model in training: the loss of a batch, and the gradient of every parameter. It must not know optimizers or epochs.

use super::config::{Inputs, Numbers};
use super::model::{Model, Pooled};
use crate::buffer::{keep_freed, zeros};
use crate::error::{Error, Result};
use crate::nn::embedding;
use crate::nn::linear::LinearGradients;
use crate::nn::loss::Loss;
use crate::nn::pooling::{self, Pooling};
use crate::nn::targets::Targets;
use crate::rnn::call::{Output, Training};
use crate::rnn::tape::Tape;
use crate::rnn::weights::Weights;
use crate::shape;
use crate::simd::Dispatch;
use crate::weights::Store;
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
struct Record<F> {
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
        inputs.check(self.config.vocabulary, self.config.rnn.input)?;
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
        let lengths = (0..inputs.batch).map(|row| inputs.length(row));
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

    fn forward(&self, inputs: &Inputs<'_, F>, seed: u64, training: &Training) -> Result<Record<F>> {
        let weights = self.weights();
        let x = self.inputs(&weights.store, inputs, Some(seed))?;
        let training = Training { seed: Some(seed), ..*training };
        let (Output { y, states }, tape) =
            self.rnn.forward_with(weights.clone(), &self.batch(&x, inputs), &training)?;
        let mut pooled = self.pool(y, &states, inputs)?;
        self.masks(seed)[1].apply(&mut pooled.features)?;
        Ok(Record { tape, states, weights, seed, pooled })
    }

    fn backward(&self, record: Record<F>, inputs: &Inputs<'_, F>, d_scores: &[F], gradient: &mut [F]) -> Result<()> {
        let Record { mut tape, weights, seed, pooled, .. } = record;
        let (places, steps) = (&self.places, self.steps(inputs));
        let (d_w, d_b) = gradient[places.w.start..places.b.end].split_at_mut(places.w.len());
        let mut sums = LinearGradients { w: d_w, b: d_b };
        let head = self.config.head(self.isa());
        let w = &weights.store.flat()?[places.w.clone()];
        let mut d = head.backward(w, &pooled.features, d_scores, pooled.rows, &mut sums)?;
        self.masks(seed)[1].apply(&mut d)?;
        // What the record holds may be the last handle but the model's on the weights.
        drop(weights);
        let gradients = if self.config.pooling == Pooling::Last {
            let len = self.config.rnn.layers * inputs.batch * steps.width;
            // Of h, and for an LSTM of c, which the head does not see.
            let states = (0..self.config.rnn.cell.states()).map(|_| zeros(len, "gradients"));
            let mut d_states: Vec<Vec<F>> = states.collect::<Result<_>>()?;
            self.last(inputs.batch).for_each(|(state, feature)| d_states[0][state].copy_from_slice(&d[feature]));
            let d_states: Vec<&[F]> = d_states.iter().map(|d| &d[..]).collect();
            tape.gradients(None, &d_states)?
        } else {
            let d_y = match self.config.pooling {
                Pooling::Mean => pooling::mean_backward(&d, steps)?,
                Pooling::Max => pooling::max_backward(&d, &pooled.at, steps)?,
                Pooling::Each | Pooling::Last => pooling::each_backward(d, steps)?,
            };
            tape.gradients(Some(&d_y), &[])?
        };
        gradient[places.rnn.clone()].copy_from_slice(&gradients.flat);
        if let Numbers::Tokens(tokens) = inputs.numbers {
            let mut d_x = gradients.x;
            if self.config.input_dropout > 0.0 {
                self.drop_inputs(seed, inputs.seq, &mut d_x)?;
            }
            let d_table = &mut gradient[places.embedding.clone()];
            embedding::backward(&d_x, inputs.tokens(tokens), self.config.rnn.input, d_table);
        }
        Ok(())
    }
}
