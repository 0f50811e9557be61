//! Weights at rest: floats that learn, or quantized ones that do not, by name and end to end. It must not know layers,
//! time or Python.

mod store;
mod tensor;
mod width;

pub use store::{Names, Store};
#[cfg(feature = "python")]
pub(crate) use tensor::of_bits;
pub use tensor::{Matrix, Tensor, can_be_quantized};
pub use width::{DEEPEST, LARGEST, Width};
