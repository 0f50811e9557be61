//! Streams: the one place where the border itself is the cost, so the usual call, an array of the right
//! type and shape, goes straight through, and all others are sorted out by `gru_rs._arrays`.

use super::arrays::{Number, borrow, borrow_all, in_use, meets, plain, slices};
use super::either::{Either, both, each};
use crate::buffer::zeros;
use crate::{Config, rnn};
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

/// Multiply-adds of a call above which other Python threads may run meanwhile: about 10 µs.
pub(super) const DETACH: usize = 400_000;

/// A layer's state between calls: made by a layer's ``stream``.
///
/// Call it with the next step, ``(input_size,)`` or, with a batch, ``(batch_size, input_size)``, or with a chunk
/// of them, ``(T, input_size)`` or ``(T, batch_size, input_size)`` (``(batch_size, T, input_size)`` of a layer that
/// is batch_first), to get the outputs, shaped alike. The array is the caller's to keep unless ``out`` was given.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct Stream {
    stepper: Either<Mutex<Stepper<f32>>, Mutex<Stepper<f64>>>,
    /// The layer as Python knows it: what a pickle holds.
    layer: Py<PyAny>,
    /// Whether there is an axis of rows, and how many there are, also while another thread steps.
    batched: bool,
    batch: AtomicUsize,
    batch_first: bool,
    input: usize,
    hidden: usize,
    layers: usize,
    parameters: usize,
}

/// A stream with room for one step's output, which is copied to a new array: that costs less than having NumPy
/// clear one and lend it to be written.
pub(super) struct Stepper<F> {
    stream: rnn::stream::Stream<F>,
    y: Vec<F>,
}

impl<F: Number> Stepper<F> {
    pub fn new(stream: rnn::stream::Stream<F>, hidden: usize) -> crate::Result<Mutex<Self>> {
        let y = zeros(stream.batch() * hidden, "stream")?;
        Ok(Mutex::new(Self { stream, y }))
    }
}

impl Stream {
    pub(super) fn new(
        stepper: Either<Mutex<Stepper<f32>>, Mutex<Stepper<f64>>>, config: &Config, batch: Option<usize>,
        layer: Py<PyAny>,
    ) -> Self {
        let Config { input, hidden, layers, batch_first, .. } = *config;
        let (batched, batch) = (batch.is_some(), AtomicUsize::new(batch.unwrap_or(1)));
        Self { stepper, layer, batched, batch, batch_first, input, hidden, layers, parameters: config.parameters() }
    }

