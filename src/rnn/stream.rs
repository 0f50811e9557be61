//! Some steps at a time, the states kept between calls, without allocation: for control loops, audio and
//! generation. It must not know gates; a step is the scan of a batch of one step.

use super::arrays::Array;
use super::forward::kept::Keep;
use super::forward::scan::Forward;
use super::forward::workspace::{Io, Workspace};
use super::out::Out;
use super::rows::{Cut, GROUP};
use super::sizes::Scan;
use super::stack::{Stack, expect_states};
use super::weights::Weights;
use crate::buffer::{Spare, zeros};
use crate::error::{Error, Result};
use crate::parallel::{self, Turn};
use crate::shape::{self, Rows};
use crate::simd::Dispatch;
use std::ops::Range;
use std::sync::Arc;

/// A layer's states between steps, of some sequences side by side that know nothing of each other.
///
/// The bits are those of the whole sequence in one call, however it is cut.
///
/// ```
/// use gru_rs::{Config, Gru};
/// let gru = Gru::<f32>::new(Config::gru(3, 8))?;
/// let mut stream = gru.stream(1)?;
/// let mut y = [0.0; 8];
/// for _ in 0..10 {
///     stream.step(&[0.1, 0.2, 0.3], &mut y)?;
/// }
/// let mut chunk = [0.0; 5 * 8];
/// stream.steps(5, &[0.5; 5 * 3], &mut chunk)?;
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Debug)]
pub struct Stream<F> {
    stack: Arc<Stack<F>>,
    weights: Arc<Weights<F>>,
    cut: Cut,
    /// Steps that go through one layer before the next takes them: room there is for them.
    block: usize,
    /// A layer's output while it is the next one's input, and the other way round.
    between: [Vec<F>; 2],
    /// Layer by layer, group by group of rows: among other things the states.
    work: Vec<Vec<Workspace<F>>>,
}

