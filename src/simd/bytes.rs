//! Sums of products of bytes in 32 bits: what narrow weights are multiplied with. Integers, so that every
//! instruction set gives the same sum, however it gets there.

#[cfg(target_arch = "aarch64")]
use super::neon::{Dot, Neon};
use super::scalar::Scalar;
#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512, vnni::Vnni256, vnni::Vnni512};

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

/// An instruction set for products of bytes that this machine has.
#[derive(Clone, Copy, Debug)]
pub struct BytesIsa(pub(super) Token);

#[derive(Clone, Copy, Debug)]
pub(super) enum Token {
    Scalar(Scalar),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Vnni256(Vnni256),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Vnni512(Vnni512),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    #[cfg(target_arch = "aarch64")]
    Dot(Dot),
}

macro_rules! each {
    ($token:expr, $bytes:ident => $result:expr) => {
        match $token {
            Token::Scalar($bytes) => $result,
            #[cfg(target_arch = "x86_64")]
            Token::Avx2($bytes) => $result,
            #[cfg(target_arch = "x86_64")]
            Token::Vnni256($bytes) => $result,
            #[cfg(target_arch = "x86_64")]
            Token::Avx512($bytes) => $result,
            #[cfg(target_arch = "x86_64")]
            Token::Vnni512($bytes) => $result,
            #[cfg(target_arch = "aarch64")]
            Token::Neon($bytes) => $result,
            #[cfg(target_arch = "aarch64")]
            Token::Dot($bytes) => $result,
        }
    };
}

impl BytesIsa {
    /// Those this machine has, the plainest first.
    pub fn available() -> Vec<BytesIsa> {
        let each = super::Isa::available().into_iter().flat_map(|isa| [BytesIsa(isa.plain_bytes()), isa.bytes()]);
        let mut all: Vec<Self> = Vec::new();
        for isa in each {
            if all.iter().all(|other| other.name() != isa.name()) {
                all.push(isa);
            }
        }
        all
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self.0 {
            Token::Scalar(_) => "scalar",
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Token::Vnni256(_) => "avx-vnni",
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Token::Vnni512(_) => "avx512-vnni",
            #[cfg(target_arch = "aarch64")]
            Token::Neon(_) => "neon",
            #[cfg(target_arch = "aarch64")]
            Token::Dot(_) => "neon-dotprod",
        }
    }

    /// Runs the kernel on it.
    pub fn dispatch(self, kernel: impl BytesKernel) {
        each!(self.0, bytes => Bytes::call(bytes, kernel))
    }

    /// Sums in a vector.
    pub fn lanes(self) -> usize {
        fn lanes<B: Bytes>(_: B) -> usize {
            B::LANES
        }
        each!(self.0, bytes => lanes(bytes))
    }
}

/// The four weights of a lane, and the products with them.
#[inline(always)]
pub(super) fn dot(x: [i8; 4], w: &[i8]) -> i32 {
    let w: &[i8; 4] = w.first_chunk().expect("four weights");
    (0..4).map(|i| i32::from(x[i]) * i32::from(w[i])).sum()
}
