//! What a call of a stack is given, and what it gives. It must not know how it is computed.

/// A batch of sequences, as slices with their sizes.
///
/// `x` is `(seq, batch, input)`, or `(batch, seq, input)` if the layer is batch-first; the states are
/// `(layers · directions, batch, hidden)` each: none for zeros, `[h0]` for a GRU, `[h0, c0]` for an LSTM.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a, F> {
    /// The inputs.
    pub x: &'a [F],
    /// Rows.
    pub batch: usize,
    /// Steps.
    pub seq: usize,
    /// The initial states.
    pub states: &'a [&'a [F]],
    /// Each row's steps, in any order, zeros allowed; all have `seq` when there is none.
    pub lengths: Option<&'a [usize]>,
    /// Steps that begin a new sequence, shaped as `x` without its last axis: before such a step the states are
    /// zeros, and backwards after the step before it; gradients end there as well. None for no such steps.
    pub resets: Option<&'a [bool]>,
}

/// How a batch is trained on.
///
/// ```
/// use gru_rs::{TapeMemory, Training};
/// let training = Training { memory: TapeMemory::Low, ..Training::default() };
/// assert_eq!(training.seed, None);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Training {
    /// Of the masks between layers; drawn from the layer's own generator when there is none.
    pub seed: Option<u64>,
    /// What the tape may hold.
    pub memory: Memory,
}

/// What a layer gives for a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Output<F> {
    /// The outputs, shaped as the inputs, `directions · hidden` numbers a step; 0 past a row's length.
    pub y: Vec<F>,
    /// The states after each row's last step, shaped as the initial ones.
    pub states: Vec<Vec<F>>,
}

/// How much memory training may use between forward and backward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// Every step keeps what backward needs.
    #[default]
    Full,
    /// The inputs are kept, and the states at about √steps places; backward computes the rest again, a stretch at a
    /// time. The bits are the same.
    Low,
}
