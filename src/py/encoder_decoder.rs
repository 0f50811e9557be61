//! Encoders with decoders.

use super::arrays::{Number, give};
use super::layer::Rnn;
use super::model::{Given, Loss, Names, Steps, Wanted, Wishes, cell_of, listed};
use super::narrow::{self, Parts, narrow_of};
use super::{Either, each};
use crate::nn::loss::Targets;
use crate::{Attention, Config, EncoderDecoderConfig, Error, Spelling, TapeMemory, Training};
use pyo3::prelude::*;

/// The constructor's arguments, from a dict.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Options {
    cell: String,
    dtype: String,
    vocabulary_size: Option<usize>,
    input_size: usize,
    embedding_size: usize,
    hidden_size: usize,
    output_size: usize,
    num_layers: usize,
    bias: bool,
    bidirectional: bool,
    reset_after: bool,
    attention: Option<String>,
    begin: u32,
    end: u32,
    dropout: f64,
    input_dropout: f64,
    output_dropout: f64,
    seed: u64,
}

impl Options {
    fn config(&self) -> EncoderDecoderConfig {
        let Self { input_size: input, hidden_size: hidden, num_layers: layers, bias, bidirectional, .. } = *self;
        let cell = cell_of(&self.cell, self.reset_after);
        let (dropout, seed) = (self.dropout, self.seed);
        let attention = self.attention.as_ref().map(|kind| match &kind[..] {
            "additive" => Attention::Additive,
            _ => Attention::Dot,
        });
        let encoder = Config {
            cell,
            layers,
            bias,
            bidirectional,
            dropout,
            batch_first: true,
            seed,
            ..Config::gru(input, hidden)
        };
        EncoderDecoderConfig {
            vocabulary: self.vocabulary_size,
            encoder,
            embedding: self.embedding_size,
            outputs: self.output_size,
            begin: self.begin,
            end: self.end,
            attention,
            input_dropout: self.input_dropout,
            output_dropout: self.output_dropout,
        }
    }
}

/// Labels, ln p, whether it ended, and the attention, 1-D.
type Found<'py> = (Vec<u32>, f64, bool, Bound<'py, PyAny>);

/// An encoder and a decoder in one of the two float types.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct EncoderDecoder(Either<crate::EncoderDecoder<f32>, crate::EncoderDecoder<f64>>);

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
    #[pyo3(signature = (options, parts=None))]
    fn new(py: Python<'_>, options: Options, parts: Option<Parts<'_>>) -> PyResult<Self> {
        if let Some(parts) = parts {
            return Ok(Self(match &options.dtype[..] {
                "float64" => Either::F64(crate::EncoderDecoder::of_parts(options.config(), narrow::take(&parts)?)?),
                _ => Either::F32(crate::EncoderDecoder::of_parts(options.config(), narrow::take(&parts)?)?),
            }));
        }
        let make = || match &options.dtype[..] {
            "float64" => crate::EncoderDecoder::new(options.config()).map(Either::F64),
            _ => crate::EncoderDecoder::new(options.config()).map(Either::F32),
        };
        Ok(Self(py.detach(make)?))
    }

    /// The names of a model that is not made.
    #[staticmethod]
    fn names_of(options: Options) -> PyResult<Names> {
        let config = options.config();
        config.check()?;
        Ok(listed(config.names()))
    }

    /// Its weights and generator, as a layer's.
    fn weights(&self) -> Rnn {
        Rnn(match &self.0 {
            Either::F32(model) => Either::F32(model.rnn().clone()),
            Either::F64(model) => Either::F64(model.rnn().clone()),
        })
    }

    /// One for inference, of narrow matrices.
    fn narrowed(&self, py: Python<'_>, to: &str) -> PyResult<Self> {
        let to = narrow_of(to);
        Ok(Self(match &self.0 {
            Either::F32(model) => Either::F32(py.detach(|| model.narrowed(to))?),
            Either::F64(model) => Either::F64(py.detach(|| model.narrowed(to))?),
        }))
    }

    /// The parameters as they are kept.
    fn parts<'py>(&self, py: Python<'py>) -> PyResult<Parts<'py>> {
        each!(&self.0, model => Ok(narrow::give(py, model.parts()?)))
    }

    /// (name, first, last, shape) of each parameter in order.
    fn names(&self) -> Names {
        each!(&self.0, model => listed(model.config().names()))
    }

    /// A model of its own with the same weights and generator.
    fn duplicate(&self) -> PyResult<Self> {
        Ok(Self(match &self.0 {
            Either::F32(model) => Either::F32(model.duplicate()?),
            Either::F64(model) => Either::F64(model.duplicate()?),
        }))
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
