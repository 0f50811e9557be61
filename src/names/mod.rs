//! The one table of words: every choice that has a name, as Python's arguments and files write it. Whoever adds a
//! variant is asked for its word by the compiler; a word that is not here is an error. It must not know Python or
//! files.

mod options;

pub use options::{Options, layer_config, model_config, pair_config};

use crate::error::{Error, Result};
use crate::function::Function;
use crate::nn::attention::Attention;
use crate::nn::convolution::Activation;
use crate::nn::loss::Loss;
use crate::nn::pooling::Pooling;
use crate::rnn::call::Memory;
use crate::rnn::cell::{Cell, Reset};
use crate::weights::Width;

/// The type of a network's numbers while they learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// f32
    Float32,
    /// f64
    Float64,
}

macro_rules! words {
    ($($kind:ty: $($word:literal => $variant:ident),+;)+) => {$(
        impl $kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its word.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            /// The one of that word, or an error that names the argument.
            pub fn named(argument: &str, word: &str) -> Result<Self> {
                let found = Self::ALL.iter().copied().find(|one| one.name() == word);
                found.ok_or_else(|| unknown(argument, &words(Self::ALL, Self::name), word))
            }
        }
    )+};
}

words! {
    Dtype: "float32" => Float32, "float64" => Float64;
    Width: "int8" => Int8, "float16" => Float16, "bfloat16" => Bfloat16;
    Memory: "full" => Full, "low" => Low;
    Function: "sigmoid" => Sigmoid, "tanh" => Tanh, "relu" => Relu, "hard_sigmoid" => HardSigmoid,
        "hard_sigmoid_0.2" => HardSigmoidFifth;
    Pooling: "last" => Last, "mean" => Mean, "max" => Max, "concat" => Concat,
        "attention" => Attention, "each" => Each;
    Activation: "relu" => Relu, "tanh" => Tanh, "linear" => Linear;
    Attention: "dot" => Dot, "additive" => Additive;
}

/// The words of some choices, in order.
pub fn words<T: Copy>(all: &[T], word: fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|&one| word(one)).collect()
}

fn unknown(argument: &str, words: &[&str], got: &str) -> Error {
    Error::value(argument, format!("one of {}", words.join(", ")), format!("{got:?}"))
}

/// For variants that hold something: each pattern, one of its kind if that can be told, and its word.
macro_rules! words_of_patterns {
    ($kind:ident, $words:ident: $($pattern:pat => $word:literal),+ $(,)?) => {
        impl $kind {
            /// The words of all.
            pub const $words: &'static [&'static str] = &[$($word),+];

            /// Its word.
            pub fn word(&self) -> &'static str {
                match self {
                    $($pattern => $word),+
                }
            }
        }
    };
}

words_of_patterns!(Cell, WORDS: Self::Gru(_) => "gru", Self::Lstm => "lstm");
words_of_patterns!(
    Loss,
    WORDS: Self::CrossEntropy { .. } => "cross_entropy",
    Self::Ctc { .. } => "ctc",
    Self::Squared => "squared",
    Self::Absolute => "absolute",
    Self::Quantile(_) => "quantile",
    Self::Huber(_) => "huber",
    Self::BinaryCrossEntropy => "binary_cross_entropy",
);

impl Cell {
    /// One of each word, with the reset gate of PyTorch where there is one.
    pub const ALL: [Self; Self::WORDS.len()] = [Self::Gru(Reset::After), Self::Lstm];

    /// The cell of that word, or an error that names the argument.
    pub fn named(argument: &str, word: &str, reset_after: bool) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|cell| cell.word() == word);
        Ok(match found.ok_or_else(|| unknown(argument, Self::WORDS, word))? {
            Self::Gru(_) => Self::Gru(if reset_after { Reset::After } else { Reset::Before }),
            Self::Lstm => Self::Lstm,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every word leads to what it is the word of, and no other does.
    #[test]
    fn words_lead_back() {
        for &pooling in Pooling::ALL {
            assert_eq!(Pooling::named("pooling", pooling.name()), Ok(pooling));
        }
        for (cell, reset_after) in Cell::ALL.into_iter().flat_map(|cell| [(cell, true), (cell, false)]) {
            assert_eq!(Cell::named("cell", cell.word(), reset_after).unwrap().word(), cell.word());
        }
        assert_eq!(Cell::named("cell", "gru", false), Ok(Cell::Gru(Reset::Before)));
        let error = Width::named("dtype", "int4").unwrap_err().to_string();
        assert_eq!(error, r#"dtype: expected one of int8, float16, bfloat16, got "int4""#);
        assert!(Cell::named("cell", "rnn", true).is_err() && Dtype::named("dtype", "float16").is_err());
    }

    /// One of each: a word that is there twice, or for nothing, is none.
    #[test]
    fn all_cells_are_of_a_word_each() {
        assert_eq!(Cell::ALL.map(|cell| cell.word()), Cell::WORDS);
    }
}
