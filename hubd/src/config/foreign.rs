//! Complaints about a spawner's own table, in the words of this file's other complaints.
//!
//! A spawner reads its table with serde, whose sentences are for programmers and quote values, which
//! can be secrets.

use super::suggest;
use super::value::Fault;

/// The fault behind a sentence of a spawner: serde's are put into words, others stay as they are.
pub(super) fn fault(sentence: &str) -> Fault {
    unknown(sentence)
        .or_else(|| wrong_type(sentence))
        .unwrap_or_else(|| Fault::new(sentence))
}

/// "unknown field `x`, expected one of `a`, `b`".
fn unknown(sentence: &str) -> Option<Fault> {
    let rest = sentence.strip_prefix("unknown field `")?;
    let mut quoted = rest.split('`').step_by(2);
    let name = quoted.next()?;
    let known: Vec<&str> = rest.split('`').skip(2).step_by(2).collect();
    let help = match suggest::closest(name, known.iter().copied()) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("known are {}", known.join(", ")),
    };
    Some(Fault::new("unknown key").help(help))
}

/// "invalid type: string \"x\", expected f64", and the same of a value.
fn wrong_type(sentence: &str) -> Option<Fault> {
    let is_value = sentence.starts_with("invalid value: ");
    let rest = sentence
        .strip_prefix("invalid type: ")
        .or_else(|| sentence.strip_prefix("invalid value: "))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let found = [
        ("string", "a text"),
        ("integer", "a whole number"),
        ("floating point", "a decimal number"),
        ("boolean", "true or false"),
        ("sequence", "a list"),
        ("map", "a table"),
    ]
    .into_iter()
    .find_map(|(kind, words)| found.starts_with(kind).then_some(words))?;
    let number = expected.trim_start_matches(['i', 'u', 'f']).parse::<u8>();
    let expected = match expected {
        "a string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        word if number.is_ok() && word.starts_with('f') => "a number",
        word if number.is_ok() && word.starts_with('u') => "a whole number from 0",
        word if number.is_ok() && word.starts_with('i') => "a whole number",
        "usize" => "a whole number from 0",
        other => other,
    };
    let message = if is_value {
        format!("expected {expected}")
    } else {
        format!("expected {expected}, found {found}")
    };
    let fault = Fault::new(message);
    Some(match (expected, found) {
        ("a number" | "a whole number from 0" | "a whole number", "a text") => {
            fault.help("write it without quotes and without a unit")
        }
        ("a text", "a whole number" | "a decimal number" | "true or false") => {
            fault.help("put it in double quotes")
        }
        ("true or false", "a text") => fault.help("write it without quotes"),
        ("a list", "a text") => fault.help("put it in brackets, as in `[\"one\", \"two\"]`"),
        _ => fault,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    #[derive(Default)]
    #[allow(dead_code, reason = "it is only read into")]
    struct Table {
        seconds: f64,
        bytes: u64,
        name: String,
        on: bool,
        list: Vec<String>,
        inner: BTreeMap<String, String>,
    }

    fn said(table: Value) -> String {
        let error = serde_json::from_value::<Table>(table).unwrap_err();
        let fault = fault(&error.to_string());
        match fault.help {
            Some(help) => format!("{}; {help}", fault.message),
            None => fault.message,
        }
    }

    #[test]
    fn what_serde_says_is_said_in_our_words() {
        for (table, expected) in [
            (
                json!({"secnods": 1}),
                "unknown key; did you mean `seconds`?",
            ),
            (
                json!({"zzzzzzzz": 1}),
                "unknown key; known are seconds, bytes, name, on, list, inner",
            ),
            (
                json!({"seconds": "se, expected cret"}),
                "expected a number, found a text; write it without quotes and without a unit",
            ),
            (
                json!({"seconds": true}),
                "expected a number, found true or false",
            ),
            (json!({"bytes": -1}), "expected a whole number from 0"),
            (
                json!({"bytes": 1.5}),
                "expected a whole number from 0, found a decimal number",
            ),
            (
                json!({"name": 5}),
                "expected a text, found a whole number; put it in double quotes",
            ),
            (
                json!({"on": "yes"}),
                "expected true or false, found a text; write it without quotes",
            ),
            (
                json!({"list": "one"}),
                "expected a list, found a text; put it in brackets, as in `[\"one\", \"two\"]`",
            ),
            (json!({"inner": [1]}), "expected a table, found a list"),
        ] {
            assert_eq!(said(table.clone()), expected, "{table}");
        }
        let own = "`x` is a setting of another kind";
        assert_eq!(fault(own).message, own);
    }
}
