//! The one place that chooses an instruction set: what the CPU has, or what `GRU_RS_ISA` names.

use super::dispatch_bytes::{BytesIsa, Token as BytesToken};
#[cfg(target_arch = "aarch64")]
use super::neon::{Dot, Neon};
use super::scalar::Scalar;
use super::{Kernel, Simd};
#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512, vnni::Vnni256, vnni::Vnni512};
use crate::error::{Error, Result};
use crate::float::Float;
use std::sync::OnceLock;

/// An instruction set that this machine has, named `scalar`, `avx2`, `avx2-vnni`, `avx512` or `neon`.
///
/// ```
/// let isa = gru_rs::Isa::chosen()?;
/// assert!(gru_rs::Isa::available().contains(&isa));
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Isa(Token, Option<BytesToken>);

#[derive(Clone, Copy, Debug)]
enum Token {
    Scalar(Scalar),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
}

/// All that there are, on whatever machine, fallback first.
const NAMES: [&str; 5] = ["scalar", "avx2", "avx2-vnni", "avx512", "neon"];

/// Those whose tests nobody has recorded yet (docs/isas.md): never chosen, only named.
const UNTRIED: [&str; 1] = ["avx2-vnni"];

impl Isa {
    /// The environment variable that forces an instruction set.
    pub const VARIABLE: &'static str = "GRU_RS_ISA";

    /// Those this machine has, the plainest first.
    pub fn available() -> Vec<Isa> {
        #[allow(unused_mut, reason = "nothing to add on other processors")]
        let mut all = vec![Isa(Token::Scalar(Scalar(())), None)];
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = Avx2::detect().map(Token::Avx2);
            all.extend(avx2.map(|avx2| Isa(avx2, None)));
            let vnni = Vnni256::detect().map(BytesToken::Vnni256);
            all.extend(avx2.zip(vnni).map(|(avx2, vnni)| Isa(avx2, Some(vnni))));
            let vnni = Vnni512::detect().map(BytesToken::Vnni512);
            all.extend(Avx512::detect().map(|t| Isa(Token::Avx512(t), vnni)));
        }
        #[cfg(target_arch = "aarch64")]
        all.extend(Neon::detect().map(|t| Isa(Token::Neon(t), Dot::detect().map(BytesToken::Dot))));
        all
    }

    /// The one named, if this machine has it.
    pub fn named(name: &str) -> Result<Isa> {
        let available = Self::available();
        available.iter().copied().find(|isa| isa.name() == name).ok_or_else(|| {
            let names: Vec<_> = available.iter().map(Isa::name).collect();
            let expected = format!("one of {} (this machine has {})", NAMES.join(", "), names.join(", "));
            Error::value(Self::VARIABLE, expected, format!("{name:?}"))
        })
    }

    /// The one that new layers use: `GRU_RS_ISA` if set, else the widest there is whose tests have a record. Asked once for
    /// the process.
    pub fn chosen() -> Result<Isa> {
        static CHOSEN: OnceLock<Result<Isa>> = OnceLock::new();
        CHOSEN
            .get_or_init(|| match std::env::var_os(Self::VARIABLE) {
                Some(name) => Self::named(&name.to_string_lossy()),
                None => {
                    let tried = |isa: &Isa| !UNTRIED.contains(&isa.name());
                    Ok(Self::available().into_iter().rfind(tried).expect("scalar is always there"))
                }
            })
            .clone()
    }

    /// The quickest way that goes with it to multiply bytes.
    pub fn bytes(&self) -> BytesIsa {
        BytesIsa(self.1.unwrap_or(self.plain_bytes()))
    }

    /// That of its own instructions, without those that came later.
    fn plain_bytes(&self) -> BytesToken {
        match self.0 {
            Token::Scalar(token) => BytesToken::Scalar(token),
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(token) => BytesToken::Avx2(token),
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(token) => BytesToken::Avx512(token),
            #[cfg(target_arch = "aarch64")]
            Token::Neon(token) => BytesToken::Neon(token),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self.0 {
            Token::Scalar(_) => NAMES[0],
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) => NAMES[if self.1.is_some() { 2 } else { 1 }],
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(_) => NAMES[3],
            #[cfg(target_arch = "aarch64")]
            Token::Neon(_) => NAMES[4],
        }
    }
}

impl PartialEq for Isa {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Isa {}

/// A float whose kernels can be run on an instruction set known only at run time.
pub trait Dispatch: Float {
    /// Runs the kernel on `isa`.
    fn dispatch<K: Kernel<Self>>(isa: Isa, kernel: K) -> K::Out;
    /// Numbers in a vector of `isa`.
    fn lanes(isa: Isa) -> usize;
    /// Vectors that `isa` keeps in registers.
    fn registers(isa: Isa) -> usize;
}

/// Something with the token of an instruction set.
macro_rules! with_token {
    ($isa:ident, $simd:ident => $result:expr) => {
        match $isa.0 {
            Token::Scalar($simd) => $result,
            #[cfg(target_arch = "x86_64")]
            Token::Avx2($simd) => $result,
            #[cfg(target_arch = "x86_64")]
            Token::Avx512($simd) => $result,
            #[cfg(target_arch = "aarch64")]
            Token::Neon($simd) => $result,
        }
    };
}

macro_rules! dispatch {
    ($float:ident) => {
        impl Dispatch for $float {
            fn dispatch<K: Kernel<Self>>(isa: Isa, kernel: K) -> K::Out {
                with_token!(isa, simd => Simd::<$float>::call(simd, kernel))
            }
            fn lanes(isa: Isa) -> usize {
                fn lanes<S: Simd<$float>>(_: S) -> usize {
                    S::LANES
                }
                with_token!(isa, simd => lanes(simd))
            }
            fn registers(isa: Isa) -> usize {
                fn registers<S: Simd<$float>>(_: S) -> usize {
                    S::REGISTERS
                }
                with_token!(isa, simd => registers(simd))
            }
        }
    };
}
dispatch!(f32);
dispatch!(f64);
