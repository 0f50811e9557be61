//! The options of a network by name, read once for Python's constructors and for files: what a source of options is,
//! and which of them make which configuration. It must not know Python or files.

use crate::error::Result;
use crate::function::{Function, Functions};
use crate::model::{EncoderDecoderConfig, ModelConfig};
use crate::nn::attention::Attention;
use crate::nn::convolution::{Activation, Convolution};
use crate::nn::pooling::Pooling;
use crate::rnn::cell::Cell;
use crate::rnn::config::Config;

/// Where options are found by name. One that is missing, or of another kind, is an error that names it.
pub trait Options {
    /// An integer from 0.
    fn size(&self, name: &str) -> Result<usize>;
    /// The same, or none.
    fn maybe_size(&self, name: &str) -> Result<Option<usize>>;
    /// Yes or no.
    fn flag(&self, name: &str) -> Result<bool>;
    /// A finite number.
    fn number(&self, name: &str) -> Result<f64>;
    /// The same, or none.
    fn maybe_number(&self, name: &str) -> Result<Option<f64>>;
    /// One of some words, given to `of` with the option's name.
    fn word<T>(&self, name: &str, of: impl Fn(&str, &str) -> Result<T>) -> Result<T>;
    /// The same, or none.
    fn maybe_word<T>(&self, name: &str, of: impl Fn(&str, &str) -> Result<T>) -> Result<Option<T>>;
    /// Of the first weights; one that came of no seed is 0.
    fn seed(&self) -> Result<u64>;
}

/// Of a layer or cell by itself.
pub fn layer_config(options: &impl Options) -> Result<Config> {
    let functions = Functions {
        gate: options.word("recurrent_activation", Function::named)?,
        candidate: options.word("activation", Function::named)?,
        clip: options.maybe_number("clip")?,
    };
    Ok(Config { functions, batch_first: options.flag("batch_first")?, ..stack(options)? })
}

/// The stack of a layer, a model or an encoder.
fn stack(options: &impl Options) -> Result<Config> {
    let reset_after = options.flag("reset_after")?;
    Ok(Config {
        cell: options.word("cell", |name, word| Cell::named(name, word, reset_after))?,
        layers: options.size("num_layers")?,
        bias: options.flag("bias")?,
        bidirectional: options.flag("bidirectional")?,
        dropout: options.number("dropout")?,
        seed: options.seed()?,
        ..Config::gru(options.size("input_size")?, options.size("hidden_size")?)
    })
}

/// Of a `Model`.
pub fn model_config(options: &impl Options) -> Result<ModelConfig> {
    let (mut rnn, mut convolution) = (stack(options)?, None);
    // Files of before know nothing of it.
    if let Some(channels) = options.maybe_size("conv_channels")? {
        convolution = Some(Convolution {
            inputs: std::mem::replace(&mut rnn.input, channels),
            kernel: options.size("conv_kernel_size")?,
            stride: options.size("conv_stride")?,
            activation: options.word("conv_activation", Activation::named)?,
        });
    }
    let config = ModelConfig {
        convolution,
        vocabulary: options.maybe_size("vocabulary_size")?,
        input_dropout: options.number("input_dropout")?,
        variational: options.flag("variational")?,
        pooling: options.word("pooling", Pooling::named)?,
        output_dropout: options.number("output_dropout")?,
        crf: options.flag("crf")?,
        ..ModelConfig::new(rnn, options.size("output_size")?)
    };
    config.check()?;
    Ok(config)
}

/// Of an `EncoderDecoder`.
pub fn pair_config(options: &impl Options) -> Result<EncoderDecoderConfig> {
    let token = |name: &str| {
        let token = options.size(name)?;
        u32::try_from(token).map_err(|_| crate::error::Error::value(name, "a token below 2**32", token))
    };
    let config = EncoderDecoderConfig {
        vocabulary: options.maybe_size("vocabulary_size")?,
        embedding: options.size("embedding_size")?,
        begin: token("begin")?,
        end: token("end")?,
        attention: options.maybe_word("attention", Attention::named)?,
        input_dropout: options.number("input_dropout")?,
        output_dropout: options.number("output_dropout")?,
        ..EncoderDecoderConfig::new(stack(options)?, options.size("output_size")?)
    };
    config.check()?;
    Ok(config)
}
