//! One token after another: a model of language reads tokens and draws the next.

use super::model::Model;
use crate::buffer::zeros;
use crate::error::{Error, Result};
use crate::kernels::exponential::Softmax;
use crate::nn::embedding::Tokens;
use crate::nn::linear::{LinearScratch, PackedLinear};
use crate::nn::pooling::Pooling;
use crate::parallel;
use crate::rng::Rng;
use crate::rnn::stream::Stream;
use crate::rnn::weights::Weights;
use crate::simd::Dispatch;
use std::sync::Arc;

/// Bytes that what the first layer makes of all tokens may take; it is kept if it takes no more.
const KNOWN: usize = 16 << 20;

/// How the next token is drawn from the scores, in this order:
///
/// ```text
/// penalty θ       x ← x / θ above 0, x θ below, of tokens that were there     (Keskar et al., 2019)
/// temperature τ   x ← x / τ, and p = softmax(x); 0 takes the best
/// top k           of the k best alone
/// top p           of the fewest best whose sum reaches p                      (Holtzman et al., 2020)
/// ```
///
/// ```
/// use gru_rs::Sampling;
/// let sampling = Sampling { top_k: 5, ..Sampling::default() };
/// assert_eq!(sampling.temperature, 1.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// τ ≥ 0
    pub temperature: f64,
    /// How many tokens are left; 0 for all.
    pub top_k: usize,
    /// Of (0, 1].
    pub top_p: f64,
    /// θ > 0
    pub repetition_penalty: f64,
}

impl Default for Sampling {
    /// From the model's own probabilities.
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0 }
    }
}

impl Sampling {
    fn check(&self) -> Result<()> {
        let refuse = |name, expected: &str, got| Err(Error::value(name, expected.to_owned(), got));
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return refuse("temperature", "a finite number ≥ 0", self.temperature);
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return refuse("top_p", "a number of (0, 1]", self.top_p);
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            return refuse("repetition_penalty", "a finite number > 0", self.repetition_penalty);
        }
        Ok(())
    }
}

/// A model's state between tokens, and its dice. Each call takes the model's newest weights: a token is read by one set,
/// and the next is drawn from what that same set says of it.
///
/// ```
/// use gru_rs::{Config, Generator, Model, ModelConfig, Pooling, Sampling};
/// let stack = Config::gru(8, 16);
/// let config = ModelConfig { vocabulary: Some(10), pooling: Pooling::Each, ..ModelConfig::new(stack, 10) };
/// let mut generator = Generator::new(&Model::<f32>::new(config)?, Sampling::default(), 1)?;
/// generator.read(3)?;
/// let tokens: Vec<u32> = (0..5).map(|_| generator.next()).collect::<Result<_, _>>()?;
/// assert!(tokens.iter().all(|&token| token < 10));
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Debug)]
pub struct Generator<F> {
    model: Model<F>,
    sampling: Sampling,
    rng: Rng,
    stream: Stream<F>,
    /// The weights that read the newest token.
    weights: Arc<Weights<F>>,
    /// What the first layer makes of the tokens that were read, at a version of the weights.
    projected: (u64, Vec<Vec<F>>),
    /// The head at a version of the weights.
    head: (u64, Arc<PackedLinear<F>>),
    /// The stack's newest output.
    y: Vec<F>,
    scores: Vec<F>,
    scratch: LinearScratch<F>,
    /// The scores that are drawn from, and the tokens they belong to.
    drawn: Vec<f64>,
    order: Vec<u32>,
    /// The tokens that were there, and those that are never drawn.
    seen: Vec<bool>,
    forbidden: Vec<bool>,
    any: bool,
}

impl<F: Dispatch> Generator<F> {
    /// Before the first token.
    pub fn new(model: &Model<F>, sampling: Sampling, seed: u64) -> Result<Self> {
        sampling.check()?;
        let config = model.config();
        let (tokens, hidden) = (config.outputs, config.rnn.hidden);
        if config.convolution.is_some() {
            return Err(Error::value("model", "one without a convolution, to draw token by token", "one that has it"));
        }
        if config.vocabulary != Some(tokens) || config.pooling != Pooling::Each {
            let expected = "a model that scores each token of its vocabulary at each step";
            return Err(Error::value("model", expected, format!("{:?} of {:?}", config.pooling, config.vocabulary)));
        }
        let model = model.clone();
        let weights = model.weights();
        let head = (weights.version, model.packed_head(&weights)?);
        Ok(Self {
            sampling,
            rng: Rng::new(seed),
            stream: model.stream(1)?,
            projected: (weights.version, vec![vec![]; tokens]),
            weights,
            scratch: head.1.scratch(1)?,
            head,
            y: zeros(hidden, "generator")?,
            scores: zeros(tokens, "generator")?,
            drawn: zeros(tokens, "generator")?,
            order: zeros(tokens, "generator")?,
            seen: vec![false; tokens],
            forbidden: vec![false; tokens],
            any: false,
            model,
        })
    }

    fn expect(&self, token: u32) -> Result<()> {
        if (token as usize) < self.seen.len() {
            return Ok(());
        }
        Err(Error::value("token", format!("a number below {}", self.seen.len()), token))
    }

