//! Predictions in one call: texts become numbers, and these scores, while other threads of Python go on. It must not know
//! estimators.

use super::arrays::give;
use super::either::each;
use super::model::Model;
use crate::model::Numbers;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

/// A vocabulary of strings, and how texts are cut into such.
#[pyclass(frozen, module = "gru_rs._core")]
pub(crate) struct Words(crate::Words);

/// A text to be cut, or the numbers of its tokens.
enum Row<'a> {
    Text(&'a str),
    Numbers(Vec<u32>),
}

#[pymethods]
impl Words {
    #[new]
    fn new(tokens: Vec<(String, u32)>, characters: bool, lowercase: bool) -> Self {
        Self(crate::Words::new(tokens, characters, lowercase))
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
                    Row::Text(text) if self.0.encode(text, most, &mut numbers) => {}
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
        let numbers = tokens.map(|token| Ok(self.0.number(token.cast::<PyString>()?.to_str()?)));
        Ok(Row::Numbers(numbers.collect::<PyResult<_>>()?))
    }
}
