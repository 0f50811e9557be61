//! Embedding → stack → head as one object: one flat buffer of parameters, one of gradients. It must not know
//! files, epochs or Python.

mod config;
mod decoding;
mod encoder_decoder;
mod generator;
mod net;
mod pair_backward;
mod pair_config;
mod stream;
#[cfg(test)]
mod tiles;

pub use config::{Inputs, ModelConfig, Numbers};
pub use decoding::Hypothesis;
pub use encoder_decoder::EncoderDecoder;
pub use generator::{Generator, Sampling};
pub use net::{Lost, Model};
pub use pair_config::EncoderDecoderConfig;
pub use stream::{ModelStream, StreamState};