    /// Never draws a token, such as the unknown one, from now on. One at least must be left.
    pub fn forbid(&mut self, token: u32) -> Result<()> {
        self.expect(token)?;
        self.forbidden[token as usize] = true;
        if self.forbidden.iter().all(|&forbidden| forbidden) {
            self.forbidden[token as usize] = false;
            return Err(Error::value("token", "a token that leaves others", "the last"));
        }
        Ok(())
    }

    /// Goes on by a token that is given.
    pub fn read(&mut self, token: u32) -> Result<()> {
        self.begin(token)?;
        self.seen[token as usize] = true;
        Ok(())
    }

    /// Goes on by tokens that are given, all read by the same weights.
    pub fn read_all(&mut self, tokens: &[u32]) -> Result<()> {
        tokens.iter().try_for_each(|&token| self.expect(token))?;
        let weights = self.stream.newest();
        parallel::alone(|turn| {
            tokens.iter().try_for_each(|&token| {
                turn.go_on()?;
                self.take(&weights, token)?;
                self.seen[token as usize] = true;
                Ok(())
            })
        })
    }

    /// Goes on by a token that says where a text begins. It does not count as one that was there.
    pub fn begin(&mut self, token: u32) -> Result<()> {
        self.expect(token)?;
        let weights = self.stream.newest();
        self.take(&weights, token)
    }

    fn take(&mut self, weights: &Arc<Weights<F>>, token: u32) -> Result<()> {
        self.any = true;
        let width = self.model.config().rnn.input;
        let (of, known) = &mut self.projected;
        if *of != weights.version {
            *of = weights.version;
            known.iter_mut().for_each(Vec::clear);
        }
        let mut projected = std::mem::take(&mut known[token as usize]);
        if projected.is_empty() {
            let mut x = zeros(width, "generator")?;
            self.model.embed(weights, Tokens { data: &[token], seq: 1, per_step: 1, lengths: None }, &mut x);
            projected = self.stream.project(&x)?;
        }
        self.stream.step_projected(&projected, &mut self.y)?;
        if !Arc::ptr_eq(&self.weights, weights) {
            self.weights = weights.clone();
        }
        if known.len().saturating_mul(size_of_val(&projected[..])) <= KNOWN {
            known[token as usize] = projected;
        }
        Ok(())
    }

    /// Draws the next token, and reads it.
    #[expect(clippy::should_implement_trait, reason = "it never ends, and may fail")]
    pub fn next(&mut self) -> Result<u32> {
        if !self.any {
            return Err(Error::value("prompt", "at least one token before the first that is drawn", "none"));
        }
        if self.head.0 != self.weights.version {
            self.head = (self.weights.version, self.model.packed_head(&self.weights)?);
        }
        self.head.1.forward(&self.y, &mut self.scores, &mut self.scratch);
        if let Some(score) = self.scores.iter().find(|score| score.to_f64().is_nan()) {
            return Err(Error::value("model", "one that gives scores", score));
        }
        let token = self.draw();
        self.read(token)?;
        Ok(token)
    }

    fn draw(&mut self) -> u32 {
        let Sampling { temperature, top_k, top_p, repetition_penalty } = self.sampling;
        for ((x, score), &seen) in self.drawn.iter_mut().zip(&self.scores).zip(&self.seen) {
            *x = score.to_f64();
            if seen && repetition_penalty != 1.0 {
                *x = if *x > 0.0 { *x / repetition_penalty } else { *x * repetition_penalty };
            }
            // What is forbidden is below all others, however small.
            *x = x.clamp(f64::MIN, f64::MAX);
        }
        let forbidden = self.drawn.iter_mut().zip(&self.forbidden).filter(|(_, forbidden)| **forbidden);
        forbidden.for_each(|(x, _)| *x = f64::NEG_INFINITY);
        if temperature == 0.0 {
            let best = (1..self.drawn.len()).fold(0, |a, b| if self.drawn[b] > self.drawn[a] { b } else { a });
            return best as u32;
        }
        // From the best one down: a quotient may be infinite, but never two of different signs.
        let best = self.drawn.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        self.drawn.iter_mut().for_each(|x| *x = (*x - best) / temperature);
        let (columns, mut log_sums) = (self.drawn.len(), [0.0]);
        let softmax = Softmax { rows: &mut self.drawn, columns, log_sums: &mut log_sums };
        f64::dispatch(self.model.isa(), softmax);
        let p = &self.drawn;
        self.order.iter_mut().enumerate().for_each(|(i, token)| *token = i as u32);
        let mut kept = &self.order[..];
        if (1..columns).contains(&top_k) || top_p < 1.0 {
            // Of equals the lower number first.
            self.order.sort_unstable_by(|&a, &b| p[b as usize].total_cmp(&p[a as usize]).then(a.cmp(&b)));
            let most = if top_k == 0 { columns } else { top_k.min(columns) };
            let mut sum = 0.0;
            let total: f64 = self.order[..most].iter().map(|&token| p[token as usize]).sum();
            let enough = self.order[..most].iter().position(|&token| {
                sum += p[token as usize];
                sum >= top_p * total
            });
            kept = &self.order[..enough.map_or(most, |last| last + 1)];
        }
        let total: f64 = kept.iter().map(|&token| p[token as usize]).sum();
        let mut left = self.rng.uniform() * total;
        for &token in kept {
            left -= p[token as usize];
            if left < 0.0 {
                return token;
            }
        }
        // By rounding nothing was reached.
        kept.iter().copied().rev().find(|&token| p[token as usize] > 0.0).unwrap_or(kept[0])
    }
}
