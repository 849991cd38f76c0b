//! Readers of single values: a TOML value in, a typed one out, or a [`Fault`] that says what would
//! have been right.

use toml::de::{DeInteger, DeValue};

use super::suggest;

/// What is wrong with a value.
pub(super) struct Fault {
    /// One sentence without a full stop. It quotes no value that could be a secret.
    pub(super) message: String,
    /// What to do, as a clause that can follow the message after a semicolon.
    pub(super) help: Option<String>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

/// A text, possibly empty.
pub(super) fn text(value: &DeValue<'_>) -> Result<String, Fault> {
    let text = value.as_str().ok_or_else(|| match value {
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
            expected("a text", value).help("put it in double quotes")
        }
        _ => expected("a text", value),
    })?;
    if text.contains('\0') {
        return Err(Fault::new("a text cannot hold the NUL character"));
    }
    Ok(text.to_owned())
}

/// A text that is not empty.
pub(super) fn some_text(value: &DeValue<'_>) -> Result<String, Fault> {
    let text = text(value)?;
    if text.is_empty() {
        return Err(Fault::new("the text is empty").help("leave the key out for none"));
    }
    Ok(text)
}

/// `true` or `false`.
pub(super) fn flag(value: &DeValue<'_>) -> Result<bool, Fault> {
    value.as_bool().ok_or_else(|| {
        let fault = expected("true or false", value);
        match value.as_str().map(str::to_ascii_lowercase).as_deref() {
            Some("true" | "yes" | "on") => fault.help("write `true`, without quotes"),
            Some("false" | "no" | "off") => fault.help("write `false`, without quotes"),
            _ => fault,
        }
    })
}

/// A port; 0 means a free one.
pub(super) fn port(value: &DeValue<'_>) -> Result<u16, Fault> {
    whole(value)?
        .and_then(|number| number.try_into().ok())
        .ok_or_else(|| Fault::new("a port is a whole number from 0 to 65535"))
}

/// How many of something.
pub(super) fn count(value: &DeValue<'_>) -> Result<u32, Fault> {
    let max = u32::MAX;
    whole(value)?
        .and_then(|number| number.try_into().ok())
        .ok_or_else(|| Fault::new(format!("expected a whole number from 0 to {max}")))
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(
    choices: &'static [(&'static str, T)],
) -> impl Fn(&DeValue<'_>) -> Result<T, Fault> {
    move |value| {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
        let quoted = quoted.join(" or ");
        let given = value.as_str().ok_or_else(|| expected(&quoted, value))?;
        let choice = choices.iter().find(|(word, _)| *word == given);
        choice.map(|(_, choice)| *choice).ok_or_else(|| {
            let fault = Fault::new(format!("expected {quoted}, found {}", quote(given)));
            match suggest::closest(given, words) {
                Some(word) => fault.help(format!("did you mean {word:?}?")),
                None => fault,
            }
        })
    }
}

/// The complaint that `value` is of the wrong type.
pub(super) fn expected(what: &str, value: &DeValue<'_>) -> Fault {
    Fault::new(format!("expected {what}, found {}", found(value)))
}

/// What kind of value this is, for a sentence. The value itself is not shown.
pub(super) fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A value in quotes for a sentence, cut if it is long, with nothing in it that moves a cursor.
pub(super) fn quote(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((cut, _)) => format!("{:?}...", &text[..cut]),
        None => format!("{text:?}"),
    }
}

/// A whole number; `Ok(None)` if it has more than 128 bits.
pub(super) fn integer(number: &DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(number.as_str(), number.radix()).ok()
}

fn whole(value: &DeValue<'_>) -> Result<Option<i128>, Fault> {
    match value {
        DeValue::Integer(number) => Ok(integer(number)),
        DeValue::String(text) if text.parse::<u32>().is_ok() => {
            Err(expected("a whole number", value).help(format!("write `{text}`, without quotes")))
        }
        _ => Err(expected("a whole number", value)),
    }
}
