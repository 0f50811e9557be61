//! The paper in plain loops: one row, one step, one unit at a time, in f64. The oracle of the tests and
//! the pages to read first. Nothing else in the crate may use it.
//!
//! ```
//! use gru_rs::{Functions, reference::{Kind, Weights, backward, forward}};
//! // One unit, one input: all weights 0.5, no biases.
//! let (kind, functions) = (Kind::GruResetAfter, Functions::default());
//! let w = Weights { kind, functions, input: 1, hidden: 1, w_ih: &[0.5; 3], w_hh: &[0.5; 3], b_ih: &[], b_hh: &[] };
//! let run = forward(&w, &[vec![1.0], vec![1.0]], &[0.0], &[]);
//! assert!((run.y[0][0] - 0.174_468_0).abs() < 1e-6);
//! let gradients = backward(&w, &run, &[vec![1.0], vec![1.0]], &[0.0], &[]);
//! assert_eq!(gradients.x.len(), 2);
//! ```

mod gru;
mod lstm;
mod row;
mod sequence;
pub mod stack;

pub use row::{Gradients, Kind, Run, Weights};
pub use sequence::{backward, forward};
