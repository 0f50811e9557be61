//! A dictionary of options from Python, where each was checked by the class that has it.

use crate::error::{Error, Result};
use crate::names;
use pyo3::conversion::FromPyObjectOwned;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The constructor's arguments.
#[derive(FromPyObject)]
#[pyo3(transparent)]
pub(super) struct Options<'py>(Bound<'py, PyDict>);

impl<'py> Options<'py> {
    /// A value; None counts as one.
    fn get(&self, name: &str) -> Result<Bound<'py, PyAny>> {
        let found = self.0.get_item(name).ok().flatten();
        found.ok_or_else(|| Error::value(name, "a value", "none"))
    }

    fn of<T: FromPyObjectOwned<'py>>(&self, name: &str, expected: &str) -> Result<T> {
        let value = self.get(name)?;
        value.extract().map_err(|_| Error::value(name, expected, value.to_string()))
    }
}

impl names::Options for Options<'_> {
    fn size(&self, name: &str) -> Result<usize> {
        self.of(name, "an integer from 0")
    }

    fn maybe_size(&self, name: &str) -> Result<Option<usize>> {
        self.of(name, "an integer from 0, or None")
    }

    fn flag(&self, name: &str) -> Result<bool> {
        self.of(name, "a bool")
    }

    fn number(&self, name: &str) -> Result<f64> {
        self.of(name, "a number")
    }

    fn maybe_number(&self, name: &str) -> Result<Option<f64>> {
        self.of(name, "a number, or None")
    }

    fn word<T>(&self, name: &str, of: impl Fn(&str, &str) -> Result<T>) -> Result<T> {
        of(name, &self.of::<String>(name, "a word")?)
    }

    fn maybe_word<T>(&self, name: &str, of: impl Fn(&str, &str) -> Result<T>) -> Result<Option<T>> {
        self.of::<Option<String>>(name, "a word, or None")?.map(|word| of(name, &word)).transpose()
    }

    fn seed(&self) -> Result<u64> {
        self.of("seed", "an integer of 64 bits")
    }
}
