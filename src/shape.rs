//! Sizes: products that may overflow, and the lengths of the sequences of a batch. The only shape
//! checks of the crate, done once at its public edge. It must not know what the numbers mean.

use crate::error::{Error, Result};

/// The product of sizes, or an error that names them.
pub fn product(what: &'static str, sizes: &[usize]) -> Result<usize> {
    let limit = isize::MAX as usize / size_of::<f64>();
    sizes
        .iter()
        .try_fold(1usize, |all, &size| all.checked_mul(size))
        .filter(|&all| all <= limit)
        .ok_or_else(|| Error::value(what, format!("at most {limit} numbers"), format!("{sizes:?}")))
}

/// A positive size.
pub fn positive(argument: &'static str, size: usize) -> Result<usize> {
    if size == 0 {
        return Err(Error::value(argument, "a positive integer", size));
    }
    Ok(size)
}

/// A slice of the right length.
pub fn expect_len(argument: &'static str, got: usize, sizes: &[usize]) -> Result<()> {
    let expected = product(argument, sizes)?;
    if got == expected {
        return Ok(());
    }
    Err(Error::value(argument, format!("{expected} numbers ({sizes:?})"), got))
}

/// The rows of a batch by falling length, so that the rows still running at any step are the first.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The caller's index of each sorted row.
    pub order: Vec<usize>,
    /// The length of each sorted row, falling.
    pub lengths: Vec<usize>,
}

impl Rows {
    /// `batch` rows of `seq` steps, or of the given lengths.
    pub fn new(batch: usize, seq: usize, lengths: Option<&[usize]>) -> Result<Self> {
        let Some(lengths) = lengths else {
            return Ok(Self { order: (0..batch).collect(), lengths: vec![seq; batch] });
        };
        if lengths.len() != batch {
            let expected = format!("one length for each of {batch} rows");
            return Err(Error::value("lengths", expected, format!("{} lengths", lengths.len())));
        }
        if let Some((row, length)) = lengths.iter().enumerate().find(|&(_, &length)| length > seq) {
            return Err(Error::value("lengths", format!("at most {seq} steps"), format!("{length} in row {row}")));
        }
        let mut order: Vec<usize> = (0..batch).collect();
        order.sort_by_key(|&row| std::cmp::Reverse(lengths[row]));
        let lengths = order.iter().map(|&row| lengths[row]).collect();
        Ok(Self { order, lengths })
    }

    /// All steps of all rows.
    pub fn total(&self) -> usize {
        self.lengths.iter().sum()
    }
}
