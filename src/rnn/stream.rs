//! One step at a time, without allocation: for control loops, audio and generation. It must not know
//! gates; a step is the scan of a batch of one step.

use super::params::Weights;
use super::scan::{Forward, Io, Workspace};
use super::sequence::{Array, Walk};
use super::stack::Shared;
use crate::buffer::zeros;
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
    /// The states, `(layers, batch, hidden)` each, and room for the next.
    states: Vec<Vec<F>>,
    next: Vec<Vec<F>>,
    /// A layer's output while it is the next one's input, and the other way round.
    between: [Vec<F>; 2],
    work: Vec<Workspace<F>>,
}

impl<F: Dispatch> Stream<F> {
    pub(super) fn new(shared: Arc<Shared<F>>, batch: usize) -> Result<Self> {
        let config = &shared.config;
        if config.bidirectional {
            let expected = "a layer of one direction: the second begins at the end of the sequence";
            return Err(Error::value("stream", expected, "bidirectional=True"));
        }
        shape::positive("batch_size", batch)?;
        let len = shape::product("batch_size", &[config.layers, batch, config.hidden])?;
        let states = || (0..config.cell.states()).map(|_| zeros(len, "stream")).collect::<Result<Vec<_>>>();
        let between = || zeros(batch * config.hidden, "stream");
        let work = (0..config.layers).map(|layer| Workspace::new(&shared.scan(layer, 0), batch, 1));
        Ok(Self {
            weights: shared.weights(),
            rows: Rows::new(batch, 1, None)?,
            states: states()?,
            next: states()?,
            between: [between()?, between()?],
            work: work.collect::<Result<_>>()?,
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
        let [states_h, states_c] = [self.states.first(), self.states.get(1)].map(|s| s.map_or(&[][..], |s| &s[..]));
        let initial = &[states_h, states_c][..self.states.len()];
        let [from, to] = &mut self.between;
        for (layer, work) in self.work.iter_mut().enumerate() {
            let scan = self.shared.scan(layer, 0);
            let (first, last) = (layer == 0, layer + 1 == config.layers);
            let mut io = Io {
                batch,
                x: if first { x } else { from },
                x_array: Array::new(false, batch, 1, scan.input),
                initial,
                y: if last { y } else { to },
                y_array: Array::new(false, batch, 1, config.hidden),
                finals: &mut self.next,
            };
            for walk in Walk::groups(&self.rows, false) {
                let packs = &packs[layer];
                Forward { scan, packs, walk, io: &mut io, work, kept_gates: &mut [], kept_states: &mut [] }.run();
            }
            std::mem::swap(from, to);
        }
        std::mem::swap(&mut self.states, &mut self.next);
        Ok(())
    }
}
