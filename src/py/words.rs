//! The table of words for Python, whose choices and messages are made from it.

use crate::names::{self, Dtype};
use crate::{Activation, Attention, Cell, Function, Loss, Pooling, TapeMemory, Width};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// For each argument that is a choice, its words in order.
#[pyfunction]
pub(super) fn words(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let table = PyDict::new(py);
    for (argument, words) in [
        ("activation", names::words(Function::ALL, Function::name)),
        ("attention", names::words(Attention::ALL, Attention::name)),
        ("cell", Cell::WORDS.to_vec()),
        ("dtype", names::words(Dtype::ALL, Dtype::name)),
        ("loss", Loss::WORDS.to_vec()),
        ("memory", names::words(TapeMemory::ALL, TapeMemory::name)),
        ("conv_activation", names::words(Activation::ALL, Activation::name)),
        ("pooling", names::words(Pooling::ALL, Pooling::name)),
        ("weight_dtype", names::words(Width::ALL, Width::name)),
    ] {
        table.set_item(argument, words)?;
    }
    Ok(table)
}

/// The letters of each cell's states and of its gates, in PyTorch's order.
#[pyfunction]
pub(super) fn cells(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let table = PyDict::new(py);
    for cell in Cell::ALL {
        table.set_item(cell.word(), (cell.state_names(), cell.gate_names()))?;
    }
    Ok(table)
}
