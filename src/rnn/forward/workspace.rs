//! The arrays and the memory of one scan forward. It must not know the order of steps.

use crate::buffer::{Aligned, Spare};
use crate::error::Result;
use crate::kernels::pack::Operands;
use crate::rnn::arrays::Array;
use crate::rnn::out::Out;
use crate::rnn::rows::GROUP;
use crate::rnn::sizes::Scan;
use crate::simd::Dispatch;

/// The arrays a scan reads and writes.
pub(crate) struct Io<'a, F> {
    pub batch: usize,
    pub x: &'a [F],
    pub x_array: Array,
    /// The states (h, or h and c) of all layers and directions; none for zeros.
    pub initial: &'a [&'a [F]],
    /// The direction's outputs; none when a pass is made again for what it kept.
    pub y: Option<Out<'a, F>>,
    /// The states after a row's last step.
    pub finals: Vec<Out<'a, F>>,
}

/// Memory for one scan, to be used again.
#[derive(Debug)]
pub(crate) struct Workspace<F> {
    /// Pre-activations.
    pub pre: Aligned<F>,
    /// The states before a step, then those after it. They stay from call to call: a stream's memory.
    pub states: Aligned<F>,
    pub next: Aligned<F>,
    /// Reset-before: r ⊙ h and z.
    pub reset: Aligned<F>,
    /// The inputs of the rows in `pre`.
    pub inputs: Aligned<F>,
    /// Rows for weights that want them rounded; empty without them. `ahead` has sums of the states that wait for those of
    /// the inputs.
    pub operands: Operands<F>,
    pub ahead: Operands<F>,
    /// Whether the next step takes the last panel first: to and fro, it finds in the caches what the step
    /// before left there.
    pub backwards: bool,
    /// From one row to the next in the states and in the inputs.
    pub state_row: usize,
    pub input_row: usize,
}

impl<F: Dispatch> Workspace<F> {
    /// For groups of up to `rows` rows of up to `steps` steps.
    pub fn new(scan: &Scan, rows: usize, steps: usize, spare: &Spare<F>) -> Result<Self> {
        let rows = rows.min(GROUP);
        let state_row = Scan::stride::<F>(scan.padded::<F>());
        let input_row = Scan::stride::<F>(scan.input);
        let state = rows * state_row;
        let projected = rows.saturating_mul(steps).min(GROUP);
        let reset = if scan.cell.has_reset_operand() { 2 * state } else { 0 };
        Ok(Self {
            pre: spare.zeros(projected * scan.padded::<F>() * scan.cell.slots(), "scratch")?,
            states: spare.zeros(state * scan.cell.states(), "scratch")?,
            next: spare.zeros(state * scan.cell.states(), "scratch")?,
            reset: spare.zeros(reset, "scratch")?,
            inputs: spare.zeros(projected * input_row, "scratch")?,
            operands: Operands::default(),
            ahead: Operands::default(),
            backwards: false,
            state_row,
            input_row,
        })
    }

    /// The same for more steps at a time; the states stay.
    pub fn grow(&mut self, scan: &Scan, rows: usize, steps: usize) -> Result<()> {
        let mut grown = Self::new(scan, rows, steps, &Spare::default())?;
        grown.states.copy_from_slice(&self.states);
        (grown.operands, grown.ahead) = (std::mem::take(&mut self.operands), std::mem::take(&mut self.ahead));
        *self = grown;
        Ok(())
    }

    /// The states of a row: h, or h and c.
    pub fn states(&mut self, scan: &Scan, row: usize) -> impl Iterator<Item = &mut [F]> {
        let (states, at, hidden) = (scan.cell.states(), row * self.state_row, scan.hidden);
        let state = self.states.len() / states;
        self.states.chunks_exact_mut(state.max(1)).map(move |state| &mut state[at..at + hidden])
    }

    /// Its memory, to be used for something else.
    pub fn into_buffers(self) -> [Aligned<F>; 5] {
        [self.pre, self.states, self.next, self.reset, self.inputs]
    }
}
