//! The Python extension `gru_rs._core`: each function extracts, detaches, calls, wraps. Shapes, names
//! and manners are Python's, in `python/gru_rs`; numbers are the crate's. The only room that names
//! pyo3 and numpy.

mod arrays;
mod either;
mod encoder_decoder;
mod layer;
mod model;
mod model_stream;
mod optimizer;
mod options;
mod parameters;
mod served;
mod softmax;
mod stream;
mod tensors;
mod threads;
mod words;

use crate::simd::Isa;
use pyo3::exceptions::{PyMemoryError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use std::time::Instant;

impl From<crate::Error> for PyErr {
    fn from(error: crate::Error) -> Self {
        let message = error.to_string();
        match error {
            crate::Error::Value { .. } => PyValueError::new_err(message),
            crate::Error::State(_) => PyRuntimeError::new_err(message),
            crate::Error::Memory { .. } => PyMemoryError::new_err(message),
            crate::Error::File { .. } => PyOSError::new_err(message),
            crate::Error::Interrupted => threads::signal(),
        }
    }
}

/// The name of the instruction set in use.
#[pyfunction]
fn isa() -> PyResult<&'static str> {
    Ok(Isa::chosen()?.name())
}

/// The names of those this machine has.
#[pyfunction]
fn isa_available() -> Vec<&'static str> {
    Isa::available().iter().map(Isa::name).collect()
}

/// GFLOP/s of one thread in multiply-adds on registers alone, f32, the best of some short runs.
#[pyfunction]
fn fma_peak(py: Python<'_>) -> PyResult<f64> {
    let isa = Isa::chosen()?;
    Ok(py.detach(|| {
        let run = |_| {
            let start = Instant::now();
            let (operations, sum) = crate::simd::Dispatch::dispatch(isa, crate::kernels::peak::Peak { steps: 1 << 20 });
            let _: f32 = std::hint::black_box(sum);
            operations as f64 / start.elapsed().as_nanos() as f64
        };
        (0..20).map(run).fold(0.0, f64::max)
    }))
}

// Nothing here leans on the GIL: classes are frozen, what changes in them stands behind a lock or an atomic, and
// arrays are borrowed by rust-numpy's book of who reads and who writes. It is PyO3's default, said aloud because
// an import under free-threaded Python would otherwise be a promise that nobody made.
#[pymodule(gil_used = false)]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::encoder_decoder::EncoderDecoder;
    #[pymodule_export]
    use super::layer::{Rnn, Tape};
    #[pymodule_export]
    use super::model::{Generator, Loss, Model, ctc_loss};
    #[pymodule_export]
    use super::model_stream::ModelStream;
    #[pymodule_export]
    use super::optimizer::{Cosine, Memory, Plateau, Rule, clip_by_norm};
    #[pymodule_export]
    use super::parameters::{FlatView, Parameters};
    #[pymodule_export]
    use super::served::{Answer, Units, Words};
    #[pymodule_export]
    use super::softmax::softmax;
    #[pymodule_export]
    use super::stream::Stream;
    #[pymodule_export]
    use super::threads::{num_threads, num_workers, set_num_threads};
    #[pymodule_export]
    use super::words::{cells, words};
    #[pymodule_export]
    use super::{fma_peak, isa, isa_available};

    /// Long calls look after Python's signals.
    #[pymodule_init]
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::parallel::on_interrupt(super::threads::interrupted);
        Ok(())
    }

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name")]
    const commit: &str = env!("GRU_RS_COMMIT");
}
