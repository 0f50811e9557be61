//! Streams: the one place where the border itself is the cost, so the usual call, an array of the right
//! type and shape, goes straight through, and all others are sorted out by `gru_rs._arrays`.

use super::arrays::{Number, borrow};
use super::{Either, each};
use crate::buffer::zeros;
use crate::{Config, Result, rnn};
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::Mutex;

/// Multiply-adds of a step above which other Python threads may run meanwhile: about 10 µs.
const DETACH: usize = 400_000;

/// A layer's state between steps.
///
/// Call it with x_t, ``(input_size,)`` or ``(batch_size, input_size)``, to get y_t, ``(hidden_size,)`` or
/// ``(batch_size, hidden_size)``; the array is the caller's to keep unless ``out`` was given.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct Stream {
    stepper: Either<Mutex<Stepper<f32>>, Mutex<Stepper<f64>>>,
    /// The rows, if there is an axis of them.
    batch: Option<usize>,
    input: usize,
    hidden: usize,
    detach: bool,
}

/// A stream with room for one output, which is copied to a new array: that costs less than having NumPy
/// clear one and lend it to be written.
pub(super) struct Stepper<F> {
    stream: rnn::stream::Stream<F>,
    y: Vec<F>,
}

impl<F: Number> Stepper<F> {
    pub fn new(layer: &rnn::stack::Rnn<F>, batch: Option<usize>) -> Result<Mutex<Self>> {
        let stream = layer.stream(batch.unwrap_or(1))?;
        let y = zeros(stream.batch() * layer.config().hidden, "stream")?;
        Ok(Mutex::new(Self { stream, y }))
    }
}

impl Stream {
    pub(super) fn new(
        stepper: Either<Mutex<Stepper<f32>>, Mutex<Stepper<f64>>>, config: &Config, batch: Option<usize>,
    ) -> Self {
        let detach = config.parameters().saturating_mul(batch.unwrap_or(1)) > DETACH;
        Self { stepper, batch, input: config.input, hidden: config.hidden, detach }
    }

    /// Whether an array is `(width,)` or `(batch, width)`.
    fn fits(&self, shape: &[usize], width: usize) -> bool {
        match self.batch {
            None => shape == [width],
            Some(batch) => shape == [batch, width],
        }
    }

    fn shape<'py>(&self, py: Python<'py>, width: usize) -> PyResult<Bound<'py, PyTuple>> {
        match self.batch {
            None => PyTuple::new(py, [width]),
            Some(batch) => PyTuple::new(py, [batch, width]),
        }
    }

    fn step<'py, F: Number>(
        &self, py: Python<'py>, stepper: &Mutex<Stepper<F>>, x_t: &Bound<'py, PyAny>, out: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let x = match x_t.cast::<PyArrayDyn<F>>() {
            Ok(x) if x.is_c_contiguous() && self.fits(x.shape(), self.input) => x.try_readonly()?,
            _ => borrow(&self.sorted_out(py, "as_step", "x_t", x_t, self.input, F::NAME)?)?,
        };
        // Misaligned: a copy that is not.
        let x = match x.as_slice() {
            Ok(_) => x,
            Err(_) => borrow(&self.sorted_out(py, "as_step", "x_t", x_t, self.input, F::NAME)?)?,
        };
        let x = x.as_slice()?;
        let busy = "this stream is in use by another thread: one stream, one step at a time";
        let mut stepper = stepper.try_lock().map_err(|_| PyRuntimeError::new_err(busy))?;
        let Stepper { stream, y } = &mut *stepper;
        let Some(out) = out else {
            self.run(py, stream, x, y)?;
            return Ok(match self.batch {
                None => PyArray1::from_slice(py, y).into_any(),
                Some(batch) => PyArray1::from_slice(py, y).reshape([batch, self.hidden])?.into_any(),
            });
        };
        let refused = |out: &Bound<'py, PyAny>| {
            let reason = self.sorted_out(py, "check_out", "out", out, self.hidden, F::NAME).err();
            let shared = "out: expected an array of its own, got x_t or one in use";
            reason.unwrap_or_else(|| PyValueError::new_err(shared))
        };
        let out = match out.cast_into::<PyArrayDyn<F>>() {
            Ok(out) if out.is_c_contiguous() && self.fits(out.shape(), self.hidden) => out,
            Ok(out) => return Err(refused(out.as_any())),
            Err(error) => return Err(refused(&error.into_inner())),
        };
        let mut y = out.try_readwrite().map_err(|_| refused(out.as_any()))?;
        self.run(py, stream, x, y.as_slice_mut().map_err(|_| refused(out.as_any()))?)?;
        Ok(out.into_any())
    }

    fn run<F: Number>(
        &self, py: Python<'_>, stream: &mut rnn::stream::Stream<F>, x: &[F], y: &mut [F],
    ) -> PyResult<()> {
        Ok(if self.detach { py.detach(|| stream.step(x, y)) } else { stream.step(x, y) }?)
    }

    /// What Python makes of an argument, or its error.
    fn sorted_out<'py>(
        &self, py: Python<'py>, function: &str, name: &str, value: &Bound<'py, PyAny>, width: usize, dtype: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let function = py.import("gru_rs._arrays")?.getattr(function)?;
        function.call1((name, value, self.shape(py, width)?, dtype))
    }
}

#[pymethods]
impl Stream {
    #[pyo3(signature = (x_t, out=None))]
    fn __call__<'py>(
        &self, py: Python<'py>, x_t: &Bound<'py, PyAny>, out: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        each!(&self.stepper, stepper => self.step(py, stepper, x_t, out))
    }

    /// The rows given to ``stream``, or None.
    #[getter]
    fn batch_size(&self) -> Option<usize> {
        self.batch
    }
}
