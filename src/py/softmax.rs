//! Softmax over rows, by the kernel that `Saved::probabilities` calls: the same bits in both. It must not know whose
//! scores they are.

use super::arrays::{Number, borrow, give};
use crate::buffer::{copied, zeros};
use crate::kernels::exponential::Softmax;
use crate::shape::expect_len;
use crate::simd::Isa;
use numpy::PyArrayDyn;
use pyo3::prelude::*;

/// Of rows of so many scores their softmax, 1-D, row after row, and of each row ln Σ eˣ in f64.
#[pyfunction]
pub(crate) fn softmax<'py>(
    scores: &Bound<'py, PyAny>, columns: usize,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    fn of<'py, F: Number>(
        scores: &Bound<'py, PyAny>, columns: usize,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let (py, scores, isa) = (scores.py(), borrow::<F>(scores)?, Isa::chosen()?);
        let scores = scores.as_slice()?;
        let (rows, log_sums) = py.detach(|| rows_of(isa, scores, columns))?;
        Ok((give(py, rows), give(py, log_sums)))
    }
    let single = scores.cast::<PyArrayDyn<f32>>().is_ok();
    if single { of::<f32>(scores, columns) } else { of::<f64>(scores, columns) }
}

/// The same in slices.
fn rows_of<F: Number>(isa: Isa, scores: &[F], columns: usize) -> crate::Result<(Vec<F>, Vec<f64>)> {
    let count = scores.len().checked_div(columns);
    let count = count.ok_or_else(|| crate::Error::value("columns", "a positive integer", columns))?;
    expect_len("scores", scores.len(), &[count, columns])?;
    let (mut rows, mut log_sums) = (copied(scores, "probabilities")?, zeros(count, "sums")?);
    F::dispatch(isa, Softmax { rows: &mut rows, columns, log_sums: &mut log_sums });
    Ok((rows, log_sums))
}
