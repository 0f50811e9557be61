//! Texts as numbers of a vocabulary: what Python's `\w+|[^\w\s]` finds in them, or their characters. It must not know
//! models.

use std::collections::HashMap;

/// A vocabulary of strings, and how a text is cut into such.
///
/// Of texts in ASCII alone: which other letters are words, and which is the small one of a large one, changes from one
/// edition of Unicode to the next, and Python has its own.
///
/// ```
/// use gru_rs::Words;
/// let words = Words::new([("a", 1), ("day", 2), ("!", 3)], false, true);
/// let mut numbers = vec![];
/// assert!(words.encode("A fine day!", None, &mut numbers));
/// assert_eq!(numbers, [1, 0, 2, 3]); // 0 for what is unknown
/// assert_eq!((words.lookup("Day"), words.lookup("schön")), (Some(2), None));
/// assert!(!words.encode("Ein schöner Tag", None, &mut numbers));
/// ```
#[derive(Clone, Debug)]
pub struct Words {
    numbers: HashMap<Box<str>, u32>,
    characters: bool,
    lowercase: bool,
}

impl Words {
    /// Of tokens with their numbers. A text is cut into `characters`, or into words and marks; its letters may be made
    /// small ones before.
    pub fn new<T: Into<Box<str>>>(
        numbers: impl IntoIterator<Item = (T, u32)>, characters: bool, lowercase: bool,
    ) -> Self {
        let numbers = numbers.into_iter().map(|(token, number)| (token.into(), number)).collect();
        Self { numbers, characters, lowercase }
    }

    /// A token's number; 0 for one that is unknown.
    pub fn number(&self, token: &str) -> u32 {
        self.numbers.get(token).copied().unwrap_or(0)
    }

    /// The number of a token whose letters may have to be made small ones; none if only Python could say which.
    pub fn lookup(&self, token: &str) -> Option<u32> {
        match self.lowercase {
            true => token.is_ascii().then(|| self.number(&token.to_ascii_lowercase())),
            false => Some(self.number(token)),
        }
    }

    /// Puts the numbers of a text's first tokens behind those that are there; false, and nothing put, if it is not ASCII.
    pub fn encode(&self, text: &str, most: Option<usize>, numbers: &mut Vec<u32>) -> bool {
        if !text.is_ascii() {
            return false;
        }
        let small = self.lowercase.then(|| text.to_ascii_lowercase());
        let text = small.as_deref().unwrap_or(text);
        let end = numbers.len().saturating_add(most.unwrap_or(usize::MAX));
        let (bytes, mut at) = (text.as_bytes(), 0);
        while at < bytes.len() && numbers.len() < end {
            let begin = at;
            at += 1;
            if !self.characters {
                if is_space(bytes[begin]) {
                    continue;
                }
                if is_word(bytes[begin]) {
                    at += bytes[at..].iter().take_while(|&&byte| is_word(byte)).count();
                }
            }
            numbers.push(self.number(&text[begin..at]));
        }
        true
    }
}

/// `\w`
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// `\s`, to which Python counts the four separators of ASCII.
fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | 0x1c..=0x1f | b' ')
}
