//! Layers on layers: the object a user holds. It runs scans layer by layer and direction by direction. It must not know
//! gates.

use super::call::{Batch, Output, Training};
use super::cell::Cell;
use super::config::Config;
use super::forward::layer::Pass;
use super::parameters::{Parameters, network};
use super::rows::Cut;
use super::stack::{FEWEST_ROWS, Stack, expect_states};
use super::stream::Stream;
use super::tape::Tape;
use super::weights::Weights;
use crate::buffer::zeros;
use crate::error::{Error, Result};
use crate::rng::Rng;
use crate::shape::{self, Rows};
use crate::simd::{Dispatch, Isa};
use crate::weights::Store;
use std::ops::Deref;
use std::sync::Arc;

/// A stack of recurrent layers, for one or several threads at once. Cloning gives another handle to
/// the same weights; what it can do with them is on [`Parameters`].
#[derive(Debug, Clone)]
pub struct Rnn<F> {
    stack: Arc<Stack<F>>,
}

network!(Rnn, Config, 1, |config| config.seed);

/// Rows of a slice of training, and the most slices. Each slice has sums of its own for the gradients of the
/// weights, and their order makes the bits: so the shape alone decides, never the number of threads.
const TRAINING_ROWS: usize = 32;
const TRAINING_SLICES: usize = 8;

fn training_slices(batch: usize) -> usize {
    ((batch + TRAINING_ROWS / 2) / TRAINING_ROWS).clamp(1, TRAINING_SLICES)
}

impl<F> Rnn<F> {
    pub(crate) fn parameters(&self) -> &Arc<Parameters<F>> {
        &self.stack.parameters
    }

    /// What it was made with.
    pub fn config(&self) -> &Config {
        &self.stack.config
    }
}

impl<F: Dispatch> Rnn<F> {
    /// Fresh weights, uniform in ±1/√hidden, on a given instruction set.
    pub fn on(isa: Isa, config: Config) -> Result<Self> {
        config.check()?;
        let (mut rng, mut flat) = (Rng::new(config.seed), zeros(config.parameters(), "weights")?);
        config.draw(&mut flat, &mut rng);
        let parameters = Parameters::new(isa, config.names().into(), Store::of_floats(flat), 1, rng);
        Ok(Self::around(config, parameters))
    }

    fn around(config: Config, parameters: Arc<Parameters<F>>) -> Self {
        Self::view(config, parameters, (0, 0))
    }

    /// A stack of a network: where its parameters begin among the network's, and which of the network's stacks it is.
    pub(crate) fn view(config: Config, parameters: Arc<Parameters<F>>, place: (usize, usize)) -> Self {
        Self { stack: Arc::new(Stack { config, parameters, place, spare: Arc::default() }) }
    }

    /// A layer with these parameters, one slice for each of [`Config::names`], which uses this one's memory; none
    /// if they are its own. This one is not changed, so its tapes stay good.
    ///
    /// ```
    /// use gru_rs::{Config, Rnn};
    /// let rnn = Rnn::<f32>::new(Config { bias: false, ..Config::gru(2, 1) })?;
    /// let other = rnn.with_weights(&[&[0.5; 6], &[0.25; 3]])?.expect("another");
    /// assert_eq!(other.flat()[5..7], [0.5, 0.25]);
    /// assert!(other.with_weights(&[&[0.5; 6], &[0.25; 3]])?.is_none());
    /// # Ok::<(), gru_rs::Error>(())
    /// ```
    pub fn with_weights(&self, arrays: &[&[F]]) -> Result<Option<Self>> {
        let names = self.names();
        if arrays.len() != names.len() {
            return Err(Error::value("weights", format!("{} arrays", names.len()), arrays.len()));
        }
        for (array, (_, place, _)) in arrays.iter().zip(names) {
            shape::expect_len("weights", array.len(), &[place.len()])?;
        }
        let Some(parameters) = self.replaced(arrays)? else { return Ok(None) };
        let Stack { config, place, spare, .. } = &*self.stack;
        let (config, place, spare) = (config.clone(), *place, spare.clone());
        Ok(Some(Self { stack: Arc::new(Stack { config, parameters, place, spare }) }))
    }

    /// Inference: nothing is kept, nothing is dropped, and large memory that training left for its next call is freed.
    pub fn run(&self, batch: &Batch<'_, F>) -> Result<Output<F>> {
        self.run_with(&self.weights(), batch)
    }

