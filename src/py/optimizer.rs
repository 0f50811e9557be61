//! Optimizers and what they remember of a layer.

use super::arrays::{Number, borrow, borrow_mut, give_all};
use super::either::{Either, both, each, of_dtype};
use super::parameters::Parameters;
use crate::buffer::copied;
use crate::names::Dtype;
use crate::optim::{self, clip, schedule};
use numpy::PyArrayDyn;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::{Mutex, PoisonError};

/// How weights follow gradients.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct Rule(optim::Rule);

/// What a rule remembers of one network; its type is that of the first step.
#[pyclass(frozen, module = "gru_rs._core")]
#[derive(Default)]
pub(crate) struct Memory(Mutex<Option<Memories>>);

type Memories = Either<optim::Memory<f32>, optim::Memory<f64>>;

/// It as pickles hold it: the dtype's word, the moments, steps taken, β₁ᵗ and β₂ᵗ.
type Remembered<'py> = (String, Vec<Bound<'py, PyAny>>, u64, (f64, f64));

#[pymethods]
impl Memory {
    /// Of a network that has not been stepped, or what `state` gave.
    #[new]
    #[pyo3(signature = (state=None))]
    fn new(state: Option<Remembered<'_>>) -> PyResult<Self> {
        fn of<F: Number>(state: &Remembered<'_>) -> PyResult<optim::Memory<F>> {
            let (_, moments, steps, powers) = state;
            let own = |moment| Ok(copied(borrow::<F>(moment)?.as_slice()?, "optimizer")?);
            let moments = moments.iter().map(own).collect::<PyResult<_>>()?;
            Ok(optim::Memory { moments, steps: *steps, powers: *powers })
        }
        let Some(state) = state else { return Ok(Self::default()) };
        let memory = of_dtype!(Dtype::named("dtype", &state.0)?, of(&state)?);
        Ok(Self(Mutex::new(Some(memory))))
    }

    /// For `Memory(state)`; None where no step was taken.
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Option<Remembered<'py>>> {
        // Copied with the lock held and the interpreter let go, as a step has both the other way round.
        let copy = |memory: &Memories| both!(memory, memory => memory.clone());
        let found = py.detach(|| self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(copy));
        fn give<F: Number>(py: Python<'_>, memory: optim::Memory<F>) -> Remembered<'_> {
            (F::NAME.into(), give_all(py, memory.moments), memory.steps, memory.powers)
        }
        Ok(found.map(|memory| each!(memory, memory => give(py, memory))))
    }
}

#[pymethods]
impl Rule {
    /// Gradient descent.
    #[staticmethod]
    fn sgd(learning_rate: f64, momentum: f64, nesterov: bool, weight_decay: f64) -> PyResult<Self> {
        let rule = optim::Rule::Sgd(optim::Sgd { learning_rate, momentum, nesterov, weight_decay });
        rule.check()?;
        Ok(Self(rule))
    }

    /// Adam, or AdamW when decoupled.
    #[staticmethod]
    fn adam(learning_rate: f64, betas: (f64, f64), epsilon: f64, weight_decay: f64, decoupled: bool) -> PyResult<Self> {
        let rule = optim::Rule::Adam(optim::Adam { learning_rate, betas, epsilon, weight_decay, decoupled });
        rule.check()?;
        Ok(Self(rule))
    }

    /// One step of a network.
    fn step(
        &self, py: Python<'_>, network: &Parameters, gradients: &Bound<'_, PyAny>, memory: &Memory,
    ) -> PyResult<()> {
        match &network.0 {
            Either::F32(parameters) => {
                self.step_as(py, parameters, gradients, memory, Either::F32, |memory| match memory {
                    Either::F32(memory) => Some(memory),
                    Either::F64(_) => None,
                })
            }
            Either::F64(parameters) => {
                self.step_as(py, parameters, gradients, memory, Either::F64, |memory| match memory {
                    Either::F64(memory) => Some(memory),
                    Either::F32(_) => None,
                })
            }
        }
    }
}

impl Rule {
    fn step_as<F: Number>(
        &self, py: Python<'_>, parameters: &crate::Parameters<F>, gradients: &Bound<'_, PyAny>, memory: &Memory,
        wrap: fn(optim::Memory<F>) -> Memories, unwrap: fn(&mut Memories) -> Option<&mut optim::Memory<F>>,
    ) -> PyResult<()> {
        let gradients = borrow(gradients)?;
        let gradients = gradients.as_slice()?;
        py.detach(|| {
            let mut memory = memory.0.lock().unwrap_or_else(PoisonError::into_inner);
            let memory = memory.get_or_insert_with(|| wrap(optim::Memory::default()));
            let other = || PyRuntimeError::new_err("this memory is of a network of another dtype");
            Ok(self.0.step(parameters, gradients, unwrap(memory).ok_or_else(other)?)?)
        })
    }
}

/// Shortens gradients in place; gives back their norm.
#[pyfunction]
pub(crate) fn clip_by_norm(py: Python<'_>, gradients: &Bound<'_, PyAny>, most: f64) -> PyResult<f64> {
    fn clip<F: Number>(py: Python<'_>, gradients: &Bound<'_, PyAny>, most: f64) -> PyResult<f64> {
        let mut gradients = borrow_mut::<F>(gradients)?;
        let gradients = gradients.as_slice_mut()?;
        Ok(py.detach(|| clip::clip_by_norm(gradients, most))?)
    }
    if gradients.cast::<PyArrayDyn<f64>>().is_ok() {
        clip::<f64>(py, gradients, most)
    } else {
        clip::<f32>(py, gradients, most)
    }
}

/// Rates along half a cosine.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct Cosine(schedule::Cosine);

#[pymethods]
impl Cosine {
    #[new]
    fn new(first: f64, steps: u64, warm_up: u64, least: f64) -> PyResult<Self> {
        Ok(Self(schedule::Cosine::new(first, steps, warm_up, least)?))
    }

    /// Of a step.
    fn rate(&self, step: u64) -> f64 {
        self.0.rate(step)
    }
}

/// Rates that fall when a loss does not.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct Plateau(Mutex<schedule::Plateau>);

#[pymethods]
impl Plateau {
    #[new]
    fn new(first: f64, factor: f64, patience: u64, least: f64) -> PyResult<Self> {
        Ok(Self(Mutex::new(schedule::Plateau::new(first, factor, patience, least)?)))
    }

    /// The rate after an epoch.
    fn end_of_epoch(&self, loss: f64) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).end_of_epoch(loss)
    }

    /// The rate, the best loss, and the epochs since.
    fn state(&self) -> (f64, f64, u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).state()
    }

    /// Goes on from what `state` gave.
    fn resume(&self, rate: f64, best: f64, waiting: u64) -> PyResult<()> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).resume(rate, best, waiting)?)
    }
}
