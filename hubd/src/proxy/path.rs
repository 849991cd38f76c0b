//! Where a request path leads, decided on the same bytes that are forwarded.
//!
//! ```text
//! /jhub/user/a%40b/lab/tree/x%2Fy?q
//! └base┘└──────┬──┘└──────┬───────┘
//!        compared         passed on as it came
//!        decoded
//! ```
//!
//! Servers are found by whole path segments, percent-decoded once (`a%40b` is `a@b`), while the
//! raw path and query go to the server untouched. Two readers of one path must not disagree, so
//! whatever could read as another path on the second look is refused: an encoded slash, a
//! backslash, a dot segment, a control byte, a broken escape or an empty segment where a server is
//! named, and behind the name every chain of `..` that leaves the server's own prefix again.

use std::borrow::Cow;

use super::dots;
use super::segment::{BadPath, Walk, check, decode};

/// The first segments (below the base) under which servers live. Everything else is the hub's.
const NAMESPACES: [&str; 2] = ["user", "services"];
/// How many segments below the base can name a server: `user`, `NAME`, `SERVER`.
pub(super) const MAX_DEPTH: usize = 3;

/// The public prefix of everything: `/`, or `/jhub/`.
#[derive(Debug, Clone)]
pub(super) struct BasePath {
    text: String,
    segments: Vec<String>,
}

/// Where a path leads.
#[derive(Debug)]
pub(super) enum Place<'p> {
    /// Not below the base: nobody's.
    Outside,
    /// The hub's own pages and API, and whatever has no route.
    Hub,
    /// Below a namespace of servers; the table knows which of them exist.
    Named(Named<'p>),
}

/// The leading segments of a path that may name a server.
#[derive(Debug)]
pub(super) struct Named<'p> {
    path: &'p str,
    /// The decoded segments joined with `/`: borrowed unless an escape was decoded.
    key: Cow<'p, str>,
    /// For each depth where its key and its raw text end.
    ends: [End; MAX_DEPTH],
    depth: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct End {
    key: usize,
    raw: usize,
}

impl BasePath {
    /// Takes the base URL's path, with or without its outer slashes.
    pub(super) fn new(base_url: &str) -> Self {
        let mut base = Self {
            text: String::from("/"),
            segments: Vec::new(),
        };
        for raw in base_url.split('/').filter(|raw| !raw.is_empty()) {
            base.text.push_str(raw);
            base.text.push('/');
            let segment = decode(raw).unwrap_or(Cow::Borrowed(raw));
            base.segments.push(segment.into_owned());
        }
        base
    }

    /// The prefix as it is written in links: starts and ends with a slash.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Which way `path` (raw, without the query) goes.
    pub(super) fn locate<'p>(&self, path: &'p str) -> Result<Place<'p>, BadPath> {
        let mut walk = Walk::new(path)?;
        for expected in &self.segments {
            match walk.next() {
                Some(segment) if decode(segment)? == expected.as_str() => {}
                _ => return Ok(Place::Outside),
            }
        }
        let Some(named) = Named::read(path, walk)? else {
            dots::refuse(path)?;
            return Ok(Place::Hub);
        };
        Ok(Place::Named(named))
    }

    /// The table's key of a route's decoded prefix (`/jhub/user/a@b/` gives `user/a@b`), or
    /// nothing if no request could ever be routed by it.
    pub(super) fn key_of<'r>(&self, prefix: &'r str) -> Option<&'r str> {
        let mut rest = prefix.strip_prefix('/')?;
        for segment in &self.segments {
            rest = rest.strip_prefix(segment.as_str())?.strip_prefix('/')?;
        }
        let key = rest.strip_suffix('/')?;
        let mut segments = key.split('/');
        let namespace = segments.next()?;
        let names = segments.clone().count();
        let sound = NAMESPACES.contains(&namespace)
            && (1..MAX_DEPTH).contains(&names)
            && segments.all(|name| !name.is_empty() && check(name).is_ok());
        sound.then_some(key)
    }
}

