//! Names as types: a value of one of these has passed its one constructor.
//!
//! A name reaches paths, cookies, process titles and object names, so what it may hold is decided
//! here, once, and every door (form, API, path, configuration, command line) goes through it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest user name, in bytes (JupyterHub's column width).
const USER_NAME_MAX: usize = 255;
/// The longest server name, in bytes (JupyterHub 6's rule for named servers).
const SERVER_NAME_MAX: usize = 30;

/// Who a server belongs to: lower case, 1 to 255 bytes of `a-z 0-9 . _ @ + -`, starting with a
/// letter, a digit or `_`.
///
/// Upper case is folded before anything is compared, so `Alice` and `alice` are one user and no
/// third spelling can slip past a list of admins. Everything outside ASCII is refused: two names
/// that look alike must not be two accounts.
///
/// ```
/// use spawner_core::{NameError, UserName};
///
/// assert_eq!(UserName::new("Tee")?.as_str(), "tee");
/// assert!(matches!(UserName::new("../tee"), Err(NameError::Character { found: '.', at: 0, .. })));
/// # Ok::<(), NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(Arc<str>);

/// Which of a user's servers: empty for the default one, else JupyterHub 6's slug of 1 to 30
/// bytes: `a-z 0-9 -`, first a letter, last a letter or digit, no `--`.
///
/// Example: see [`ServerId`](crate::ServerId).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerName(String);

/// One server of one user; written `alice`, or `alice:proj` for a named server.
///
/// ```
/// use spawner_core::{ServerId, ServerName, UserName};
///
/// let user = UserName::new("tee")?;
/// let server = ServerId::new(user.clone(), ServerName::new("proj-2")?);
/// assert_eq!(server.to_string(), "tee:proj-2");
/// assert_eq!(server.object_name(), "tee--proj-2d2");
/// assert!(ServerId::default_of(user).server.is_default());
/// # Ok::<(), spawner_core::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerId {
    /// Whose server it is.
    pub user: UserName,
    /// Which one of theirs.
    pub server: ServerName,
}

/// One run of one server: 128 random bits, as 32 hex digits.
///
/// It is made before anything of the run exists and travels into the world (environment marker,
/// container label), so that a process or container can be matched with the books after a crash.
///
/// ```
/// use spawner_core::LaunchId;
///
/// let id = LaunchId::random();
/// assert_eq!(LaunchId::new(id.as_str()), Ok(id));
/// assert!(LaunchId::new("../x").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LaunchId(Arc<str>);

/// Why a text is no name. The sentence is meant for whoever typed it.
///
/// Example: see [`UserName`](crate::UserName).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a {what} cannot be empty")]
    Empty {
        /// "user name", "server name" or "launch id".
        what: &'static str,
    },
    /// Longer than the limit in bytes.
    #[error("a {what} has at most {max} characters, this one has {length}")]
    TooLong {
        /// "user name" or "server name".
        what: &'static str,
        /// The limit, in bytes.
        max: usize,
        /// What came, in bytes.
        length: usize,
    },
    /// A character that the name cannot hold.
    #[error("a {what} can hold only {allowed}; {found:?} is not allowed{}", position(*.at))]
    Character {
        /// "user name", "server name" or "launch id".
        what: &'static str,
        /// The characters it can hold.
        allowed: &'static str,
        /// The first one that is not.
        found: char,
        /// Its byte offset.
        at: usize,
    },
    /// The shape is off although each character is fine.
    #[error("a {what} {rule}")]
    Shape {
        /// "user name" or "server name".
        what: &'static str,
        /// What the shape must be, as a clause that follows the noun.
        rule: &'static str,
    },
}

fn position(at: usize) -> &'static str {
    if at == 0 { " at the start" } else { "" }
}

impl UserName {
    /// Takes a name as somebody wrote it; ASCII upper case is folded to lower.
    ///
    /// Example: see [`UserName`](crate::UserName).
    pub fn new(raw: &str) -> Result<Self, NameError> {
        const WHAT: &str = "user name";
        const ALLOWED: &str = "letters a-z, digits and . _ @ + -";
        check_length(WHAT, raw, USER_NAME_MAX)?;
        for (at, found) in raw.char_indices() {
            let letter = found.is_ascii_alphanumeric() || found == '_';
            if !(letter || at > 0 && matches!(found, '.' | '@' | '+' | '-')) {
                return Err(NameError::Character {
                    what: WHAT,
                    allowed: ALLOWED,
                    found,
                    at,
                });
            }
        }
        Ok(Self(raw.to_ascii_lowercase().into()))
    }

