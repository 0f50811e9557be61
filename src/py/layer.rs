//! Layers and tapes.

use super::arrays::{Number, borrow, borrow_all, borrow_as, give, give_all, slices};
use super::either::{Either, both, each, of_dtype};
use super::options::Options;
use super::parameters::{Names, Parameters, listed, network};
use super::stream::{Stepper, Stream};
use super::tensors::{self, Tensors};
use crate::names::{self, Dtype, Options as _};
use crate::rnn;
use crate::{Batch, Config, TapeMemory, Training, Width};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::Mutex;

type Arrays<'py> = Vec<Bound<'py, PyAny>>;

/// A stack of layers in one of the two float types.
#[pyclass(frozen, extends = Parameters, module = "gru_rs._core")]
pub(crate) struct Rnn(pub(super) Either<crate::Rnn<f32>, crate::Rnn<f64>>);

network!(Rnn, Config);

#[pymethods]
impl Rnn {
    #[new]
    #[pyo3(signature = (options, tensors=None))]
    fn new(py: Python<'_>, options: Options<'_>, tensors: Option<Tensors<'_>>) -> PyResult<PyClassInitializer<Self>> {
        Self::make(py, names::layer_config(&options)?, options.word("dtype", Dtype::named)?, tensors)
    }

    /// The names of a layer that is not made.
    #[staticmethod]
    fn names_of(options: Options<'_>) -> PyResult<Names> {
        let config = names::layer_config(&options)?;
        config.check()?;
        Ok(listed(&config.names()))
    }

    /// y and the final states, each 1-D.
    #[pyo3(signature = (x, batch, seq, states, lengths, resets=None))]
    #[expect(clippy::too_many_arguments, reason = "the layer's own")]
    fn run<'py>(
        &self, py: Python<'py>, x: &Bound<'py, PyAny>, batch: usize, seq: usize, states: Arrays<'py>,
        lengths: Option<Vec<usize>>, resets: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyAny>, Arrays<'py>)> {
        let given = Given { x, batch, seq, states: &states, lengths: lengths.as_deref(), resets: resets.as_ref() };
        each!(&self.0, rnn => given.run(py, rnn))
    }

    /// The same, and the tape.
    #[pyo3(signature = (x, batch, seq, states, lengths, seed, low_memory, resets=None))]
    #[expect(clippy::too_many_arguments, reason = "as run, and how to train")]
    fn forward<'py>(
        &self, py: Python<'py>, x: &Bound<'py, PyAny>, batch: usize, seq: usize, states: Arrays<'py>,
        lengths: Option<Vec<usize>>, seed: Option<u64>, low_memory: bool, resets: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyAny>, Arrays<'py>, Tape)> {
        let given = Given { x, batch, seq, states: &states, lengths: lengths.as_deref(), resets: resets.as_ref() };
        let training = Training { seed, memory: if low_memory { TapeMemory::Low } else { TapeMemory::Full } };
        match &self.0 {
            Either::F32(rnn) => given.forward(py, rnn, &training, Either::F32),
            Either::F64(rnn) => given.forward(py, rnn, &training, Either::F64),
        }
    }

    /// Some steps at a time, for the layer that Python knows.
    fn stream(&self, layer: Py<PyAny>, batch: Option<usize>) -> PyResult<Stream> {
        let rows = batch.unwrap_or(1);
        let stepper = both!(&self.0, rnn => Stepper::new(rnn.stream(rows)?, rnn.config().hidden)?);
        Ok(Stream::new(stepper, each!(&self.0, rnn => rnn.config()), batch, layer))
    }

    /// A layer with these arrays as parameters, 1-D each: this one if they are its own.
    fn with_weights<'py>(slf: &Bound<'py, Self>, arrays: Arrays<'py>) -> PyResult<Bound<'py, Self>> {
        let (py, this) = (slf.py(), slf.get());
        let other = match &this.0 {
            Either::F32(rnn) => with_weights(py, rnn, &arrays)?.map(Either::F32),
            Either::F64(rnn) => with_weights(py, rnn, &arrays)?.map(Either::F64),
        };
        other.map_or_else(|| Ok(slf.clone()), |other| Bound::new(py, Self::wrapped(other)))
    }

    /// One for inference, of quantized matrices.
    fn quantized(&self, py: Python<'_>, width: &str) -> PyResult<Py<Self>> {
        let width = Width::named("dtype", width)?;
        Py::new(py, Self::wrapped(both!(&self.0, rnn => py.detach(|| rnn.quantized(width))?)))
    }

    /// One of its own with the same weights and generator.
    fn duplicate(&self, py: Python<'_>) -> PyResult<Py<Self>> {
        Py::new(py, Self::wrapped(both!(&self.0, rnn => rnn.duplicate())))
    }
}

