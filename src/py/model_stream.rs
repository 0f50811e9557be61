//! A model's stream; its manners are in `gru_rs._model_stream`.

use super::arrays::{Number, borrow_all, borrow_mut, borrow_plain, give_all, meets, plain, slices};
use super::either::{Either, both, each};
use super::model::{Given, Model, Steps};
use super::served::{Answer, Says, Units, Words};
use super::stream::DETACH;
use crate::buffer::{copied, zeros};
use crate::nn::units;
use crate::{Numbers, StreamState};
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyReadwriteArrayDyn, PyUntypedArrayMethods};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyInt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

/// Numbers of an array that is made by copying them.
const FEW: usize = 1 << 10;

/// A model's state between steps.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct ModelStream {
    stream: Either<Mutex<crate::ModelStream<f32>>, Mutex<crate::ModelStream<f64>>>,
    /// Whether there is an axis of rows, and how many there are, also while another thread steps.
    batched: bool,
    batch: AtomicUsize,
    /// Parameters that a step is multiplied by.
    work: usize,
    /// Numbers that pooling keeps of a sequence.
    #[pyo3(get)]
    kept: usize,
}

/// The stack's states, what is pooled, and the last steps for a convolution, 1-D each, and the steps of each row.
type State<'py> = (Vec<Bound<'py, PyAny>>, Vec<u64>);

fn lock<F>(stream: &Mutex<crate::ModelStream<F>>) -> PyResult<MutexGuard<'_, crate::ModelStream<F>>> {
    let busy = "this stream is in use by another thread: one stream, one call at a time";
    stream.try_lock().map_err(|_| PyRuntimeError::new_err(busy))
}

/// For Python.
fn given<F: Number>(py: Python<'_>, state: StreamState<F>) -> State<'_> {
    let StreamState { mut states, pooled, counts, window } = state;
    states.extend([pooled, window]);
    (give_all(py, states), counts)
}

/// From Python, copied.
fn taken<F: Number>((arrays, counts): State<'_>) -> PyResult<StreamState<F>> {
    let arrays = borrow_all(&arrays)?;
    let copies = slices(&arrays)?.into_iter().map(|array| copied(array, "states"));
    let mut states: Vec<Vec<F>> = copies.collect::<crate::Result<_>>()?;
    let (window, pooled) = (states.pop().unwrap_or_default(), states.pop().unwrap_or_default());
    Ok(StreamState { states, pooled, counts, window })
}

/// What was read of a step or a chunk.
enum Taken<'py, F: Number> {
    Array(PyReadonlyArrayDyn<'py, F>),
    Floats(Vec<F>),
    Tokens(Vec<u32>),
}

impl<F: Number> Taken<'_, F> {
    fn numbers(&self) -> PyResult<Numbers<'_, F>> {
        Ok(match self {
            Self::Array(array) => Numbers::Floats(array.as_slice()?),
            Self::Floats(floats) => Numbers::Floats(floats),
            Self::Tokens(tokens) => Numbers::Tokens(tokens),
        })
    }
}

/// A step or a chunk that is about to be taken.
struct Step<'a, 'py, F: Number> {
    py: Python<'py>,
    stream: &'a mut crate::ModelStream<F>,
    numbers: Numbers<'a, F>,
    seq: usize,
    /// Multiply-adds of a step of a row.
    work: usize,
}

impl<'py, F: Number> Step<'_, 'py, F> {
    /// Scores, or the probabilities that they say.
    fn scores(
        self, out: Option<&Bound<'py, PyAny>>, shape: &mut Vec<usize>, each: Option<bool>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (columns, isa) = (self.outputs(), self.stream.model().isa());
        shape.push(columns);
        written(self.py, out, shape, |to| {
            self.go(|stream, numbers, seq| {
                stream.steps(numbers, seq, to)?;
                if let Some(each) = each {
                    units::probabilities(isa, to, columns, each);
                }
                Ok(())
            })
        })
    }

    /// Numbers in the units of targets.
    fn targets(
        self, out: Option<&Bound<'py, PyAny>>, shape: &mut Vec<usize>, of: Option<&units::Units>, flat: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let columns = self.outputs();
        if !flat {
            shape.push(columns);
        }
        written(self.py, out, shape, |to: &mut [f64]| {
            self.go(|stream, numbers, seq| {
                let mut scores = zeros(to.len(), "scores")?;
                stream.steps(numbers, seq, &mut scores)?;
                units::out_of_units(of, columns, &scores, to);
                Ok(())
            })
        })
    }

    fn outputs(&self) -> usize {
        self.stream.model().config().outputs
    }

    fn go(
        self, run: impl FnOnce(&mut crate::ModelStream<F>, Numbers<'_, F>, usize) -> crate::Result<()> + Send,
    ) -> PyResult<()> {
        let Self { py, stream, numbers, seq, work } = self;
        let work = work.saturating_mul(stream.batch()).saturating_mul(seq);
        let go = || run(stream, numbers, seq);
        Ok(if work > DETACH { py.detach(go) } else { go() }?)
    }
}