    fn lock<'a, F>(&self, stepper: &'a Mutex<Stepper<F>>) -> PyResult<MutexGuard<'a, Stepper<F>>> {
        let busy = "this stream is in use by another thread: one stream, one call at a time";
        stepper.try_lock().map_err(|_| PyRuntimeError::new_err(busy))
    }

    /// The steps of an array of `width` numbers a step: some for a chunk, none for one without their axis.
    fn steps(&self, shape: &[usize], batch: usize, width: usize) -> Option<Option<usize>> {
        match (self.batched, shape) {
            (false, &[w]) if w == width => Some(None),
            (false, &[seq, w]) if w == width => Some(Some(seq)),
            (true, &[b, w]) if (b, w) == (batch, width) => Some(None),
            (true, &[b, seq, w]) if self.batch_first && (b, w) == (batch, width) => Some(Some(seq)),
            (true, &[seq, b, w]) if !self.batch_first && (b, w) == (batch, width) => Some(Some(seq)),
            _ => None,
        }
    }

    /// The shape of such an array; a chunk of any size is named T.
    fn shape<'py, T: IntoPyObject<'py>>(
        &self, py: Python<'py>, batch: usize, seq: Option<T>, width: usize,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let shape = PyList::empty(py);
        if self.batched && self.batch_first {
            shape.append(batch)?;
        }
        if let Some(seq) = seq {
            shape.append(seq)?;
        }
        if self.batched && !self.batch_first {
            shape.append(batch)?;
        }
        shape.append(width)?;
        Ok(shape.to_tuple())
    }

    fn call<'py, F: Number>(
        &self, py: Python<'py>, stepper: &Mutex<Stepper<F>>, x: &Bound<'py, PyAny>, out: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Stepper { stream, y } = &mut *self.lock(stepper)?;
        let batch = stream.batch();
        let sorted_out = || -> PyResult<_> {
            let step = self.shape(py, batch, None::<usize>, self.input)?;
            let chunk = self.shape(py, batch, Some("T"), self.input)?;
            let given = arrays(py, "as_steps")?.call1(("x_t", x, step, chunk, F::NAME))?;
            borrow(&given)
        };
        let x = match plain(x).and_then(|x| x.cast::<PyArrayDyn<F>>().ok()) {
            Some(x) if x.is_c_contiguous() && self.steps(x.shape(), batch, self.input).is_some() => {
                x.try_readonly().map_err(|_| in_use())?
            }
            _ => sorted_out()?,
        };
        // Misaligned: a copy that is not.
        let x = if x.as_slice().is_ok() { x } else { sorted_out()? };
        // None: another thread has given it another shape since.
        let seq = self.steps(x.shape(), batch, self.input).ok_or_else(in_use)?;
        let x = x.as_slice()?;
        let Some(out) = out else {
            let Some(count) = seq else {
                self.run(py, stream, (seq, x), y)?;
                let y = PyArray1::from_slice(py, y);
                return Ok(if self.batched { y.reshape([batch, self.hidden])?.into_any() } else { y.into_any() });
            };
            let mut y = zeros(count * batch * self.hidden, "the output")?;
            self.run(py, stream, (seq, x), &mut y)?;
            let shape: Vec<usize> = self.shape(py, batch, seq, self.hidden)?.extract()?;
            return Ok(PyArray1::from_vec(py, y).reshape(shape)?.into_any());
        };
        let check_out = |out: &Bound<'py, PyAny>| {
            arrays(py, "check_out")?.call1(("out", out, self.shape(py, batch, seq, self.hidden)?, F::NAME))
        };
        let refused = |out: &Bound<'py, PyAny>| -> PyErr {
            let shared = "out: expected an array of its own, got x_t or one in use";
            check_out(out).err().unwrap_or_else(|| PyValueError::new_err(shared))
        };
        if plain(&out).is_none() {
            check_out(&out)?;
        }
        let out = match out.cast_into::<PyArrayDyn<F>>() {
            Ok(out) if out.is_c_contiguous() && self.steps(out.shape(), batch, self.hidden) == Some(seq) => out,
            Ok(out) => return Err(refused(out.as_any())),
            Err(error) => return Err(refused(&error.into_inner())),
        };
        if meets(x, out.as_any()) {
            return Err(refused(out.as_any()));
        }
        let mut y = out.try_readwrite().map_err(|_| refused(out.as_any()))?;
        self.run(py, stream, (seq, x), y.as_slice_mut().map_err(|_| refused(out.as_any()))?)?;
        Ok(out.into_any())
    }

    fn run<F: Number>(
        &self, py: Python<'_>, stream: &mut rnn::stream::Stream<F>, (seq, x): (Option<usize>, &[F]), y: &mut [F],
    ) -> PyResult<()> {
        let work = self.parameters.saturating_mul(stream.batch()).saturating_mul(seq.unwrap_or(1));
        let mut go = || match seq {
            None => stream.step(x, y),
            Some(seq) => stream.steps(seq, x, y),
        };
        Ok(if work > DETACH { py.detach(go) } else { go() }?)
    }

    /// The states as Python sees them.
    fn give<'py, F: Number>(
        &self, py: Python<'py>, states: Vec<Vec<F>>, rows: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let shape: Vec<usize> = [self.layers].into_iter().chain(rows).chain([self.hidden]).collect();
        let states = states.into_iter().map(|state| PyArray1::from_vec(py, state).reshape(&shape[..]));
        self.layer.bind(py).call_method1("_wrap", (states.collect::<PyResult<Vec<_>>>()?,))
    }

    /// The states in a value of Python's; none for None.
    fn take<'py>(
        &self, py: Python<'py>, value: &Bound<'py, PyAny>, rows: Option<usize>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let shape: Vec<usize> = [self.layers].into_iter().chain(rows).chain([self.hidden]).collect();
        self.layer.bind(py).call_method1("_stream_states", (value, PyTuple::new(py, shape)?))?.extract()
    }

    fn rows(&self, batch: usize) -> Option<usize> {
        self.batched.then_some(batch)
    }

    /// Streams that join and leave need an axis to do so.
    fn expect_rows(&self, method: &str) -> PyResult<()> {
        if self.batched {
            return Ok(());
        }
        Err(PyValueError::new_err(format!(
            "{method}: expected a stream with a batch_size, got one of a single sequence"
        )))
    }

    fn duplicate<F: Number>(&self, stepper: &Mutex<Stepper<F>>) -> PyResult<Mutex<Stepper<F>>> {
        Ok(Stepper::new(self.lock(stepper)?.stream.duplicate()?, self.hidden)?)
    }

    fn join_with<F: Number>(&self, stepper: &Mutex<Stepper<F>>, states: &[Bound<'_, PyAny>]) -> PyResult<usize> {
        let states = borrow_all(states)?;
        let Stepper { stream, y } = &mut *self.lock(stepper)?;
        let room = zeros((stream.batch() + 1) * self.hidden, "stream")?;
        stream.join(&slices(&states)?)?;
        *y = room;
        self.batch.store(stream.batch(), Ordering::Relaxed);
        Ok(stream.batch() - 1)
    }

    fn leave_from<'py, F: Number>(
        &self, py: Python<'py>, stepper: &Mutex<Stepper<F>>, row: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Stepper { stream, y } = &mut *self.lock(stepper)?;
        let states = stream.leave(row)?;
        y.truncate(stream.batch() * self.hidden);
        self.batch.store(stream.batch(), Ordering::Relaxed);
        self.give(py, states, None)
    }
}

