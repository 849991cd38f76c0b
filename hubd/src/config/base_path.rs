//! The path below which everything of the hub lives.

use std::fmt;

/// A path that starts and ends with `/` and needs no escaping: `/` or `/jupyter/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BasePath(String);

impl BasePath {
    /// Takes a path. The error is a sentence, and the path that was probably meant.
    pub(crate) fn new(raw: &str) -> Result<Self, (String, Option<Self>)> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._~@+/".contains(c);
        if let Some(found) = raw.chars().find(|c| !fits(*c)) {
            let message =
                format!("the path holds letters, digits and - . _ ~ @ + / only, not {found:?}");
            return Err((message, None));
        }
        let segments: Vec<&str> = raw
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        if segments
            .iter()
            .any(|segment| matches!(*segment, "." | ".."))
        {
            return Err(("the path cannot hold `.` or `..`".to_owned(), None));
        }
        let clean = if segments.is_empty() {
            "/".to_owned()
        } else {
            format!("/{}/", segments.join("/"))
        };
        if raw != clean {
            let message = "the path must begin and end with one `/`, and hold no `//`";
            return Err((message.to_owned(), Some(Self(clean))));
        }
        Ok(Self(clean))
    }

    /// The path, with both slashes.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for BasePath {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_both_slashes() {
        assert_eq!(BasePath::new("/").unwrap(), BasePath::default());
        assert_eq!(BasePath::new("/a/b-c.d/").unwrap().as_str(), "/a/b-c.d/");
    }

    #[test]
    fn a_slash_too_few_or_too_many_is_put_right() {
        for (raw, meant) in [
            ("", "/"),
            ("a", "/a/"),
            ("/a", "/a/"),
            ("a/", "/a/"),
            ("//a//b/", "/a/b/"),
        ] {
            let (_, suggestion) = BasePath::new(raw).unwrap_err();
            assert_eq!(suggestion.unwrap().as_str(), meant, "{raw:?}");
        }
    }

    #[test]
    fn what_would_need_escaping_is_refused() {
        for raw in [
            "/a b/", "/%2f/", "/../", "/./", "/a?b/", "/a#/", "/é/", "/a\\/", "/a\n/",
        ] {
            let (_, suggestion) = BasePath::new(raw).unwrap_err();
            assert_eq!(suggestion, None, "{raw:?}");
        }
    }
}