impl<'p> Named<'p> {
    /// Reads the segments behind the base; nothing if they are not in a namespace of servers.
    fn read(path: &'p str, mut walk: Walk<'p>) -> Result<Option<Self>, BadPath> {
        let start = walk.at;
        let mut named = Self {
            path,
            key: Cow::Borrowed(""),
            ends: [End::default(); MAX_DEPTH],
            depth: 0,
        };
        while named.depth < MAX_DEPTH {
            let Some(raw) = walk.next() else { break };
            // Namespace and name must be sound; a third segment that cannot name a server is
            // already the business of the user's default server.
            let must_be_sound = named.depth < 2;
            let segment = match decode(raw) {
                Ok(segment) if segment.is_empty() && walk.is_at_end() => break,
                Ok(segment) if segment.is_empty() && must_be_sound => return Err(BadPath::Empty),
                Ok(segment) if segment.is_empty() => break,
                Ok(segment) => segment,
                Err(bad) if must_be_sound || bad == BadPath::Dots => return Err(bad),
                Err(_) => break,
            };
            if named.depth == 0 && !NAMESPACES.contains(&&*segment) {
                return Ok(None);
            }
            if matches!((&named.key, &segment), (Cow::Borrowed(_), Cow::Borrowed(_))) {
                named.key = Cow::Borrowed(&path[start..start + end_of(&named, raw.len())]);
            } else {
                let key = named.key.to_mut();
                if named.depth > 0 {
                    key.push('/');
                }
                key.push_str(&segment);
            }
            named.ends[named.depth] = End {
                key: named.key.len(),
                raw: walk.end,
            };
            named.depth += 1;
        }
        Ok((named.depth > 0).then_some(named))
    }

    /// The keys that could be this path's route, the longest first, each with where its raw text
    /// ends.
    pub(super) fn candidates(&self) -> impl Iterator<Item = (&str, usize)> {
        self.ends[..self.depth]
            .iter()
            .rev()
            .map(|end| (&self.key[..end.key], end.raw))
    }

    /// Nothing behind the matched prefix may lead out of it again.
    pub(super) fn check_rest(&self, raw_end: usize) -> Result<(), BadPath> {
        if dots::leave(&self.path[raw_end..]) {
            Err(BadPath::Dots)
        } else {
            Ok(())
        }
    }

    /// A path that has no route is the hub's, and obeys the hub's rule.
    pub(super) fn check_for_hub(&self) -> Result<(), BadPath> {
        dots::refuse(self.path)
    }
}

/// Whether a cookie's `Path` (raw, from a server) keeps the cookie below `prefix`, the decoded
/// prefix of that server's route.
pub(super) fn is_below(prefix: &str, cookie_path: &str) -> bool {
    let Some(mut rest) = cookie_path.strip_prefix('/') else {
        return false;
    };
    let prefix = prefix.trim_matches('/');
    let mut expected = prefix.split('/').peekable();
    while let Some(name) = expected.next() {
        let (segment, behind) = rest.split_once('/').unwrap_or((rest, ""));
        let slash = rest.len() > segment.len();
        if decode(segment).ok().as_deref() != Some(name) || (!slash && expected.peek().is_some()) {
            return false;
        }
        rest = behind;
    }
    true
}

