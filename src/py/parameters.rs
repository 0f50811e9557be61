//! The parameters of layers, models and pairs, and what the classes of all three share.

use super::arrays::borrow;
use super::either::{Either, both, each};
use super::tensors::{self, Tensors};
use crate::rnn;
use crate::weights::Width;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;

/// A name, its first and last place end to end, its shape.
pub(super) type Names = Vec<(String, usize, usize, Vec<usize>)>;

/// Names as Python takes them.
pub(super) fn listed(names: &crate::weights::Names) -> Names {
    names.iter().map(|(name, range, shape)| (name.clone(), range.start, range.end, shape.clone())).collect()
}

/// The parameters of a network in one of the two float types; the networks' classes are made from it.
#[pyclass(frozen, subclass, module = "gru_rs._core")]
pub(crate) struct Parameters(pub(super) Either<Arc<crate::Parameters<f32>>, Arc<crate::Parameters<f64>>>);

#[pymethods]
impl Parameters {
    /// All at this moment.
    fn flat(&self) -> PyResult<FlatView> {
        Ok(FlatView(both!(&self.0, parameters => parameters.try_flat()?)))
    }

    /// Replaces all.
    fn set_flat(&self, py: Python<'_>, flat: &Bound<'_, PyAny>) -> PyResult<()> {
        each!(&self.0, parameters => {
            let flat = borrow(flat)?;
            let flat = flat.as_slice()?;
            Ok(py.detach(|| parameters.set_flat(flat))?)
        })
    }

    /// What the matrices are kept in; None for numbers that can be learnt.
    #[getter]
    fn width(&self) -> Option<&'static str> {
        each!(&self.0, parameters => parameters.width().map(Width::name))
    }

    /// Bytes that they take.
    #[getter]
    fn nbytes(&self) -> usize {
        each!(&self.0, parameters => parameters.bytes())
    }

    /// They as they are kept.
    fn tensors<'py>(&self, py: Python<'py>) -> PyResult<Tensors<'py>> {
        each!(&self.0, parameters => Ok(tensors::give(py, parameters.tensors()?)))
    }

    /// (name, first, last, shape) of each in order.
    fn names(&self) -> Names {
        each!(&self.0, parameters => listed(parameters.names()))
    }

    /// Where dropout's generator stands.
    #[getter]
    fn rng_state(&self) -> u64 {
        each!(&self.0, parameters => parameters.rng_state())
    }

    /// Puts it there.
    fn set_rng_state(&self, state: u64) {
        each!(&self.0, parameters => parameters.set_rng_state(state));
    }
}

/// How a class of a network is made: from a configuration, of fresh weights or given ones; from another network.
macro_rules! network {
    ($name:ident, $config:ty) => {
        impl $name {
            fn make(
                py: Python<'_>, config: $config, dtype: Dtype, given: Option<Tensors<'_>>,
            ) -> PyResult<PyClassInitializer<Self>> {
                Ok(Self::wrapped(of_dtype!(dtype, match &given {
                    Some(given) => crate::$name::from_tensors(config, tensors::take(given)?)?,
                    None => py.detach(|| crate::$name::new(config))?,
                })))
            }

            fn wrapped(network: Either<crate::$name<f32>, crate::$name<f64>>) -> PyClassInitializer<Self> {
                let parameters = Parameters(both!(&network, network => network.parameters().clone()));
                PyClassInitializer::from(parameters).add_subclass(Self(network))
            }
        }
    };
}
pub(super) use network;

/// The parameters at one moment, for NumPy to look at without a copy.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct FlatView(Either<rnn::parameters::Snapshot<f32>, rnn::parameters::Snapshot<f64>>);

#[pymethods]
impl FlatView {
    /// NumPy's protocol, version 3: a read-only 1-D array.
    #[getter(__array_interface__)]
    fn array_interface<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (address, len, kind) = match &self.0 {
            Either::F32(flat) => (flat.as_ptr().addr(), flat.len(), "f4"),
            Either::F64(flat) => (flat.as_ptr().addr(), flat.len(), "f8"),
        };
        let order = if cfg!(target_endian = "big") { '>' } else { '<' };
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("shape", (len,))?;
        interface.set_item("typestr", format!("{order}{kind}"))?;
        interface.set_item("data", (address, true))?;
        Ok(interface)
    }
}
