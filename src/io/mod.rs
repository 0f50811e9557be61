//! What a Python estimator saved, read without Python: the only room that names safetensors and JSON. It must not
//! know how a model computes.

mod checksum;
mod header;
mod learnt;
mod saved;
mod tensors;
mod vocabulary;

pub use saved::{Estimator, Saved};
pub use vocabulary::{Token, Vocabulary};
