//! The name of a container: one server, one name, whatever the user is called.
//!
//! ```text
//! jupyter-alice                                      the default server
//! jupyter-alice--proj                                a named one
//! jupyter-a-40very-2elong...---5d41402abc4b2a76b971  cut to 63 with a hash of the whole
//! ```
//!
//! A name is for people and for the engine's own uniqueness; what a container *is* stands in its
//! labels (see [`identity`](crate::identity)).

use std::fmt;

use sha2::{Digest, Sha256};
use spawner_core::{LaunchId, ServerId};

/// The longest DNS label: on its own network a container is reached by its name.
const NAME_MAX: usize = 63;
/// The longest prefix, which leaves room for the rest.
const PREFIX_MAX: usize = 20;
/// Never part of an object name: its halves neither hold `--` nor end in `-`, and a server's name
/// starts with a letter. So no cut name is another server's whole name.
const CUT: &str = "---";
/// Bytes of the hash that a cut name carries.
const HASH_BYTES: usize = 10;

/// What all container names of a hub start with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

/// What stands around the name of a server in the name of its container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTemplate {
    head: String,
    tail: String,
}

/// Why a text is no template of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name is at most {PREFIX_MAX} characters, then {{username}} or {{username}}--{{servername}}, \
     then at most {PREFIX_MAX} characters (letters, digits and . _ -, without --); it starts with a \
     letter, a digit or {{prefix}}"
)]
pub struct NameTemplateError;

/// The name of one server's container; safe in the path of a request to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerName(String);

/// Why a text is no prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a prefix has 1 to {PREFIX_MAX} letters, digits and . _ -, and starts with a letter or digit"
)]
pub struct PrefixError;

impl Prefix {
    /// Takes a prefix as it stands in a configuration.
    pub fn new(raw: &str) -> Result<Self, PrefixError> {
        if raw.len() <= PREFIX_MAX && is_object_name(raw) {
            Ok(Self(raw.to_owned()))
        } else {
            Err(PrefixError)
        }
    }
}

impl NameTemplate {
    /// Takes a template as it stands in a configuration, such as `lab-{username}` or
    /// `{prefix}-{username}--{servername}`. Named servers are told apart in any case: where
    /// `{servername}` is not written it follows the user's name.
    pub fn new(raw: &str, prefix: &Prefix) -> Result<Self, NameTemplateError> {
        let (head, rest) = raw.split_once("{username}").ok_or(NameTemplateError)?;
        let tail = rest.strip_prefix("--{servername}").unwrap_or(rest);
        let head = head.replacen("{prefix}", &prefix.0, 1);
        let fits = |text: &str| text.len() <= PREFIX_MAX + 1 && !text.contains("--");
        // Whatever stands between is of letters, digits and hyphens.
        if is_object_name(&head) && is_object_name(&format!("a{tail}")) && fits(&head) && fits(tail)
        {
            let tail = tail.to_owned();
            Ok(Self { head, tail })
        } else {
            Err(NameTemplateError)
        }
    }

    /// DockerSpawner's own.
    pub(crate) fn of_prefix(prefix: &Prefix) -> Self {
        Self {
            head: format!("{}-", prefix.0),
            tail: String::new(),
        }
    }
}

impl Default for Prefix {
    /// DockerSpawner's own.
    fn default() -> Self {
        Self("jupyter".to_owned())
    }
}

impl ContainerName {
    /// The name of the container of `server`.
    pub(crate) fn of(template: &NameTemplate, server: &ServerId) -> Self {
        let object = server.object_name();
        let NameTemplate { head, tail } = template;
        let whole = format!("{head}{object}{tail}");
        if whole.len() <= NAME_MAX {
            return Self(whole);
        }
        // Everything is ASCII, so any cut is a boundary.
        let cut = &whole[..NAME_MAX - CUT.len() - 2 * HASH_BYTES];
        let hash = hex(&Sha256::digest(object.as_bytes())[..HASH_BYTES]);
        Self(format!("{}{CUT}{hash}", cut.trim_end_matches('-')))
    }

