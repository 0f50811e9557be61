//! The numerical kernels: safe, generic over the instruction set and the float type, slices in and
//! out, no allocation. They know vectors and panels; they must not know time, depth or NumPy.

pub mod activation;
pub mod bytes;
pub mod bytes_tile;
pub mod choice;
mod each_row;
pub mod exponential;
pub mod gates;
pub mod gru;
pub mod layout;
pub mod lstm;
pub mod norm;
pub mod operands;
pub mod outer;
pub mod pack;
pub mod pairs;
pub mod peak;
pub mod product;
pub mod registers;
mod registers_loop;
pub mod scaled;
pub mod squash;
pub mod sums;
#[cfg(test)]
pub mod tests;
pub mod tile;
pub mod update;
