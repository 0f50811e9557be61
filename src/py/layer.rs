//! Layers and tapes.

use super::arrays::{Number, borrow, borrow_all, borrow_as, give, give_all, slices};
use super::narrow::{self, Parts, narrow_of};
use super::stream::{Stepper, Stream};
use super::{Either, each};
use crate::rnn;
use crate::{Batch, Cell, Config, Function, Functions, Narrow, Reset, TapeMemory, Training};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Mutex;

type Arrays<'py> = Vec<Bound<'py, PyAny>>;

/// A stack of layers in one of the two float types.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct Rnn(pub(super) Either<crate::Rnn<f32>, crate::Rnn<f64>>);

#[pymethods]
impl Rnn {
    #[new]
    #[pyo3(signature = (cell, dtype, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, seed, recurrent_activation,
        activation, clip, parts=None))]
    #[expect(clippy::too_many_arguments, reason = "the layer's own")]
    fn new(
        py: Python<'_>, cell: &str, dtype: &str, input_size: usize, hidden_size: usize, num_layers: usize, bias: bool,
        batch_first: bool, dropout: f64, bidirectional: bool, seed: u64, recurrent_activation: &str, activation: &str,
        clip: Option<f64>, parts: Option<Parts<'_>>,
    ) -> PyResult<Self> {
        let cell = match cell {
            "lstm" => Cell::Lstm,
            "gru_reset_before" => Cell::Gru(Reset::Before),
            _ => Cell::Gru(Reset::After),
        };
        let functions = Functions {
            gate: Function::named("recurrent_activation", recurrent_activation)?,
            candidate: Function::named("activation", activation)?,
            clip,
        };
        let (input, hidden, layers) = (input_size, hidden_size, num_layers);
        let config = Config { cell, functions, input, hidden, layers, bias, bidirectional, dropout, batch_first, seed };
        if let Some(parts) = parts {
            return Ok(Self(match dtype {
                "float64" => Either::F64(crate::Rnn::of_parts(config, narrow::take(&parts)?)?),
                _ => Either::F32(crate::Rnn::of_parts(config, narrow::take(&parts)?)?),
            }));
        }
        let make = || match dtype {
            "float64" => crate::Rnn::new(config).map(Either::F64),
            _ => crate::Rnn::new(config).map(Either::F32),
        };
        Ok(Self(py.detach(make)?))
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
        Ok(match &self.0 {
            Either::F32(rnn) => {
                let (y, states, tape) = given.forward(py, rnn, &training)?;
                (y, states, Tape(Either::F32(tape)))
            }
            Either::F64(rnn) => {
                let (y, states, tape) = given.forward(py, rnn, &training)?;
                (y, states, Tape(Either::F64(tape)))
            }
        })
    }

    /// Some steps at a time, for the layer that Python knows.
    fn stream(&self, layer: Py<PyAny>, batch: Option<usize>) -> PyResult<Stream> {
        let rows = batch.unwrap_or(1);
        let (config, stepper) = match &self.0 {
            Either::F32(rnn) => (rnn.config(), Either::F32(Stepper::new(rnn.stream(rows)?, rnn.config().hidden)?)),
            Either::F64(rnn) => (rnn.config(), Either::F64(Stepper::new(rnn.stream(rows)?, rnn.config().hidden)?)),
        };
        Ok(Stream::new(stepper, config, batch, layer))
    }

    /// All parameters at this moment.
    fn flat(&self) -> PyResult<FlatView> {
        Ok(FlatView(match &self.0 {
            Either::F32(rnn) => Either::F32(rnn.try_flat()?),
            Either::F64(rnn) => Either::F64(rnn.try_flat()?),
        }))
    }

    /// Replaces all parameters.
    fn set_flat(&self, py: Python<'_>, flat: &Bound<'_, PyAny>) -> PyResult<()> {
        each!(&self.0, rnn => {
            let flat = borrow(flat)?;
            let flat = flat.as_slice()?;
            Ok(py.detach(|| rnn.set_flat(flat))?)
        })
    }

    /// A layer with these parameters, a 1-D array each: this one if they are its own.
    fn with_weights<'py>(slf: &Bound<'py, Self>, parts: Arrays<'py>) -> PyResult<Bound<'py, Self>> {
        let (py, this) = (slf.py(), slf.get());
        let other = match &this.0 {
            Either::F32(rnn) => with_weights(py, rnn, &parts)?.map(Either::F32),
            Either::F64(rnn) => with_weights(py, rnn, &parts)?.map(Either::F64),
        };
        other.map_or_else(|| Ok(slf.clone()), |other| Bound::new(py, Self(other)))
    }

    /// What the matrices are kept in; None for numbers that can be learnt.
    fn narrow(&self) -> Option<&'static str> {
        each!(&self.0, rnn => rnn.narrow().map(Narrow::name))
    }

    /// Bytes of the parameters.
    #[getter]
    fn nbytes(&self) -> usize {
        each!(&self.0, rnn => rnn.bytes())
    }

    /// One for inference, of narrow matrices.
    fn narrowed(&self, py: Python<'_>, to: &str) -> PyResult<Self> {
        let to = narrow_of(to);
        Ok(Self(match &self.0 {
            Either::F32(rnn) => Either::F32(py.detach(|| rnn.narrowed(to))?),
            Either::F64(rnn) => Either::F64(py.detach(|| rnn.narrowed(to))?),
        }))
    }

    /// The parameters as they are kept.
    fn parts<'py>(&self, py: Python<'py>) -> PyResult<Parts<'py>> {
        each!(&self.0, rnn => Ok(narrow::give(py, rnn.parts()?)))
    }

    /// (name, first, last, shape) of each parameter in order.
    fn names(&self) -> Vec<(String, usize, usize, Vec<usize>)> {
        let names = each!(&self.0, rnn => rnn.config().names());
        names.into_iter().map(|(name, range, shape)| (name, range.start, range.end, shape)).collect()
    }

    /// A layer of its own with the same weights and generator.
    fn duplicate(&self) -> PyResult<Self> {
        Ok(Self(match &self.0 {
            Either::F32(rnn) => Either::F32(rnn.duplicate()?),
            Either::F64(rnn) => Either::F64(rnn.duplicate()?),
        }))
    }

    /// Where dropout's generator stands.
    #[getter]
    fn rng_state(&self) -> u64 {
        each!(&self.0, rnn => rnn.rng_state())
    }

    /// Puts it there.
    fn set_rng_state(&self, state: u64) {
        each!(&self.0, rnn => rnn.set_rng_state(state));
    }
}

