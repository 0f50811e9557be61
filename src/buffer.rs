//! Memory: refused memory is an error here, never an abort, and what vectors read is aligned to a
//! cache line. It must not know what the numbers mean.

use crate::error::{Error, Result};
use crate::float::Float;

/// Zeros, or [`Error::Memory`].
pub fn zeros<T: Copy + Default>(len: usize, what: &'static str) -> Result<Vec<T>> {
    let mut data = Vec::new();
    let refused = |_| Error::Memory { what, bytes: len.saturating_mul(size_of::<T>()) };
    data.try_reserve_exact(len).map_err(refused)?;
    data.resize(len, T::default());
    Ok(data)
}

/// A copy, or [`Error::Memory`].
pub fn copied<T: Copy>(source: &[T], what: &'static str) -> Result<Vec<T>> {
    let mut data = Vec::new();
    let refused = |_| Error::Memory { what, bytes: size_of_val(source) };
    data.try_reserve_exact(source.len()).map_err(refused)?;
    data.extend_from_slice(source);
    Ok(data)
}

/// Numbers that begin at a cache line, so that no vector of a panel lies across two.
#[derive(Debug, Default)]
pub struct Aligned<F> {
    data: Vec<F>,
    begin: usize,
    len: usize,
}

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

impl<F: Float> Aligned<F> {
    /// Zeros, or [`Error::Memory`].
    pub fn zeros(len: usize, what: &'static str) -> Result<Self> {
        let slack = LINE / size_of::<F>();
        let data: Vec<F> = zeros(len.saturating_add(slack), what)?;
        let begin = data.as_ptr().align_offset(LINE).min(slack);
        Ok(Self { data, begin, len })
    }
}

impl<F> std::ops::Deref for Aligned<F> {
    type Target = [F];
    fn deref(&self) -> &[F] {
        &self.data[self.begin..self.begin + self.len]
    }
}

impl<F> std::ops::DerefMut for Aligned<F> {
    fn deref_mut(&mut self) -> &mut [F] {
        &mut self.data[self.begin..self.begin + self.len]
    }
}
