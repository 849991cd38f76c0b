//! The query of a request.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use http::request::Parts;
use url::form_urlencoded;

use super::error::ApiError;

/// The fields of the query. Of a field that is there twice the last one counts.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// The value of a field.
    pub(super) fn get(&self, field: &str) -> Option<&str> {
        let given = self.0.iter().rfind(|(name, _)| name == field);
        given.map(|(_, value)| value.as_str())
    }

    /// The value of a field that is one of a few words.
    pub(super) fn one_of<T: Copy>(
        &self,
        field: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.get(field) else {
            return Ok(None);
        };
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == value) {
            return Ok(Some(*meaning));
        }
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let words = words.join(", ");
        let message = format!("{field} is {value:?} and must be one of {words}.");
        Err(ApiError::bad_request(message))
    }

    /// The value of a field that is a whole number; one that is too large counts as the largest.
    pub(super) fn number(&self, field: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.get(field) else {
            return Ok(None);
        };
        match i64::from_str(value) {
            Ok(number) => Ok(Some(number)),
            Err(error) => match error.kind() {
                std::num::IntErrorKind::PosOverflow => Ok(Some(i64::MAX)),
                std::num::IntErrorKind::NegOverflow => Ok(Some(i64::MIN)),
                _ => Err(ApiError::bad_request(format!(
                    "{field} is {value:?} and must be a whole number."
                ))),
            },
        }
    }

    /// Whether a flag is set; the name alone sets it, as with JupyterHub. In any case, because Python
    /// writes `True`.
    pub(super) fn flag(&self, field: &str) -> Result<bool, ApiError> {
        match self.get(field).map(str::to_ascii_lowercase).as_deref() {
            Some("" | "1" | "true") => Ok(true),
            None | Some("0" | "false") => Ok(false),
            Some(other) => Err(ApiError::bad_request(format!(
                "{field} is {other:?} and must be true or false."
            ))),
        }
    }

    /// The query with other values for some fields, as it stands in a URL.
    pub(super) fn with(&self, changes: &[(&str, String)]) -> String {
        let kept = self.0.iter();
        let kept = kept.filter(|(name, _)| changes.iter().all(|(changed, _)| name != changed));
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .extend_pairs(changes)
            .finish()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let text = parts.uri.query().unwrap_or_default();
        let fields = form_urlencoded::parse(text.as_bytes()).into_owned();
        Ok(Self(fields.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query(
            form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    #[test]
    fn fields_are_read() {
        let given = query("a=1&a=2&b=&c=%41+b");
        assert_eq!(
            (
                given.get("a"),
                given.get("b"),
                given.get("c"),
                given.get("d")
            ),
            (Some("2"), Some(""), Some("A b"), None)
        );
    }

    #[test]
    fn numbers_and_flags() {
        for (text, number) in [
            ("n=5", Some(5)),
            ("n=-5", Some(-5)),
            ("n=99999999999999999999", Some(i64::MAX)),
            ("n=-99999999999999999999", Some(i64::MIN)),
            ("", None),
        ] {
            assert_eq!(query(text).number("n"), Ok(number), "{text}");
        }
        for text in [
            "n=", "n=x", "n=1.5", "n=1e3", "n=0x10", "n=1_000", "n=%20", "n=NaN",
        ] {
            assert!(query(text).number("n").is_err(), "{text}");
        }
        for (text, flag) in [
            ("f=1", true),
            ("f=True", true),
            ("f=true", true),
            ("f=0", false),
            ("", false),
        ] {
            assert_eq!(query(text).flag("f"), Ok(flag), "{text}");
        }
        assert!(query("f=maybe").flag("f").is_err());
    }

    #[test]
    fn other_fields_are_kept() {
        let given = query("limit=1&name_filter=a%26b&offset=3&offset=4");
        let next = given.with(&[("offset", "5".into()), ("limit", "1".into())]);
        assert_eq!(next, "name_filter=a%26b&offset=5&limit=1");
    }
}
