//! Parameters as lists of arrays: one of floats, or of 16 bits as integers, or one of bytes and one of scales.

use super::arrays::{Number, borrow, borrow_as};
use crate::buffer::copied;
use crate::{Narrow, Part};
use numpy::PyArray1;
use pyo3::prelude::*;

/// For each name its arrays, 1-D.
pub(super) type Parts<'py> = Vec<Vec<Bound<'py, PyAny>>>;

/// What NumPy's name of a type says.
pub(super) fn narrow_of(name: &str) -> Narrow {
    if name == Narrow::Int8.name() { Narrow::Int8 } else { Narrow::Float16 }
}

/// Python's arrays, copied.
pub(super) fn take<F: Number>(parts: &Parts<'_>) -> PyResult<Vec<Part<F>>> {
    let take = |arrays: &Vec<Bound<'_, PyAny>>| -> PyResult<Part<F>> {
        Ok(match &arrays[..] {
            [numbers, scales] => Part::Int8 {
                numbers: copied(borrow_as(numbers, "int8")?.as_slice()?, "weights")?,
                scales: copied(borrow(scales)?.as_slice()?, "weights")?,
            },
            [halves] if halves.cast::<numpy::PyArrayDyn<u16>>().is_ok() => {
                let halves = borrow_as::<u16>(halves, "uint16")?;
                Part::Float16(crate::narrow::halves(halves.as_slice()?)?)
            }
            [numbers] => Part::Whole(copied(borrow(numbers)?.as_slice()?, "weights")?),
            _ => return Err(crate::Error::value("parts", "one or two arrays", arrays.len()).into()),
        })
    };
    parts.iter().map(take).collect()
}

/// The same for Python.
pub(super) fn give<F: Number>(py: Python<'_>, parts: Vec<Part<F>>) -> Parts<'_> {
    let give = |part| match part {
        Part::Whole(numbers) => vec![PyArray1::from_vec(py, numbers).into_any()],
        Part::Int8 { numbers, scales } => {
            vec![PyArray1::from_vec(py, numbers).into_any(), PyArray1::from_vec(py, scales).into_any()]
        }
        Part::Float16(halves) => {
            vec![PyArray1::from_iter(py, halves.into_iter().map(|half| half.0)).into_any()]
        }
    };
    parts.into_iter().map(give).collect()
}
