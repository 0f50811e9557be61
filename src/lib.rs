//! GRU and LSTM layers, and models made of them, trained and run on the CPU.
//!
//! The rooms, each of which may use those below it only:
//!
//! ```text
//! py ─▶ io ─▶ names ─▶ model ─▶ optim ─▶ rnn ─▶ kernels ─▶ simd ─▶ base (error, float, half, bfloat16, weights, shape, rng, buffer …)
//!               └────▶ nn ───────────▶ kernels
//! reference ─▶ base
//! ```
//!
//! To understand the mathematics read [`reference`]: the paper in plain loops. To understand the speed
//! read [`kernels::product`], [`kernels::registers`] and then `rnn/forward/scan.rs`. All unsafe code is in [`simd`].
//!
//! Whatever the instruction set, the number of threads, the batch a row is in, or whether steps come one
//! by one or at once, the bits are the same: every output is one chain of fused multiply-adds, bias first, then inputs,
//! then the recurrent part; sums of backward are made of fixed blocks.
//!
//! ```
//! use gru_rs::{Batch, Config, Gru, Memory, Rule, Sgd, Training};
//!
//! let gru = Gru::<f32>::new(Config { seed: 1, ..Config::gru(3, 8) })?;
//! let x = vec![0.1; 20 * 4 * 3]; // 20 steps of 4 rows of 3 numbers
//! let batch = Batch { x: &x, batch: 4, seq: 20, states: &[], lengths: Some(&[20, 7, 0, 13]), resets: None };
//! let (output, mut tape) = gru.forward(&batch, &Training::default())?;
//! let gradients = tape.backward(Some(&output.y), &[])?; // of ½ Σ y²
//! let sgd = Rule::Sgd(Sgd { learning_rate: 0.1, momentum: 0.9, nesterov: false, weight_decay: 0.0 });
//! sgd.step(&gru, &gradients.flat, &mut Memory::default())?;
//! # Ok::<(), gru_rs::Error>(())
//! ```

mod bfloat16;
mod buffer;
mod dropout;
mod error;
mod float;
mod function;
mod half;
#[cfg(feature = "files")]
mod io;
#[doc(hidden)]
pub mod kernels;
mod model;
#[doc(hidden)]
pub mod names;
#[doc(hidden)]
pub mod nn;
mod optim;
mod parallel;
#[cfg(feature = "python")]
mod py;
pub mod reference;
mod rng;
mod rnn;
mod shape;
#[doc(hidden)]
pub mod simd;
mod text;
#[doc(hidden)]
pub mod weights;

pub use bfloat16::Bfloat16;
pub use error::{Error, Result};
pub use float::Float;
pub use function::{Function, Functions};
pub use half::Half;
#[cfg(feature = "files")]
pub use io::{Estimator, Saved, Token, Vocabulary};
pub use model::{
    EncoderDecoder, EncoderDecoderConfig, Generator, Hypothesis, Inputs, Lost, Model, ModelConfig, ModelStream,
    Numbers, OwnLoss, Sampling, StreamState,
};
pub use nn::attention::Attention;
pub use nn::convolution::{Activation, Convolution};
pub use nn::ctc::{Ctc, Guess};
pub use nn::loss::Loss;
pub use nn::pooling::Pooling;
pub use nn::targets::{Spelling, Targets};
pub use optim::clip::clip_by_norm;
pub use optim::schedule::{Cosine, Plateau};
pub use optim::{Adam, Memory, Rule, Sgd};
pub use parallel::{num_threads, num_workers, on_interrupt, set_num_threads};
pub use rnn::call::{Batch, Memory as TapeMemory, Output, Training};
pub use rnn::cell::{Cell, Reset};
pub use rnn::config::Config;
pub use rnn::layers::{Gru, Lstm, Rnn};
pub use rnn::parameters::{Parameters, Snapshot};
pub use rnn::stream::Stream;
pub use rnn::tape::{Gradients, Tape};
pub use simd::{Dispatch, Isa};
pub use text::Words;
pub use weights::{Tensor, Width};
