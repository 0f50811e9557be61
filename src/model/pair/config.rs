//! What an encoder and a decoder are made of, and where their parameters lie.

use crate::error::{Error, Result};
use crate::nn::attention::Attention;
use crate::nn::linear::Linear;
use crate::rnn::config::Config;
use crate::shape;
use crate::simd::Isa;
use std::ops::Range;

/// What an [`EncoderDecoder`](crate::EncoderDecoder) is.
///
/// ```
/// use gru_rs::{Attention, Config, EncoderDecoderConfig};
/// // Of 30 letters to 70 sounds, of which 0 begins and 1 ends a word.
/// let encoder = Config { bidirectional: true, ..Config::gru(16, 32) };
/// let config = EncoderDecoderConfig {
///     vocabulary: Some(30), attention: Some(Attention::Dot), ..EncoderDecoderConfig::new(encoder, 70)
/// };
/// assert_eq!(config.decoder().hidden, 32);
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderDecoderConfig {
    /// Tokens that an embedding turns into `encoder.input` numbers each; without one the source is numbers.
    pub vocabulary: Option<usize>,
    /// The stack that reads the source. The decoder's has as many layers and units, and one direction.
    pub encoder: Config,
    /// Numbers for a token of the target.
    pub embedding: usize,
    /// Tokens of the target.
    pub outputs: usize,
    /// The token before the first of a target.
    pub begin: u32,
    /// The token behind the last.
    pub end: u32,
    /// Which steps of the source each step of the target sees beside the encoder's final states; none without one.
    pub attention: Option<Attention>,
    /// Share of the stacks' inputs that training drops.
    pub input_dropout: f64,
    /// Share of what the head sees that training drops.
    pub output_dropout: f64,
}

/// Where the parameters lie in the flat buffer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Places {
    pub source: Range<usize>,
    pub encoder: Range<usize>,
    pub target: Range<usize>,
    pub decoder: Range<usize>,
    /// A matrix and a bias for each layer of each state.
    pub bridge: Range<usize>,
    pub keys: Range<usize>,
    pub queries: Range<usize>,
    pub v: Range<usize>,
    pub combine: Range<usize>,
    pub head: Range<usize>,
}

impl EncoderDecoderConfig {
    /// Numbers in, so many tokens out, of which 0 begins and 1 ends a target; no attention, nothing dropped.
    pub fn new(encoder: Config, outputs: usize) -> Self {
        let encoder = Config { batch_first: true, ..encoder };
        let (embedding, attention) = (encoder.input, None);
        let (input_dropout, output_dropout) = (0.0, 0.0);
        let (vocabulary, begin, end) = (None, 0, 1);
        Self { vocabulary, encoder, embedding, outputs, begin, end, attention, input_dropout, output_dropout }
    }

    /// The stack that writes the target.
    pub fn decoder(&self) -> Config {
        // Its first weights are others than the encoder's.
        let seed = self.encoder.seed.wrapping_add(1);
        Config { input: self.embedding, bidirectional: false, seed, ..self.encoder.clone() }
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.encoder.check()?;
        let Config { layers, hidden, cell, .. } = self.encoder;
        let read = shape::positive("embedding_size", self.embedding)?.saturating_add(hidden);
        shape::product("embedding_size", &[2, layers, cell.gates(), hidden, read])?;
        self.decoder().check()?;
        shape::positive("output_size", self.outputs)?;
        if let Some(vocabulary) = self.vocabulary {
            shape::positive("vocabulary_size", vocabulary)?;
            shape::product("vocabulary_size", &[vocabulary, self.encoder.input])?;
        }
        shape::product("output_size", &[2, self.outputs, self.embedding.saturating_add(self.encoder.hidden)])?;
        shape::product("hidden_size", &[8, self.encoder.hidden, self.encoder.hidden])?;
        for (name, token) in [("begin", self.begin), ("end", self.end)] {
            if token as usize >= self.outputs {
                return Err(Error::value(name, format!("a token below {}", self.outputs), token));
            }
        }
        for (name, share) in [("input_dropout", self.input_dropout), ("output_dropout", self.output_dropout)] {
            if !(0.0..1.0).contains(&share) {
                return Err(Error::value(name, "a number of [0, 1)", share));
            }
        }
        if self.encoder.batch_first { Ok(()) } else { Err(Error::value("batch_first", "true in a model", false)) }
    }

