//! Time and depth, written once for every cell: a layer is scans over time, a stack is layers. It knows
//! kernels by what they compute; it must not know vectors' widths beyond asking, nor Python.

pub mod arrays;
pub mod backward;
pub mod call;
pub mod cell;
pub mod config;
pub mod forward;
pub mod layers;
pub mod out;
pub mod parameters;
pub mod rows;
pub mod sizes;
pub mod stack;
pub mod stream;
pub mod tape;
pub mod weights;
pub mod windows;
