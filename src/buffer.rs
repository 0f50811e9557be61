//! Memory: refused memory is an error here, never an abort, and what vectors read is aligned to a
//! cache line. It must not know what the numbers mean.

use crate::error::{Error, Result};
use crate::float::Float;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

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

/// Whether so many bytes are there for `len` small things, of which a call makes lists by the way: those it could only
/// die of. What is refused here is refused as an error. Less than a MiB is not asked for.
pub fn expect_room(len: usize, bytes: usize, what: &'static str) -> Result<()> {
    let bytes = len.saturating_mul(bytes);
    if bytes >= SMALL {
        let mut room: Vec<u8> = Vec::new();
        room.try_reserve_exact(bytes).map_err(|_| Error::Memory { what, bytes })?;
        std::hint::black_box(&room);
    }
    Ok(())
}

/// Numbers that begin at a cache line, so that no vector of a panel lies across two.
#[derive(Debug, Default)]
pub struct Aligned<F> {
    data: Vec<F>,
    begin: usize,
    len: usize,
}

/// Bytes of a cache line, and of the widest vector.
pub const LINE: usize = 64;

impl<F: Copy + Default> Aligned<F> {
    /// Zeros, or [`Error::Memory`].
    pub fn zeros(len: usize, what: &'static str) -> Result<Self> {
        let slack = LINE / size_of::<F>();
        let data: Vec<F> = zeros(len.saturating_add(slack), what)?;
        let begin = data.as_ptr().align_offset(LINE).min(slack);
        Ok(Self { data, begin, len })
    }
}

impl<F> Aligned<F> {
    /// How many there is room for.
    fn capacity(&self) -> usize {
        self.data.len() - self.begin
    }
}

/// Buffers to be used again, since the system takes its time over memory that it has just taken back:
/// on Linux a page fault for every 4 KiB, 30 % of a training call at 100 steps of 32 rows of 64 units.
/// There are never more than were in use at once.
#[derive(Debug, Default)]
pub struct Spare<F>(Mutex<Vec<Aligned<F>>>);

/// What an inference leaves of them, each.
const SMALL: usize = 1 << 20;

impl<F: Float> Spare<F> {
    /// Numbers of any value: the smallest buffer that has room or a new one, or [`Error::Memory`].
    pub fn take(&self, len: usize, what: &'static str) -> Result<Aligned<F>> {
        if let Some(mut buffers) = self.free() {
            let fits = (0..buffers.len()).filter(|&i| buffers[i].capacity() >= len);
            if let Some(place) = fits.min_by_key(|&i| buffers[i].capacity()) {
                return Ok(Aligned { len, ..buffers.swap_remove(place) });
            }
            // The new one takes the place of the largest.
            if let Some(place) = (0..buffers.len()).max_by_key(|&i| buffers[i].capacity()) {
                buffers.swap_remove(place);
            }
        }
        Aligned::zeros(len, what)
    }

    /// Zeros in such a buffer.
    pub fn zeros(&self, len: usize, what: &'static str) -> Result<Aligned<F>> {
        let mut zeros = self.take(len, what)?;
        zeros.fill(F::ZERO);
        Ok(zeros)
    }

    /// A copy in such a buffer.
    pub fn copied(&self, source: &[F], what: &'static str) -> Result<Aligned<F>> {
        let mut copy = self.take(source.len(), what)?;
        copy.copy_from_slice(source);
        Ok(copy)
    }
}

impl<F> Spare<F> {
    /// Takes buffers back.
    pub fn give(&self, given: impl IntoIterator<Item = Aligned<F>>) {
        if let Some(mut buffers) = self.free() {
            buffers.extend(given.into_iter().filter(|buffer| !buffer.data.is_empty()));
        }
    }

    /// Frees the large ones.
    pub fn trim(&self) {
        if let Some(mut buffers) = self.free() {
            buffers.retain(|buffer| size_of_val(&buffer.data[..]) <= SMALL);
        }
    }

    /// The buffers, unless another thread is looking at them: whoever finds them so does without. To wait
    /// would be to wait for ever in a forked child whose parent's other thread was looking.
    fn free(&self) -> Option<MutexGuard<'_, Vec<Aligned<F>>>> {
        match self.0.try_lock() {
            Ok(buffers) => Some(buffers),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
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

/// Lets the allocator keep what a training step frees for the next one.
///
/// glibc hands freed memory back to the system when more than some limit lies at the end of its heap, and a step would
/// take it again page by page: a tenth to a quarter of the time of small networks. The limit rises with the largest block
/// that was ever mapped by itself and freed, to at most 64 MiB, as in any program that once freed a large array. So one
/// is: it is never written, and costs two system calls. Other allocators do not mind.
pub fn keep_freed() {
    /// The largest block that counts, with room for what glibc writes beside it.
    const LARGEST: usize = (32 << 20) - 8192;
    static DONE: AtomicBool = AtomicBool::new(false);
    if !DONE.swap(true, Ordering::Relaxed) {
        let mut block: Vec<u8> = Vec::new();
        // If the system refuses it, memory is short and had better be handed back.
        let _ = block.try_reserve_exact(LARGEST);
        std::hint::black_box(&block);
    }
}
