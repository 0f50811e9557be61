//! NumPy arrays at the border: borrowed on the way in, moved on the way out.
//!
//! Other threads of Python may write a borrowed array while a call runs: the GIL is released, or there is none, and
//! rust-numpy's book of borrows knows Rust's alone. So only numbers that are computed with are borrowed from a caller:
//! whatever a call finds there, it ends in some numbers or an error. What is a place or a length (tokens, classes,
//! flags, lengths) is a copy that `gru_rs._arrays` has made before it was checked, and that no other thread knows, or
//! integers of Python's. To Rust a write meanwhile is a data race on floats all the same, as under every extension that
//! lends NumPy's memory; the way out would be a copy of all floats.

use crate::Dispatch;
use numpy::{
    BorrowError, Element, PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyReadwriteArrayDyn,
    PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::PyTypeInfo;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;

/// The two float types, to NumPy as well.
pub(crate) trait Number: Dispatch + Element {}
impl Number for f32 {}
impl Number for f64 {}

/// Another call has it.
pub(crate) fn in_use() -> PyErr {
    PyRuntimeError::new_err("an array is in use by another call, and one of the two writes it")
}

/// Borrows a C-contiguous array of exactly this type, which `gru_rs._arrays` has seen to.
pub(crate) fn borrow<'py, F: Number>(array: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArrayDyn<'py, F>> {
    borrow_as(array, F::NAME)
}

/// The same of any type, with its name.
pub(crate) fn borrow_as<'py, T: Element>(
    array: &Bound<'py, PyAny>, name: &str,
) -> PyResult<PyReadonlyArrayDyn<'py, T>> {
    let wrong = || PyTypeError::new_err(format!("expected a C-contiguous {name} array"));
    let array = array.cast::<PyArrayDyn<T>>().map_err(|_| wrong())?.try_readonly().map_err(|_| in_use())?;
    // as_slice alone would take an array in Fortran order, as it lies in memory.
    if array.is_c_contiguous() && array.as_slice().is_ok() { Ok(array) } else { Err(wrong()) }
}

/// An array of NumPy's own class: what others mean by theirs (a mask) is for `gru_rs._arrays` to say.
pub(crate) fn plain<'a, 'py>(array: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, PyAny>> {
    (array.get_type_ptr() == PyUntypedArray::type_object_raw(array.py())).then_some(array)
}

/// Borrows one that is C-contiguous and of exactly this type, if it is.
#[inline(never)]
pub(crate) fn borrow_plain<'py, T: Element>(array: &Bound<'py, PyAny>) -> Option<PyReadonlyArrayDyn<'py, T>> {
    let array = plain(array)?.cast::<PyArrayDyn<T>>().ok().filter(|array| array.is_c_contiguous())?;
    array.try_readonly().ok().filter(|array| array.as_slice().is_ok())
}

/// Whether an array to be written lies where some numbers do, through whatever view: rust-numpy's book of borrows does
/// not see memory that came by DLPack or a buffer twice.
pub(crate) fn meets<F: Number>(x: &[F], out: &Bound<'_, PyAny>) -> bool {
    let Some(out) = plain(out).and_then(|out| out.cast::<PyArrayDyn<F>>().ok()) else { return false };
    let (begin, x) = (out.data().addr(), x.as_ptr_range());
    begin < x.end.addr() && x.start.addr() < begin + out.len() * size_of::<F>()
}

/// Borrows an array to be written in place, which `gru_rs._arrays` has seen to.
pub(crate) fn borrow_mut<'py, F: Number>(array: &Bound<'py, PyAny>) -> PyResult<PyReadwriteArrayDyn<'py, F>> {
    let wrong = || PyTypeError::new_err(format!("expected a writeable {} array", F::NAME));
    array.cast::<PyArrayDyn<F>>().map_err(|_| wrong())?.try_readwrite().map_err(|error| match error {
        BorrowError::AlreadyBorrowed => in_use(),
        _ => wrong(),
    })
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
