//! Parameters as lists of arrays: one of floats, or of 16 bits as integers, or one of bytes and one of scales.

use super::arrays::{Number, borrow, borrow_as};
use crate::Tensor;
use crate::buffer::copied;
use numpy::PyArray1;
use pyo3::prelude::*;

/// For each name its arrays, 1-D.
pub(super) type Tensors<'py> = Vec<Vec<Bound<'py, PyAny>>>;

/// Python's arrays, copied.
pub(super) fn take<F: Number>(tensors: &Tensors<'_>) -> PyResult<Vec<Tensor<F>>> {
    let take = |arrays: &Vec<Bound<'_, PyAny>>| -> PyResult<Tensor<F>> {
        Ok(match &arrays[..] {
            [numbers, scales] => Tensor::Int8 {
                numbers: copied(borrow_as(numbers, "int8")?.as_slice()?, "weights")?,
                scales: copied(borrow(scales)?.as_slice()?, "weights")?,
            },
            [halves] if halves.cast::<numpy::PyArrayDyn<u16>>().is_ok() => {
                let halves = borrow_as::<u16>(halves, "uint16")?;
                Tensor::Float16(crate::weights::halves(halves.as_slice()?)?)
            }
            [numbers] => Tensor::Float(copied(borrow(numbers)?.as_slice()?, "weights")?),
            _ => return Err(crate::Error::value("tensors", "one or two arrays", arrays.len()).into()),
        })
    };
    tensors.iter().map(take).collect()
}

/// The same for Python.
pub(super) fn give<F: Number>(py: Python<'_>, tensors: Vec<Tensor<F>>) -> Tensors<'_> {
    let give = |part| match part {
        Tensor::Float(numbers) => vec![PyArray1::from_vec(py, numbers).into_any()],
        Tensor::Int8 { numbers, scales } => {
            vec![PyArray1::from_vec(py, numbers).into_any(), PyArray1::from_vec(py, scales).into_any()]
        }
        Tensor::Float16(halves) => {
            vec![PyArray1::from_iter(py, halves.into_iter().map(|half| half.0)).into_any()]
        }
    };
    tensors.into_iter().map(give).collect()
}
