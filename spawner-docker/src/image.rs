//! The name of an image, checked before an engine sees it.
//!
//! ```text
//! registry.example:5000/team/lab:2026.1@sha256:9f86d081...
//! '-------------------' '------' '----' '---------------'
//!       registry          path    tag        digest
//! ```
//!
//! A reference becomes part of the path of a request to the engine, and the client library does not
//! encode it: `x/../../containers/other` would ask about a container. So the one constructor takes
//! the grammar of the engine literally, and refuses a little more than the engine does (upper case
//! in registries, IPv6 registries, digests other than SHA-256).

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::Arc;

use crate::registry::RegistryHost;

/// The longest name (registry and path), which is the engine's own limit.
const NAME_MAX: usize = 255;
/// The longest tag.
const TAG_MAX: usize = 128;

/// A reference to an image: `name`, `name:tag`, `name@sha256:digest` or all three.
///
/// Two references are equal when they are spelt the same: `lab` and `lab:latest` are two, because
/// whoever allows one has not allowed another spelling. `sha256:` with 64 hex digits is one too; the
/// engine reads it as an image's id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef(Arc<str>);

/// What an engine is asked to pull: one image, never all tags of a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pullable {
    /// The name, with the digest if there is one.
    pub(crate) from: String,
    /// The tag; `None` with a digest.
    pub(crate) tag: Option<String>,
}

/// Why a text is no reference to an image. The sentence is meant for whoever typed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageRefError {
    /// Nothing was given.
    #[error("an image name cannot be empty")]
    Empty,
    /// A character that no reference holds.
    #[error("an image name can hold only letters, digits and . _ - / : @, not {0:?}")]
    Character(char),
    /// The name is longer than an engine takes.
    #[error("an image name has at most {NAME_MAX} characters before its tag")]
    TooLong,
    /// The part before the first slash reads as a registry and is none.
    #[error(
        "the registry of an image is a host name in lower case, with a port if needed, such as \
         quay.io or localhost:5000"
    )]
    Registry,
    /// A part of the path is malformed.
    #[error(
        "the parts of an image name are lower-case letters and digits, with single . or _ or any \
         number of - between them"
    )]
    Path,
    /// The tag is malformed.
    #[error(
        "an image tag has 1 to {TAG_MAX} letters, digits, _ . or -, and starts with none of . -"
    )]
    Tag,
    /// The digest is malformed.
    #[error("an image digest is sha256: and 64 digits of 0-9 and a-f")]
    Digest,
}

impl ImageRef {
    /// Takes a reference as somebody wrote it; nothing is trimmed, folded or added.
    pub fn new(raw: &str) -> Result<Self, ImageRefError> {
        check(raw)?;
        Ok(Self(raw.into()))
    }

    /// The reference.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The registry that it is of.
    pub(crate) fn registry(&self) -> RegistryHost {
        match self.0.split_once('/') {
            Some((first, _)) if names_registry(first) => RegistryHost::known(first),
            _ => RegistryHost::hub(),
        }
    }

    /// What to ask a registry for; `None` for the id of an image, which no registry knows.
    pub(crate) fn pullable(&self) -> Option<Pullable> {
        if is_digest(&self.0) {
            return None;
        }
        let (tagged, digest) = match self.0.split_once('@') {
            None => (&*self.0, None),
            Some((tagged, digest)) => (tagged, Some(digest)),
        };
        let (name, tag) = match tag_at(tagged) {
            None => (tagged, None),
            Some(colon) => (&tagged[..colon], Some(&tagged[colon + 1..])),
        };
        Some(match digest {
            // The digest says all that the tag does.
            Some(digest) => Pullable {
                from: format!("{name}@{digest}"),
                tag: None,
            },
            // Without a tag an engine would pull all there are.
            None => Pullable {
                from: name.to_owned(),
                tag: Some(tag.unwrap_or("latest").to_owned()),
            },
        })
    }
}

/// Where the colon before a tag is, if there is one. A colon before the last slash belongs to the
/// registry's port.
fn tag_at(tagged: &str) -> Option<usize> {
    let last = tagged.rfind('/').map_or(0, |slash| slash + 1);
    tagged[last..].find(':').map(|colon| last + colon)
}

/// Whether the part before the first slash is a registry and not the first part of a path.
fn names_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
}

