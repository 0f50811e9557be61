//! Sizes: products that may overflow, and the lengths of the sequences of a batch. The only shape
//! checks of the crate, done once at its public edge. It must not know what the numbers mean.

use crate::buffer::{copied, expect_room, zeros};
use crate::error::{Error, Result};
use std::sync::Arc;

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

/// Bytes of the lists that a call makes of each row, beside its numbers.
const ROW: usize = 256;

fn numbered(rows: usize) -> Result<Vec<usize>> {
    let mut order = zeros(rows, "rows")?;
    order.iter_mut().enumerate().for_each(|(row, to)| *to = row);
    Ok(order)
}

/// The rows of a batch by falling length, so that the rows still running at any step are the first.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The caller's index of each sorted row.
    pub order: Vec<usize>,
    /// The length of each sorted row, falling.
    pub lengths: Vec<usize>,
    resets: Option<Resets>,
}

/// Steps that begin a new sequence within a row of the caller's.
#[derive(Clone, Debug)]
struct Resets {
    flags: Arc<Vec<bool>>,
    /// From a step to the next, and from a row.
    step: usize,
    row: usize,
}

impl Rows {
    /// `batch` rows of `seq` steps, or of the given lengths.
    pub fn new(batch: usize, seq: usize, lengths: Option<&[usize]>) -> Result<Self> {
        expect_room(batch, ROW, "rows")?;
        let Some(lengths) = lengths else {
            let mut all = zeros(batch, "lengths")?;
            all.fill(seq);
            return Ok(Self { order: numbered(batch)?, lengths: all, resets: None });
        };
        if lengths.len() != batch {
            let expected = format!("one length for each of {batch} rows");
            return Err(Error::value("lengths", expected, format!("{} lengths", lengths.len())));
        }
        if let Some((row, length)) = lengths.iter().enumerate().find(|&(_, &length)| length > seq) {
            return Err(Error::value("lengths", format!("at most {seq} steps"), format!("{length} in row {row}")));
        }
        let mut order = numbered(batch)?;
        order.sort_by_key(|&row| std::cmp::Reverse(lengths[row]));
        let mut falling = zeros(batch, "lengths")?;
        falling.iter_mut().zip(&order).for_each(|(to, &row)| *to = lengths[row]);
        Ok(Self { order, lengths: falling, resets: None })
    }

    /// The same rows with new sequences within: `(seq, batch)` flags, or `(batch, seq)`.
    pub fn with_resets(mut self, seq: usize, batch_first: bool, resets: Option<&[bool]>) -> Result<Self> {
        let Some(flags) = resets else { return Ok(self) };
        let batch = self.order.len();
        expect_len("resets", flags.len(), &[seq, batch])?;
        if flags.contains(&true) {
            let (step, row) = if batch_first { (1, seq) } else { (batch, 1) };
            self.resets = Some(Resets { flags: Arc::new(copied(flags, "resets")?), step, row });
        }
        Ok(self)
    }

    /// Whether any step may begin a new sequence.
    pub fn has_resets(&self) -> bool {
        self.resets.is_some()
    }

    /// Whether the caller's row begins a new sequence with that of its steps.
    pub fn resets(&self, row: usize, time: usize) -> bool {
        self.resets.as_ref().is_some_and(|resets| resets.flags[time * resets.step + row * resets.row])
    }

    /// All steps of all rows.
    pub fn total(&self) -> usize {
        self.lengths.iter().sum()
    }
}
