//! The owner of a network's parameters, be it a layer, a model or a pair: who reads them takes a snapshot, who writes
//! them makes the next one. It must not know what they are of.

use super::weights::Weights;
use crate::error::Result;
use crate::rng::Rng;
use crate::shape;
use crate::simd::{Dispatch, Isa};
use crate::weights::{Names, Store, Tensor, Width};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// The parameters of a network, by name and end to end, for one or several threads at once.
///
/// ```
/// use gru_rs::{Config, Model, ModelConfig};
/// let model = Model::<f32>::new(ModelConfig::new(Config::gru(1, 8), 2))?;
/// let before = model.flat();
/// model.set_flat(&vec![0.5; before.len()])?;
/// assert!(before[0] != 0.5 && model.flat()[0] == 0.5);
/// assert_eq!(model.names()[0].0, "rnn.weight_ih_l0");
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Debug)]
pub struct Parameters<F> {
    isa: Isa,
    names: Arc<Names>,
    weights: RwLock<Arc<Weights<F>>>,
    /// The weights' version, to be read without a lock.
    version: AtomicU64,
    /// Dropout's generator.
    rng: Mutex<Rng>,
}

/// The parameters at one moment; later writes do not change it.
#[derive(Debug, Clone)]
pub struct Snapshot<F>(Shot<F>);

#[derive(Debug, Clone)]
enum Shot<F> {
    Shared(Arc<Weights<F>>),
    /// What quantized ones stand for.
    Dequantized(Arc<Vec<F>>),
}

impl<F: Dispatch> Deref for Snapshot<F> {
    type Target = [F];
    fn deref(&self) -> &[F] {
        match &self.0 {
            Shot::Shared(weights) => weights.store.flat().expect("weights that learn"),
            Shot::Dequantized(flat) => flat,
        }
    }
}

impl<F: Dispatch> Parameters<F> {
    /// Those of these names, read by so many stacks. `rng` goes on to dropout.
    pub(crate) fn new(isa: Isa, names: Arc<Names>, store: Store<F>, stacks: usize, rng: Rng) -> Arc<Self> {
        Arc::new(Self::of(isa, names, Arc::new(Weights::new(store, stacks, 0)), rng))
    }

    fn of(isa: Isa, names: Arc<Names>, weights: Arc<Weights<F>>, rng: Rng) -> Self {
        let version = AtomicU64::new(weights.version);
        Self { isa, names, weights: RwLock::new(weights), version, rng: Mutex::new(rng) }
    }

    /// Others, with the same place in the generator: the same weights in the same memory until either are written.
    pub(crate) fn duplicate(&self) -> Arc<Self> {
        Arc::new(self.with(self.weights()))
    }

    fn with(&self, weights: Arc<Weights<F>>) -> Self {
        let rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self::of(self.isa, self.names.clone(), weights, rng)
    }

    /// Others for inference, whose matrices are quantized. They cannot be trained or written.
    pub(crate) fn quantized(&self, width: Width) -> Result<Arc<Self>> {
        Ok(Arc::new(self.with(Arc::new(self.weights().quantized(&self.names, width)?))))
    }

    /// Others with these arrays, one for each name; none if they are its own.
    pub(crate) fn replaced(&self, arrays: &[&[F]]) -> Result<Option<Arc<Self>>> {
        let weights = self.weights();
        let flat = weights.store.flat()?;
        let places = self.names.iter().map(|(_, place, _)| place).zip(arrays);
        if places.clone().all(|(place, array)| F::same_bits(array, &flat[place.clone()])) {
            return Ok(None);
        }
        let mut weights = weights.successor()?;
        let flat = weights.store.flat_mut()?;
        places.for_each(|(place, array)| flat[place.clone()].copy_from_slice(array));
        weights.written();
        Ok(Some(Arc::new(self.with(Arc::new(weights)))))
    }

