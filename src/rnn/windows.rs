//! The stretches of steps in which backward goes back over a walk. It must not know what is computed in them.

use super::rows::Walk;
use std::ops::Range;

/// Rows of pre-activation gradients that are multiplied at once: two blocks of a sum. Which steps share a
/// chunk makes the bits, so nothing but lengths may enter here.
pub const CHUNK: usize = 256;

/// Steps whose products are computed together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    /// The first step.
    pub start: usize,
    /// Row-steps.
    pub rows: usize,
}

/// Some chunks of a walk, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// The walk among those of its slice.
    pub walk: usize,
    pub steps: Range<usize>,
    /// Row-steps of the walk before the first.
    pub before: usize,
    /// In the order in which backward takes them: the last steps first.
    pub chunks: Vec<Chunk>,
}

impl Window {
    /// All steps of a slice's walk number `index`.
    pub fn whole(index: usize, walk: &Walk<'_>) -> Self {
        let mut chunks: Vec<Chunk> = Vec::new();
        for start in (0..walk.steps()).rev() {
            let active = walk.active(start);
            match chunks.last_mut() {
                Some(chunk) if chunk.rows + active <= CHUNK => *chunk = Chunk { start, rows: chunk.rows + active },
                _ => chunks.push(Chunk { start, rows: active }),
            }
        }
        Self { walk: index, steps: 0..walk.steps(), before: 0, chunks }
    }

    /// Parts of so many chunks, the last steps first. Without steps there is a part too: the final states are the
    /// initial ones.
    pub fn split(&self, size: usize) -> Vec<Self> {
        if self.chunks.is_empty() {
            return vec![self.clone()];
        }
        let (mut end, mut before) = (self.steps.end, self.before + self.rows());
        let parts = self.chunks.chunks(size.max(1)).map(|chunks| {
            let start = chunks.last().map_or(end, |chunk| chunk.start);
            before -= chunks.iter().map(|chunk| chunk.rows).sum::<usize>();
            let part = Self { walk: self.walk, steps: start..end, before, chunks: chunks.to_vec() };
            end = start;
            part
        });
        parts.collect()
    }

    /// The parts that begin at a checkpoint. A checkpoint is a row for each of the walk's, what is computed again
    /// some four for each row-step: the sum is least when both are equal.
    pub fn between_checkpoints(&self, walk: &Walk<'_>) -> Vec<Self> {
        self.split((self.chunks.len() * walk.len() / (4 * CHUNK)).isqrt())
    }

    /// Its row-steps.
    pub fn rows(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.rows).sum()
    }
}
