//! Models and losses.

use super::arrays::{Number, borrow, borrow_as, give};
use super::layer::Rnn;
use super::{Either, each};
use crate::model::{Inputs, ModelConfig, Numbers};
use crate::nn::loss::{self, Targets};
use crate::nn::pooling::Pooling;
use crate::{Cell, Config, Reset, TapeMemory, Training};
use numpy::{PyArray1, PyReadonlyArrayDyn};
use pyo3::prelude::*;

/// The constructor's arguments, from a dict.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Options {
    cell: String,
    dtype: String,
    vocabulary_size: Option<usize>,
    input_size: usize,
    hidden_size: usize,
    output_size: usize,
    num_layers: usize,
    bias: bool,
    bidirectional: bool,
    reset_after: bool,
    dropout: f64,
    input_dropout: f64,
    variational: bool,
    pooling: String,
    output_dropout: f64,
    crf: bool,
    seed: u64,
}

impl Options {
    fn config(&self) -> ModelConfig {
        let cell = match (&self.cell[..], self.reset_after) {
            ("lstm", _) => Cell::Lstm,
            (_, true) => Cell::Gru(Reset::After),
            (_, false) => Cell::Gru(Reset::Before),
        };
        let pooling = match &self.pooling[..] {
            "mean" => Pooling::Mean,
            "max" => Pooling::Max,
            "each" => Pooling::Each,
            _ => Pooling::Last,
        };
        let Self { input_size: input, hidden_size: hidden, num_layers: layers, bias, bidirectional, .. } = *self;
        let (dropout, seed) = (self.dropout, self.seed);
        let rnn = Config { cell, input, hidden, layers, bias, bidirectional, dropout, batch_first: true, seed };
        ModelConfig {
            vocabulary: self.vocabulary_size,
            rnn,
            input_dropout: self.input_dropout,
            variational: self.variational,
            pooling,
            output_dropout: self.output_dropout,
            outputs: self.output_size,
            crf: self.crf,
        }
    }
}

/// What is lost by scores that are not the targets.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct Loss(loss::Loss);

#[pymethods]
impl Loss {
    /// Of classes.
    #[staticmethod]
    fn cross_entropy(label_smoothing: f64, class_weights: Vec<f64>) -> PyResult<Self> {
        let loss = loss::Loss::CrossEntropy { label_smoothing, class_weights };
        loss.check(None)?;
        Ok(Self(loss))
    }

    /// Of numbers.
    #[staticmethod]
    fn squared() -> Self {
        Self(loss::Loss::Squared)
    }

    /// Of numbers.
    #[staticmethod]
    fn absolute() -> Self {
        Self(loss::Loss::Absolute)
    }

    /// Of numbers.
    #[staticmethod]
    fn quantile(levels: Vec<f64>) -> PyResult<Self> {
        Ok(Self(loss::Loss::quantile(levels)?))
    }
}

type Names = Vec<(String, usize, usize, Vec<usize>)>;

fn listed(config: &ModelConfig) -> Names {
    config.names().into_iter().map(|(name, range, shape)| (name, range.start, range.end, shape)).collect()
}

/// A batch: the steps, (batch, seq), the rows' lengths.
type Given<'py> = (Bound<'py, PyAny>, (usize, usize), Option<Vec<usize>>);

/// What the scores should be, and how much each row counts.
type Wanted<'py> = (Bound<'py, PyAny>, Option<Bound<'py, PyAny>>);

/// An embedding, a stack and a head in one of the two float types.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct Model(Either<crate::Model<f32>, crate::Model<f64>>);

#[pymethods]
impl Model {
    #[new]
    fn new(py: Python<'_>, options: Options) -> PyResult<Self> {
        let make = || match &options.dtype[..] {
            "float64" => crate::Model::new(options.config()).map(Either::F64),
            _ => crate::Model::new(options.config()).map(Either::F32),
        };
        Ok(Self(py.detach(make)?))
    }

    /// The names of a model that is not made.
    #[staticmethod]
    fn names_of(options: Options) -> PyResult<Names> {
        let config = options.config();
        config.check()?;
        Ok(listed(&config))
    }

    /// Its weights and generator, as a layer's.
    fn weights(&self) -> Rnn {
        Rnn(match &self.0 {
            Either::F32(model) => Either::F32(model.rnn().clone()),
            Either::F64(model) => Either::F64(model.rnn().clone()),
        })
    }

    /// (name, first, last, shape) of each parameter in order.
    fn names(&self) -> Names {
        each!(&self.0, model => listed(model.config()))
    }

