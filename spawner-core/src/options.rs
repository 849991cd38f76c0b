//! What a user may choose: the form, what comes back from it, and the options it becomes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::ServerId;

/// The fields of a submitted form: always lists of texts, in the order they came, as in the seed.
///
/// ```
/// use spawner_core::FormData;
///
/// let mut form = FormData::default();
/// form.push("letter", "A");
/// form.push("letter", "B");
/// assert_eq!((form.first("letter"), form.all("letter").len()), (Some("A"), 2));
/// let options = form.into_options();
/// assert_eq!(options.get("letter"), Some(&serde_json::json!(["A", "B"])));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FormData(BTreeMap<String, Vec<String>>);

/// The form that a user fills before a start: the inside of a `<form>` element, whose tags and
/// button the hub's page supplies.
///
/// ```
/// use spawner_core::{FormContext, OptionsForm, escape_html};
///
/// fn form(ctx: &FormContext) -> OptionsForm {
///     let size = ctx.previous.text("size").ok().flatten().unwrap_or("small");
///     OptionsForm::Html(format!(r#"<input name="size" value="{}">"#, escape_html(size)))
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OptionsForm {
    /// Nothing to choose: the server starts without a form.
    #[default]
    None,
    /// HTML. Whoever writes it escapes what they put into it; [`escape_html`] helps.
    Html(String),
}

/// What a form is made for.
///
/// Example: see [`OptionsForm`](crate::OptionsForm).
#[derive(Debug, Clone)]
pub struct FormContext {
    /// The server that will be started.
    pub server: ServerId,
    /// The options of its last start, to preselect them; empty before the first one.
    pub previous: UserOptions,
}

/// The chosen options: a JSON object, kept with the server and offered to the spawner at start.
///
/// They come from a form through `options_from_form`, or from a REST body as they are; either way
/// `check_options` sees them before anything else does.
///
/// ```
/// use spawner_core::{OptionsError, UserOptions};
///
/// /// The check of a spawner that lets users choose one of two sizes.
/// fn check(options: &UserOptions) -> Result<(), OptionsError> {
///     match options.text("size")? {
///         None | Some("small" | "large") => Ok(()),
///         Some(_) => Err(OptionsError::field("size", "The size is small or large.")),
///     }
/// }
/// let options: UserOptions = serde_json::from_str(r#"{"size": 7}"#)?;
/// assert_eq!(check(&options).unwrap_err().field.as_deref(), Some("size"));
/// assert!(check(&UserOptions::default()).is_ok());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserOptions(pub Map<String, Value>);

/// Options that the spawner refuses; the sentence is shown to the user.
///
/// Example: see [`UserOptions`](crate::UserOptions).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OptionsError {
    /// The field that is wrong, if it is one.
    pub field: Option<String>,
    /// What is wrong with it and what would be right.
    pub message: String,
}

impl FormData {
    /// Adds one value to a field.
    ///
    /// Example: see [`FormData`](crate::FormData).
    pub fn push(&mut self, field: impl Into<String>, value: impl Into<String>) {
        self.0.entry(field.into()).or_default().push(value.into());
    }

    /// The first value of a field.
    ///
    /// Example: see [`FormData`](crate::FormData).
    pub fn first(&self, field: &str) -> Option<&str> {
        self.0.get(field)?.first().map(String::as_str)
    }

    /// All values of a field; empty when it was not sent.
    ///
    /// Example: see [`FormData`](crate::FormData).
    pub fn all(&self, field: &str) -> &[String] {
        self.0.get(field).map_or(&[], Vec::as_slice)
    }

    /// Takes a field out.
    ///
    /// Example: see [`FormData`](crate::FormData).
    pub fn remove(&mut self, field: &str) -> Option<Vec<String>> {
        self.0.remove(field)
    }

    /// Every field with its values, by name.
    ///
    /// Example: see [`FormData`](crate::FormData).
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0
            .iter()
            .map(|(field, values)| (field.as_str(), values.as_slice()))
    }

    /// The seed's default for `options_from_form`: the lists as they came.
    ///
    /// Example: see [`FormData`](crate::FormData).
    pub fn into_options(self) -> UserOptions {
        UserOptions(
            self.0
                .into_iter()
                .map(|(field, values)| (field, values.into()))
                .collect(),
        )
    }
}

impl FromIterator<(String, String)> for FormData {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(fields: I) -> Self {
        let mut form = Self::default();
        for (field, value) in fields {
            form.push(field, value);
        }
        form
    }
}

impl UserOptions {
    /// The value of one option.
    ///
    /// Example: see [`UserOptions`](crate::UserOptions).
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// One option that must be a text when it is there.
    ///
    /// Example: see [`UserOptions`](crate::UserOptions).
    pub fn text(&self, name: &str) -> Result<Option<&str>, OptionsError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(OptionsError::field(
                name,
                format!("\"{name}\" must be a text"),
            )),
        }
    }

    /// Whether nothing was chosen.
    ///
    /// Example: see [`UserOptions`](crate::UserOptions).
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl OptionsError {
    /// An error of the options as a whole.
    ///
    /// Example: see [`UserOptions`](crate::UserOptions).
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            field: None,
            message: message.into(),
        }
    }

    /// An error of one field.
    ///
    /// Example: see [`UserOptions`](crate::UserOptions).
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: Some(field.into()),
            message: message.into(),
        }
    }
}

/// Escapes a text for HTML content and quoted attributes.
///
/// Example: see [`OptionsForm`](crate::OptionsForm).
pub fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_become_lists() {
        let form: FormData = [("a", "1"), ("b", "x"), ("a", "2")]
            .map(|(k, v)| (k.into(), v.into()))
            .into_iter()
            .collect();
        assert_eq!(form.first("a"), Some("1"));
        assert_eq!(form.all("a"), ["1", "2"]);
        let options = serde_json::to_value(form.into_options()).unwrap();
        assert_eq!(options, serde_json::json!({"a": ["1", "2"], "b": ["x"]}));
    }

    #[test]
    fn html_is_escaped() {
        assert_eq!(
            escape_html("<a b=\"c\">'&"),
            "&lt;a b=&quot;c&quot;&gt;&#39;&amp;"
        );
    }
}