/// What a step begins with.
#[derive(Clone, Copy)]
enum Given<'a, F> {
    Inputs(&'a [F]),
    Projected(&'a [F]),
}

impl<F: Dispatch> Stream<F> {
    pub(super) fn new(stack: Arc<Stack<F>>, batch: usize) -> Result<Self> {
        let config = &stack.config;
        if config.bidirectional {
            let expected = "a layer of one direction: the second begins at the end of the sequence";
            return Err(Error::value("stream", expected, "bidirectional=True"));
        }
        shape::positive("batch_size", batch)?;
        shape::product("batch_size", &[config.layers, batch, config.hidden])?;
        let between = || zeros(batch * config.hidden, "stream");
        let cut = Cut::new(Rows::new(batch, GROUP, None)?, 1)?;
        let works = |layer| {
            let scan = stack.scan(layer, 0);
            cut.walks(0, false)
                .map(|walk| Workspace::new(&scan, walk.len(), 1, &Spare::default()))
                .collect::<Result<_>>()
        };
        Ok(Self {
            weights: stack.parameters.weights(),
            block: 1,
            between: [between()?, between()?],
            work: (0..config.layers).map(works).collect::<Result<_>>()?,
            cut,
            stack,
        })
    }

    /// Sequences side by side.
    pub fn batch(&self) -> usize {
        self.cut.batch()
    }

    /// One step: x `(batch, input)` to y `(batch, hidden)`. Takes the layer's newest weights.
    pub fn step(&mut self, x: &[F], y: &mut [F]) -> Result<()> {
        shape::expect_len("x_t", x.len(), &[self.batch(), self.stack.config.input])?;
        shape::expect_len("out", y.len(), &[self.batch(), self.stack.config.hidden])?;
        self.take_weights();
        self.go(Given::Inputs(x), y, 0..1, 1)
    }

    /// A chunk of steps: x `(seq, batch, input)` to y `(seq, batch, hidden)`, batch before seq if the layer is
    /// batch-first. Takes the layer's newest weights. The first chunk allocates room for some steps, no other
    /// call any. When a long one is interrupted the states are those of a step in between.
    pub fn steps(&mut self, seq: usize, x: &[F], y: &mut [F]) -> Result<()> {
        self.take_weights();
        self.steps_on(seq, x, y)
    }

    /// Takes the layer's newest weights, and gives them for what is to go with them.
    pub(crate) fn newest(&mut self) -> Arc<Weights<F>> {
        self.take_weights();
        self.weights.clone()
    }

    /// A chunk with the weights that were taken last.
    pub(crate) fn steps_on(&mut self, seq: usize, x: &[F], y: &mut [F]) -> Result<()> {
        let (batch, config) = (self.batch(), &self.stack.config);
        shape::expect_len("x", x.len(), &[seq, batch, config.input])?;
        shape::expect_len("out", y.len(), &[seq, batch, config.hidden])?;
        self.make_room(seq)?;
        let block = self.block;
        parallel::alone(|turn| {
            (0..seq).step_by(block).try_for_each(|begin| {
                turn.go_on()?;
                self.go(Given::Inputs(x), y, begin..seq.min(begin + block), seq)
            })
        })
    }

    /// Begins again from zeros: all sequences, or those whose place in the mask is true.
    pub fn reset(&mut self, mask: Option<&[bool]>) -> Result<()> {
        if let Some(mask) = mask {
            shape::expect_len("mask", mask.len(), &[self.batch()])?;
        }
        self.each_state(|_, row, _, state| {
            if mask.is_none_or(|mask| mask[row]) {
                state.fill(F::ZERO);
            }
        });
        Ok(())
    }

    /// The states (h, or h and c), `(layers, batch, hidden)` each.
    pub fn states(&mut self) -> Result<Vec<Vec<F>>> {
        let (mut states, batch) = (self.stack.states(self.batch(), "states")?, self.batch());
        self.each_state(|scan, row, i, state| {
            states[i][scan.state_at(batch, row)..][..scan.hidden].copy_from_slice(state);
        });
        Ok(states)
    }

    /// Goes on from other states, shaped as [`Self::states`]; none for zeros.
    pub fn set_states(&mut self, states: &[&[F]]) -> Result<()> {
        let batch = self.batch();
        expect_states("state", &self.stack.config, states, batch)?;
        self.each_state(|scan, row, i, state| match states.get(i) {
            Some(from) => state.copy_from_slice(&from[scan.state_at(batch, row)..][..scan.hidden]),
            None => state.fill(F::ZERO),
        });
        Ok(())
    }

    /// A stream of its own that goes on from here, on the same layer.
    pub fn duplicate(&mut self) -> Result<Self> {
        self.with_rows(self.batch(), Some)
    }

    /// Takes another sequence in, behind the others, with states `(layers, hidden)`; none for zeros.
    pub fn join(&mut self, states: &[&[F]]) -> Result<()> {
        expect_states("state", &self.stack.config, states, 1)?;
        let last = self.batch();
        let mut joined = self.with_rows(last + 1, |row| (row < last).then_some(row))?;
        joined.each_state(|scan, row, i, state| {
            if let Some(from) = states.get(i).filter(|_| row == last) {
                state.copy_from_slice(&from[scan.state_at(1, 0)..][..scan.hidden]);
            }
        });
        *self = joined;
        Ok(())
    }

    /// Lets a sequence go, and gives back its states; those behind it move up. One has to stay.
    pub fn leave(&mut self, row: usize) -> Result<Vec<Vec<F>>> {
        let batch = self.batch();
        if row >= batch {
            return Err(Error::value("row", format!("an integer from 0 to {}", batch - 1), row));
        }
        if batch == 1 {
            return Err(Error::state("the last sequence of a stream cannot leave it"));
        }
        let mut left = self.stack.states(1, "states")?;
        self.each_state(|scan, r, i, state| {
            if r == row {
                left[i][scan.state_at(1, 0)..][..scan.hidden].copy_from_slice(state);
            }
        });
        *self = self.with_rows(batch - 1, |r| Some(if r < row { r } else { r + 1 }))?;
        Ok(left)
    }

    /// Another stream whose rows have the states of those of this one, or zeros.
    fn with_rows(&mut self, batch: usize, from: impl Fn(usize) -> Option<usize>) -> Result<Self> {
        let (own, states) = (self.batch(), self.states()?);
        let mut other = Self::new(self.stack.clone(), batch)?;
        other.make_room(self.block)?;
        other.each_state(|scan, row, i, state| {
            if let Some(row) = from(row) {
                state.copy_from_slice(&states[i][scan.state_at(own, row)..][..scan.hidden]);
            }
        });
        Ok(other)
    }

    /// Visits the states of all layers and rows, with their scan, the row and which of the states it is.
    fn each_state(&mut self, mut visit: impl FnMut(&Scan, usize, usize, &mut [F])) {
        for (layer, groups) in self.work.iter_mut().enumerate() {
            let scan = self.stack.scan(layer, 0);
            for (walk, work) in self.cut.walks(0, false).zip(groups) {
                for row in 0..walk.len() {
                    let states = work.states(&scan, row).enumerate();
                    states.for_each(|(i, state)| visit(&scan, walk.row(row), i, state));
                }
            }
        }
    }

    /// For chunks of so many steps.
    fn make_room(&mut self, steps: usize) -> Result<()> {
        let block = steps.min(GROUP / self.batch()).max(1);
        if block <= self.block {
            return Ok(());
        }
        let config = &self.stack.config;
        for (layer, groups) in self.work.iter_mut().enumerate() {
            let scan = self.stack.scan(layer, 0);
            for (walk, work) in self.cut.walks(0, false).zip(groups) {
                work.grow(&scan, walk.len(), block)?;
            }
        }
        let between = || zeros(block * self.cut.batch() * config.hidden, "stream");
        self.between = [between()?, between()?];
        self.block = block;
        Ok(())
    }

    /// Of a single sequence what the first layer makes of x before its recurrence, with the weights that were taken last.
    pub(crate) fn project(&mut self, x: &[F]) -> Result<Vec<F>> {
        let (scan, packs) = (self.stack.scan(0, 0), self.stack.forward(&self.weights)?);
        let walk = self.cut.walks(0, false).next().expect("a row");
        let x_array = Array::new(false, 1, 1, scan.input);
        let mut io = Io { batch: 1, x, x_array, initial: &[], y: None, finals: Vec::new() };
        let work = &mut self.work[0][0];
        Forward { scan, packs: &packs[0], walk, io: &mut io, work, keep: Keep::Nothing }.projected()
    }

    /// One step from what [`Self::project`] gave, with the same weights: the same bits.
    pub(crate) fn step_projected(&mut self, projected: &[F], y: &mut [F]) -> Result<()> {
        shape::expect_len("out", y.len(), &[self.batch(), self.stack.config.hidden])?;
        self.go(Given::Projected(projected), y, 0..1, 1)
    }

    fn take_weights(&mut self) {
        if self.weights.version != self.stack.parameters.version() {
            self.weights = self.stack.parameters.weights();
        }
    }

    /// Some of the `seq` steps of the arrays, at most a block, through all layers.
    fn go(&mut self, given: Given<'_, F>, y: &mut [F], steps: Range<usize>, seq: usize) -> Result<()> {
        let (config, batch) = (&self.stack.config, self.cut.batch());
        let packs = self.stack.forward(&self.weights)?;
        let [from, to] = &mut self.between;
        for (layer, groups) in self.work.iter_mut().enumerate() {
            let scan = self.stack.scan(layer, 0);
            let (first, last) = (layer == 0, layer + 1 == config.layers);
            // The caller's arrays from the first of the steps on; between layers there is no other.
            let outer = |width| Array::new(config.batch_first, batch, seq, width);
            let inner = |width| Array::new(false, batch, steps.len(), width);
            let (x, x_array) = match given {
                Given::Inputs(x) if first => (&x[steps.start * outer(scan.input).step..], outer(scan.input)),
                _ => (&from[..], inner(scan.input)),
            };
            let (y, y_array) = match last {
                true => (&mut y[steps.start * outer(scan.hidden).step..], outer(scan.hidden)),
                false => (&mut to[..], inner(scan.hidden)),
            };
            let y = Some(Out::Whole(y, y_array, scan.hidden));
            let mut io = Io { batch, x, x_array, initial: &[], y, finals: Vec::new() };
            for (walk, work) in self.cut.walks(0, false).zip(groups) {
                let packs = &packs[layer];
                let forward = Forward { scan, packs, walk, io: &mut io, work, keep: Keep::Nothing };
                match given {
                    Given::Projected(projected) if first => forward.step_projected(projected),
                    _ => forward.steps(0..steps.len(), &Turn::undisturbed())?,
                }
            }
            std::mem::swap(from, to);
        }
        Ok(())
    }
}
