//! Which instruction sets multiply bytes, and which of them this machine has: the one place that enumerates them, as
//! [`super::dispatch`] does for floats. It must not know what is multiplied.

use super::bytes::{Bytes, BytesKernel};
#[cfg(target_arch = "aarch64")]
use super::neon::{Dot, Neon};
use super::scalar::Scalar;
#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512, vnni::Vnni256, vnni::Vnni512};

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
        #[allow(unused_mut, reason = "nothing to add on other processors")]
        let mut all = vec![Token::Scalar(Scalar(()))];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(Avx2::detect().map(Token::Avx2));
            all.extend(Vnni256::detect().map(Token::Vnni256));
            all.extend(Avx512::detect().map(Token::Avx512));
            all.extend(Vnni512::detect().map(Token::Vnni512));
        }
        #[cfg(target_arch = "aarch64")]
        {
            all.extend(Neon::detect().map(Token::Neon));
            all.extend(Dot::detect().map(Token::Dot));
        }
        all.into_iter().map(BytesIsa).collect()
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
