//! NumPy arrays at the border: borrowed on the way in, moved on the way out.

use crate::Dispatch;
use numpy::{
    Element, PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyReadwriteArrayDyn, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// The two float types, to NumPy as well.
pub(crate) trait Number: Dispatch + Element {}
impl Number for f32 {}
impl Number for f64 {}

/// Borrows a C-contiguous array of exactly this type, which `gru_rs._arrays` has seen to.
pub(crate) fn borrow<'py, F: Number>(array: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArrayDyn<'py, F>> {
    borrow_as(array, F::NAME)
}

/// The same of any type, with its name.
pub(crate) fn borrow_as<'py, T: Element>(
    array: &Bound<'py, PyAny>, name: &str,
) -> PyResult<PyReadonlyArrayDyn<'py, T>> {
    let wrong = || PyTypeError::new_err(format!("expected a C-contiguous {name} array"));
    let array = array.cast::<PyArrayDyn<T>>().map_err(|_| wrong())?.try_readonly().map_err(|_| wrong())?;
    // as_slice alone would take an array in Fortran order, as it lies in memory.
    if array.is_c_contiguous() && array.as_slice().is_ok() { Ok(array) } else { Err(wrong()) }
}

/// Borrows an array to be written in place, which `gru_rs._arrays` has seen to.
pub(crate) fn borrow_mut<'py, F: Number>(array: &Bound<'py, PyAny>) -> PyResult<PyReadwriteArrayDyn<'py, F>> {
    let wrong = || PyTypeError::new_err(format!("expected a writeable {} array that nobody else uses", F::NAME));
    array.cast::<PyArrayDyn<F>>().map_err(|_| wrong())?.try_readwrite().map_err(|_| wrong())
}

/// Several of them.
pub(crate) fn borrow_all<'py, F: Number>(arrays: &[Bound<'py, PyAny>]) -> PyResult<Vec<PyReadonlyArrayDyn<'py, F>>> {
    arrays.iter().map(borrow).collect()
}

/// Their numbers.
pub(crate) fn slices<'a, F: Number>(arrays: &'a [PyReadonlyArrayDyn<'_, F>]) -> PyResult<Vec<&'a [F]>> {
    arrays.iter().map(|array| Ok(array.as_slice()?)).collect()
}

/// Moves numbers into a 1-D array.
pub(crate) fn give<F: Number>(py: Python<'_>, numbers: Vec<F>) -> Bound<'_, PyAny> {
    PyArray1::from_vec(py, numbers).into_any()
}

/// Moves several.
pub(crate) fn give_all<F: Number>(py: Python<'_>, all: Vec<Vec<F>>) -> Vec<Bound<'_, PyAny>> {
    all.into_iter().map(|numbers| give(py, numbers)).collect()
}
