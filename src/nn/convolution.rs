//! A causal convolution over time:
//!
//! ```text
//! y_j = f (W [x_(js−k+1) … x_(js)] + b)        for 0 ≤ j s < T, with zeros before the first step
//! ```
//!
//! of k steps and a stride of s. A y waits for no later step, so a stream gives it as soon as step j s has come; with
//! k = s = 1 it is a layer of its own for each step.

use super::linear::{Linear, LinearGradients, LinearScratch, PackedLinear};
use crate::buffer::zeros;
use crate::error::Result;
use crate::float::Float;
use crate::kernels::activation::Tanh;
use crate::parallel;
use crate::shape;
use crate::simd::{Dispatch, Isa};
use crate::weights::Matrix;

/// Frames whose windows are laid out at once.
const CHUNK: usize = 512;

/// What becomes of a convolution's sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// max(0, x)
    Relu,
    /// tanh x
    Tanh,
    /// x
    Linear,
}

impl Activation {
    fn apply<F: Dispatch>(self, isa: Isa, y: &mut [F]) {
        match self {
            // A NaN is kept.
            Self::Relu => y.iter_mut().filter(|y| **y < F::ZERO).for_each(|y| *y = F::ZERO),
            Self::Tanh => F::dispatch(isa, Tanh(y)),
            Self::Linear => {}
        }
    }

    /// d x from d y, in place.
    fn backward<F: Float>(self, y: &[F], d: &mut [F]) {
        match self {
            Self::Relu => d.iter_mut().zip(y).filter(|(_, y)| **y <= F::ZERO).for_each(|(d, _)| *d = F::ZERO),
            Self::Tanh => d.iter_mut().zip(y).for_each(|(d, &y)| *d = *d * (F::ONE - y * y)),
            Self::Linear => {}
        }
    }
}

/// What a stack reads: of each stride of steps one frame.
///
/// ```
/// use gru_rs::{Activation, Config, Convolution, Inputs, Model, ModelConfig, Numbers};
/// // Of each ten samples 8 numbers, from the last 25 samples.
/// let convolution = Convolution { inputs: 1, kernel: 25, stride: 10, activation: Activation::Relu };
/// let config = ModelConfig { convolution: Some(convolution), ..ModelConfig::new(Config::gru(8, 16), 2) };
/// let model = Model::<f32>::new(config)?;
/// let x = Numbers::Floats(&[0.5; 400]);
/// assert_eq!(model.scores(&Inputs { numbers: x, batch: 1, seq: 400, lengths: None, states: &[] })?.len(), 2);
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Convolution {
    /// Numbers a step.
    pub inputs: usize,
    /// Steps that a frame is made of.
    pub kernel: usize,
    /// Steps from frame to frame.
    pub stride: usize,
    /// What becomes of the sums.
    pub activation: Activation,
}

/// Rows of steps, `(batch, seq, inputs)`; what lies past a row's length is never read.
#[derive(Clone, Copy, Debug)]
pub struct Signal<'a, F> {
    /// The numbers.
    pub x: &'a [F],
    /// Steps of a row.
    pub seq: usize,
    /// Each row's steps; all have `seq` when there is none.
    pub lengths: Option<&'a [usize]>,
}

impl Convolution {
    /// Whether there can be such a one, with so many numbers a frame.
    pub fn check(&self, channels: usize) -> Result<()> {
        shape::positive("conv_channels", channels)?;
        shape::positive("input_size", self.inputs)?;
        shape::positive("conv_kernel_size", self.kernel)?;
        shape::positive("conv_stride", self.stride)?;
        shape::product("conv_kernel_size", &[2, self.kernel, self.inputs, channels]).map(|_| ())
    }

    /// Frames of so many steps.
    pub fn frames(&self, steps: usize) -> usize {
        steps.div_ceil(self.stride)
    }

    /// Numbers of a frame's window.
    pub fn window(&self) -> usize {
        self.kernel * self.inputs
    }

    /// Its sums as a layer.
    pub fn linear(&self, isa: Isa, channels: usize) -> Linear {
        Linear { isa, inputs: self.window(), outputs: channels, spread: true }
    }

