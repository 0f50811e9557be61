//! A table of vectors, one for each token of a vocabulary.

use crate::error::{Error, Result};
use crate::float::Float;

/// The tokens of a batch, `(batch, seq)`; what lies past a row's length is never read.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    /// The numbers of the tokens.
    pub data: &'a [u32],
    /// Steps of a row.
    pub seq: usize,
    /// Each row's steps; all have `seq` when there is none.
    pub lengths: Option<&'a [usize]>,
}

impl Tokens<'_> {
    /// Where the tokens that count lie, with them, row by row.
    fn valid(&self) -> impl Iterator<Item = (usize, usize)> {
        let rows = self.data.chunks(self.seq.max(1)).enumerate();
        rows.flat_map(move |(row, tokens)| {
            let length = self.lengths.map_or(self.seq, |lengths| lengths[row]);
            let tokens = tokens[..length].iter().enumerate();
            tokens.map(move |(step, &token)| (row * self.seq + step, token as usize))
        })
    }

    /// Whether the vocabulary has them all.
    pub fn check(&self, vocabulary: usize) -> Result<()> {
        let unknown = self.valid().find(|&(_, token)| token >= vocabulary);
        unknown.map_or(Ok(()), |(place, token)| {
            let got = format!("{token} in row {}, step {}", place / self.seq, place % self.seq);
            Err(Error::value("tokens", format!("numbers below the vocabulary's size, {vocabulary}"), got))
        })
    }
}

/// x = table[token]: `(batch, seq, width)` from a `(vocabulary, width)` table. Steps past a row's length keep
/// what `x` holds.
pub fn forward<F: Float>(table: &[F], tokens: Tokens<'_>, width: usize, x: &mut [F]) {
    for (place, token) in tokens.valid() {
        x[place * width..][..width].copy_from_slice(&table[token * width..][..width]);
    }
}

/// d table[token] += d x, token by token in the order of the batch.
pub fn backward<F: Float>(d_x: &[F], tokens: Tokens<'_>, width: usize, d_table: &mut [F]) {
    for (place, token) in tokens.valid() {
        let d_x = &d_x[place * width..][..width];
        d_table[token * width..][..width].iter_mut().zip(d_x).for_each(|(sum, &d)| *sum += d);
    }
}