    /// Layers of the bridge from an encoder of two directions to a decoder of one.
    pub(super) fn bridges(&self) -> usize {
        if self.encoder.bidirectional { self.encoder.layers * self.encoder.cell.states() } else { 0 }
    }

    pub(super) fn places(&self) -> Places {
        let (hidden, values) = (self.encoder.hidden, self.encoder.outputs());
        let mut end = 0;
        let mut take = |len: usize| {
            end += len;
            end - len..end
        };
        let with = |kind: Option<Attention>, len: usize| {
            let wanted = kind.map_or(self.attention.is_some(), |kind| self.attention == Some(kind));
            if wanted { len } else { 0 }
        };
        Places {
            source: take(self.vocabulary.unwrap_or(0) * self.encoder.input),
            encoder: take(self.encoder.parameters()),
            target: take(self.outputs * self.embedding),
            decoder: take(self.decoder().parameters()),
            bridge: take(self.bridges() * hidden * (2 * hidden + 1)),
            keys: take(with(None, hidden * values)),
            queries: take(with(Some(Attention::Additive), hidden * hidden)),
            v: take(with(Some(Attention::Additive), hidden)),
            combine: take(with(None, hidden * (values + hidden + 1))),
            head: take(self.outputs * (hidden + 1)),
        }
    }

    pub(super) fn linear(&self, isa: Isa, inputs: usize, outputs: usize) -> Linear {
        Linear { isa, inputs, outputs, spread: true }
    }

    /// All parameters.
    pub fn parameters(&self) -> usize {
        self.places().head.end
    }

    /// The parameters' names, their place in the flat buffer and their shapes, in order.
    pub fn names(&self) -> Vec<(String, Range<usize>, Vec<usize>)> {
        let (places, hidden, values) = (self.places(), self.encoder.hidden, self.encoder.outputs());
        let mut names = Vec::new();
        let mut add = |name: &str, place: Range<usize>, shapes: &[(&str, Vec<usize>)]| {
            let mut begin = place.start;
            for (kind, shape) in shapes.iter().filter(|_| !place.is_empty()) {
                let len = shape.iter().product::<usize>();
                names.push((format!("{name}.{kind}"), begin..begin + len, shape.clone()));
                begin += len;
            }
        };
        let stack = |config: Config| -> Vec<(String, Vec<usize>)> {
            config.names().into_iter().map(|(name, _, shape)| (name, shape)).collect()
        };
        let (encoder, decoder) = (stack(self.encoder.clone()), stack(self.decoder()));
        add("source", places.source.clone(), &[("weight", vec![self.vocabulary.unwrap_or(0), self.encoder.input])]);
        for (which, place, of) in [("encoder", &places.encoder, &encoder), ("decoder", &places.decoder, &decoder)] {
            if which == "decoder" {
                add("target", places.target.clone(), &[("weight", vec![self.outputs, self.embedding])]);
            }
            let shapes: Vec<(&str, Vec<usize>)> = of.iter().map(|(name, shape)| (&name[..], shape.clone())).collect();
            add(which, place.clone(), &shapes);
        }
        let mut begin = places.bridge.start;
        for bridge in 0..self.bridges() {
            let state = self.encoder.cell.state_names()[bridge / self.encoder.layers];
            let layer = bridge % self.encoder.layers;
            let end = begin + hidden * (2 * hidden + 1);
            let shapes = [("weight", vec![hidden, 2 * hidden]), ("bias", vec![hidden])];
            add(&format!("bridge.{state}_l{layer}"), begin..end, &shapes);
            begin = end;
        }
        add("attention", places.keys, &[("keys", vec![hidden, values])]);
        add("attention", places.queries, &[("queries", vec![hidden, hidden])]);
        add("attention", places.v, &[("v", vec![hidden])]);
        let combine = [("weight", vec![hidden, values + hidden]), ("bias", vec![hidden])];
        add("combine", places.combine, &combine);
        add("head", places.head, &[("weight", vec![self.outputs, hidden]), ("bias", vec![self.outputs])]);
        names
    }
}