/// A function of `gru_rs._arrays`.
fn arrays<'py>(py: Python<'py>, function: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("gru_rs._arrays")?.getattr(function)
}

#[pymethods]
impl Stream {
    #[pyo3(signature = (x_t, out=None))]
    fn __call__<'py>(
        &self, py: Python<'py>, x_t: &Bound<'py, PyAny>, out: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        each!(&self.stepper, stepper => self.call(py, stepper, x_t, out))
    }

    /// Sequences side by side; None for one without an axis.
    #[getter]
    fn batch_size(&self) -> Option<usize> {
        self.rows(self.batch.load(Ordering::Relaxed))
    }

    /// The layer may hold the stream.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.layer)
    }

    /// The states: ``(num_layers, batch_size, hidden_size)``, without the middle axis if there is no batch; of an LSTM
    /// a pair (h, c). A copy; write one to go on from there, or None for zeros.
    #[getter]
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        each!(&self.stepper, stepper => {
            let stream = &mut self.lock(stepper)?.stream;
            self.give(py, stream.states()?, self.rows(stream.batch()))
        })
    }

    #[setter]
    fn set_state(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        each!(&self.stepper, stepper => {
            let stream = &mut self.lock(stepper)?.stream;
            let states = self.take(py, value, self.rows(stream.batch()))?;
            let states = borrow_all(&states)?;
            Ok(stream.set_states(&slices(&states)?)?)
        })
    }

    /// Begin again from zeros.
    ///
    /// mask : array_like of bool, ``(batch_size,)``, optional
    ///     Which sequences; all when missing.
    #[pyo3(signature = (mask=None))]
    fn reset(&self, py: Python<'_>, mask: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        each!(&self.stepper, stepper => {
            let stream = &mut self.lock(stepper)?.stream;
            let flags = |mask: &Bound<'_, PyAny>| -> PyResult<Vec<bool>> {
                self.expect_rows("mask")?;
                arrays(py, "as_flags")?.call1(("mask", mask, (stream.batch(),)))?.call_method0("tolist")?.extract()
            };
            let mask = mask.map(flags).transpose()?;
            Ok(stream.reset(mask.as_deref())?)
        })
    }

    /// A stream of the same layer that goes on from here on its own.
    fn clone(&self, py: Python<'_>) -> PyResult<Self> {
        let stepper = both!(&self.stepper, stepper => self.duplicate(stepper)?);
        let batch = AtomicUsize::new(self.batch.load(Ordering::Relaxed));
        Ok(Self { stepper, layer: self.layer.clone_ref(py), batch, ..*self })
    }

    fn __copy__(&self, py: Python<'_>) -> PyResult<Self> {
        self.clone(py)
    }

    /// Take another sequence in, behind the others; gives back its row. It begins from `state`, as `leave` gives it,
    /// or from zeros.
    #[pyo3(signature = (state=None))]
    fn join(&self, py: Python<'_>, state: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
        self.expect_rows("join")?;
        let states = state.map(|state| self.take(py, state, None)).transpose()?.unwrap_or_default();
        each!(&self.stepper, stepper => self.join_with(stepper, &states))
    }

    /// Let a sequence go; gives back its state, ``(num_layers, hidden_size)`` or a pair. Those behind it move up a row.
    fn leave<'py>(&self, py: Python<'py>, row: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.expect_rows("leave")?;
        let row = py.import("gru_rs._checks")?.getattr("as_count")?.call1(("row", row))?.extract()?;
        each!(&self.stepper, stepper => self.leave_from(py, stepper, row))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let resume = py.import("gru_rs._layers")?.getattr("_resume")?;
        (resume, (this.layer.bind(py), this.batch_size(), this.state(py)?)).into_pyobject(py).map(|t| t.into_any())
    }
}
