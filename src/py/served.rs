//! Predictions in one call: texts become numbers, numbers are put into units, and both scored, while other threads of
//! Python go on. What is not plain is None: for Python to read, or to refuse. It must not know estimators.

use super::arrays::{Number, borrow_plain, give};
use super::either::{Either, both, each};
use super::model::Model;
use crate::model::Numbers;
use crate::nn::units;
use numpy::{PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyList, PyString};

/// A vocabulary of strings, and how texts are cut into such.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct Words {
    words: crate::Words,
    /// Whether steps are texts, or else lists of tokens; if that is known.
    of_text: Option<bool>,
}

/// The units of numbers, if they have any: of each feature the mean, and 1 over the deviation.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct Units(Option<units::Units>);

/// What scores are made into.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct Answer(pub(super) Says);

/// Probabilities, of all of a row together or of each by itself; or numbers, in f64, in the units of targets by their mean
/// and deviation. A single one may have no axis.
pub(super) enum Says {
    Probabilities { each: bool },
    Numbers { units: Option<units::Units>, flat: bool },
}

/// An array of floats.
type Floats<'py> = Either<PyReadonlyArrayDyn<'py, f32>, PyReadonlyArrayDyn<'py, f64>>;

/// Steps of a row, one behind the other.
type Slice<'a> = Either<&'a [f32], &'a [f64]>;

/// A text to be cut, or the numbers of its tokens.
enum Row<'a> {
    Text(&'a str),
    Numbers(Vec<u32>),
}

/// Numbers that are scored in one call, which has copies of all; of more each batch has its own.
const AT_ONCE: usize = 1 << 20;

#[pymethods]
impl Words {
    #[new]
    fn new(tokens: Vec<(String, u32)>, characters: bool, lowercase: bool, of_text: Option<bool>) -> Self {
        Self { words: crate::Words::new(tokens, characters, lowercase), of_text }
    }

    /// The scores of rows, 1-D, each a text in ASCII or a list of its tokens, of which the first `most` count.
    fn scores<'py>(
        &self, py: Python<'py>, model: &Bound<'py, Model>, rows: Vec<Bound<'py, PyAny>>, most: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let rows: Vec<Row<'_>> = rows.iter().map(|row| self.row(row, most)).collect::<PyResult<_>>()?;
        let encode = || {
            let (mut numbers, mut lengths) = (vec![], Vec::with_capacity(rows.len()));
            for row in &rows {
                let begin = numbers.len();
                match row {
                    Row::Text(text) if self.words.encode(text, most, &mut numbers) => {}
                    Row::Text(text) => return Err(crate::Error::value("text", "ASCII", format!("{text:?}"))),
                    Row::Numbers(known) => numbers.extend(known),
                }
                lengths.push(numbers.len() - begin);
            }
            Ok((numbers, lengths))
        };
        each!(&model.get().0, model => {
            let scores = py.detach(|| {
                let (numbers, lengths) = encode()?;
                model.scores_of_rows(Numbers::Tokens(&numbers), &lengths)
            })?;
            Ok(give(py, scores))
        })
    }
}

impl Words {
    fn row<'a>(&self, row: &'a Bound<'_, PyAny>, most: Option<usize>) -> PyResult<Row<'a>> {
        if let Ok(text) = row.cast::<PyString>() {
            return Ok(Row::Text(text.to_str()?));
        }
        let list = row.cast::<PyList>().map_err(|_| PyTypeError::new_err("expected texts, or lists of tokens"))?;
        let tokens = list.iter().take(most.unwrap_or(usize::MAX));
        let numbers = tokens.map(|token| Ok(self.words.number(token.cast::<PyString>()?.to_str()?)));
        Ok(Row::Numbers(numbers.collect::<PyResult<_>>()?))
    }

    /// The tokens that a stream of `rows` sequences is given, if there is an axis of rows, and how many each has.
    pub(super) fn steps(&self, given: &Bound<'_, PyAny>, rows: Option<usize>) -> Option<(Vec<u32>, usize)> {
        let mut numbers = vec![];
        let Some(rows) = rows else {
            self.push(given, &mut numbers)?;
            let seq = numbers.len();
            return Some((numbers, seq));
        };
        let list = given.cast_exact::<PyList>().ok().filter(|list| list.len() == rows)?;
        let (texts, mut seq) = (list.get_item(0).ok()?.is_instance_of::<PyString>(), None);
        for row in list.iter() {
            let begin = numbers.len();
            self.push(&row, &mut numbers)?;
            let own = numbers.len() - begin;
            if row.is_instance_of::<PyString>() != texts || *seq.get_or_insert(own) != own {
                return None;
            }
        }
        Some((numbers, seq?))
    }

    /// The tokens of a text or of a list that has some.
    fn push(&self, given: &Bound<'_, PyAny>, numbers: &mut Vec<u32>) -> Option<()> {
        let text = given.cast_exact::<PyString>().ok();
        if self.of_text.is_some_and(|of_text| of_text != text.is_some()) {
            return None; // to be refused
        }
        if let Some(text) = text {
            return self.words.encode(text.to_str().ok()?, None, numbers).then_some(());
        }
        let list = given.cast_exact::<PyList>().ok().filter(|list| !list.is_empty())?;
        for token in list.iter() {
            numbers.push(self.words.lookup(token.cast_exact::<PyString>().ok()?.to_str().ok()?)?);
        }
        Some(())
    }
}

#[pymethods]
impl Units {
    #[new]
    fn new(units: Option<units::Units>) -> Self {
        Self(units)
    }