    /// A model of its own with the same weights and generator.
    fn duplicate(&self) -> PyResult<Self> {
        Ok(Self(match &self.0 {
            Either::F32(model) => Either::F32(model.duplicate()?),
            Either::F64(model) => Either::F64(model.duplicate()?),
        }))
    }

    /// The scores, 1-D.
    fn scores<'py>(&self, py: Python<'py>, given: Given<'py>) -> PyResult<Bound<'py, PyAny>> {
        each!(&self.0, model => {
            let steps = Steps::new(model, &given)?;
            let inputs = steps.inputs(&given)?;
            Ok(give(py, py.detach(|| model.scores(&inputs))?))
        })
    }

    /// The labels, 1-D.
    fn labels<'py>(&self, py: Python<'py>, given: Given<'py>) -> PyResult<Bound<'py, PyAny>> {
        each!(&self.0, model => {
            let steps = Steps::new(model, &given)?;
            let inputs = steps.inputs(&given)?;
            Ok(PyArray1::from_vec(py, py.detach(|| model.labels(&inputs))?).into_any())
        })
    }

    /// The loss without dropout.
    fn loss(&self, py: Python<'_>, given: Given<'_>, wanted: Wanted<'_>, loss: &Loss) -> PyResult<f64> {
        each!(&self.0, model => {
            let (steps, wishes) = (Steps::new(model, &given)?, Wishes::new(&wanted, &loss.0)?);
            let (inputs, (targets, weights)) = (steps.inputs(&given)?, wishes.slices()?);
            Ok(py.detach(|| model.loss(&inputs, targets, weights, &loss.0))?)
        })
    }

    /// The loss and the gradient of all parameters, 1-D.
    fn loss_and_grad<'py>(
        &self, py: Python<'py>, given: Given<'py>, wanted: Wanted<'py>, loss: &Loss, seed: Option<u64>,
        low_memory: bool,
    ) -> PyResult<(f64, Bound<'py, PyAny>)> {
        let training = Training { seed, memory: if low_memory { TapeMemory::Low } else { TapeMemory::Full } };
        each!(&self.0, model => {
            let (steps, wishes) = (Steps::new(model, &given)?, Wishes::new(&wanted, &loss.0)?);
            let (inputs, (targets, weights)) = (steps.inputs(&given)?, wishes.slices()?);
            let (lost, gradient) =
                py.detach(|| model.loss_and_grad(&inputs, targets, weights, &loss.0, &training))?;
            Ok((lost, give(py, gradient)))
        })
    }
}

/// Integers or numbers.
enum Values<'py, F: Number> {
    Integers(PyReadonlyArrayDyn<'py, u32>),
    Floats(PyReadonlyArrayDyn<'py, F>),
}

impl<'py, F: Number> Values<'py, F> {
    fn new(array: &Bound<'py, PyAny>, integers: bool) -> PyResult<Self> {
        if integers { Ok(Self::Integers(borrow_as(array, "uint32")?)) } else { Ok(Self::Floats(borrow(array)?)) }
    }
}

/// Tokens for a model with a vocabulary, else numbers.
struct Steps<'py, F: Number>(Values<'py, F>);

impl<'py, F: Number> Steps<'py, F> {
    fn new(model: &crate::Model<F>, given: &Given<'py>) -> PyResult<Self> {
        Ok(Self(Values::new(&given.0, model.config().vocabulary.is_some())?))
    }

    fn inputs<'a>(&'a self, given: &'a Given<'_>) -> PyResult<Inputs<'a, F>> {
        let numbers = match &self.0 {
            Values::Integers(tokens) => Numbers::Tokens(tokens.as_slice()?),
            Values::Floats(x) => Numbers::Floats(x.as_slice()?),
        };
        let (batch, seq) = given.1;
        Ok(Inputs { numbers, batch, seq, lengths: given.2.as_deref() })
    }
}

/// Classes for cross-entropy, else numbers; and how much each row counts.
struct Wishes<'py, F: Number>(Values<'py, F>, Option<PyReadonlyArrayDyn<'py, F>>);

impl<'py, F: Number> Wishes<'py, F> {
    fn new(wanted: &Wanted<'py>, loss: &loss::Loss) -> PyResult<Self> {
        let classes = matches!(loss, loss::Loss::CrossEntropy { .. });
        Ok(Self(Values::new(&wanted.0, classes)?, wanted.1.as_ref().map(borrow).transpose()?))
    }

    fn slices(&self) -> PyResult<(Targets<'_, F>, Option<&[F]>)> {
        let targets = match &self.0 {
            Values::Integers(classes) => Targets::Classes(classes.as_slice()?),
            Values::Floats(numbers) => Targets::Numbers(numbers.as_slice()?),
        };
        Ok((targets, self.1.as_ref().map(|weights| weights.as_slice()).transpose()?))
    }
}
