//! Models and losses.

use super::arrays::{Number, borrow, borrow_all, borrow_as, borrow_mut, give, slices};
use super::either::{Either, both, each, of_dtype};
use super::options::Options;
use super::parameters::{Names, Parameters, listed, network};
use super::tensors::{self, Tensors};
use crate::model::{Inputs, ModelConfig, Numbers};
use crate::names::{self, Dtype, Options as _};
use crate::nn::loss;
use crate::nn::targets::Targets;
use crate::simd::Isa;
use crate::{Sampling, Spelling, TapeMemory, Training, Width};
use numpy::{PyArray1, PyArrayDyn, PyReadonlyArrayDyn};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::{Mutex, TryLockError};

/// What is lost by scores that are not the targets.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct Loss(pub(super) loss::Loss);

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

    /// Of sequences of labels.
    #[staticmethod]
    fn ctc(blank: u32) -> Self {
        Self(loss::Loss::Ctc { blank })
    }

    /// Of numbers.
    #[staticmethod]
    fn quantile(levels: Vec<f64>) -> PyResult<Self> {
        Ok(Self(loss::Loss::quantile(levels)?))
    }

    /// Of numbers.
    #[staticmethod]
    fn huber(delta: f64) -> PyResult<Self> {
        let loss = loss::Loss::Huber(delta);
        loss.check(None)?;
        Ok(Self(loss))
    }

    /// Of a share for each score.
    #[staticmethod]
    fn binary_cross_entropy() -> Self {
        Self(loss::Loss::BinaryCrossEntropy)
    }
}

/// A batch: the steps, (batch, seq), the rows' lengths, the stack's states, which are written in place.
pub(super) type Given<'py> = (Bound<'py, PyAny>, (usize, usize), Option<Vec<usize>>, Vec<Bound<'py, PyAny>>);

/// What the scores should be, how many labels each row has if the loss is of sequences, how much each row counts.
pub(super) type Wanted<'py> = (Bound<'py, PyAny>, Option<Vec<usize>>, Option<Bound<'py, PyAny>>);

/// The labels of some guesses at a row, and the logarithms of their probabilities.
type Guesses = Vec<(Vec<u32>, f64)>;

/// An embedding, a stack and a head in one of the two float types.
#[pyclass(frozen, extends = Parameters, module = "gru_rs._core")]
pub(crate) struct Model(pub(super) Either<crate::Model<f32>, crate::Model<f64>>);

network!(Model, ModelConfig);

#[pymethods]
impl Model {
    #[new]
    #[pyo3(signature = (options, tensors=None))]
    fn new(py: Python<'_>, options: Options<'_>, tensors: Option<Tensors<'_>>) -> PyResult<PyClassInitializer<Self>> {
        Self::make(py, names::model_config(&options)?, options.word("dtype", Dtype::named)?, tensors)
    }

    /// The names of a model that is not made.
    #[staticmethod]
    fn names_of(options: Options<'_>) -> PyResult<Names> {
        Ok(listed(&names::model_config(&options)?.names()))
    }

    /// One for inference, of quantized matrices.
    fn quantized(&self, py: Python<'_>, width: &str) -> PyResult<Py<Self>> {
        let width = Width::named("dtype", width)?;
        Py::new(py, Self::wrapped(both!(&self.0, model => py.detach(|| model.quantized(width))?)))
    }

    /// One of its own with the same weights and generator.
    fn duplicate(&self, py: Python<'_>) -> PyResult<Py<Self>> {
        Py::new(py, Self::wrapped(both!(&self.0, model => model.duplicate())))
    }

    /// The scores, 1-D.
    fn scores<'py>(&self, py: Python<'py>, given: Given<'py>) -> PyResult<Bound<'py, PyAny>> {
        each!(&self.0, model => {
            let output = {
                let steps = Steps::new(&given, model.config().vocabulary.is_some())?;
                let states = steps.states()?;
                let inputs = steps.inputs(&given, &states)?;
                py.detach(|| model.run(&inputs))?
            };
            write_states(&given, &output.states)?;
            Ok(give(py, output.y))
        })
    }

    /// The labels, 1-D.
    fn labels<'py>(&self, py: Python<'py>, given: Given<'py>) -> PyResult<Bound<'py, PyAny>> {
        each!(&self.0, model => {
            let steps = Steps::new(&given, model.config().vocabulary.is_some())?;
            let inputs = steps.inputs(&given, &[])?;
            Ok(PyArray1::from_vec(py, py.detach(|| model.labels(&inputs))?).into_any())
        })
    }

    /// The probability of each label at each step, 1-D in float64.
    fn marginals<'py>(&self, py: Python<'py>, given: Given<'py>) -> PyResult<Bound<'py, PyArray1<f64>>> {
        each!(&self.0, model => {
            let steps = Steps::new(&given, model.config().vocabulary.is_some())?;
            let inputs = steps.inputs(&given, &[])?;
            Ok(PyArray1::from_vec(py, py.detach(|| model.marginals(&inputs))?))
        })
    }

