//! Parameters as lists of arrays, each with the word of what it is kept in: an array of 16 bits does not say of which
//! kind they are.

use super::arrays::{Number, borrow, borrow_as};
use crate::buffer::copied;
use crate::weights::of_bits;
use crate::{Bfloat16, Half, Tensor, Width};
use numpy::PyArray1;
use pyo3::prelude::*;

/// For each name the word of its width, or of the dtype of numbers that can be learnt, and its arrays, 1-D.
pub(super) type Tensors<'py> = Vec<(String, Vec<Bound<'py, PyAny>>)>;

/// Python's arrays, copied.
pub(super) fn take<F: Number>(tensors: &Tensors<'_>) -> PyResult<Vec<Tensor<F>>> {
    let take = |(word, arrays): &(String, Vec<Bound<'_, PyAny>>)| -> PyResult<Tensor<F>> {
        let refuse = |count| Err(crate::Error::value("tensors", format!("{count} of {word}"), arrays.len()).into());
        if word == F::NAME {
            let [numbers] = &arrays[..] else { return refuse("one array") };
            return Ok(Tensor::Float(copied(borrow(numbers)?.as_slice()?, "weights")?));
        }
        Ok(match Width::named("tensors", word)? {
            Width::Int8 => {
                let [numbers, scales] = &arrays[..] else { return refuse("two arrays") };
                Tensor::Int8 {
                    numbers: copied(borrow_as(numbers, "int8")?.as_slice()?, "weights")?,
                    scales: copied(borrow(scales)?.as_slice()?, "weights")?,
                }
            }
            Width::Float16 => {
                let [bits] = &arrays[..] else { return refuse("one array") };
                Tensor::Float16(of_bits(borrow_as(bits, "uint16")?.as_slice()?, Half)?)
            }
            Width::Bfloat16 => {
                let [bits] = &arrays[..] else { return refuse("one array") };
                Tensor::Bfloat16(of_bits(borrow_as(bits, "uint16")?.as_slice()?, Bfloat16)?)
            }
        })
    };
    tensors.iter().map(take).collect()
}

/// The same for Python.
pub(super) fn give<F: Number>(py: Python<'_>, tensors: Vec<Tensor<F>>) -> Tensors<'_> {
    let give = |part| match part {
        Tensor::Float(numbers) => (F::NAME, vec![PyArray1::from_vec(py, numbers).into_any()]),
        Tensor::Int8 { numbers, scales } => (
            Width::Int8.name(),
            vec![PyArray1::from_vec(py, numbers).into_any(), PyArray1::from_vec(py, scales).into_any()],
        ),
        Tensor::Float16(numbers) => {
            (Width::Float16.name(), vec![PyArray1::from_iter(py, numbers.into_iter().map(|x| x.0)).into_any()])
        }
        Tensor::Bfloat16(numbers) => {
            (Width::Bfloat16.name(), vec![PyArray1::from_iter(py, numbers.into_iter().map(|x| x.0)).into_any()])
        }
    };
    tensors.into_iter().map(give).map(|(word, arrays)| (word.into(), arrays)).collect()
}