    /// The name.
    ///
    /// Example: see [`UserName`](crate::UserName).
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ServerName {
    /// The server that every user has, whose name is empty.
    ///
    /// Example: see [`ServerId`](crate::ServerId).
    pub fn default_server() -> Self {
        Self::default()
    }

    /// Takes a name as somebody wrote it; empty means the default server.
    ///
    /// Example: see [`ServerId`](crate::ServerId).
    pub fn new(raw: &str) -> Result<Self, NameError> {
        const WHAT: &str = "server name";
        const ALLOWED: &str = "letters a-z, digits and -";
        if raw.is_empty() {
            return Ok(Self::default());
        }
        check_length(WHAT, raw, SERVER_NAME_MAX)?;
        for (at, found) in raw.char_indices() {
            if !(found.is_ascii_lowercase() || found.is_ascii_digit() || found == '-') {
                return Err(NameError::Character {
                    what: WHAT,
                    allowed: ALLOWED,
                    found,
                    at,
                });
            }
        }
        let rule = if !raw.starts_with(|c: char| c.is_ascii_lowercase()) {
            "starts with a letter"
        } else if raw.ends_with('-') {
            "ends with a letter or digit"
        } else if raw.contains("--") {
            "cannot hold two hyphens in a row"
        } else {
            return Ok(Self(raw.to_owned()));
        };
        Err(NameError::Shape { what: WHAT, rule })
    }

    /// The name; empty for the default server.
    ///
    /// Example: see [`ServerId`](crate::ServerId).
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the server that every user has.
    ///
    /// Example: see [`ServerId`](crate::ServerId).
    pub fn is_default(&self) -> bool {
        self.0.is_empty()
    }
}

impl ServerId {
    /// The server `server` of `user`.
    ///
    /// Example: see [`ServerId`](crate::ServerId).
    pub fn new(user: UserName, server: ServerName) -> Self {
        Self { user, server }
    }

    /// The default server of `user`.
    ///
    /// Example: see [`ServerId`](crate::ServerId).
    pub fn default_of(user: UserName) -> Self {
        Self {
            user,
            server: ServerName::default_server(),
        }
    }

    /// A name for files, containers and units: `alice`, or `alice--proj` for a named server, with
    /// both halves escaped by [`escape_object_name`]. No two servers share one, because the
    /// escaped halves never hold `--`.
    ///
    /// Example: see [`ServerId`](crate::ServerId).
    pub fn object_name(&self) -> String {
        let user = escape_object_name(self.user.as_str());
        if self.server.is_default() {
            user
        } else {
            format!("{user}--{}", escape_object_name(self.server.as_str()))
        }
    }
}

impl LaunchId {
    /// A fresh one.
    ///
    /// Example: see [`LaunchId`](crate::LaunchId).
    pub fn random() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()).into())
    }

    /// Takes one that was stored or found in the world: exactly 32 lower-case hex digits.
    ///
    /// Example: see [`LaunchId`](crate::LaunchId).
    pub fn new(raw: &str) -> Result<Self, NameError> {
        const WHAT: &str = "launch id";
        if let Some((at, found)) = raw
            .char_indices()
            .find(|(_, c)| !matches!(c, '0'..='9' | 'a'..='f'))
        {
            let allowed = "digits and a-f";
            return Err(NameError::Character {
                what: WHAT,
                allowed,
                found,
                at,
            });
        }
        if raw.len() != 32 {
            return Err(NameError::Shape {
                what: WHAT,
                rule: "has 32 digits",
            });
        }
        Ok(Self(raw.into()))
    }

    /// The 32 hex digits.
    ///
    /// Example: see [`LaunchId`](crate::LaunchId).
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Escapes a name for places that allow little: `a-z 0-9` stay, every other byte becomes `-` and
/// two hex digits. Injective, and the result never holds `--` nor ends in `-`.
///
/// The same spelling as DockerSpawner's, so volumes made by it keep their names.
///
/// ```
/// assert_eq!(spawner_core::escape_object_name("a-b@c"), "a-2db-40c");
/// ```
pub fn escape_object_name(name: &str) -> String {
    use fmt::Write as _;
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() {
            escaped.push(byte.into());
        } else {
            let _ = write!(escaped, "-{byte:02x}");
        }
    }
    escaped
}

