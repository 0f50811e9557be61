//! The JSON text in a file's metadata, read value by value with the name of each: `python/gru_rs/estimators/_files.py`
//! writes it. What JSON has no word for is an object with one key that tells its type. It must not know what the
//! values are for.

use crate::error::{Error, Result};
use crate::names::Options;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// A value and how an error calls it.
pub struct Field<'a> {
    name: String,
    value: &'a Value,
}

/// The text as values; Python's NaN and infinities, which no number of ours may be, as nulls.
pub fn parsed(text: &str) -> Result<Value> {
    let found = serde_json::from_str::<Unique>(&without_nan(text));
    found.map(|Unique(value)| value).map_err(|error| Error::value("metadata", "JSON of gru_rs", error))
}

/// A value in whose objects each name comes once: a second one would be left out or win without a word.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_any(Parts).map(Self)
    }
}

struct Parts;

impl<'de> Visitor<'de> for Parts {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Value, A::Error> {
        let mut found = vec![];
        while let Some(Unique(item)) = items.next_element()? {
            found.push(item);
        }
        Ok(Value::Array(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<Value, A::Error> {
        let mut found = Map::new();
        while let Some((name, Unique(value))) = entries.next_entry::<String, _>()? {
            if found.insert(name.clone(), value).is_some() {
                return Err(A::Error::custom(format!("{name:?} twice")));
            }
        }
        Ok(Value::Object(found))
    }
}

fn without_nan(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let (mut rest, mut quoted, mut escaped) = (text, false, false);
    while let Some(letter) = rest.chars().next() {
        let word = ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| !quoted && rest.starts_with(word));
        let len = word.map_or(letter.len_utf8(), str::len);
        plain.push_str(word.map_or(&rest[..len], |_| "null"));
        rest = &rest[len..];
        quoted ^= letter == '"' && !escaped;
        escaped = quoted && letter == '\\' && !escaped;
    }
    plain
}

impl<'a> Field<'a> {
    /// All of it.
    pub fn root(value: &'a Value) -> Self {
        Self { name: "metadata".into(), value }
    }

    /// A part that there must be.
    pub fn get(&self, key: &str) -> Result<Self> {
        let name = format!("{}.{key}", self.name);
        match self.value.get(key) {
            Some(value) => Ok(Self { name, value }),
            None => Err(Error::value(name, "a value", "none")),
        }
    }

    /// A part that may be missing, or null.
    pub fn maybe(&self, key: &str) -> Option<Self> {
        self.get(key).ok().filter(|part| !part.value.is_null())
    }

    /// What cannot be used.
    pub fn refusal(&self, expected: impl Into<String>) -> Error {
        let got = match self.value {
            Value::Array(items) => format!("a list of {}", items.len()),
            Value::Object(_) => "an object".into(),
            Value::String(text) if text.len() > 40 => format!("a text of {} bytes", text.len()),
            value => value.to_string(),
        };
        Error::value(&self.name, expected, got)
    }

    /// An integer that may be a size.
    pub fn size(&self) -> Result<usize> {
        let size = self.value.as_u64().and_then(|size| usize::try_from(size).ok());
        size.ok_or_else(|| self.refusal("an integer of 0 or more"))
    }

    /// A finite number.
    pub fn number(&self) -> Result<f64> {
        self.value.as_f64().filter(|x| x.is_finite()).ok_or_else(|| self.refusal("a finite number"))
    }

    /// Yes or no.
    pub fn flag(&self) -> Result<bool> {
        self.value.as_bool().ok_or_else(|| self.refusal("true or false"))
    }

    /// One of some texts.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T> {
        let chosen = self.value.as_str().and_then(|text| choices.iter().find(|(name, _)| *name == text));
        chosen.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.refusal(format!("one of {}", names.join(", ")))
        })
    }

    /// What a list, a tuple, an array or a dict holds; of a dict lists of key and value.
    pub fn items(&self) -> Result<impl Iterator<Item = Self> + use<'a>> {
        let inside = |value: &'a Value| ["list", "tuple", "array", "dict"].iter().find_map(|key| value.get(key));
        let value = inside(self.value).unwrap_or(self.value);
        // An array is its type and a list.
        let value = inside(value).unwrap_or(value);
        let items = value.as_array().ok_or_else(|| self.refusal("a list"))?;
        let name = self.name.clone();
        Ok(items.iter().enumerate().map(move |(i, value)| Self { name: format!("{name}[{i}]"), value }))
    }

    /// Two of them.
    pub fn pair(&self) -> Result<[Self; 2]> {
        let items: Vec<_> = self.items()?.take(3).collect();
        items.try_into().map_err(|_| self.refusal("a pair"))
    }

    /// So many finite numbers.
    pub fn numbers(&self, count: usize) -> Result<Vec<f64>> {
        let numbers: Vec<f64> = self.items()?.map(|item| item.number()).collect::<Result<_>>()?;
        if numbers.len() != count {
            return Err(self.refusal(format!("{count} numbers")));
        }
        Ok(numbers)
    }

    /// A text or a number, as Python writes it.
    pub fn label(&self) -> Result<String> {
        match self.value {
            Value::String(text) => Ok(text.clone()),
            Value::Bool(true) => Ok("True".into()),
            Value::Bool(false) => Ok("False".into()),
            Value::Number(number) => Ok(number.to_string()),
            _ => Err(self.refusal("a text or a number")),
        }
    }

    /// The value itself.
    pub fn value(&self) -> &'a Value {
        self.value
    }
}

/// A file's dictionary of options.
impl Options for Field<'_> {
    fn size(&self, name: &str) -> Result<usize> {
        self.get(name)?.size()
    }

    fn maybe_size(&self, name: &str) -> Result<Option<usize>> {
        self.maybe(name).map(|field| field.size()).transpose()
    }

    fn flag(&self, name: &str) -> Result<bool> {
        self.get(name)?.flag()
    }

    fn number(&self, name: &str) -> Result<f64> {
        self.get(name)?.number()
    }

    fn maybe_number(&self, name: &str) -> Result<Option<f64>> {
        self.maybe(name).map(|field| field.number()).transpose()
    }

    fn word<T>(&self, name: &str, of: impl Fn(&str, &str) -> Result<T>) -> Result<T> {
        let field = self.get(name)?;
        of(&field.name, field.value.as_str().ok_or_else(|| field.refusal("a word"))?)
    }

    fn maybe_word<T>(&self, name: &str, of: impl Fn(&str, &str) -> Result<T>) -> Result<Option<T>> {
        self.maybe(name).map(|_| self.word(name, of)).transpose()
    }

    fn seed(&self) -> Result<u64> {
        Ok(self.maybe("seed").and_then(|field| field.value.as_u64()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, parsed};

    #[test]
    fn numbers_that_are_none() {
        let text = r#"{"a": [NaN, -Infinity, 1e-3], "b": "NaN \" Infinity \\", "c": Infinity}"#;
        let value = parsed(text).unwrap();
        assert_eq!(value["a"], serde_json::json!([null, null, 1e-3]));
        assert_eq!(value["b"], "NaN \" Infinity \\");
        let error = Field::root(&value).get("a").unwrap().numbers(3).unwrap_err();
        assert_eq!(error.to_string(), "metadata.a[0]: expected a finite number, got null");
    }
}
