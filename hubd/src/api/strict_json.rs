//! JSON that can be read in only one way.
//!
//! Stricter than serde_json alone: a key that stands twice in an object is an error, at any depth.
//! Which of the two counts differs between parsers, so a check in front of the hub could see
//! another request than the hub does. NaN, infinities, broken UTF-8, lone surrogates, bytes after
//! the value and more than 128 levels are errors in serde_json already.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How much of a key is repeated in an error.
const KEY_SHOWN: usize = 64;

/// Reads one JSON value.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(bytes).map(|Strict(value)| value)
}

struct Strict(Value);

struct StrictVisitor;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                let shown: String = key.chars().take(KEY_SHOWN).collect();
                return Err(A::Error::custom(format_args!(
                    "the key {shown:?} is there twice"
                )));
            }
            let Strict(value) = entries.next_value()?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_json_is_read() {
        let text = br#" {"a": [1, -2, 0.5, true, null, "x\u00e9"], "b": {"a": {}}} "#;
        let value = json!({"a": [1, -2, 0.5, true, null, "xé"], "b": {"a": {}}});
        assert_eq!(parse(text).unwrap(), value);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let deep = "[".repeat(100_000);
        for (text, words) in [
            (&b""[..], "EOF"),
            (b"{", "EOF"),
            (deep.as_bytes(), "recursion limit"),
            (br#"{"a": 1, "a": 2}"#, "\"a\" is there twice"),
            (br#"{"a": 1, "\u0061": 1}"#, "\"a\" is there twice"),
            (br#"[{"x": {"a": 1, "b": 2, "a": 1}}]"#, "twice"),
            (b"{} {}", "trailing"),
            (b"{}x", "trailing"),
            (b"NaN", "expected"),
            (b"1e999", "out of range"),
            (b"\xef\xbb\xbf{}", "expected value"),
            (b"\"\xff\"", "unicode"),
            (br#""\ud800""#, "hex escape"),
            (b"{'a': 1}", "key"),
            (b"[1,]", "trailing comma"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_long_key_is_not_repeated_in_full() {
        let key = "k".repeat(100_000);
        let error = parse(format!(r#"{{"{key}":1,"{key}":2}}"#).as_bytes()).unwrap_err();
        assert!(error.to_string().len() < 200);
    }

    proptest! {
        /// Where it reads something, it reads what serde_json does.
        #[test]
        fn it_agrees_with_serde_json(text in r#"[\[\]{}",:0-9.eE\\ua -]{0,40}"#) {
            if let Ok(value) = parse(text.as_bytes()) {
                prop_assert_eq!(value, serde_json::from_str::<Value>(&text).unwrap());
            }
        }
    }
}