fn check_length(what: &'static str, raw: &str, max: usize) -> Result<(), NameError> {
    match raw.len() {
        0 => Err(NameError::Empty { what }),
        length if length > max => Err(NameError::TooLong { what, max, length }),
        _ => Ok(()),
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.server.is_default() {
            f.write_str(self.user.as_str())
        } else {
            write!(f, "{}:{}", self.user, self.server)
        }
    }
}

impl fmt::Debug for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Display, Debug and the text conversions that every name has in common.
macro_rules! text_type {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }
        impl FromStr for $name {
            type Err = NameError;
            fn from_str(raw: &str) -> Result<Self, NameError> {
                Self::new(raw)
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(raw: String) -> Result<Self, NameError> {
                Self::new(&raw)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.as_str().to_owned()
            }
        }
    };
}
text_type!(UserName);
text_type!(ServerName);
text_type!(LaunchId);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn user_names_fold_upper_case() {
        assert_eq!(
            UserName::new("ALICE").unwrap(),
            UserName::new("alice").unwrap()
        );
        assert_eq!(
            UserName::new("a.b_c@d+e-f0").unwrap().as_str(),
            "a.b_c@d+e-f0"
        );
        assert_eq!(UserName::new("_svc").unwrap().as_str(), "_svc");
    }

    #[test]
    fn hostile_user_names_are_refused() {
        let long = "x".repeat(300);
        for raw in [
            "",
            " ",
            " a",
            "a ",
            "\ta",
            ".",
            "..",
            "...",
            "../bob",
            "bob/..",
            "a/b",
            "a\\b",
            "%2f",
            "%2e%2e",
            "a\0b",
            "a\r\nb",
            "a\x1b[31m",
            "-rf",
            "~root",
            "ａlice",
            "аlice",
            "a\u{202e}b",
            "a\u{200d}b",
            "@a",
            "+a",
            &long,
        ] {
            assert!(UserName::new(raw).is_err(), "{raw:?} was accepted");
        }
    }

    #[test]
    fn server_names_are_slugs() {
        for raw in ["", "a", "proj-2", "abcdefghijklmnopqrstuvwxyz0123"] {
            assert_eq!(ServerName::new(raw).unwrap().as_str(), raw);
        }
        for raw in [
            "A",
            "2a",
            "-a",
            "a-",
            "a--b",
            "a/b",
            "a%2Fb",
            "?x",
            "..",
            "<script>",
            "a b",
            "é",
            "abcdefghijklmnopqrstuvwxyz01234",
        ] {
            assert!(ServerName::new(raw).is_err(), "{raw:?} was accepted");
        }
    }

    #[test]
    fn a_sentence_says_what_is_wrong() {
        let error = UserName::new("a/b").unwrap_err().to_string();
        assert_eq!(
            error,
            "a user name can hold only letters a-z, digits and . _ @ + -; '/' is not allowed"
        );
    }

    #[test]
    fn launch_ids_are_fresh_and_round_trip() {
        let one = LaunchId::random();
        assert_ne!(one, LaunchId::random());
        assert_eq!(LaunchId::new(one.as_str()).unwrap(), one);
        assert!(LaunchId::new("abc").is_err());
        assert!(LaunchId::new(&"G".repeat(32)).is_err());
    }

    fn user_name() -> impl Strategy<Value = UserName> {
        "[a-z0-9_][a-z0-9._@+-]{0,20}".prop_map(|raw| UserName::new(&raw).unwrap())
    }
    fn server_name() -> impl Strategy<Value = ServerName> {
        prop_oneof![Just(String::new()), "[a-z]([a-z0-9]|-[a-z0-9]){0,10}"]
            .prop_map(|raw| ServerName::new(&raw).unwrap())
    }

    proptest! {
        #[test]
        fn object_names_never_collide(
            a in (user_name(), server_name()), b in (user_name(), server_name())
        ) {
            let (a, b) = (ServerId::new(a.0, a.1), ServerId::new(b.0, b.1));
            prop_assert_eq!(a.object_name() == b.object_name(), a == b);
        }
    }
}