/// Where the key of `named` ends once a segment of `length` raw bytes is added to it.
fn end_of(named: &Named<'_>, length: usize) -> usize {
    match named.depth {
        0 => length,
        _ => named.key.len() + 1 + length,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What `locate` makes of a path: `Err`, `outside`, `hub`, or the keys to look up.
    fn located(base: &str, path: &str) -> Result<String, BadPath> {
        Ok(match BasePath::new(base).locate(path)? {
            Place::Outside => "outside".into(),
            Place::Hub => "hub".into(),
            Place::Named(named) => named
                .candidates()
                .map(|(key, raw_end)| format!("{key}|{}", &path[raw_end..]))
                .collect::<Vec<_>>()
                .join(" "),
        })
    }

    #[test]
    fn leading_segments_are_the_keys() {
        for (base, path, expected) in [
            ("/", "/", "hub"),
            ("/", "/hub/home", "hub"),
            ("/", "/usery/alice", "hub"),
            ("/", "/user", "user|"),
            ("/", "/user/", "user|/"),
            ("/", "/user/alice", "user/alice| user|/alice"),
            ("/", "/user/alice/", "user/alice|/ user|/alice/"),
            (
                "/",
                "/user/alice/lab/x",
                "user/alice/lab|/x user/alice|/lab/x user|/alice/lab/x",
            ),
            (
                "/",
                "/us%65r/a%40b/l%61b/%2e",
                "user/a@b/lab|/%2e user/a@b|/l%61b/%2e user|/a%40b/l%61b/%2e",
            ),
            (
                "/",
                "/user/alice/a%2Fb",
                "user/alice|/a%2Fb user|/alice/a%2Fb",
            ),
            ("/", "/user/alice//b", "user/alice|//b user|/alice//b"),
            ("/", "/user/alice;x=1/", "user/alice;x=1|/ user|/alice;x=1/"),
            ("/", "/user/%2561lice", "user/%61lice| user|/%2561lice"),
            ("/", "/services/cull/", "services/cull|/ services|/cull/"),
            ("/jhub/", "/jhub", "hub"),
            ("/jhub/", "/jhub/user/al", "user/al| user|/al"),
            ("/jhub/", "/%6Ahub/user/al", "user/al| user|/al"),
            ("/jhub/", "/", "outside"),
            ("/jhub/", "/jhubx/user/al", "outside"),
            ("/jhub/", "/user/al", "outside"),
            ("/a/b", "/a/b/hub/", "hub"),
            ("/a/b", "/a", "outside"),
        ] {
            let got = located(base, path);
            assert_eq!(got.as_deref(), Ok(expected), "{base} {path}");
        }
    }

    #[test]
    fn paths_that_could_read_as_others_are_refused() {
        for (path, expected) in [
            ("*", BadPath::NotAPath),
            ("", BadPath::NotAPath),
            ("host:443", BadPath::NotAPath),
            ("//user/alice", BadPath::Empty),
            ("/user//alice", BadPath::Empty),
            ("/user/alice%2f..%2fbob", BadPath::Slash),
            ("/user/alice%5c", BadPath::Slash),
            ("/user/al\\ice/", BadPath::Slash),
            ("/user%2Falice/", BadPath::Slash),
            ("/user/alice%00", BadPath::Control),
            ("/user/a%0d%0ab", BadPath::Control),
            ("/user/%c0%ae/", BadPath::NotUtf8),
            ("/user/%", BadPath::Escape),
            ("/user/%4", BadPath::Escape),
            ("/user/%zz/", BadPath::Escape),
            ("/user/%+1/", BadPath::Escape),
            ("/user/..", BadPath::Dots),
            ("/user/%2e%2E/hub", BadPath::Dots),
            ("/user/./alice", BadPath::Dots),
            ("/user/alice/./lab", BadPath::Dots),
            ("/user/alice/../bob/", BadPath::Dots),
            ("/user/alice/%2e./bob/", BadPath::Dots),
            ("/../user/bob", BadPath::Dots),
            ("/hub/../user/bob", BadPath::Dots),
            ("/hub/%2e%2e/user/bob", BadPath::Dots),
            ("/hub/..%2fuser/bob", BadPath::Dots),
            ("/hub/..\\user", BadPath::Dots),
            ("/./hub", BadPath::Dots),
        ] {
            assert_eq!(located("/", path).unwrap_err(), expected, "{path}");
        }
    }

    #[test]
    fn routes_get_keys_only_if_requests_can_reach_them() {
        for (base, prefix, expected) in [
            ("/", "/user/alice/", Some("user/alice")),
            ("/", "/user/a@b/proj/", Some("user/a@b/proj")),
            ("/jhub/", "/jhub/user/alice/", Some("user/alice")),
            ("/jhub/", "/user/alice/", None),
            ("/jhub/", "/jhubuser/alice/", None),
            ("/", "/user/alice", None),
            ("/", "/user/", None),
            ("/", "/user//", None),
            ("/", "/user/../", None),
            ("/", "/user/a/b/c/", None),
            ("/", "/hub/alice/", None),
            ("/", "/", None),
        ] {
            assert_eq!(BasePath::new(base).key_of(prefix), expected, "{prefix}");
        }
    }

    #[test]
    fn cookie_paths_are_compared_by_segments() {
        for (path, expected) in [
            ("/user/a@b", true),
            ("/user/a@b/", true),
            ("/user/a%40b/lab", true),
            ("/user/a@bc", false),
            ("/user/", false),
            ("/user", false),
            ("/", false),
            ("user/a@b/", false),
            ("/user/a%4/", false),
            ("//user/a@b/", false),
        ] {
            assert_eq!(is_below("/user/a@b/", path), expected, "{path}");
        }
    }

    proptest! {
        /// Nothing panics, and a path that is let through to a server stays below the prefix it
        /// was matched by, however it is decoded.
        #[test]
        fn a_routed_path_stays_where_it_was_routed(
            rest in "([a/.%2e5cf\\\\]|%2e|%2f|\\.\\.|/){0,24}"
        ) {
            let path = format!("/user/alice{rest}");
            let Ok(Place::Named(named)) = BasePath::new("/").locate(&path) else { return Ok(()) };
            for (key, raw_end) in named.candidates().collect::<Vec<_>>() {
                if key != "user/alice" || named.check_rest(raw_end).is_err() {
                    continue;
                }
                let mut text = path.clone();
                for _ in 0..2 {
                    let normal = normal_form(&text);
                    prop_assert!(normal.starts_with("/user/alice"), "{path} is {normal}");
                    text = text
                        .replace("%2e", ".")
                        .replace("%2f", "/")
                        .replace("%5c", "\\");
                }
            }
        }
    }

    /// RFC 3986's remove_dot_segments, for backends that also take a backslash for a slash.
    fn normal_form(path: &str) -> String {
        let mut kept: Vec<&str> = Vec::new();
        for segment in path
            .split(['/', '\\'])
            .filter(|segment| !segment.is_empty())
        {
            match segment {
                "." => {}
                ".." => drop(kept.pop()),
                _ => kept.push(segment),
            }
        }
        format!("/{}", kept.join("/"))
    }
}
