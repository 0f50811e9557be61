//! A table of vectors, one for each token of a vocabulary.

use crate::error::{Error, Result};
use crate::float::Float;
use crate::weights::Matrix;

/// The tokens of a batch, `(batch, seq, per_step)`; what lies past a row's length is never read.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    /// The numbers of the tokens.
    pub data: &'a [u32],
    /// Steps of a row.
    pub seq: usize,
    /// Tokens of a step, whose vectors are added: a word and its ending, say.
    pub per_step: usize,
    /// Each row's steps; all have `seq` when there is none.
    pub lengths: Option<&'a [usize]>,
}

impl Tokens<'_> {
    /// The places of the steps that count, each with its tokens, row by row.
    fn valid(&self) -> impl Iterator<Item = (usize, &[u32])> {
        let rows = self.data.chunks((self.seq * self.per_step).max(1)).enumerate();
        rows.flat_map(move |(row, tokens)| {
            let length = self.lengths.map_or(self.seq, |lengths| lengths[row]);
            let steps = tokens.chunks_exact(self.per_step).take(length).enumerate();
            steps.map(move |(step, tokens)| (row * self.seq + step, tokens))
        })
    }

    /// Whether the vocabulary has them all.
    pub fn check(&self, vocabulary: usize) -> Result<()> {
        let mut all = self.valid().flat_map(|(place, tokens)| tokens.iter().map(move |&token| (place, token as usize)));
        let unknown = all.find(|&(_, token)| token >= vocabulary);
        unknown.map_or(Ok(()), |(place, token)| {
            let got = format!("{token} in row {}, step {}", place / self.seq, place % self.seq);
            Err(Error::value("tokens", format!("numbers below the vocabulary's size, {vocabulary}"), got))
        })
    }
}

/// x = Σ table[token]: `(batch, seq, width)` from a `(vocabulary, width)` table. Steps past a row's length keep
/// what `x` holds.
pub fn forward<F: Float>(table: Matrix<'_, F>, tokens: Tokens<'_>, width: usize, x: &mut [F]) {
    for (place, tokens) in tokens.valid() {
        let x = &mut x[place * width..][..width];
        for (i, &token) in tokens.iter().enumerate() {
            let vector = table.rows(token as usize, width);
            match i {
                0 => vector.each(width, |i, v| x[i] = v),
                _ => vector.each(width, |i, v| x[i] += v),
            }
        }
    }
}

/// d table[token] += d x, token by token in the order of the batch.
pub fn backward<F: Float>(d_x: &[F], tokens: Tokens<'_>, width: usize, d_table: &mut [F]) {
    for (place, tokens) in tokens.valid() {
        let d_x = &d_x[place * width..][..width];
        for &token in tokens {
            d_table[token as usize * width..][..width].iter_mut().zip(d_x).for_each(|(sum, &d)| *sum += d);
        }
    }
}
