//! One step at a time, without allocation: for control loops, audio and generation. It must not know
//! gates; a step is the scan of a batch of one step.

use super::params::Weights;
use super::scan::{Forward, Io, Workspace};
use super::sequence::{Array, Walk};
use super::stack::Shared;
use crate::buffer::{Spare, zeros};
use crate::error::{Error, Result};
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
    rows: Rows,
    /// A layer's output while it is the next one's input, and the other way round.
    between: [Vec<F>; 2],
    /// Layer by layer, group by group of rows: among other things the states.
    work: Vec<Vec<Workspace<F>>>,
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
        let rows = Rows::new(batch, 1, None)?;
        let works = |layer| {
            let scan = shared.scan(layer, 0);
            Walk::groups(&rows, false)
                .map(|walk| Workspace::new(&scan, walk.len(), 1, &Spare::default()))
                .collect::<Result<_>>()
        };
        Ok(Self {
            weights: shared.weights(),
            between: [between()?, between()?],
            work: (0..config.layers).map(works).collect::<Result<_>>()?,
            rows,
            shared,
        })
    }

    /// Sequences side by side.
    pub fn batch(&self) -> usize {
        self.rows.order.len()
    }

    /// One step: x `(batch, input)` to y `(batch, hidden)`. Takes the layer's newest weights.
    pub fn step(&mut self, x: &[F], y: &mut [F]) -> Result<()> {
        let (config, batch) = (&self.shared.config, self.rows.order.len());
        shape::expect_len("x_t", x.len(), &[batch, config.input])?;
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
                x: if first { x } else { from },
                x_array: Array::new(false, batch, 1, scan.input),
                initial: &[],
                y: if last { y } else { to },
                y_array: Array::new(false, batch, 1, config.hidden),
                finals: &mut [],
            };
            for (walk, work) in Walk::groups(&self.rows, false).zip(groups) {
                let packs = &packs[layer];
                Forward { scan, packs, walk, io: &mut io, work, kept_gates: &mut [], kept_states: &mut [] }.steps();
            }
            std::mem::swap(from, to);
        }
        Ok(())
    }
}
