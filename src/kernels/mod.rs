//! The numerical kernels: safe, generic over the instruction set and the float type, slices in and
//! out, no allocation. They know vectors and panels; they must not know time, depth or NumPy.

pub mod activation;
pub mod bytes;
pub mod exponential;
pub mod gates;
pub mod gru;
pub mod lstm;
pub mod norm;
pub mod pack;
pub mod peak;
pub mod product;
pub mod scaled;
pub mod squash;
pub mod sums;
pub mod update;