fn with_weights<F: Number>(
    py: Python<'_>, rnn: &crate::Rnn<F>, arrays: &[Bound<'_, PyAny>],
) -> PyResult<Option<crate::Rnn<F>>> {
    let arrays = borrow_all(arrays)?;
    let arrays = slices(&arrays)?;
    Ok(py.detach(|| rnn.with_weights(&arrays))?)
}

/// A batch of Python's.
struct Given<'a, 'py> {
    x: &'a Bound<'py, PyAny>,
    batch: usize,
    seq: usize,
    states: &'a [Bound<'py, PyAny>],
    lengths: Option<&'a [usize]>,
    resets: Option<&'a Bound<'py, PyAny>>,
}

/// One tape of either type.
type AnyTape = Either<Mutex<rnn::tape::Tape<f32>>, Mutex<rnn::tape::Tape<f64>>>;

impl<'py> Given<'_, 'py> {
    /// Lends it to Rust while other Python threads may run.
    fn lend<F: Number, T: Send>(
        &self, py: Python<'py>, run: impl FnOnce(&Batch<'_, F>) -> crate::Result<T> + Send,
    ) -> PyResult<T> {
        let Self { batch, seq, lengths, .. } = *self;
        let (x, states) = (borrow(self.x)?, borrow_all(self.states)?);
        let resets = self.resets.map(|resets| borrow_as::<bool>(resets, "bool")).transpose()?;
        let (x, states) = (x.as_slice()?, slices(&states)?);
        let resets = resets.as_ref().map(|resets| resets.as_slice()).transpose()?;
        Ok(py.detach(|| run(&Batch { x, batch, seq, states: &states, lengths, resets }))?)
    }

    fn run<F: Number>(&self, py: Python<'py>, rnn: &crate::Rnn<F>) -> PyResult<(Bound<'py, PyAny>, Arrays<'py>)> {
        let output = self.lend(py, |batch| rnn.run(batch))?;
        Ok((give(py, output.y), give_all(py, output.states)))
    }

    fn forward<F: Number>(
        &self, py: Python<'py>, rnn: &crate::Rnn<F>, training: &Training,
        wrap: fn(Mutex<rnn::tape::Tape<F>>) -> AnyTape,
    ) -> PyResult<(Bound<'py, PyAny>, Arrays<'py>, Tape)> {
        let (output, tape) = self.lend(py, |batch| rnn.forward(batch, training))?;
        Ok((give(py, output.y), give_all(py, output.states), Tape(wrap(Mutex::new(tape)))))
    }
}

/// What one forward keeps for one backward.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct Tape(AnyTape);

#[pymethods]
impl Tape {
    /// The gradients of x, the initial states and the parameters, each 1-D.
    #[pyo3(signature = (d_y, d_states))]
    fn backward<'py>(
        &self, py: Python<'py>, d_y: Option<Bound<'py, PyAny>>, d_states: Arrays<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Arrays<'py>, Bound<'py, PyAny>)> {
        each!(&self.0, tape => backward(py, tape, d_y.as_ref(), &d_states))
    }

    /// Bytes it holds.
    #[getter]
    fn nbytes(&self) -> PyResult<usize> {
        each!(&self.0, tape => Ok(tape.try_lock().map_err(|_| in_use())?.bytes()))
    }
}

fn in_use() -> PyErr {
    PyRuntimeError::new_err("this tape is in use by another thread: one tape, one backward at a time")
}

fn backward<'py, F: Number>(
    py: Python<'py>, tape: &Mutex<rnn::tape::Tape<F>>, d_y: Option<&Bound<'py, PyAny>>, d_states: &[Bound<'py, PyAny>],
) -> PyResult<(Bound<'py, PyAny>, Arrays<'py>, Bound<'py, PyAny>)> {
    let (d_y, d_states) = (d_y.map(borrow).transpose()?, borrow_all(d_states)?);
    let d_y = d_y.as_ref().map(|d_y| d_y.as_slice()).transpose()?;
    let d_states = slices(&d_states)?;
    let gradients = py.detach(|| Ok::<_, PyErr>(tape.try_lock().map_err(|_| in_use())?.backward(d_y, &d_states)?))?;
    Ok((give(py, gradients.x), give_all(py, gradients.states), give(py, gradients.flat)))
}
