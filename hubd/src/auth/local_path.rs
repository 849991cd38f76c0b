//! Where a browser may be sent: a path of this hub, and nothing else.
//!
//! ```text
//! next=...  --(own host cut off)-->  /path?query#fragment  --admit-->  LocalPath
//!                                                            |
//!                     refused: another host, a scheme, `//`, `/\`, dot segments,
//!                              control characters, anything outside the hub's base URL
//! ```
//!
//! Browsers repair what they are given: they read `\` as `/`, drop tabs and line ends, and resolve
//! `..` even when it is spelt `%2e%2e`. So a path is taken only if nothing in it needs repair, which
//! is to say that it is its own normal form, before and after decoding it once. Characters that are
//! merely not allowed in a URL, such as spaces and letters with accents, are escaped.

use std::fmt;

use http::HeaderValue;
use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode,
};
use serde::Serialize;
use url::form_urlencoded;

/// The longest path that is followed, in bytes, escaped.
const LENGTH_MAX: usize = 4096;

/// What is escaped in a path that somebody gave; `%` is not, as it may begin an escape already.
const REPAIRED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What is escaped in a segment made here: all but RFC 3986's unreserved characters and `@`, which
/// is how servers expect their prefix.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'@');

/// A path on this origin, perhaps with a query and fragment, in printable ASCII: the only thing
/// that is ever redirected to, linked to or posted to.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub(crate) struct LocalPath(String);

/// Why a text is not followed. Nobody needs to know but the log: the caller goes to a default page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotLocal {
    /// Another host, a scheme, or a relative path.
    #[error("it does not begin at the root of this host")]
    Elsewhere,
    /// Browsers would read it as something else.
    #[error("it is not in normal form")]
    NotNormal,
    /// On this host, but another application's.
    #[error("it is outside the hub's base URL")]
    OutsideBase,
    /// Longer than any path in use.
    #[error("it has more than {LENGTH_MAX} bytes")]
    TooLong,
}

impl LocalPath {
    /// Reads the value of `next`, as it is after the query was decoded.
    ///
    /// `own_host` is the hub's host and port as the browser sees them; an absolute URL of that host
    /// is cut to its path. `base_url` begins and ends with `/`.
    pub(crate) fn parse(next: &str, own_host: &str, base_url: &str) -> Result<Self, NotLocal> {
        let path = Self::admit(without_own_host(next, own_host))?;
        let inside = path.0.starts_with(base_url) || path.path() == base_url.trim_end_matches('/');
        if inside {
            Ok(path)
        } else {
            Err(NotLocal::OutsideBase)
        }
    }

    /// The path of the hub's base URL; the other paths of the hub are joined to it.
    pub(crate) fn root(base_url: &str) -> Result<Self, NotLocal> {
        Self::admit(base_url)
    }

    /// This path and one more segment, escaped. An empty segment leaves a `/` at the end. A segment
    /// `.` or `..` would mean another path to a browser and is left out.
    #[must_use]
    pub(crate) fn join(&self, segment: &str) -> Self {
        let mut path = self.path().to_owned();
        if !matches!(segment, "." | "..") {
            if !path.ends_with('/') {
                path.push('/');
            }
            path.extend(utf8_percent_encode(segment, SEGMENT));
        }
        Self(path)
    }

    /// This path with these query fields, after those it has.
    #[must_use]
    pub(crate) fn with_query<'a>(
        &self,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let (rest, fragment) = split_at_first(&self.0, '#');
        let mut text = rest.to_owned();
        for (name, value) in fields {
            text.push(if text.contains('?') { '&' } else { '?' });
            text.extend(form_urlencoded::byte_serialize(name.as_bytes()));
            text.push('=');
            text.extend(form_urlencoded::byte_serialize(value.as_bytes()));
        }
        text.push_str(fragment);
        Self(text)
    }

    /// The whole text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The path alone, without query and fragment.
    pub(crate) fn path(&self) -> &str {
        path_of(&self.0)
    }

    /// The text as a `Location` header.
    pub(crate) fn to_header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("a local path is printable ASCII")
    }

    /// The one gate: takes what every browser reads as a path of this origin, and exactly as we do.
    fn admit(text: &str) -> Result<Self, NotLocal> {
        if !text.starts_with('/') {
            return Err(NotLocal::Elsewhere);
        }
        if text.contains(|c: char| c.is_control()) {
            return Err(NotLocal::NotNormal);
        }
        let text = utf8_percent_encode(text, REPAIRED).to_string();
        if text.len() > LENGTH_MAX {
            return Err(NotLocal::TooLong);
        }
        let path = path_of(&text);
        let decoded: Vec<u8> = percent_decode_str(path).collect();
        if matches!(decoded.get(1), Some(b'/' | b'\\')) {
            return Err(NotLocal::Elsewhere);
        }
        let is_dots = |segment: &[u8]| matches!(segment, b"." | b"..");
        if decoded.iter().any(u8::is_ascii_control) || decoded.split(|b| *b == b'/').any(is_dots) {
            return Err(NotLocal::NotNormal);
        }
        Ok(Self(text))
    }
}