fn with_weights<F: Number>(
    py: Python<'_>, rnn: &crate::Rnn<F>, parts: &[Bound<'_, PyAny>],
) -> PyResult<Option<crate::Rnn<F>>> {
    let parts = borrow_all(parts)?;
    let parts = slices(&parts)?;
    Ok(py.detach(|| rnn.with_weights(&parts))?)
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

type Taped<'py, F> = (Bound<'py, PyAny>, Arrays<'py>, Mutex<rnn::tape::Tape<F>>);

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

    fn forward<F: Number>(&self, py: Python<'py>, rnn: &crate::Rnn<F>, training: &Training) -> PyResult<Taped<'py, F>> {
        let (output, tape) = self.lend(py, |batch| rnn.forward(batch, training))?;
        Ok((give(py, output.y), give_all(py, output.states), Mutex::new(tape)))
    }
}

/// What one forward keeps for one backward.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct Tape(Either<Mutex<rnn::tape::Tape<f32>>, Mutex<rnn::tape::Tape<f64>>>);

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

/// The parameters at one moment, for NumPy to look at without a copy.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct FlatView(Either<rnn::stack::Snapshot<f32>, rnn::stack::Snapshot<f64>>);

#[pymethods]
impl FlatView {
    /// NumPy's protocol, version 3: a read-only 1-D array.
    #[getter(__array_interface__)]
    fn array_interface<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (address, len, kind) = match &self.0 {
            Either::F32(flat) => (flat.as_ptr().addr(), flat.len(), "f4"),
            Either::F64(flat) => (flat.as_ptr().addr(), flat.len(), "f8"),
        };
        let order = if cfg!(target_endian = "big") { '>' } else { '<' };
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("shape", (len,))?;
        interface.set_item("typestr", format!("{order}{kind}"))?;
        interface.set_item("data", (address, true))?;
        Ok(interface)
    }
}
