//! Tokens and their numbers, as an estimator learnt them. It must not know how texts become tokens.

use super::header::Field;
use crate::buffer::zeros;
use crate::error::{Error, Result};
use serde_json::Value;
use std::collections::HashMap;

/// A word, a number, or several of them that are one token.
///
/// ```
/// use gru_rs::Token;
/// let end: Token = vec!["end".into(), "b's".into()].into(); // of token_features="spelling"
/// assert!(end != Token::from("b's") && Token::from(7) == Token::Number(7));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Token {
    /// A text.
    Text(String),
    /// An integer.
    Number(i64),
    /// A tuple.
    Tuple(Vec<Token>),
}

impl From<&str> for Token {
    fn from(text: &str) -> Self {
        Token::Text(text.into())
    }
}

impl From<i64> for Token {
    fn from(number: i64) -> Self {
        Token::Number(number)
    }
}

impl From<Vec<Token>> for Token {
    fn from(tokens: Vec<Token>) -> Self {
        Token::Tuple(tokens)
    }
}

impl Token {
    fn read(field: &Field<'_>) -> Result<Self> {
        match field.value() {
            Value::String(text) => Ok(Token::Text(text.clone())),
            Value::Bool(yes) => Ok(Token::Number((*yes).into())),
            Value::Object(_) => field.items()?.map(|part| Token::read(&part)).collect::<Result<_>>().map(Token::Tuple),
            value => value.as_i64().map(Token::Number).ok_or_else(|| field.refusal("a text, an integer or a tuple")),
        }
    }
}

/// The numbers of tokens that a model was trained with.
///
/// ```
/// use gru_rs::Saved;
/// let saved = Saved::<f32>::load("tests/files/words.safetensors")?;
/// let vocabulary = saved.vocabulary.as_ref().expect("a classifier of texts");
/// let words = ["good", "day"].map(|word| vocabulary.number(&word.into()));
/// assert!(words[0] != words[1] && vocabulary.number(&"zebra".into()) == 0);
/// # Ok::<(), gru_rs::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Vocabulary {
    numbers: HashMap<Token, u32>,
    per_step: usize,
}

impl Vocabulary {
    /// Of a model that has so many tokens, the unknown one among them.
    pub(super) fn read(learnt: &Field<'_>, size: usize) -> Result<Self> {
        let mut numbers = HashMap::new();
        let mut taken = zeros::<u8>(size, "a vocabulary")?;
        let field = learnt.get("vocabulary_")?;
        for item in field.items()? {
            let [token, number] = item.pair()?;
            let place = number.size()?;
            match u32::try_from(place) {
                Ok(found @ 1..) if place < size && taken[place] == 0 => {
                    taken[place] = 1;
                    numbers.insert(Token::read(&token)?, found)
                }
                _ => return Err(number.refusal(format!("a number from 1 to below {size}, each of them once"))),
            };
        }
        if numbers.len() + 1 != size {
            return Err(field.refusal(format!("{} tokens that differ, as the network has", size - 1)));
        }
        let per_step = learnt.maybe("_per_step").map_or(Ok(1), |field| field.size())?;
        if per_step == 0 {
            return Err(Error::value("_per_step", "a positive integer", per_step));
        }
        Ok(Self { numbers, per_step })
    }

    /// A token's number; 0 for one that was not learnt.
    pub fn number(&self, token: &Token) -> u32 {
        self.numbers.get(token).copied().unwrap_or(0)
    }

    /// Tokens of a step: one, and what is told of it: in texts without spaces the tuple of "pair", the token before
    /// and the token, and what `token_features` gives.
    pub fn per_step(&self) -> usize {
        self.per_step
    }
}