/// `next` without the scheme and host of this hub, if it begins with exactly those; the host
/// compares in any case.
fn without_own_host<'a>(next: &'a str, own_host: &str) -> &'a str {
    let is_scheme = |scheme: &&str| {
        let start = next.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let Some(scheme) = ["http://", "https://"].into_iter().find(is_scheme) else {
        return next;
    };
    let after = &next[scheme.len()..];
    match after.split_at_checked(own_host.len()) {
        Some((host, "")) if host.eq_ignore_ascii_case(own_host) => "/",
        Some((host, rest)) if host.eq_ignore_ascii_case(own_host) && rest.starts_with('/') => rest,
        _ => next,
    }
}

fn path_of(text: &str) -> &str {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    &text[..end]
}

fn split_at_first(text: &str, at: char) -> (&str, &str) {
    text.split_at(text.find(at).unwrap_or(text.len()))
}

impl fmt::Display for LocalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for LocalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    const OURS: &str = "ours:8000";

    fn parse(next: &str) -> Result<String, NotLocal> {
        LocalPath::parse(next, OURS, "/").map(|path| path.0)
    }

    #[test]
    fn hostile_targets_are_refused() {
        for next in [
            "",
            "//evil",
            "///evil",
            "////",
            "/\\evil",
            "\\/evil",
            "\\\\evil",
            "/\\",
            "/%09/evil",
            "/\t/evil",
            "/\n/evil",
            "\t//evil",
            " //evil",
            "%2f%2fevil",
            "/%2f/evil",
            "/%2F",
            "/%5cevil",
            "https://ours:8000@evil",
            "https://ours:8000.evil",
            "https://ours:8000evil/",
            "https://ours:8000\\@evil",
            "https://user@ours:8000/",
            "https://ours:8000?x",
            "https://ours:8000//evil",
            "https://ours:8000/\\evil",
            "https://ours/",
            "https://evil/",
            "https:/ours:8000/",
            "https:ours:8000/",
            "//ours:8000/x",
            "/ok/..//evil",
            "/ok/%2e%2e//evil",
            "/ok/.%2E//evil",
            "/..",
            "/.",
            "/a/./b",
            "/a/%2e",
            ";//evil",
            "/.//evil",
            "data:text/html,x",
            "javascript:alert(1)",
            "HTTPS:evil",
            "/%2fevil",
            "/%2e%2e//evil",
            "/a%3f/..//evil",
            "evil",
            "hub/home",
            "?x",
            "#x",
            "/hub/\r\nSet-Cookie: a=b",
            "/hub/%0d%0aSet-Cookie:%20a=b",
            "/a\0b",
            "/a\u{7f}b",
            "/a\u{85}b",
        ] {
            assert!(parse(next).is_err(), "{next:?} was accepted");
        }
        assert_eq!(
            parse(&format!("/{}", "x".repeat(4096))),
            Err(NotLocal::TooLong)
        );
        assert_eq!(
            parse(&format!("/{}", "ä".repeat(1000))),
            Err(NotLocal::TooLong)
        );
    }

    #[test]
    fn paths_of_the_hub_are_kept() {
        for (next, path) in [
            ("/", "/"),
            ("/hub/home", "/hub/home"),
            ("/user/a@b/lab?reset#top", "/user/a@b/lab?reset#top"),
            (
                "/user/a/lab/tree/My file.ipynb",
                "/user/a/lab/tree/My%20file.ipynb",
            ),
            ("/user/a/lab/tree/é", "/user/a/lab/tree/%C3%A9"),
            ("/user/a/x%20y", "/user/a/x%20y"),
            ("/user/a\\b", "/user/a%5Cb"),
            ("/user/a//b", "/user/a//b"),
            ("/a...b/..c", "/a...b/..c"),
            ("/a?../b", "/a?../b"),
            ("/a?x=%0d", "/a?x=%0d"),
            (
                "/hub/spawn?next=//evil&path=../x",
                "/hub/spawn?next=//evil&path=../x",
            ),
            ("/hub/\"><img src=x>", "/hub/%22%3E%3Cimg%20src=x%3E"),
            ("http://ours:8000/hub/home?a=b", "/hub/home?a=b"),
            ("HTTPS://OURS:8000/hub/home", "/hub/home"),
            ("https://ours:8000", "/"),
        ] {
            assert_eq!(parse(next).as_deref(), Ok(path), "{next}");
        }
    }

    #[test]
    fn only_the_base_url_is_ours() {
        let parse = |next| LocalPath::parse(next, OURS, "/jhub/").map(|path| path.0);
        assert_eq!(parse("/jhub/hub/home").as_deref(), Ok("/jhub/hub/home"));
        assert_eq!(parse("/jhub?x").as_deref(), Ok("/jhub?x"));
        for next in ["/", "/jhubx/", "/other/", "/jhub%2fx"] {
            assert_eq!(parse(next), Err(NotLocal::OutsideBase), "{next}");
        }
    }

    #[test]
    fn paths_are_built_from_segments() {
        let root = LocalPath::root("/jhub/").unwrap();
        let server = root.join("user").join("a@b/../c d");
        assert_eq!(server.as_str(), "/jhub/user/a@b%2F..%2Fc%20d");
        assert_eq!(
            server.join("").join("lab").as_str(),
            "/jhub/user/a@b%2F..%2Fc%20d/lab"
        );
        assert_eq!(root.join("hub").join("").as_str(), "/jhub/hub/");
        assert_eq!(root.join("..").join(".").as_str(), "/jhub/");
        let login = root
            .join("hub")
            .join("login")
            .with_query([("next", "/jhub/hub/a?b=c&d")]);
        assert_eq!(
            login.as_str(),
            "/jhub/hub/login?next=%2Fjhub%2Fhub%2Fa%3Fb%3Dc%26d"
        );
        assert_eq!(login.path(), "/jhub/hub/login");
        let next = LocalPath::parse("/a?b#c", OURS, "/").unwrap();
        assert_eq!(
            next.with_query([("redirects", "1")]).as_str(),
            "/a?b&redirects=1#c"
        );
        assert_eq!(next.join("d").as_str(), "/a/d");
        assert!(LocalPath::root("//evil/").is_err());
    }

    /// Pieces from which open redirects are made.
    fn hostile() -> impl Strategy<Value = String> {
        let pieces = [
            "/",
            "//",
            "\\",
            ".",
            "..",
            "%2e",
            "%2f",
            "%2F",
            "%5c",
            "%5C",
            "%09",
            "%00",
            "%",
            "%25",
            "\t",
            "\n",
            "\r",
            " ",
            "\u{a0}",
            "\u{3000}",
            "／",
            "。",
            ":",
            "@",
            "?",
            "#",
            ";",
            "&",
            "http:",
            "https://",
            "HTTP://",
            "ours:8000",
            "OURS:8000",
            "evil",
            "hub",
            "é",
            "[",
            "]",
        ];
        proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..10)
            .prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn a_browser_stays_here(next in prop_oneof![
            hostile(),
            hostile().prop_map(|rest| format!("/{rest}")),
            hostile().prop_map(|rest| format!("https://ours:8000{rest}")),
            "\\PC{0,30}",
        ]) {
            for own in ["http://ours:8000/", "https://ours:8000/hub/login?next=x"] {
                let own = Url::parse(own).unwrap();
                if let Ok(path) = LocalPath::parse(&next, OURS, "/") {
                    let seen = own.join(path.as_str()).unwrap();
                    prop_assert_eq!(seen.origin(), own.origin());
                    prop_assert_eq!(seen.path(), path.path());
                    path.to_header();
                    // What was taken once is taken again, unchanged.
                    prop_assert_eq!(LocalPath::parse(path.as_str(), OURS, "/"), Ok(path));
                }
            }
        }

        #[test]
        fn built_paths_stay_here(segments in proptest::collection::vec(hostile(), 0..4), value in hostile()) {
            let root = LocalPath::root("/").unwrap();
            let path = segments.iter().fold(root, |path, segment| path.join(segment));
            let path = path.with_query([("next", value.as_str())]);
            let own = Url::parse("http://ours:8000/hub/").unwrap();
            let seen = own.join(path.as_str()).unwrap();
            prop_assert_eq!(seen.origin(), own.origin());
            prop_assert_eq!(seen.path(), path.path());
            let next: Vec<_> = seen.query_pairs().map(|(_, value)| value.into_owned()).collect();
            prop_assert_eq!(next, [value]);
            path.to_header();
        }
    }
}
