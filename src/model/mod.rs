//! Embedding → stack → head as one object: one flat buffer of parameters, one of gradients. It must not know
//! files, epochs or Python.

mod config;
mod net;

pub use config::{Inputs, ModelConfig, Numbers};
pub use net::Model;