fn check(raw: &str) -> Result<(), ImageRefError> {
    if raw.is_empty() {
        return Err(ImageRefError::Empty);
    }
    let known = |c: &char| c.is_ascii_alphanumeric() || "._-/:@".contains(*c);
    if let Some(found) = raw.chars().find(|c| !known(c)) {
        return Err(ImageRefError::Character(found));
    }
    let tagged = match raw.split_once('@') {
        None => raw,
        Some((tagged, digest)) if is_digest(digest) => tagged,
        Some(_) => return Err(ImageRefError::Digest),
    };
    let name = match tag_at(tagged) {
        None => tagged,
        Some(colon) if is_tag(&tagged[colon + 1..]) => &tagged[..colon],
        Some(_) => return Err(ImageRefError::Tag),
    };
    if name.len() > NAME_MAX {
        return Err(ImageRefError::TooLong);
    }
    let path = match name.split_once('/') {
        Some((first, rest)) if names_registry(first) => {
            if !is_registry(first) {
                return Err(ImageRefError::Registry);
            }
            rest
        }
        _ => name,
    };
    if path.split('/').all(is_component) {
        Ok(())
    } else {
        Err(ImageRefError::Path)
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn is_tag(text: &str) -> bool {
    (1..=TAG_MAX).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// Whether it is a host in lower case, with a port or without.
pub(crate) fn is_registry(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        None => (text, None),
        Some((host, port)) => (host, Some(port)),
    };
    let port_is_fine = port.is_none_or(|port| {
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    // Link-local addresses are where clouds keep their metadata; no registry lives there.
    let link_local = host
        .parse::<Ipv4Addr>()
        .is_ok_and(|address| address.is_link_local());
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    port_is_fine && !link_local && host.split('.').all(label)
}

fn is_component(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separator = |between: &str| {
        matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-')
    };
    text.starts_with(alphanumeric)
        && text.ends_with(alphanumeric)
        && text.split(alphanumeric).all(separator)
}

impl FromStr for ImageRef {
    type Err = ImageRefError;
    fn from_str(raw: &str) -> Result<Self, ImageRefError> {
        Self::new(raw)
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn references_of_every_shape() {
        for raw in [
            "lab",
            "lab:1",
            "lab:2026.1_b-c",
            "jupyter/minimal-notebook",
            "quay.io/jupyter/scipy-notebook:python-3.13",
            "localhost/lab",
            "localhost:5000/a/b/c",
            "192.0.2.7:5000/lab:1",
            "a__b/c.d/e---f:T",
            &format!("lab@{DIGEST}"),
            &format!("registry.example:5000/team/lab:2026.1@{DIGEST}"),
            DIGEST,
        ] {
            assert_eq!(ImageRef::new(raw).map(|r| r.to_string()), Ok(raw.into()));
        }
    }

    #[test]
    fn what_is_pulled_is_one_image() {
        for (raw, registry, from, tag) in [
            ("lab", "docker.io", "lab", Some("latest")),
            ("jupyter/lab:1", "docker.io", "jupyter/lab", Some("1")),
            ("quay.io/a/b", "quay.io", "quay.io/a/b", Some("latest")),
            (
                "index.docker.io/a/b:2",
                "docker.io",
                "index.docker.io/a/b",
                Some("2"),
            ),
            (
                "localhost:5000/a:b",
                "localhost:5000",
                "localhost:5000/a",
                Some("b"),
            ),
            (
                &format!("lab@{DIGEST}"),
                "docker.io",
                &format!("lab@{DIGEST}"),
                None,
            ),
            (
                &format!("r.io/lab:1@{DIGEST}"),
                "r.io",
                &format!("r.io/lab@{DIGEST}"),
                None,
            ),
        ] {
            let image = ImageRef::new(raw).unwrap();
            assert_eq!(image.registry().as_str(), registry, "{raw}");
            let pullable = image.pullable().unwrap();
            assert_eq!(
                (pullable.from.as_str(), pullable.tag.as_deref()),
                (from, tag)
            );
        }
        assert_eq!(ImageRef::new(DIGEST).unwrap().pullable(), None);
    }

    #[test]
    fn hostile_references_are_refused() {
        let long_tag = format!("x:{}", "t".repeat(256));
        let long_name = "x".repeat(256);
        for raw in [
            "",
            "a;id",
            "$(id)",
            "-v /:/h",
            " ",
            "../../x",
            "x/../../containers/nosuch",
            "x/./y",
            "bb:latest/json?x=",
            "bb%2f..",
            "X:1",
            "Quay.io/x",
            "host:99999/x",
            "host:0/x",
            "host:/x",
            "x@sha256:short",
            "x@md5:9f86d081884c7d659a2feaa0c55ad015",
            &format!("x@{DIGEST}@{DIGEST}"),
            &format!("x@{}", DIGEST.to_uppercase()),
            "x:1\n",
            "x:1\0",
            "x:1 ",
            " x:1",
            "http://x",
            "http://host/x",
            "169.254.169.254/x",
            &long_tag,
            &long_name,
            "x．example/y",
            "x:",
            "x:.1",
            ":1",
            "@",
            "/x",
            "x/",
            "x//y",
            "a_-b",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "-host.example/x",
            "host..example/x",
            "[::1]:5000/x",
        ] {
            assert!(ImageRef::new(raw).is_err(), "{raw:?} was accepted");
        }
    }

    #[test]
    fn a_sentence_says_what_is_wrong() {
        let error = ImageRef::new("Lab:1").unwrap_err();
        assert!(error.to_string().contains("lower-case"), "{error}");
        let error = ImageRef::new("a b").unwrap_err();
        assert!(error.to_string().ends_with("not ' '"), "{error}");
    }

    proptest! {
        /// Whatever is accepted stays one path below `/images/` and starts no query.
        #[test]
        fn accepted_references_cannot_leave_their_path(raw in "[a-z.:/@?#%-]{1,24}") {
            if ImageRef::new(&raw).is_ok() {
                prop_assert!(!raw.split('/').any(|part| matches!(part, "" | "." | "..")));
                prop_assert!(!raw.contains(['?', '#', '%']));
            }
        }
    }
}
