//! Layers on layers: the object a user holds. It owns the parameters, runs scans layer by layer and
//! direction by direction, and drops outputs between layers while training. It must not know gates.

use super::cell::Cell;
use super::kept::Memory;
use super::params::{Config, Weights};
use super::pass::Pass;
use super::scan::Scan;
use super::sequence::Cut;
use super::stream::Stream;
use super::tape::Tape;
use crate::buffer::{Spare, zeros};
use crate::error::{Error, Result};
use crate::narrow::{Names, Narrow, Part, Store};
use crate::parallel;
use crate::rng::Rng;
use crate::shape::{self, Rows};
use crate::simd::{Dispatch, Isa};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// A stack of recurrent layers, for one or several threads at once. Cloning gives another handle to
/// the same weights.
#[derive(Debug, Clone)]
pub struct Rnn<F> {
    pub(super) shared: Arc<Shared<F>>,
}

#[derive(Debug)]
pub(super) struct Shared<F> {
    pub config: Config,
    pub isa: Isa,
    weights: RwLock<Arc<Weights<F>>>,
    /// The weights' version, to be read without a lock.
    version: AtomicU64,
    /// Dropout's generator.
    rng: Mutex<Rng>,
    /// Memory of calls past for those to come.
    pub spare: Arc<Spare<F>>,
}

impl<F: Dispatch> Shared<F> {
    pub fn weights(&self) -> Arc<Weights<F>> {
        self.weights.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Zeros, shaped as the states of a batch.
    pub fn states(&self, batch: usize, what: &'static str) -> Result<Vec<Vec<F>>> {
        let len = self.config.layers * self.config.directions() * batch * self.config.hidden;
        (0..self.config.cell.states()).map(|_| zeros(len, what)).collect()
    }

    /// Floating-point operations of a pass of so many steps of rows.
    pub fn operations(&self, steps: usize) -> usize {
        self.config.parameters().saturating_mul(steps).saturating_mul(2)
    }

    /// Threads for it.
    pub fn threads(&self, steps: usize) -> Result<usize> {
        parallel::worth(self.operations(steps))
    }

    /// A layer's scans, each once for every slice, with slice and whether it runs backwards.
    pub fn scans(&self, layer: usize, cut: &Cut) -> impl Iterator<Item = (Scan, usize, bool)> {
        let slices = cut.slices.len();
        (0..self.config.directions()).flat_map(move |direction| {
            (0..slices).map(move |slice| (self.scan(layer, direction), slice, direction == 1))
        })
    }

    /// The scans in the order of the parameters.
    pub fn scan(&self, layer: usize, direction: usize) -> Scan {
        let Config { cell, functions, hidden, .. } = self.config;
        let index = layer * self.config.directions() + direction;
        Scan { cell, functions, isa: self.isa, input: self.config.inputs(layer), hidden, index }
    }
}

/// The parameters at one moment; later writes do not change it.
#[derive(Debug, Clone)]
pub struct Snapshot<F>(Shot<F>);

#[derive(Debug, Clone)]
enum Shot<F> {
    Shared(Arc<Weights<F>>),
    /// What narrow ones stand for.
    Widened(Arc<Vec<F>>),
}

impl<F: Dispatch> Deref for Snapshot<F> {
    type Target = [F];
    fn deref(&self) -> &[F] {
        match &self.0 {
            Shot::Shared(weights) => weights.store.flat().expect("whole weights"),
            Shot::Widened(flat) => flat,
        }
    }
}

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

/// Rows below which a slice wastes what its weights cost to read.
pub(super) const FEWEST_ROWS: usize = 8;

/// Rows of a slice of training, and the most slices. Each slice has sums of its own for the gradients of the
/// weights, and their order makes the bits: so the shape alone decides, never the number of threads.
const TRAINING_ROWS: usize = 32;
const TRAINING_SLICES: usize = 8;

fn training_slices(batch: usize) -> usize {
    ((batch + TRAINING_ROWS / 2) / TRAINING_ROWS).clamp(1, TRAINING_SLICES)
}

impl<F: Dispatch> Rnn<F> {
    /// Fresh weights, uniform in ±1/√hidden, from the configuration's seed.
    pub fn new(config: Config) -> Result<Self> {
        Self::on(Isa::chosen()?, config)
    }

    /// The same on a given instruction set.
    pub fn on(isa: Isa, config: Config) -> Result<Self> {
        Self::within(isa, config, (0, 0))
    }

    /// The stack of a model, whose flat parameters have others before and behind those of the stack: all 0.
    pub(crate) fn within(isa: Isa, config: Config, around: (usize, usize)) -> Result<Self> {
        config.check()?;
        let mut rng = Rng::new(config.seed);
        let weights = Weights::init(&config, around, &mut rng)?;
        Ok(Self::with(isa, config, weights, rng, Arc::default()))
    }