/// A token below `end`, or an array of such and its shape: copied, so that what was checked is what is used.
fn tokens(given: &Bound<'_, PyAny>, end: usize) -> Option<(Vec<u32>, Vec<usize>)> {
    if let Ok(token) = given.cast_exact::<PyInt>() {
        let token = token.extract().ok().filter(|&token: &u32| (token as usize) < end)?;
        return Some((vec![token], vec![]));
    }
    let array = borrow_plain::<i64>(given)?;
    let known = |&token: &i64| u32::try_from(token).ok().filter(|&token| (token as usize) < end);
    Some((array.as_slice().ok()?.iter().map(known).collect::<Option<_>>()?, array.shape().to_vec()))
}

/// Writes into an array, if it is plain, or into one that is made.
#[inline(always)]
fn written<'py, O: Number>(
    py: Python<'py>, out: Option<&Bound<'py, PyAny>>, shape: &[usize], write: impl FnOnce(&mut [O]) -> PyResult<()>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(out) = out else {
        let mut found: Vec<O> = zeros(shape.iter().product(), "the output")?;
        write(&mut found)?;
        return Ok(Some(made(py, found, shape)?));
    };
    let Some(mut room) = room(out, shape) else { return Ok(None) };
    let Ok(room) = room.as_slice_mut() else { return Ok(None) };
    write(room)?;
    Ok(Some(out.clone()))
}

/// An array of some numbers. A copy of a few costs less than to hand over their memory.
#[inline(never)]
fn made<'py, O: Number>(py: Python<'py>, found: Vec<O>, shape: &[usize]) -> PyResult<Bound<'py, PyAny>> {
    let found = if found.len() < FEW { PyArray1::from_slice(py, &found) } else { PyArray1::from_vec(py, found) };
    Ok(if shape.len() == 1 { found.into_any() } else { found.reshape(shape)?.into_any() })
}

/// An array that is plain, to be written.
#[inline(never)]
fn room<'py, O: Number>(out: &Bound<'py, PyAny>, shape: &[usize]) -> Option<PyReadwriteArrayDyn<'py, O>> {
    let fits = |array: &&Bound<'py, PyArrayDyn<O>>| array.is_c_contiguous() && array.shape() == shape;
    plain(out)?.cast::<PyArrayDyn<O>>().ok().filter(fits)?.try_readwrite().ok()
}

impl ModelStream {
    /// What is plain: the numbers of steps, and the axes of rows and steps that there are.
    fn read<'py, F: Number>(
        &self, stream: &crate::ModelStream<F>, x_t: &Bound<'py, PyAny>, reading: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<(Taken<'py, F>, Vec<usize>)>> {
        let (rows, width) = (self.batched.then(|| stream.batch()), stream.model().config().inputs());
        if let Some(words) = reading.and_then(|reading| reading.cast::<Words>().ok()) {
            let found = words.get().steps(x_t, rows);
            return Ok(found.map(|(tokens, seq)| (Taken::Tokens(tokens), rows.into_iter().chain([seq]).collect())));
        }
        if let (None, Some(vocabulary)) = (reading, stream.model().config().vocabulary) {
            return Ok(tokens(x_t, vocabulary).and_then(|(tokens, mut shape)| {
                let axes = rows.into_iter().count();
                let fits = (axes..=axes + 2).contains(&shape.len()) && rows.is_none_or(|rows| shape[0] == rows);
                shape.truncate(axes + 1);
                fits.then_some((Taken::Tokens(tokens), shape))
            }));
        }
        let (taken, mut shape) = match reading {
            Some(reading) => match reading.cast::<Units>()?.get().steps(x_t, width)? {
                Some((shape, floats)) => (Taken::Floats(floats), shape),
                None => return Ok(None),
            },
            None => match borrow_plain::<F>(x_t) {
                Some(array) => {
                    let shape = array.shape().to_vec();
                    (Taken::Array(array), shape)
                }
                None => return Ok(None),
            },
        };
        let fits = shape.pop() == Some(width) && shape.len() <= 1 + usize::from(self.batched);
        Ok((fits && rows.is_none_or(|rows| shape.first() == Some(&rows))).then_some((taken, shape)))
    }
}

