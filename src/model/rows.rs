//! Scores of many rows of their own lengths, batch by batch: memory follows the steps that there are. It must not know
//! where rows come from.

use super::config::{Inputs, Numbers};
use super::model::Model;
use crate::buffer::zeros;
use crate::error::{Error, Result};
use crate::nn::pooling::Pooling;
use crate::shape;
use crate::simd::Dispatch;

/// Rows of a batch.
const ROWS: usize = 256;
/// Steps, with padding, of a batch that nothing is said of.
const FEW: usize = 1 << 12;
/// The most of more than one row.
const MANY: usize = 1 << 16;

/// Whether a batch of so many rows may be as long as its longest, with so many steps without padding: a quarter of it
/// may be padding.
fn allowed(rows: usize, longest: usize, used: usize) -> bool {
    let padded = rows.saturating_mul(longest);
    rows == 1 || rows <= ROWS && padded <= MANY && (padded <= FEW || padded * 4 <= used * 5)
}

impl<F: Dispatch> Model<F> {
    /// The scores of rows that lie one behind the other, each with steps of its own, all by one set of weights: a row of
    /// scores for each, or with [`Pooling::Each`] for each step.
    ///
    /// ```
    /// use gru_rs::{Config, Inputs, Model, ModelConfig, Numbers};
    /// let model = Model::<f32>::new(ModelConfig::new(Config::gru(1, 8), 2))?;
    /// let steps = [0.5, 1.0, -0.5, 0.25];
    /// let scores = model.scores_of_rows(Numbers::Floats(&steps), &[1, 3])?;
    /// let alone = Inputs { numbers: Numbers::Floats(&steps[1..]), batch: 1, seq: 3, lengths: None, states: &[] };
    /// assert_eq!(scores[2..], model.scores(&alone)?);
    /// # Ok::<(), gru_rs::Error>(())
    /// ```
    pub fn scores_of_rows(&self, numbers: Numbers<'_, F>, lengths: &[usize]) -> Result<Vec<F>> {
        let weights = self.weights();
        let steps = lengths.iter().try_fold(0usize, |sum, &length| sum.checked_add(length));
        let steps = steps.ok_or_else(|| Error::value("lengths", "fewer steps", "more than can be counted"))?;
        let wide = match numbers {
            Numbers::Floats(_) => self.config.inputs(),
            Numbers::Tokens(tokens) => (tokens.len() / steps.max(1)).max(1),
        };
        let given = match numbers {
            Numbers::Floats(x) => x.len(),
            Numbers::Tokens(tokens) => tokens.len(),
        };
        shape::expect_len("x", given, &[steps, wide])?;
        let (each, outputs) = (self.config.pooling == Pooling::Each, self.config.outputs);
        let rows = |length: usize| if each { self.config.frames(length) } else { 1 };
        let (starts, _) = end_to_end(lengths, |length| length)?;
        let (firsts, found) = end_to_end(lengths, rows)?;
        let mut scores = zeros(found.saturating_mul(outputs), "scores")?;
        for batch in batches(lengths)? {
            let own: Vec<usize> = batch.iter().map(|&row| lengths[row]).collect();
            let seq = own.iter().copied().max().unwrap_or(0);
            let places = |row: usize| (starts[row] * wide, lengths[row] * wide);
            let (floats, tokens);
            let padded = match numbers {
                Numbers::Floats(x) => {
                    floats = padded(x, &batch, places, seq * wide)?;
                    Numbers::Floats(&floats)
                }
                Numbers::Tokens(x) => {
                    tokens = padded(x, &batch, places, seq * wide)?;
                    Numbers::Tokens(&tokens)
                }
            };
            let inputs = Inputs { numbers: padded, batch: batch.len(), seq, lengths: Some(&own), states: &[] };
            let mut found = &self.run_with(&weights, &inputs)?.y[..];
            for &row in &batch {
                let (begin, count) = (firsts[row], rows(lengths[row]));
                let (one, others) = found.split_at(count * outputs);
                scores[begin * outputs..][..one.len()].copy_from_slice(one);
                found = others;
            }
        }
        Ok(scores)
    }
}

/// Where each row begins when they lie one behind the other, each as long as a function says, and how long all are.
fn end_to_end(lengths: &[usize], of: impl Fn(usize) -> usize) -> Result<(Vec<usize>, usize)> {
    let (mut starts, mut end): (Vec<usize>, usize) = (zeros(lengths.len(), "rows")?, 0);
    for (start, &length) in starts.iter_mut().zip(lengths) {
        *start = end;
        end += of(length);
    }
    Ok((starts, end))
}

/// Rows of about the same length together.
fn batches(lengths: &[usize]) -> Result<Vec<Vec<usize>>> {
    let mut order: Vec<usize> = zeros(lengths.len(), "rows")?;
    order.iter_mut().enumerate().for_each(|(place, row)| *row = place);
    let longest = lengths.iter().copied().max().unwrap_or(0);
    if !allowed(order.len(), longest, lengths.iter().sum()) {
        order.sort_by_key(|&row| lengths[row]);
    }
    let (mut found, mut batch, mut used, mut longest) = (vec![], vec![], 0, 0);
    for row in order {
        let length = lengths[row];
        if !batch.is_empty() && !allowed(batch.len() + 1, longest.max(length), used + length) {
            found.push(std::mem::take(&mut batch));
            (used, longest) = (0, 0);
        }
        batch.push(row);
        (used, longest) = (used + length, longest.max(length));
    }
    found.extend((!batch.is_empty()).then_some(batch));
    Ok(found)
}

/// Some rows of `wide` numbers each, of which those behind a row's own are 0.
fn padded<T: Copy + Default>(
    x: &[T], rows: &[usize], places: impl Fn(usize) -> (usize, usize), wide: usize,
) -> Result<Vec<T>> {
    let mut found = zeros(rows.len().saturating_mul(wide), "a batch")?;
    if wide > 0 {
        for (to, &row) in found.chunks_exact_mut(wide).zip(rows) {
            let (begin, count) = places(row);
            to[..count].copy_from_slice(&x[begin..][..count]);
        }
    }
    Ok(found)
}