    /// The same with weights that were taken before.
    pub(crate) fn run_with(&self, weights: &Weights<F>, batch: &Batch<'_, F>) -> Result<Output<F>> {
        let rows = self.check(batch)?;
        self.stack.spare.trim();
        let threads = self.stack.threads(rows.total())?;
        let cut = Cut::new(rows, threads.min(batch.batch.div_ceil(FEWEST_ROWS)))?;
        let pass = Pass { stack: &self.stack, weights, batch: *batch, cut, threads };
        let mut states = self.stack.states(batch.batch, "states")?;
        let mut below: Option<Vec<F>> = None;
        for layer in 0..self.config().layers {
            below = Some(pass.layer(layer, below.as_deref(), Vec::new(), &mut states)?);
        }
        Ok(Output { y: below.unwrap_or_default(), states })
    }

    /// Training: what backward needs is kept, and with dropout the outputs between layers are masked.
    pub fn forward(&self, batch: &Batch<'_, F>, training: &Training) -> Result<(Output<F>, Tape<F>)> {
        self.forward_with(self.weights(), batch, training)
    }

    /// The same with weights that were taken before.
    pub(crate) fn forward_with(
        &self, weights: Arc<Weights<F>>, batch: &Batch<'_, F>, training: &Training,
    ) -> Result<(Output<F>, Tape<F>)> {
        let rows = self.check(batch)?;
        weights.store.flat()?;
        // Without dropout nothing is drawn.
        let given = if self.config().dropout > 0.0 { training.seed } else { Some(0) };
        self.with_seed(given, |seed| {
            let cut = Cut::new(rows, training_slices(batch.batch))?;
            let mut tape = Tape::new(&self.stack, weights, batch, cut, seed, training.memory)?;
            let output = tape.fill(batch)?;
            Ok((output, tape))
        })
    }

    /// One step at a time for `batch` independent sequences.
    pub fn stream(&self, batch: usize) -> Result<Stream<F>> {
        Stream::new(self.stack.clone(), batch)
    }

    fn check(&self, batch: &Batch<'_, F>) -> Result<Rows> {
        let config = self.config();
        shape::expect_len("x", batch.x.len(), &[batch.seq, batch.batch, config.input])?;
        expect_states("h0", config, batch.states, batch.batch)?;
        shape::product("the output", &[batch.seq, batch.batch, config.outputs()])?;
        Rows::new(batch.batch, batch.seq, batch.lengths)?.with_resets(batch.seq, config.batch_first, batch.resets)
    }
}

macro_rules! layer {
    ($(#[$doc:meta])* $name:ident, $cell:pat, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name<F>(Rnn<F>);

        impl<F: Dispatch> $name<F> {
            /// Fresh weights from the configuration's seed.
            pub fn new(config: Config) -> Result<Self> {
                match config.cell {
                    $cell => Ok(Self(Rnn::new(config)?)),
                    other => Err(Error::value("cell", $expected, format!("{other:?}"))),
                }
            }
        }

        impl<F> Deref for $name<F> {
            type Target = Rnn<F>;
            fn deref(&self) -> &Rnn<F> {
                &self.0
            }
        }
    };
}

layer!(
    /// A stack of GRU layers; what it can do is on [`Rnn`].
    ///
    /// ```
    /// use gru_rs::{Batch, Config, Gru, Training};
    /// let gru = Gru::<f32>::new(Config { seed: 1, ..Config::gru(3, 8) })?;
    /// let x = vec![0.5; 5 * 2 * 3];
    /// let batch = Batch { x: &x, batch: 2, seq: 5, states: &[], lengths: None, resets: None };
    /// let output = gru.run(&batch)?;
    /// assert_eq!(output.y.len(), 5 * 2 * 8);
    ///
    /// // Training: the gradient of the sum of all outputs.
    /// let (output, mut tape) = gru.forward(&batch, &Training::default())?;
    /// let gradients = tape.backward(Some(&vec![1.0; output.y.len()]), &[])?;
    /// assert_eq!(gradients.flat.len(), gru.flat().len());
    /// # Ok::<(), gru_rs::Error>(())
    /// ```
    Gru,
    Cell::Gru(_),
    "Cell::Gru"
);

layer!(
    /// A stack of LSTM layers; what it can do is on [`Rnn`].
    ///
    /// ```
    /// use gru_rs::{Batch, Config, Lstm};
    /// let lstm = Lstm::<f64>::new(Config::lstm(3, 8))?;
    /// let batch = Batch { x: &[0.5; 12], batch: 1, seq: 4, states: &[], lengths: None, resets: None };
    /// let states = lstm.run(&batch)?.states;
    /// assert_eq!((states[0].len(), states[1].len()), (8, 8)); // h and c
    /// # Ok::<(), gru_rs::Error>(())
    /// ```
    Lstm,
    Cell::Lstm,
    "Cell::Lstm"
);
