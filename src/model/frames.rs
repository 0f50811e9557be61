//! A convolution between steps: the last steps of some sequences side by side, and the frames that new ones complete.

use super::model::Model;
use crate::buffer::{copied, zeros};
use crate::error::Result;
use crate::nn::convolution::Convolution;
use crate::nn::linear::{LinearScratch, PackedLinear};
use crate::rnn::weights::Weights;
use crate::shape;
use crate::simd::{Dispatch, Isa};

/// What is remembered of some sequences, and memory for a block of steps.
#[derive(Debug)]
pub(super) struct Frames<F> {
    of: Convolution,
    isa: Isa,
    channels: usize,
    /// The last steps of each row, `(batch, kernel, inputs)`, the oldest first; zeros before the first.
    last: Vec<F>,
    /// The weights at a version.
    packed: (u64, PackedLinear<F>),
    /// `(batch, frames, kernel, inputs)`
    windows: Vec<F>,
    /// `(batch, frames, channels)`
    made: Vec<F>,
    scratch: LinearScratch<F>,
}

impl<F: Dispatch> Frames<F> {
    /// Those of a model that has a convolution.
    pub fn of(model: &Model<F>, weights: &Weights<F>, batch: usize) -> Result<Option<Self>> {
        let config = model.config();
        let Some(of) = config.convolution else { return Ok(None) };
        shape::product("batch_size", &[batch, of.window()])?;
        let (isa, channels, packed) = (model.isa(), config.rnn.input, model.packed_convolution(&of, weights)?);
        let (windows, made) = (zeros(batch * of.window(), "stream")?, zeros(batch * channels, "stream")?);
        let (scratch, packed) = (packed.scratch(batch)?, (weights.version, packed));
        Ok(Some(Self { of, isa, channels, last: zeros(windows.len(), "stream")?, packed, windows, made, scratch }))
    }

    /// Takes the newest weights, and room for so many steps of all rows.
    pub fn prepare(&mut self, model: &Model<F>, weights: &Weights<F>, rows: usize, steps: usize) -> Result<()> {
        if self.packed.0 != weights.version {
            self.packed = (weights.version, model.packed_convolution(&self.of, weights)?);
        }
        let frames = shape::product("batch_size", &[rows, self.of.frames(steps)])?;
        if self.made.len() < frames * self.channels {
            self.windows = zeros(shape::product("batch_size", &[frames, self.of.window()])?, "stream")?;
            (self.made, self.scratch) = (zeros(frames * self.channels, "stream")?, self.packed.1.scratch(frames)?);
        }
        Ok(())
    }

    /// Whether rows that had so many steps complete their frames at different ones.
    pub fn apart(&self, counts: &[u64]) -> bool {
        counts.iter().any(|&count| !(count.abs_diff(counts[0])).is_multiple_of(self.of.stride as u64))
    }

    /// Whether the next step of a row that had so many completes a frame.
    pub fn completes(&self, count: u64) -> bool {
        count.is_multiple_of(self.of.stride as u64)
    }

    /// Frames of so many steps.
    pub fn count(&self, steps: u64) -> u64 {
        steps.div_ceil(self.of.stride as u64)
    }

    /// The frames that some steps complete, `(batch, frames, channels)`, and how many they are of a row. Where rows complete
    /// theirs at different steps there is one step, and a frame for each row if any completes its own.
    pub fn take(&mut self, x: &[F], counts: &[u64], steps: usize) -> Result<(&[F], usize)> {
        let (window, inputs, stride) = (self.of.window(), self.of.inputs, self.of.stride as u64);
        let (apart, any) = (self.apart(counts), counts.iter().any(|&count| self.completes(count)));
        let completed = |step: usize| if apart { any } else { (counts[0] + step as u64).is_multiple_of(stride) };
        let frames = (0..steps).filter(|&step| completed(step)).count();
        let rows = self.last.chunks_exact_mut(window).zip(x.chunks_exact(steps * inputs));
        for (row, (last, x)) in rows.enumerate() {
            let mut to = self.windows[row * frames * window..][..frames * window].chunks_exact_mut(window);
            for (step, x) in x.chunks_exact(inputs).enumerate() {
                last.copy_within(inputs.., 0);
                last[window - inputs..].copy_from_slice(x);
                if completed(step)
                    && let Some(to) = to.next()
                {
                    to.copy_from_slice(last);
                }
            }
        }
        let rows = counts.len() * frames;
        let (windows, made) = (&self.windows[..rows * window], &mut self.made[..rows * self.channels]);
        self.of.of_windows(self.isa, &self.packed.1, windows, made, &mut self.scratch);
        Ok((made, frames))
    }

    /// What is remembered of all rows.
    pub fn state(&self) -> Result<Vec<F>> {
        copied(&self.last, "states")
    }

    /// What is remembered of a row.
    pub fn row(&self, row: usize) -> &[F] {
        &self.last[row * self.of.window()..][..self.of.window()]
    }

    /// The same, to be written.
    pub fn row_mut(&mut self, row: usize) -> &mut [F] {
        &mut self.last[row * self.of.window()..][..self.of.window()]
    }
}