    /// What each row spells.
    fn spell(&self, py: Python<'_>, given: Given<'_>, blank: u32, beam: Option<usize>) -> PyResult<Vec<Guesses>> {
        each!(&self.0, model => {
            let steps = Steps::new(&given, model.config().vocabulary.is_some())?;
            let inputs = steps.inputs(&given, &[])?;
            Ok(py.detach(|| model.spell(&inputs, blank, beam))?)
        })
    }

    /// The loss without dropout.
    fn loss(&self, py: Python<'_>, given: Given<'_>, wanted: Wanted<'_>, loss: &Loss) -> PyResult<f64> {
        each!(&self.0, model => {
            let lost = {
                let (steps, wishes) = (Steps::new(&given, model.config().vocabulary.is_some())?, Wishes::new(&wanted, &loss.0)?);
                let states = steps.states()?;
                let (inputs, (targets, weights)) = (steps.inputs(&given, &states)?, wishes.slices(&wanted)?);
                py.detach(|| model.loss(&inputs, targets, weights, &loss.0))?
            };
            write_states(&given, &lost.states)?;
            Ok(lost.loss)
        })
    }

    /// The loss and the gradient of all parameters, 1-D.
    fn loss_and_grad<'py>(
        &self, py: Python<'py>, given: Given<'py>, wanted: Wanted<'py>, loss: &Loss, seed: Option<u64>,
        low_memory: bool,
    ) -> PyResult<(f64, Bound<'py, PyAny>)> {
        let training = Training { seed, memory: if low_memory { TapeMemory::Low } else { TapeMemory::Full } };
        each!(&self.0, model => {
            let lost = {
                let (steps, wishes) = (Steps::new(&given, model.config().vocabulary.is_some())?, Wishes::new(&wanted, &loss.0)?);
                let states = steps.states()?;
                let (inputs, (targets, weights)) = (steps.inputs(&given, &states)?, wishes.slices(&wanted)?);
                py.detach(|| model.loss_and_grad(&inputs, targets, weights, &loss.0, &training))?
            };
            write_states(&given, &lost.states)?;
            Ok((lost.loss, give(py, lost.gradients)))
        })
    }

    /// The same by a function of the scores, 1-D, that gives the loss and its gradient, 1-D.
    fn loss_and_grad_by<'py>(
        &self, py: Python<'py>, given: Given<'py>, loss: &Bound<'py, PyAny>, seed: Option<u64>, low_memory: bool,
    ) -> PyResult<(f64, Bound<'py, PyAny>)> {
        let training = Training { seed, memory: if low_memory { TapeMemory::Low } else { TapeMemory::Full } };
        let loss = loss.clone().unbind();
        each!(&self.0, model => {
            let lost = {
                let steps = Steps::new(&given, model.config().vocabulary.is_some())?;
                let states = steps.states()?;
                let inputs = steps.inputs(&given, &states)?;
                // What the function raises goes round the core, which knows no exceptions.
                let mut raised = None;
                let lost = py.detach(|| model.loss_and_grad_by(&inputs, &training, &mut |scores| {
                    Python::attach(|py| called(py, &loss, scores)).map_err(|error| {
                        raised = Some(error);
                        crate::Error::Interrupted
                    })
                }));
                match raised {
                    Some(error) => return Err(error),
                    None => lost?,
                }
            };
            write_states(&given, &lost.states)?;
            Ok((lost.loss, give(py, lost.gradients)))
        })
    }

    /// Tokens drawn one after another.
    fn generator(&self, sampling: (f64, usize, f64, f64), seed: u64) -> PyResult<Generator> {
        let (temperature, top_k, top_p, repetition_penalty) = sampling;
        let sampling = Sampling { temperature, top_k, top_p, repetition_penalty };
        Ok(Generator(both!(&self.0, model => Mutex::new(crate::Generator::new(model, sampling, seed)?))))
    }
}

/// A model's state between tokens, and its dice.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct Generator(Either<Mutex<crate::Generator<f32>>, Mutex<crate::Generator<f64>>>);

fn busy<T>(_: TryLockError<T>) -> PyErr {
    PyRuntimeError::new_err("this generator is in use by another thread: one generator, one token at a time")
}

#[pymethods]
impl Generator {
    /// Goes on by tokens that are given.
    fn read(&self, py: Python<'_>, tokens: Vec<u32>) -> PyResult<()> {
        each!(&self.0, generator => {
            let mut guard = generator.try_lock().map_err(busy)?;
            let generator = &mut *guard;
            Ok(py.detach(|| generator.read_all(&tokens))?)
        })
    }

    /// Goes on by the token that says where a text begins.
    fn begin(&self, token: u32) -> PyResult<()> {
        each!(&self.0, generator => Ok(generator.try_lock().map_err(busy)?.begin(token)?))
    }

    /// A token that is never drawn.
    fn forbid(&self, token: u32) -> PyResult<()> {
        each!(&self.0, generator => Ok(generator.try_lock().map_err(busy)?.forbid(token)?))
    }

