//! One step at a time, without allocation: for control loops, audio and generation. It must not know
//! gates; a step is the scan of a batch of one step.

use super::kept::Keep;
use super::params::Weights;
use super::scan::{Forward, Io, Workspace};
use super::sequence::{Array, Cut, Out};
use super::stack::Shared;
use crate::buffer::{Spare, zeros};
use crate::error::{Error, Result};
use crate::parallel::Turn;
use crate::shape::{self, Rows};
use crate::simd::Dispatch;
use std::sync::Arc;

/// A layer's state between steps.
///
/// ```
/// use gru_rs::{Config, Gru};
/// let gru = Gru::<f32>::new(Config::gru(3, 8))?;
/// let mut stream = gru.stream(1)?;
/// let mut y = [0.0; 8];
/// for _ in 0..10 {
///     stream.step(&[0.1, 0.2, 0.3], &mut y)?;
/// }
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Debug)]
pub struct Stream<F> {
    shared: Arc<Shared<F>>,
    weights: Arc<Weights<F>>,
    cut: Cut,
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
    pub(super) fn new(shared: Arc<Shared<F>>, batch: usize) -> Result<Self> {
        let config = &shared.config;
        if config.bidirectional {
            let expected = "a layer of one direction: the second begins at the end of the sequence";
            return Err(Error::value("stream", expected, "bidirectional=True"));
        }
        shape::positive("batch_size", batch)?;
        shape::product("batch_size", &[config.layers, batch, config.hidden])?;
        let between = || zeros(batch * config.hidden, "stream");
        let cut = Cut::new(Rows::new(batch, 1, None)?, 1);
        let works = |layer| {
            let scan = shared.scan(layer, 0);
            cut.walks(0, false)
                .map(|walk| Workspace::new(&scan, walk.len(), 1, &Spare::default()))
                .collect::<Result<_>>()
        };
        Ok(Self {
            weights: shared.weights(),
            between: [between()?, between()?],
            work: (0..config.layers).map(works).collect::<Result<_>>()?,
            cut,
            shared,
        })
    }

    /// Sequences side by side.
    pub fn batch(&self) -> usize {
        self.cut.batch()
    }

    /// One step: x `(batch, input)` to y `(batch, hidden)`. Takes the layer's newest weights.
    pub fn step(&mut self, x: &[F], y: &mut [F]) -> Result<()> {
        shape::expect_len("x_t", x.len(), &[self.cut.batch(), self.shared.config.input])?;
        self.go(Given::Inputs(x), y)
    }

    /// Of a single sequence what the first layer makes of x before its recurrence, with the newest weights.
    pub(crate) fn project(&mut self, x: &[F]) -> Result<Vec<F>> {
        if self.weights.version != self.shared.version() {
            self.weights = self.shared.weights();
        }
        let (scan, packs) = (self.shared.scan(0, 0), self.weights.forward(&self.shared.config, self.shared.isa)?);
        let walk = self.cut.walks(0, false).next().expect("a row");
        let x_array = Array::new(false, 1, 1, scan.input);
        let mut io = Io { batch: 1, x, x_array, initial: &[], y: None, finals: Vec::new() };
        let work = &mut self.work[0][0];
        Forward { scan, packs: &packs[0], walk, io: &mut io, work, keep: Keep::Nothing }.projected()
    }

    /// One step from what [`Self::project`] gave: the same bits.
    pub(crate) fn step_projected(&mut self, projected: &[F], y: &mut [F]) -> Result<()> {
        self.go(Given::Projected(projected), y)
    }

    fn go(&mut self, given: Given<'_, F>, y: &mut [F]) -> Result<()> {
        let (config, batch) = (&self.shared.config, self.cut.batch());
        shape::expect_len("out", y.len(), &[batch, config.hidden])?;
        if self.weights.version != self.shared.version() {
            self.weights = self.shared.weights();
        }
        let packs = self.weights.forward(config, self.shared.isa)?;
        let [from, to] = &mut self.between;
        for (layer, groups) in self.work.iter_mut().enumerate() {
            let scan = self.shared.scan(layer, 0);
            let (first, last) = (layer == 0, layer + 1 == config.layers);
            let mut io = Io {
                batch,
                x: match given {
                    Given::Inputs(x) if first => x,
                    _ => from,
                },
                x_array: Array::new(false, batch, 1, scan.input),
                initial: &[],
                y: Some(Out::Whole(
                    if last { y } else { to },
                    Array::new(false, batch, 1, config.hidden),
                    config.hidden,
                )),
                finals: Vec::new(),
            };
            for (walk, work) in self.cut.walks(0, false).zip(groups) {
                let packs = &packs[layer];
                let forward = Forward { scan, packs, walk, io: &mut io, work, keep: Keep::Nothing };
                match given {
                    Given::Projected(projected) if first => forward.step_projected(projected),
                    _ => forward.steps(0..1, &Turn::undisturbed())?,
                }
            }
            std::mem::swap(from, to);
        }
        Ok(())
    }
}