    /// The newest, whatever they are kept in. A call takes them once and uses them to its end.
    pub(crate) fn weights(&self) -> Arc<Weights<F>> {
        self.weights.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The instruction set that the network runs on.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Their names, as PyTorch's of layers, their places end to end and their shapes.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Raised by every write.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// All end to end, in the order of [`Self::names`]; of quantized ones the numbers they stand for.
    ///
    /// # Panics
    ///
    /// When there is no memory for what quantized ones stand for.
    pub fn flat(&self) -> Snapshot<F> {
        self.try_flat().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, or [`Error::Memory`](crate::Error::Memory).
    pub(crate) fn try_flat(&self) -> Result<Snapshot<F>> {
        let weights = self.weights();
        let learns = weights.store.width().is_none();
        Ok(Snapshot(if learns {
            Shot::Shared(weights)
        } else {
            Shot::Dequantized(weights.store.dequantized()?.into())
        }))
    }

    /// What the matrices are kept in; none for numbers that can be learnt.
    ///
    /// ```
    /// use gru_rs::{Config, Rnn, Width};
    /// let rnn = Rnn::<f32>::new(Config::lstm(3, 8))?;
    /// assert_eq!((rnn.width(), rnn.quantized(Width::Float16)?.width()), (None, Some(Width::Float16)));
    /// # Ok::<(), gru_rs::Error>(())
    /// ```
    pub fn width(&self) -> Option<Width> {
        self.weights().store.width()
    }

    /// Bytes that they take.
    pub fn bytes(&self) -> usize {
        self.weights().store.bytes()
    }

    /// A copy of them as they are kept, a tensor for each name.
    pub fn tensors(&self) -> Result<Vec<Tensor<F>>> {
        self.weights().store.tensors(&self.names)
    }

    /// Replaces all. Calls in flight finish on the old ones.
    pub fn set_flat(&self, flat: &[F]) -> Result<()> {
        shape::expect_len("flat", flat.len(), &[self.weights().store.len()])?;
        self.update(|weights| {
            weights.copy_from_slice(flat);
            Ok(())
        })
    }

    /// Writes them in place, or in a copy while anyone else reads them. When `write` fails
    /// nothing is changed, if it fails before it writes.
    pub fn update(&self, write: impl FnOnce(&mut [F]) -> Result<()>) -> Result<()> {
        let mut guard = self.weights.write().unwrap_or_else(PoisonError::into_inner);
        let version = match Arc::get_mut(&mut guard) {
            Some(weights) => {
                write(weights.store.flat_mut()?)?;
                weights.written();
                weights.version
            }
            None => {
                let mut weights = guard.successor()?;
                write(weights.store.flat_mut()?)?;
                weights.written();
                *guard = Arc::new(weights);
                guard.version
            }
        };
        self.version.store(version, Ordering::Release);
        Ok(())
    }

    /// Where the generator of dropout stands.
    pub fn rng_state(&self) -> u64 {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).state()
    }

    /// Puts it there.
    pub fn set_rng_state(&self, state: u64) {
        *self.rng.lock().unwrap_or_else(PoisonError::into_inner) = Rng::new(state);
    }

    /// A call with a seed of masks: the caller's, or the generator's next. If it fails the generator stands where it
    /// stood, unless another call has drawn meanwhile.
    pub(crate) fn with_seed<T>(&self, seed: Option<u64>, call: impl FnOnce(u64) -> Result<T>) -> Result<T> {
        if let Some(seed) = seed {
            return call(seed);
        }
        let rng = || self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, seed, after) = {
            let mut rng = rng();
            (rng.clone(), rng.next_u64(), rng.clone())
        };
        let result = call(seed);
        let mut now = rng();
        if result.is_err() && *now == after {
            *now = before;
        }
        result
    }
}

/// What every network has: an owner of its parameters to lean on, and copies. It is made by `fn around(config,
/// parameters) -> Self`; `$stacks` stacks read the parameters, and `$seed` is its configuration's.
macro_rules! network {
    ($name:ident, $config:ident, $stacks:literal, $seed:expr) => {
        impl<F: Dispatch> $name<F> {
            /// Fresh weights from the configuration's seed.
            pub fn new(config: $config) -> crate::error::Result<Self> {
                Self::on(crate::simd::Isa::chosen()?, config)
            }

            /// One with these parameters, a tensor for each of its configuration's names.
            pub fn from_tensors(
                config: $config, tensors: Vec<crate::weights::Tensor<F>>,
            ) -> crate::error::Result<Self> {
                config.check()?;
                let (isa, names) = (crate::simd::Isa::chosen()?, config.names());
                let store = crate::weights::Store::of_names(&names, tensors)?;
                let seed: fn(&$config) -> u64 = $seed;
                let rng = crate::rng::Rng::new(seed(&config));
                Ok(Self::around(config, Parameters::new(isa, names.into(), store, $stacks, rng)))
            }

            /// One of its own with the same weights, and the same place in its generator. The memory is shared until
            /// either is written.
            pub fn duplicate(&self) -> Self {
                Self::around(self.config().clone(), Parameters::duplicate(self))
            }

            /// One for inference, whose matrices are quantized. It cannot be trained or written.
            pub fn quantized(&self, width: crate::weights::Width) -> crate::error::Result<Self> {
                Ok(Self::around(self.config().clone(), Parameters::quantized(self, width)?))
            }
        }

        /// Its parameters.
        impl<F> std::ops::Deref for $name<F> {
            type Target = Parameters<F>;
            fn deref(&self) -> &Parameters<F> {
                self.parameters()
            }
        }
    };
}
pub(crate) use network;