    /// The scores of rows, 1-D, of which the first `most` steps count: of a list of arrays, or of one array with an axis
    /// of rows, and their lengths if it is padded.
    fn scores<'py>(
        &self, py: Python<'py>, model: &Bound<'py, Model>, rows: &Bound<'py, PyAny>, lengths: Option<Vec<usize>>,
        most: Option<usize>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let listed = rows.cast_exact::<PyList>().ok().map(|list| list.iter().map(|row| floats(&row)).collect());
        let is_list = listed.is_some();
        let Some(arrays): Option<Vec<_>> = listed.unwrap_or_else(|| floats(rows).map(|array| vec![array])) else {
            return Ok(None);
        };
        let width = each!(&model.get().0, model => model.config().inputs());
        let rows = if is_list { listed_rows(&arrays, width) } else { rows_of(&arrays[0], width, lengths.as_deref()) };
        let Some(rows) = rows else { return Ok(None) };
        each!(&model.get().0, model => {
            let scores = py.detach(|| {
                let (mut numbers, mut lengths) = (vec![], Vec::with_capacity(rows.len()));
                for row in &rows {
                    let begin = numbers.len();
                    if !each!(row, row => self.push(width, first(row, width, most), &mut numbers)?) {
                        return Ok(None);
                    }
                    lengths.push((numbers.len() - begin) / width);
                }
                model.scores_of_rows(Numbers::Floats(&numbers), &lengths).map(Some)
            })?;
            Ok(scores.map(|scores| give(py, scores)))
        })
    }
}

impl Units {
    /// Puts rows of so many numbers behind others that are in units; false if one is not finite there.
    #[inline(never)]
    fn push<X: Number, F: Number>(&self, width: usize, rows: &[X], to: &mut Vec<F>) -> crate::Result<bool> {
        let known = self.0.as_ref().map_or(width, |(mean, factor)| mean.len().min(factor.len()));
        crate::shape::expect_len("scale", known, &[width])?;
        to.reserve(rows.len());
        Ok(units::push_in_units(self.0.as_ref(), width, rows, to))
    }

    /// The shape of an array, or of a list of one step, and its numbers in units.
    pub(super) fn steps<F: Number>(
        &self, given: &Bound<'_, PyAny>, width: usize,
    ) -> PyResult<Option<(Vec<usize>, Vec<F>)>> {
        let mut numbers = vec![];
        if let Ok(list) = given.cast_exact::<PyList>() {
            let step = list.iter().map(|x| x.cast_exact::<PyFloat>().ok().map(|x| x.value()));
            let Some(step) = step.collect::<Option<Vec<_>>>() else { return Ok(None) };
            let fits = step.len() == width && self.push(width, &step, &mut numbers)?;
            return Ok(fits.then(|| (vec![width], numbers)));
        }
        let Some(array) = floats(given) else { return Ok(None) };
        each!(&array, array => {
            let fits = array.shape().last() == Some(&width) && self.push(width, array.as_slice()?, &mut numbers)?;
            Ok(fits.then(|| (array.shape().to_vec(), numbers)))
        })
    }
}

#[pymethods]
impl Answer {
    #[staticmethod]
    fn probabilities(each: bool) -> Self {
        Self(Says::Probabilities { each })
    }

    #[staticmethod]
    fn numbers(units: Option<units::Units>, flat: bool) -> Self {
        Self(Says::Numbers { units, flat })
    }
}

/// A plain array of floats, borrowed.
fn floats<'py>(given: &Bound<'py, PyAny>) -> Option<Floats<'py>> {
    borrow_plain(given).map(Either::F32).or_else(|| borrow_plain(given).map(Either::F64))
}

/// Rows of steps of so many numbers, `(T, width)` each, or `(T,)` of one number a step.
fn listed_rows<'a>(arrays: &'a [Floats<'_>], width: usize) -> Option<Vec<Slice<'a>>> {
    let rows = arrays.iter().map(|array| {
        let fits = match each!(array, array => array.shape()) {
            [_] => width == 1,
            [_, wide] => *wide == width,
            _ => false,
        };
        Some(both!(array, array => array.as_slice().ok().filter(|_| fits)?))
    });
    let rows: Vec<_> = rows.collect::<Option<_>>()?;
    few(&rows).then_some(rows)
}

/// Those of an array `(rows, T, width)`, as long as they are.
fn rows_of<'a>(array: &'a Floats<'_>, width: usize, lengths: Option<&[usize]>) -> Option<Vec<Slice<'a>>> {
    let &[rows, steps, wide] = each!(array, array => array.shape()) else { return None };
    if wide != width || lengths.is_some_and(|lengths| lengths.len() != rows) {
        return None;
    }
    let rows = (0..rows).map(|row| {
        let (begin, length) = (row * steps * width, lengths.map_or(steps, |lengths| lengths[row]));
        Some(both!(array, array => array.as_slice().ok()?.get(begin..begin + length.min(steps) * width)?))
    });
    let rows: Vec<_> = rows.collect::<Option<_>>()?;
    few(&rows).then_some(rows)
}

/// Whether there are some, and so few that they may be copied.
fn few(rows: &[Slice<'_>]) -> bool {
    !rows.is_empty() && rows.iter().map(|row| each!(row, row => row.len())).sum::<usize>() <= AT_ONCE
}

/// A row's first steps.
fn first<X>(row: &[X], width: usize, most: Option<usize>) -> &[X] {
    most.and_then(|most| row.get(..most.checked_mul(width)?)).unwrap_or(row)
}
