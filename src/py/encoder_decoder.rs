//! Encoders with decoders.

use super::arrays::{Number, give};
use super::either::{Either, both, each, of_dtype};
use super::model::{Given, Loss, Steps, Wanted, Wishes};
use super::options::Options;
use super::parameters::{Names, Parameters, listed, network};
use super::tensors::{self, Tensors};
use crate::names::{self, Dtype, Options as _};
use crate::nn::targets::Targets;
use crate::{EncoderDecoderConfig, Error, Spelling, TapeMemory, Training, Width};
use pyo3::prelude::*;

/// Labels, ln p, whether it ended, and the attention, 1-D.
type Found<'py> = (Vec<u32>, f64, bool, Bound<'py, PyAny>);

/// An encoder and a decoder in one of the two float types.
#[pyclass(frozen, extends = Parameters, module = "gru_rs._core")]
pub(crate) struct EncoderDecoder(Either<crate::EncoderDecoder<f32>, crate::EncoderDecoder<f64>>);

network!(EncoderDecoder, EncoderDecoderConfig);

/// The targets of each row.
fn spelling<'a, F: Number>(targets: Targets<'a, F>) -> Result<Spelling<'a>, Error> {
    match targets {
        Targets::Spelling(spelling) => Ok(spelling),
        other => Err(Error::value("targets", "a sequence of tokens for each row", other.kind())),
    }
}

#[pymethods]
impl EncoderDecoder {
    #[new]
    #[pyo3(signature = (options, tensors=None))]
    fn new(py: Python<'_>, options: Options<'_>, tensors: Option<Tensors<'_>>) -> PyResult<PyClassInitializer<Self>> {
        Self::make(py, names::pair_config(&options)?, options.word("dtype", Dtype::named)?, tensors)
    }

    /// The names of a pair that is not made.
    #[staticmethod]
    fn names_of(options: Options<'_>) -> PyResult<Names> {
        Ok(listed(&names::pair_config(&options)?.names()))
    }

    /// One for inference, of quantized matrices.
    fn quantized(&self, py: Python<'_>, width: &str) -> PyResult<Py<Self>> {
        let width = Width::named("dtype", width)?;
        Py::new(py, Self::wrapped(both!(&self.0, pair => py.detach(|| pair.quantized(width))?)))
    }

    /// One of its own with the same weights and generator.
    fn duplicate(&self, py: Python<'_>) -> PyResult<Py<Self>> {
        Py::new(py, Self::wrapped(both!(&self.0, pair => pair.duplicate())))
    }

    /// The loss without dropout.
    fn loss(&self, py: Python<'_>, given: Given<'_>, wanted: Wanted<'_>, loss: &Loss) -> PyResult<f64> {
        each!(&self.0, model => {
            let steps = Steps::new(&given, model.config().vocabulary.is_some())?;
            let wishes = Wishes::new(&wanted, &loss.0)?;
            let (inputs, (targets, weights)) = (steps.inputs(&given, &[])?, wishes.slices(&wanted)?);
            let targets = spelling(targets)?;
            Ok(py.detach(|| model.loss(&inputs, targets, weights, &loss.0))?.loss)
        })
    }

    /// The loss and the gradient of all parameters, 1-D.
    fn loss_and_grad<'py>(
        &self, py: Python<'py>, given: Given<'py>, wanted: Wanted<'py>, loss: &Loss, seed: Option<u64>,
        low_memory: bool,
    ) -> PyResult<(f64, Bound<'py, PyAny>)> {
        let training = Training { seed, memory: if low_memory { TapeMemory::Low } else { TapeMemory::Full } };
        each!(&self.0, model => {
            let steps = Steps::new(&given, model.config().vocabulary.is_some())?;
            let wishes = Wishes::new(&wanted, &loss.0)?;
            let (inputs, (targets, weights)) = (steps.inputs(&given, &[])?, wishes.slices(&wanted)?);
            let targets = spelling(targets)?;
            let lost = py.detach(|| model.loss_and_grad(&inputs, targets, weights, &loss.0, &training))?;
            Ok((lost.loss, give(py, lost.gradients)))
        })
    }

    /// The best targets of each row.
    fn decode<'py>(
        &self, py: Python<'py>, given: Given<'py>, beam: usize, most: usize, alpha: f64,
    ) -> PyResult<Vec<Vec<Found<'py>>>> {
        each!(&self.0, model => {
            let steps = Steps::new(&given, model.config().vocabulary.is_some())?;
            let inputs = steps.inputs(&given, &[])?;
            let found = py.detach(|| model.decode(&inputs, beam, most, alpha))?;
            let rows = found.into_iter().map(|row| {
                row.into_iter().map(|one| (one.labels, one.log_p, one.ended, give(py, one.attention))).collect()
            });
            Ok(rows.collect())
        })
    }
}