    /// The name of a container that belongs to no server.
    pub(crate) fn of_probe(launch: &LaunchId) -> Self {
        Self(format!("hubd-probe-{launch}"))
    }

    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes as digits of 0-9 and a-f.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digit = |half: u8| DIGITS[usize::from(half)];
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// Whether the engine takes it as the name of a container, volume or network.
pub(crate) fn is_object_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use spawner_core::{ServerName, UserName};

    use super::*;

    fn server(user: &str, server: &str) -> ServerId {
        ServerId::new(
            UserName::new(user).unwrap(),
            ServerName::new(server).unwrap(),
        )
    }

    fn name(user: &str, named: &str) -> String {
        ContainerName::of(
            &NameTemplate::of_prefix(&Prefix::default()),
            &server(user, named),
        )
        .to_string()
    }

    #[test]
    fn names_are_dockerspawners() {
        assert_eq!(name("alice", ""), "jupyter-alice");
        assert_eq!(name("user@ex.com", ""), "jupyter-user-40ex-2ecom");
        assert_eq!(name("alice", "proj"), "jupyter-alice--proj");
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let long = "a".repeat(100);
        let (one, two) = (name(&long, ""), name(&format!("{long}b"), ""));
        assert_eq!(one.len(), NAME_MAX);
        assert_ne!(one, two);
        // A cut just behind an escape would leave hyphens before the mark.
        assert!(name(&format!("a{}", ".".repeat(50)), "").len() <= NAME_MAX);
    }

    #[test]
    fn prefixes() {
        for raw in ["jupyter", "j", "lab.2026_b-c"] {
            assert!(Prefix::new(raw).is_ok(), "{raw}");
        }
        for raw in ["", "-x", ".x", "a/b", "ä", "a b", "much-longer-than-twenty"] {
            assert!(Prefix::new(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn templates() {
        let name = |raw: &str, named: &str| {
            let template = NameTemplate::new(raw, &Prefix::default()).unwrap();
            ContainerName::of(&template, &server("a_b", named)).to_string()
        };
        assert_eq!(name("{prefix}-{username}", ""), "jupyter-a-5fb");
        assert_eq!(name("lab.{username}", "proj"), "lab.a-5fb--proj");
        let both = "u-{username}--{servername}.x";
        assert_eq!(
            (name(both, ""), name(both, "p")),
            ("u-a-5fb.x".into(), "u-a-5fb--p.x".into())
        );
        for raw in [
            "",
            "lab",
            "{username}",
            "-{username}",
            "x--{username}",
            "x-{username}-{servername}",
            "x-{username}{username}",
            "x-{who}",
            "x/{username}",
            "x-{username}--y",
            "x-{username} ",
            "much-longer-than-twenty-{username}",
        ] {
            assert_eq!(
                NameTemplate::new(raw, &Prefix::default()),
                Err(NameTemplateError),
                "{raw}"
            );
        }
    }

    fn any_server() -> impl Strategy<Value = ServerId> {
        (
            "[a-z0-9_][a-z0-9._@+-]{0,60}",
            "([a-z]([a-z0-9]|-[a-z0-9]){0,10})?",
        )
            .prop_map(|(user, named)| server(&user, &named))
    }

    proptest! {
        #[test]
        fn names_are_unique_and_safe(a in any_server(), b in any_server()) {
            for raw in ["{prefix}-{username}", "x{username}-y", "x{username}y"] {
            let template = NameTemplate::new(raw, &Prefix::default()).unwrap();
            let (x, y) = (ContainerName::of(&template, &a), ContainerName::of(&template, &b));
            prop_assert_eq!(x == y, a == b);
            prop_assert!(x.as_str().len() <= NAME_MAX && is_object_name(x.as_str()));
            }
        }

        /// So nobody can call a server what another one's name is cut to.
        #[test]
        fn a_name_is_marked_exactly_when_it_is_cut(server in any_server()) {
            let name = ContainerName::of(&NameTemplate::of_prefix(&Prefix::default()), &server);
            let whole = format!("jupyter-{}", server.object_name());
            prop_assert!(!whole.contains(CUT));
            prop_assert_eq!(name.as_str().contains(CUT), whole.len() > NAME_MAX);
        }
    }
}
