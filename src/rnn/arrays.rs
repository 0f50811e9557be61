//! How a caller's arrays lie in memory, time-major or batch-first. It must not know rows' lengths.

/// A C-contiguous `(seq, batch, width)` or `(batch, seq, width)` array.
#[derive(Clone, Copy, Debug)]
pub struct Array {
    /// From a step to the next.
    pub step: usize,
    /// From a row to the next.
    pub row: usize,
}

impl Array {
    /// The strides of an array of `width` numbers a step.
    pub fn new(batch_first: bool, batch: usize, seq: usize, width: usize) -> Self {
        if batch_first { Self { step: width, row: seq * width } } else { Self { step: batch * width, row: width } }
    }
}

/// A caller's array.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// `(batch, seq, width)`, not `(seq, batch, width)`.
    pub batch_first: bool,
    pub seq: usize,
    pub width: usize,
}