    /// Some windows, one behind the other, to frames.
    pub fn of_windows<F: Dispatch>(
        &self, isa: Isa, packed: &PackedLinear<F>, windows: &[F], frames: &mut [F], scratch: &mut LinearScratch<F>,
    ) {
        packed.forward(windows, frames, scratch);
        self.activation.apply(isa, frames);
    }

    /// The windows of some frames of a batch, those of its rows one behind the other; zeros for those behind a row's own.
    fn windows<F: Float>(&self, signal: &Signal<'_, F>, first: usize, windows: &mut [F]) {
        let (per_row, step) = (self.frames(signal.seq), signal.seq * self.inputs);
        for (frame, window) in (first..).zip(windows.chunks_exact_mut(self.window())) {
            let (row, last) = (frame / per_row, frame % per_row * self.stride);
            if last >= signal.lengths.map_or(signal.seq, |lengths| lengths[row]) {
                window.fill(F::ZERO);
                continue;
            }
            let begin = (last + 1).saturating_sub(self.kernel);
            let x = &signal.x[row * step..][begin * self.inputs..(last + 1) * self.inputs];
            let (before, own) = window.split_at_mut(self.window() - x.len());
            before.fill(F::ZERO);
            own.copy_from_slice(x);
        }
    }

    /// Frames, `(batch, frames, channels)`; those behind a row's own are of no meaning.
    pub fn forward<F: Dispatch>(
        &self, linear: Linear, w: Matrix<'_, F>, b: &[F], signal: &Signal<'_, F>, rows: usize,
    ) -> Result<Vec<F>> {
        let (packed, frames) = (linear.pack(w, b)?, rows * self.frames(signal.seq));
        let mut y = zeros(frames.saturating_mul(linear.outputs), "frames")?;
        let threads = parallel::worth(frames.saturating_mul(2 * linear.inputs * linear.outputs))?;
        let tasks: Vec<_> = y.chunks_mut(CHUNK * linear.outputs).enumerate().collect();
        parallel::for_each(threads, tasks, |(task, y), _| {
            let mut windows = zeros(y.len() / linear.outputs * linear.inputs, "windows")?;
            self.windows(signal, task * CHUNK, &mut windows);
            let mut scratch = packed.scratch(y.len() / linear.outputs)?;
            self.of_windows(linear.isa, &packed, &windows, y, &mut scratch);
            Ok(())
        })?;
        Ok(y)
    }

    /// The gradients of W and b, added to what is there, and of x if it is given; from those of the frames, which are
    /// overwritten, and 0 behind a row's own.
    pub fn backward<F: Dispatch>(
        &self, linear: Linear, w: &[F], signal: &Signal<'_, F>, (y, d_y): (&[F], &mut [F]),
        sums: &mut LinearGradients<'_, F>, mut d_x: Option<&mut [F]>,
    ) -> Result<()> {
        self.activation.backward(y, d_y);
        for (chunk, d_y) in d_y.chunks(CHUNK * linear.outputs).enumerate() {
            let (frames, first) = (d_y.len() / linear.outputs, chunk * CHUNK);
            let mut windows = zeros(frames * linear.inputs, "windows")?;
            self.windows(signal, first, &mut windows);
            linear.sums(&windows, d_y, frames, sums)?;
            if let Some(d_x) = d_x.as_deref_mut() {
                self.scatter(&linear.transposed(w, d_y, frames)?, signal, first, d_x);
            }
        }
        Ok(())
    }

    /// Adds the gradients of some windows to those of the steps that they were made of.
    fn scatter<F: Float>(&self, d_windows: &[F], signal: &Signal<'_, F>, first: usize, d_x: &mut [F]) {
        let (per_row, step) = (self.frames(signal.seq), signal.seq * self.inputs);
        for (frame, d_window) in (first..).zip(d_windows.chunks_exact(self.window())) {
            let (row, last) = (frame / per_row, frame % per_row * self.stride);
            let begin = (last + 1).saturating_sub(self.kernel);
            let d_x = &mut d_x[row * step..][begin * self.inputs..(last + 1) * self.inputs];
            let own = &d_window[self.window() - d_x.len()..];
            d_x.iter_mut().zip(own).for_each(|(sum, &d)| *sum += d);
        }
    }
}