    /// The next token.
    fn next(&self) -> PyResult<u32> {
        each!(&self.0, generator => Ok(generator.try_lock().map_err(busy)?.next()?))
    }
}

/// The stack's last states, in place of those before: all or none.
fn write_states<F: Number>(given: &Given<'_>, states: &[Vec<F>]) -> PyResult<()> {
    let mut arrays: Vec<_> = given.3.iter().map(borrow_mut::<F>).collect::<PyResult<_>>()?;
    let slices: Vec<_> = arrays.iter_mut().map(|array| array.as_slice_mut()).collect::<Result<_, _>>()?;
    // Another thread may have given an array another shape, but no other memory.
    slices.into_iter().zip(states).for_each(|(to, state)| to.iter_mut().zip(state).for_each(|(to, &from)| *to = from));
    Ok(())
}

/// What a function of scores gives back.
fn called<F: Number>(py: Python<'_>, loss: &Py<PyAny>, scores: &[F]) -> PyResult<(f64, Vec<F>)> {
    let found = loss.bind(py).call1((PyArray1::from_slice(py, scores),))?;
    let (lost, gradient): (f64, Bound<'_, PyAny>) = found.extract()?;
    Ok((lost, borrow::<F>(&gradient)?.as_slice()?.to_vec()))
}

/// The CTC loss of scores, 1-D, row after row, and its gradient.
#[pyfunction]
pub(crate) fn ctc_loss<'py>(
    scores: &Bound<'py, PyAny>, classes: usize, lengths: Vec<usize>, wanted: Wanted<'py>, blank: u32,
) -> PyResult<(f64, Bound<'py, PyAny>)> {
    fn of<'py, F: Number>(
        scores: &Bound<'py, PyAny>, classes: usize, lengths: &[usize], wanted: &Wanted<'py>, blank: u32,
    ) -> PyResult<(f64, Bound<'py, PyAny>)> {
        let py = scores.py();
        let (scores, wishes) = (borrow::<F>(scores)?, Wishes::<F>::new(wanted, &loss::Loss::Ctc { blank })?);
        let (scores, (targets, weights)) = (scores.as_slice()?, wishes.slices(wanted)?);
        let Targets::Spelling(targets) = targets else { return Err(PyRuntimeError::new_err("no target lengths")) };
        let ctc = crate::Ctc { isa: Isa::chosen()?, classes, blank };
        let (loss, gradient) = py.detach(|| ctc.loss(scores, lengths, targets, weights))?;
        Ok((loss, give(py, gradient)))
    }
    let single = scores.cast::<PyArrayDyn<f32>>().is_ok();
    if single {
        of::<f32>(scores, classes, &lengths, &wanted, blank)
    } else {
        of::<f64>(scores, classes, &lengths, &wanted, blank)
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

/// Tokens for a model with a vocabulary, else numbers; and the stack's states before them.
pub(super) struct Steps<'py, F: Number>(Values<'py, F>, Vec<PyReadonlyArrayDyn<'py, F>>);

impl<'py, F: Number> Steps<'py, F> {
    pub fn new(given: &Given<'py>, tokens: bool) -> PyResult<Self> {
        Ok(Self(Values::new(&given.0, tokens)?, borrow_all(&given.3)?))
    }

    pub fn states(&self) -> PyResult<Vec<&[F]>> {
        slices(&self.1)
    }

    pub fn inputs<'a>(&'a self, given: &'a Given<'_>, states: &'a [&'a [F]]) -> PyResult<Inputs<'a, F>> {
        let numbers = match &self.0 {
            Values::Integers(tokens) => Numbers::Tokens(tokens.as_slice()?),
            Values::Floats(x) => Numbers::Floats(x.as_slice()?),
        };
        let (batch, seq) = given.1;
        Ok(Inputs { numbers, batch, seq, lengths: given.2.as_deref(), states })
    }
}

/// Classes for cross-entropy, labels for CTC, else numbers; and how much each row counts.
pub(super) struct Wishes<'py, F: Number>(Values<'py, F>, Option<PyReadonlyArrayDyn<'py, F>>);

impl<'py, F: Number> Wishes<'py, F> {
    pub fn new(wanted: &Wanted<'py>, loss: &loss::Loss) -> PyResult<Self> {
        Ok(Self(Values::new(&wanted.0, loss.of_classes())?, wanted.2.as_ref().map(borrow).transpose()?))
    }

    pub fn slices<'a>(&'a self, wanted: &'a Wanted<'_>) -> PyResult<(Targets<'a, F>, Option<&'a [F]>)> {
        let targets = match (&self.0, &wanted.1) {
            (Values::Integers(labels), Some(lengths)) => {
                Targets::Spelling(Spelling { labels: labels.as_slice()?, lengths })
            }
            (Values::Integers(classes), None) => Targets::Classes(classes.as_slice()?),
            (Values::Floats(numbers), _) => Targets::Numbers(numbers.as_slice()?),
        };
        Ok((targets, self.1.as_ref().map(|weights| weights.as_slice()).transpose()?))
    }
}
