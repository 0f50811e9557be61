//! Embedding → stack → head as one object: one flat buffer of parameters, one of gradients. It must not know
//! files, epochs or Python.

mod config;
mod frames;
mod generator;
#[expect(clippy::module_inception, reason = "the room is called after its noun")]
mod model;
mod pair;
mod rows;
mod stream;
#[cfg(test)]
mod tiles;
mod training;

pub use config::{Inputs, ModelConfig, Numbers};
pub use generator::{Generator, Sampling};
pub use model::Model;
pub use pair::{EncoderDecoder, EncoderDecoderConfig, Hypothesis};
pub use stream::{ModelStream, StreamState};
pub use training::{Lost, OwnLoss};
