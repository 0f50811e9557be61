//! What scores should be: a class or numbers for each row, or a shorter sequence of labels; and how much each row
//! counts. Which loss takes which, and what it makes of them, it must not know.

use crate::error::{Error, Result};
use crate::float::Float;
use crate::shape;

/// What the scores should be, row by row.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a, F> {
    /// A class for each row.
    Classes(&'a [u32]),
    /// Numbers for each row.
    Numbers(&'a [F]),
    /// A sequence of labels for each row.
    Spelling(Spelling<'a>),
}

impl<F> Targets<'_, F> {
    /// What they are, for errors.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Classes(_) => "classes",
            Self::Numbers(_) => "numbers",
            Self::Spelling(_) => "sequences of labels",
        }
    }
}

/// What the scores of some rows should spell.
#[derive(Clone, Copy, Debug)]
pub struct Spelling<'a> {
    /// The labels of all rows, one behind the other, without blanks.
    pub labels: &'a [u32],
    /// How many each row has.
    pub lengths: &'a [usize],
}

impl Spelling<'_> {
    /// Whether they are of so many rows.
    pub(crate) fn check(&self, rows: usize) -> Result<()> {
        if self.lengths.len() == rows {
            return shape::expect_len("targets", self.labels.len(), &[self.lengths.iter().sum()]);
        }
        Err(Error::value("targets", format!("a sequence for each of {rows} rows"), self.lengths.len()))
    }
}

/// How much each row counts: finite, and not negative.
pub(crate) fn check_weights<F: Float>(weights: Option<&[F]>, rows: usize) -> Result<()> {
    let Some(weights) = weights else { return Ok(()) };
    shape::expect_len("sample_weight", weights.len(), &[rows])?;
    let wrong = weights.iter().map(|weight| weight.to_f64()).find(|weight| !(weight.is_finite() && *weight >= 0.0));
    wrong.map_or(Ok(()), |weight| Err(Error::value("sample_weight", "finite numbers ≥ 0", weight)))
}