    fn with(isa: Isa, config: Config, weights: Weights<F>, rng: Rng, spare: Arc<Spare<F>>) -> Self {
        let version = AtomicU64::new(weights.version);
        let weights = RwLock::new(Arc::new(weights));
        Self { shared: Arc::new(Shared { config, isa, weights, version, rng: Mutex::new(rng), spare }) }
    }

    /// A layer of its own with the same weights, and the same place in its generator.
    pub fn duplicate(&self) -> Result<Self> {
        self.another(self.shared.weights().duplicate()?, Arc::default())
    }

    fn another(&self, weights: Weights<F>, spare: Arc<Spare<F>>) -> Result<Self> {
        let rng = self.shared.rng.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Self::with(self.shared.isa, self.shared.config.clone(), weights, rng, spare))
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
    pub fn with_weights(&self, parts: &[&[F]]) -> Result<Option<Self>> {
        let places = self.config().places();
        if parts.len() != places.len() {
            return Err(Error::value("weights", format!("{} arrays", places.len()), parts.len()));
        }
        for (part, place) in parts.iter().zip(&places) {
            shape::expect_len("weights", part.len(), &[place.len()])?;
        }
        let weights = self.shared.weights();
        let flat = weights.flat()?;
        if parts.iter().zip(&places).all(|(part, place)| F::same_bits(part, &flat[place.clone()])) {
            return Ok(None);
        }
        let mut weights = weights.successor()?;
        for (part, place) in parts.iter().zip(places) {
            weights.flat_mut()?[place].copy_from_slice(part);
        }
        weights.written();
        self.another(weights, self.shared.spare.clone()).map(Some)
    }

    /// What it was made with.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The instruction set it runs on.
    pub fn isa(&self) -> Isa {
        self.shared.isa
    }

    /// Raised by every write of the weights.
    pub fn version(&self) -> u64 {
        self.shared.version()
    }