#[pymethods]
impl ModelStream {
    #[new]
    fn new(model: &Model, batch_size: Option<usize>) -> PyResult<Self> {
        let (batched, batch) = (batch_size.is_some(), batch_size.unwrap_or(1));
        let (work, kept) = each!(&model.0, model => {
            let config = model.config();
            let work = config.parameters() - config.vocabulary.unwrap_or(0) * config.inputs();
            (work, config.pooling.kept(config.rnn.hidden))
        });
        let stream = both!(&model.0, model => Mutex::new(crate::ModelStream::new(model, batch)?));
        Ok(Self { stream, batched, batch: AtomicUsize::new(batch), work, kept })
    }

    /// Sequences side by side, also while another thread steps.
    #[getter]
    fn batch(&self) -> usize {
        self.batch.load(Ordering::Relaxed)
    }

    /// What a step or a chunk brings, into `out` or an array of its own, if they are plain: an array of floats or of tokens
    /// as they lie in memory, texts and tokens of strings. None, and nothing done, of all else.
    #[pyo3(signature = (x_t, out, reading=None, answer=None))]
    fn plain<'py>(
        &self, py: Python<'py>, x_t: &Bound<'py, PyAny>, out: Option<&Bound<'py, PyAny>>,
        reading: Option<&Bound<'py, PyAny>>, answer: Option<&Bound<'py, Answer>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        each!(&self.stream, stream => {
            let stream = &mut *lock(stream)?;
            let Some((numbers, mut shape)) = self.read(stream, x_t, reading)? else { return Ok(None) };
            if let (Taken::Array(x), Some(out)) = (&numbers, out)
                && meets(x.as_slice()?, out)
            {
                return Ok(None); // to be refused
            }
            let seq = shape.get(usize::from(self.batched)).copied();
            let step = Step { py, stream, numbers: numbers.numbers()?, seq: seq.unwrap_or(1), work: self.work };
            match answer.map(|answer| &answer.get().0) {
                None => step.scores(out, &mut shape, None),
                Some(Says::Probabilities { each }) => step.scores(out, &mut shape, Some(*each)),
                Some(Says::Numbers { units, flat }) => step.targets(out, &mut shape, units.as_ref(), *flat),
            }
        })
    }

    /// The scores after each step, into an array.
    fn steps<'py>(&self, py: Python<'py>, given: Given<'py>, out: &Bound<'py, PyAny>) -> PyResult<()> {
        fn steps<F: Number>(
            py: Python<'_>, stream: &Mutex<crate::ModelStream<F>>, given: &Given<'_>, out: &Bound<'_, PyAny>,
        ) -> PyResult<()> {
            let stream = &mut *lock(stream)?;
            let (steps, mut out) = (Steps::new(given, stream.model().config().vocabulary.is_some())?, borrow_mut(out)?);
            let (inputs, out) = (steps.inputs(given, &[])?, out.as_slice_mut()?);
            Ok(py.detach(|| stream.steps(inputs.numbers, inputs.seq, out))?)
        }
        each!(&self.stream, stream => steps(py, stream, &given, out))
    }

    /// Begin again from zeros.
    fn reset(&self, mask: Option<Vec<bool>>) -> PyResult<()> {
        each!(&self.stream, stream => Ok(lock(stream)?.reset(mask.as_deref())?))
    }

    /// One that goes on from here on its own.
    fn duplicate(&self) -> PyResult<Self> {
        let stream = both!(&self.stream, stream => Mutex::new(lock(stream)?.duplicate()?));
        Ok(Self {
            stream,
            batched: self.batched,
            batch: AtomicUsize::new(self.batch()),
            work: self.work,
            kept: self.kept,
        })
    }

    /// Takes another sequence in; gives back its row.
    fn join(&self, state: Option<State<'_>>) -> PyResult<usize> {
        each!(&self.stream, stream => {
            let (state, mut stream) = (state.map(taken).transpose()?, lock(stream)?);
            stream.join(state.as_ref())?;
            self.batch.store(stream.batch(), Ordering::Relaxed);
            Ok(stream.batch() - 1)
        })
    }

    /// Lets one go; gives back what is remembered of it.
    fn leave<'py>(&self, py: Python<'py>, row: usize) -> PyResult<State<'py>> {
        each!(&self.stream, stream => {
            let mut stream = lock(stream)?;
            let left = stream.leave(row)?;
            self.batch.store(stream.batch(), Ordering::Relaxed);
            Ok(given(py, left))
        })
    }

    /// What it remembers.
    fn state<'py>(&self, py: Python<'py>) -> PyResult<State<'py>> {
        each!(&self.stream, stream => Ok(given(py, lock(stream)?.state()?)))
    }

    /// Goes on from there.
    fn set_state(&self, state: State<'_>) -> PyResult<()> {
        each!(&self.stream, stream => {
            let state = taken(state)?;
            Ok(lock(stream)?.set_state(&state)?)
        })
    }
}
