//! Time and depth, written once for every cell: a layer is scans over time, a stack is layers. It knows
//! kernels by what they compute; it must not know vectors' widths beyond asking, nor Python.

pub mod cell;
pub mod kept;
pub mod lane;
pub mod params;
pub mod pass;
pub mod products;
pub mod scan;
pub mod scan_backward;
pub mod sequence;
pub mod stack;
pub mod stream;
pub mod tape;