    /// All parameters end to end, in the order of [`Config::names`]; of narrow ones the numbers they stand for.
    ///
    /// # Panics
    ///
    /// When there is no memory for what narrow ones stand for.
    pub fn flat(&self) -> Snapshot<F> {
        self.try_flat().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, or [`Error::Memory`].
    pub(crate) fn try_flat(&self) -> Result<Snapshot<F>> {
        let weights = self.shared.weights();
        let whole = weights.store.flat().is_some();
        Ok(Snapshot(if whole { Shot::Shared(weights) } else { Shot::Widened(weights.store.widened()?.into()) }))
    }

    /// What the matrices are kept in; none for numbers that can be learnt.
    ///
    /// ```
    /// use gru_rs::{Config, Narrow, Rnn};
    /// let rnn = Rnn::<f32>::new(Config::lstm(3, 8))?;
    /// assert_eq!((rnn.narrow(), rnn.narrowed(Narrow::Float16)?.narrow()), (None, Some(Narrow::Float16)));
    /// # Ok::<(), gru_rs::Error>(())
    /// ```
    pub fn narrow(&self) -> Option<Narrow> {
        self.shared.weights().store.narrow()
    }

    /// Bytes of the parameters.
    pub fn bytes(&self) -> usize {
        self.shared.weights().store.bytes()
    }

    /// A layer for inference whose matrices are narrow. It cannot be trained or written.
    pub fn narrowed(&self, narrow: Narrow) -> Result<Self> {
        self.narrowed_as(&self.config().names(), narrow)
    }

    /// A copy of the parameters, a part for each of [`Config::names`].
    pub fn parts(&self) -> Result<Vec<Part<F>>> {
        self.shared.weights().store.parts(&self.config().names())
    }

    /// A layer with these parameters, a part for each of [`Config::names`].
    pub fn of_parts(config: Config, parts: Vec<Part<F>>) -> Result<Self> {
        config.check()?;
        let store = Store::of_names(&config.names(), parts)?;
        Ok(Self::of_store(Isa::chosen()?, config, 0, store))
    }

    /// A stack whose parameters begin somewhere in a model's.
    pub(crate) fn of_store(isa: Isa, config: Config, begin: usize, store: Store<F>) -> Self {
        let rng = Rng::new(config.seed);
        Self::with(isa, config, Weights::new(store, begin, 0), rng, Arc::default())
    }

    /// The same of a model's parameters, whose names are told.
    pub(crate) fn narrowed_as(&self, names: &Names, narrow: Narrow) -> Result<Self> {
        self.another(self.shared.weights().narrowed(names, narrow)?, Arc::default())
    }

    /// Its parameters, whatever they are kept in.
    pub(crate) fn weights(&self) -> Arc<Weights<F>> {
        self.shared.weights()
    }

    /// Replaces all parameters. Calls in flight finish on the old ones.
    pub fn set_flat(&self, flat: &[F]) -> Result<()> {
        shape::expect_len("flat", flat.len(), &[self.weights().store.len()])?;
        self.update(|weights| {
            weights.copy_from_slice(flat);
            Ok(())
        })
    }

    /// Writes the parameters in place, or in a copy while anyone else reads them. When `write` fails
    /// nothing is changed, if it fails before it writes.
    pub fn update(&self, write: impl FnOnce(&mut [F]) -> Result<()>) -> Result<()> {
        let mut guard = self.shared.weights.write().unwrap_or_else(PoisonError::into_inner);
        let version = match Arc::get_mut(&mut guard) {
            Some(weights) => {
                write(weights.flat_mut()?)?;
                weights.written();
                weights.version
            }
            None => {
                let mut weights = guard.successor()?;
                write(weights.flat_mut()?)?;
                weights.written();
                *guard = Arc::new(weights);
                guard.version
            }
        };
        self.shared.version.store(version, Ordering::Release);
        Ok(())
    }

    /// Where the generator of dropout stands.
    pub fn rng_state(&self) -> u64 {
        self.shared.rng.lock().unwrap_or_else(PoisonError::into_inner).state()
    }

    /// Puts it there.
    pub fn set_rng_state(&self, state: u64) {
        *self.shared.rng.lock().unwrap_or_else(PoisonError::into_inner) = Rng::new(state);
    }

    /// The generator's next seed of masks.
    pub(crate) fn draw(&self) -> u64 {
        self.shared.rng.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }

    /// Inference: nothing is kept, nothing is dropped, and large memory that training left for its next call is freed.
    pub fn run(&self, batch: &Batch<'_, F>) -> Result<Output<F>> {
        let rows = self.check(batch)?;
        self.shared.spare.trim();
        let threads = self.shared.threads(rows.total())?;
        let cut = Cut::new(rows, threads.min(batch.batch.div_ceil(FEWEST_ROWS)))?;
        let weights = self.shared.weights();
        let pass = Pass { shared: &self.shared, weights: &weights, batch: *batch, cut, threads };
        let mut states = self.states(batch)?;
        let mut below: Option<Vec<F>> = None;
        for layer in 0..self.config().layers {
            below = Some(pass.layer(layer, below.as_deref(), Vec::new(), &mut states)?);
        }
        Ok(Output { y: below.unwrap_or_default(), states })
    }

    /// Training: what backward needs is kept, and with dropout the outputs between layers are masked.
    pub fn forward(&self, batch: &Batch<'_, F>, training: &Training) -> Result<(Output<F>, Tape<F>)> {
        let rows = self.check(batch)?;
        self.shared.weights().flat()?;
        let seed = if self.config().dropout > 0.0 { training.seed.unwrap_or_else(|| self.draw()) } else { 0 };
        let cut = Cut::new(rows, training_slices(batch.batch))?;
        let mut tape = Tape::new(self, batch, cut, seed, training.memory)?;
        let output = tape.fill(batch)?;
        Ok((output, tape))
    }

    /// Zeros for a batch's final states.
    fn states(&self, batch: &Batch<'_, F>) -> Result<Vec<Vec<F>>> {
        self.shared.states(batch.batch, "states")
    }

    /// One step at a time for `batch` independent sequences.
    pub fn stream(&self, batch: usize) -> Result<Stream<F>> {
        Stream::new(self.shared.clone(), batch)
    }

    fn check(&self, batch: &Batch<'_, F>) -> Result<Rows> {
        let config = self.config();
        shape::expect_len("x", batch.x.len(), &[batch.seq, batch.batch, config.input])?;
        expect_states("h0", config, batch.states, batch.batch)?;
        shape::product("the output", &[batch.seq, batch.batch, config.outputs()])?;
        Rows::new(batch.batch, batch.seq, batch.lengths)?.with_resets(batch.seq, config.batch_first, batch.resets)
    }
}

/// None, or one slice of the right length for each state of the cell.
pub(super) fn expect_states<F>(argument: &'static str, config: &Config, states: &[&[F]], batch: usize) -> Result<()> {
    if !states.is_empty() && states.len() != config.cell.states() {
        let expected = format!("{} for {}", config.cell.states(), config.cell.name());
        return Err(Error::value(argument, format!("no states or {expected}"), states.len()));
    }
    let sizes = [config.layers, config.directions(), batch, config.hidden];
    shape::product("the states", &sizes)?;
    states.iter().try_for_each(|state| shape::expect_len(argument, state.len(), &sizes))
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
