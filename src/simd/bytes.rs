//! Sums of products of bytes in 32 bits: what quantized weights are multiplied with. Integers, so that every
//! instruction set gives the same sum, however it gets there. It must not know which ones there are.

/// Vectors of bytes and of their sums in one instruction set. `self` is the proof that it is there.
///
/// The bytes are of −127 to 127, and never −128: then two products fit in 16 bits.
pub trait Bytes: Copy + Send + Sync + 'static {
    /// Sums, one in a lane.
    type Sums: Copy;
    /// Four bytes, the same for every lane.
    type Four: Copy;
    /// Sums in a vector.
    const LANES: usize;
    /// Rows whose sums, four vectors each, fit in the registers beside what is multiplied.
    const ROWS: usize;

    /// Runs a kernel compiled for this instruction set.
    fn call<K: BytesKernel>(self, kernel: K);
    /// Where sums begin. `start` is −128 times the sum of all the weights to come: what an instruction that takes
    /// bytes of 0 to 255 adds too much. Panics when there are fewer than `LANES`.
    fn begin(self, start: &[i32]) -> Self::Sums;
    /// The same four bytes for every lane.
    fn four(self, x: [i8; 4]) -> Self::Four;
    /// sums + the four products of each lane, whose weights are four neighbours in `w`. Panics when there are fewer
    /// than 4 · `LANES`.
    fn dot(self, sums: Self::Sums, x: Self::Four, w: &[i8]) -> Self::Sums;
    /// Writes the sums. Panics when there is room for fewer than `LANES`.
    fn store(self, sums: Self::Sums, to: &mut [i32]);
}

/// Work that can be compiled for any of them; `run` and all it calls are `#[inline(always)]`.
pub trait BytesKernel {
    /// Does the work.
    fn run<B: Bytes>(self, bytes: B);
}

/// The four weights of a lane, and the products with them.
#[inline(always)]
pub(super) fn dot(x: [i8; 4], w: &[i8]) -> i32 {
    let w: &[i8; 4] = w.first_chunk().expect("four weights");
    (0..4).map(|i| i32::from(x[i]) * i32::from(w[i])).sum()
}
