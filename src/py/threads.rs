//! The number of threads, and Ctrl-C in the middle of a call.

use crate::parallel;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use std::cell::RefCell;

thread_local! {
    /// What a signal's handler raised while this thread was in a call.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Runs the handlers of signals that came; true if one raised. Only Python's main thread has any to run.
pub(super) fn interrupted() -> bool {
    let raised = Python::attach(|py| py.check_signals().err());
    let end = raised.is_some();
    RAISED.with_borrow_mut(|kept| *kept = raised.or(kept.take()));
    end
}

/// The exception that ended a call.
pub(super) fn signal() -> PyErr {
    RAISED.with_borrow_mut(Option::take).unwrap_or_else(|| PyKeyboardInterrupt::new_err(()))
}

/// Threads that a large call may use.
#[pyfunction]
pub(super) fn num_threads() -> PyResult<usize> {
    Ok(parallel::num_threads()?)
}

/// Sets that number.
#[pyfunction]
pub(super) fn set_num_threads(threads: usize) -> PyResult<()> {
    Ok(parallel::set_num_threads(threads)?)
}

/// Worker threads that stand ready in this process; 0 before the first large call.
#[pyfunction]
pub(super) fn num_workers() -> usize {
    parallel::num_workers()
}
