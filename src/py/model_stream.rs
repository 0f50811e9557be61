//! A model's stream; its manners are in `gru_rs._streams`.

use super::arrays::{Number, borrow_all, borrow_mut, give_all, slices};
use super::either::{Either, both, each};
use super::model::{Given, Model, Steps};
use crate::StreamState;
use crate::buffer::copied;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

/// A model's state between steps.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct ModelStream(Either<Mutex<crate::ModelStream<f32>>, Mutex<crate::ModelStream<f64>>>, AtomicUsize);

/// The stack's states, what is pooled, and the last steps for a convolution, 1-D each, and the steps of each row.
type State<'py> = (Vec<Bound<'py, PyAny>>, Vec<u64>);

fn lock<F>(stream: &Mutex<crate::ModelStream<F>>) -> PyResult<MutexGuard<'_, crate::ModelStream<F>>> {
    let busy = "this stream is in use by another thread: one stream, one call at a time";
    stream.try_lock().map_err(|_| PyRuntimeError::new_err(busy))
}

/// For Python.
fn given<F: Number>(py: Python<'_>, state: StreamState<F>) -> State<'_> {
    let StreamState { mut states, pooled, counts, window } = state;
    states.extend([pooled, window]);
    (give_all(py, states), counts)
}

/// From Python, copied.
fn taken<F: Number>((arrays, counts): State<'_>) -> PyResult<StreamState<F>> {
    let arrays = borrow_all(&arrays)?;
    let copies = slices(&arrays)?.into_iter().map(|array| copied(array, "states"));
    let mut states: Vec<Vec<F>> = copies.collect::<crate::Result<_>>()?;
    let (window, pooled) = (states.pop().unwrap_or_default(), states.pop().unwrap_or_default());
    Ok(StreamState { states, pooled, counts, window })
}

#[pymethods]
impl ModelStream {
    #[new]
    fn new(model: &Model, batch: usize) -> PyResult<Self> {
        let stream = both!(&model.0, model => Mutex::new(crate::ModelStream::new(model, batch)?));
        Ok(Self(stream, AtomicUsize::new(batch)))
    }

    /// Sequences side by side, also while another thread steps.
    #[getter]
    fn batch(&self) -> usize {
        self.1.load(Ordering::Relaxed)
    }

    /// The scores after each step, into an array.
    fn steps<'py>(&self, py: Python<'py>, given: Given<'py>, out: &Bound<'py, PyAny>) -> PyResult<()> {
        fn steps<F: Number>(
            py: Python<'_>, stream: &Mutex<crate::ModelStream<F>>, given: &Given<'_>, out: &Bound<'_, PyAny>,
        ) -> PyResult<()> {
            let stream = &mut *lock(stream)?;
            let (steps, mut out) = (Steps::new(given, stream.model().config().vocabulary.is_some())?, borrow_mut(out)?);
            let (inputs, out) = (steps.inputs(given, &[])?, out.as_slice_mut()?);
            Ok(py.detach(|| stream.steps(inputs.numbers, inputs.seq, out))?)
        }
        each!(&self.0, stream => steps(py, stream, &given, out))
    }

    /// Begin again from zeros.
    fn reset(&self, mask: Option<Vec<bool>>) -> PyResult<()> {
        each!(&self.0, stream => Ok(lock(stream)?.reset(mask.as_deref())?))
    }

    /// One that goes on from here on its own.
    fn duplicate(&self) -> PyResult<Self> {
        let stream = both!(&self.0, stream => Mutex::new(lock(stream)?.duplicate()?));
        Ok(Self(stream, AtomicUsize::new(self.batch())))
    }

    /// Takes another sequence in; gives back its row.
    fn join(&self, state: Option<State<'_>>) -> PyResult<usize> {
        each!(&self.0, stream => {
            let (state, mut stream) = (state.map(taken).transpose()?, lock(stream)?);
            stream.join(state.as_ref())?;
            self.1.store(stream.batch(), Ordering::Relaxed);
            Ok(stream.batch() - 1)
        })
    }

    /// Lets one go; gives back what is remembered of it.
    fn leave<'py>(&self, py: Python<'py>, row: usize) -> PyResult<State<'py>> {
        each!(&self.0, stream => {
            let mut stream = lock(stream)?;
            let left = stream.leave(row)?;
            self.1.store(stream.batch(), Ordering::Relaxed);
            Ok(given(py, left))
        })
    }

    /// What it remembers.
    fn state<'py>(&self, py: Python<'py>) -> PyResult<State<'py>> {
        each!(&self.0, stream => Ok(given(py, lock(stream)?.state()?)))
    }

    /// Goes on from there.
    fn set_state(&self, state: State<'_>) -> PyResult<()> {
        each!(&self.0, stream => {
            let state = taken(state)?;
            Ok(lock(stream)?.set_state(&state)?)
        })
    }
}
