//! Texts of a configuration with `{username}` and `{servername}` in them.

use serde_json::Value;
use spawner_core::{ServerId, escape_object_name};

/// A text with placeholders, each for a name escaped by [`escape_object_name`]; the default server's
/// name is empty. Nothing that a user is called adds a slash, a dot or a brace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    UserName,
    ServerName,
}

/// A placeholder that does not exist, or a brace that belongs to none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" holds a brace that is neither {{username}} nor {{servername}}")]
pub struct TemplateError(pub(crate) String);

impl Template {
    pub(crate) fn new(text: &str) -> Result<Self, TemplateError> {
        let unknown = || TemplateError(text.to_owned());
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (field, after) = after.split_once('}').ok_or_else(unknown)?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(match field {
                "username" => Part::UserName,
                "servername" => Part::ServerName,
                _ => return Err(unknown()),
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        let stray = |part: &Part| matches!(part, Part::Text(text) if text.contains('}'));
        if parts.iter().any(stray) {
            return Err(unknown());
        }
        Ok(Self(parts))
    }

    /// The text with these in place of the placeholders.
    pub(crate) fn fill(&self, username: &str, servername: &str) -> String {
        let text = |part| match part {
            &Part::UserName => username,
            &Part::ServerName => servername,
            Part::Text(text) => text.as_str(),
        };
        self.0.iter().map(text).collect()
    }

    /// The text for one server.
    pub(crate) fn expand(&self, server: &ServerId) -> String {
        self.fill(
            &escape_object_name(server.user.as_str()),
            &escape_object_name(server.server.as_str()),
        )
    }

    /// Whether it begins with text of its own.
    pub(crate) fn starts_with_text(&self) -> bool {
        matches!(self.0.first(), Some(Part::Text(text)) if !text.is_empty())
    }
}

/// Checks every text in a JSON value.
pub(crate) fn check_all(value: &Value) -> Result<(), TemplateError> {
    match value {
        Value::String(text) => Template::new(text).map(drop),
        Value::Array(list) => list.iter().try_for_each(check_all),
        Value::Object(table) => table.values().try_for_each(check_all),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// Every text in a JSON value for one server; keys stay.
pub(crate) fn expand_all(value: &mut Value, server: &ServerId) {
    match value {
        Value::String(text) => {
            if let Ok(template) = Template::new(text) {
                *text = template.expand(server);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| expand_all(value, server)),
        Value::Object(table) => table
            .values_mut()
            .for_each(|value| expand_all(value, server)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use spawner_core::UserName;

    use super::*;

    #[test]
    fn every_text_of_a_value_is_one() {
        let server = ServerId::default_of(UserName::new("a_b").unwrap());
        let mut value = json!({"{username}": ["x-{username}", 5, {"k": "{servername}"}]});
        check_all(&value).unwrap();
        expand_all(&mut value, &server);
        assert_eq!(value, json!({"{username}": ["x-a-5fb", 5, {"k": ""}]}));
        let error = check_all(&json!([{"k": "{who}"}])).unwrap_err();
        assert_eq!(error, TemplateError("{who}".to_owned()));
    }
}
