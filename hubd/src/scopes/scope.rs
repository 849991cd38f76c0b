//! One scope as it is written: a name and perhaps a filter, `read:users!group=staff`.
//!
//! ```text
//! NAME                          every target
//! NAME!user=U  NAME!group=G     one user; the members of one group (for group scopes: the group)
//! NAME!server=U/S               one server; `U/` is U's default server
//! NAME!service=S                one service
//! NAME!user !server !service    the short forms: filled in from the token's owner and issuer
//! ```
//!
//! A value of [`Scope`] names a scope that exists and, if it has a filter, one that can be read in
//! only one way. What it is worth is decided by [`super::expand()`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use spawner_core::{NameError, ServerId, ServerName, UserName};

use super::ScopeName;

/// The longest scope that is read, in bytes; the longest meaningful one has about 320.
const SCOPE_MAX: usize = 512;
/// The most scopes that one token or request may name.
const SCOPES_MAX: usize = 200;

/// A scope as somebody wrote it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Scope {
    /// What may be done.
    pub(crate) name: ScopeName,
    /// To whom; `None` means to everything.
    pub(crate) filter: Option<Filter>,
}

/// What a scope is limited to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Filter {
    /// `!group=G`
    Group(String),
    /// `!server=U/S`
    Server(ServerId),
    /// `!service=S`
    Service(String),
    /// `!user=U`
    User(UserName),
    /// `!server`: the server that the token was issued to.
    OwnServer,
    /// `!service`: the service that owns the token, or that it was issued to.
    OwnService,
    /// `!user`: the token's owner.
    OwnUser,
}

/// Why a text is no scope, or may not be had. The sentence is meant for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScopeError {
    /// No scope has this name.
    #[error("there is no scope called {name:?}{}", did_you_mean(.suggestion.as_ref()))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        suggestion: Option<ScopeName>,
    },
    /// The part after `!` cannot be read.
    #[error(
        "the scope {scope:?} has a filter that cannot be read: \
         a filter is !user, !server, !service, !user=NAME, !server=NAME/SERVER, !group=NAME or !service=NAME"
    )]
    Filter {
        /// The whole scope.
        scope: String,
    },
    /// A filter names a user or server that cannot exist.
    #[error("the scope {scope:?} names no possible target: {source}")]
    Target {
        /// The whole scope.
        scope: String,
        /// What is wrong with the name.
        source: NameError,
    },
    /// `self` or `inherit` with a filter.
    #[error("the scope {name} takes no filter, as it stands for all of somebody's own rights")]
    Metascope {
        /// Which one.
        name: ScopeName,
    },
    /// Longer than any scope.
    #[error("a scope has at most {SCOPE_MAX} characters, this one has {length}")]
    TooLong {
        /// What came, in bytes.
        length: usize,
    },
    /// More scopes than there can be a use for.
    #[error("at most {SCOPES_MAX} scopes can be asked for at once")]
    TooMany,
    /// The owner of the token does not hold these.
    #[error("{owner} does not hold the scopes {scopes}, so a token cannot have them")]
    NotHeld {
        /// The owner: "user alice" or "service culler".
        owner: String,
        /// The scopes, comma-separated.
        scopes: String,
    },
}

fn did_you_mean(suggestion: Option<&ScopeName>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

impl Scope {
    /// A scope over everything.
    pub(crate) const fn all(name: ScopeName) -> Self {
        Self { name, filter: None }
    }

    /// A scope over part of everything.
    pub(crate) const fn of(name: ScopeName, filter: Filter) -> Self {
        Self {
            name,
            filter: Some(filter),
        }
    }

    /// Reads a list of scopes, such as a request's or a stored token's.
    pub(crate) fn parse_all<'a>(
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Self>, ScopeError> {
        let mut scopes = Vec::new();
        for text in texts {
            if scopes.len() == SCOPES_MAX {
                return Err(ScopeError::TooMany);
            }
            scopes.push(text.parse()?);
        }
        Ok(scopes)
    }

    /// The two scopes of which a visitor of `server` needs one: over this server, or over all its
    /// owner's. They travel to the server as `JUPYTERHUB_OAUTH_ACCESS_SCOPES`.
    pub(crate) fn access_to(server: &ServerId) -> [Self; 2] {
        let this = Filter::Server(server.clone());
        let all = Filter::User(server.user.clone());
        [this, all].map(|filter| Self::of(ScopeName::AccessServers, filter))
    }

    /// The two scopes of which a visitor of a service needs one: over this one, or over all. The
    /// first is what the token of a visitor holds.
    pub(crate) fn access_to_service(service: &str) -> [Self; 2] {
        let this = Filter::Service(service.to_owned());
        [
            Self::of(ScopeName::AccessServices, this),
            Self::all(ScopeName::AccessServices),
        ]
    }
}

impl ScopeError {
    /// No scope is called `name`; looks for one that is spelt much like it.
    pub(super) fn unknown(name: &str) -> Self {
        let near = |known: &ScopeName| strsim::damerau_levenshtein(known.as_str(), name);
        let suggestion = match name {
            "all" => Some(ScopeName::Inherit), // its name in the drafts of JupyterHub 2
            _ => ScopeName::ALL.iter().copied().min_by_key(near),
        };
        Self::Unknown {
            suggestion: suggestion.filter(|known| name == "all" || near(known) <= 2),
            name: name.to_owned(),
        }
    }
}

/// Reads what follows the `!`.
fn parse_filter(scope: &str, text: &str) -> Result<Filter, ScopeError> {
    let unreadable = || ScopeError::Filter {
        scope: scope.to_owned(),
    };
    let no_target = |source| ScopeError::Target {
        scope: scope.to_owned(),
        source,
    };
    let Some((kind, value)) = text.split_once('=') else {
        return match text {
            "user" => Ok(Filter::OwnUser),
            "server" => Ok(Filter::OwnServer),
            "service" => Ok(Filter::OwnService),
            _ => Err(unreadable()),
        };
    };
    match kind {
        "user" => Ok(Filter::User(UserName::new(value).map_err(no_target)?)),
        "server" => {
            let (user, server) = value.split_once('/').ok_or_else(unreadable)?;
            let user = UserName::new(user).map_err(no_target)?;
            let server = ServerName::new(server).map_err(no_target)?;
            Ok(Filter::Server(ServerId::new(user, server)))
        }
        "group" if is_label(value) => Ok(Filter::Group(value.to_owned())),
        "service" if is_label(value) => Ok(Filter::Service(value.to_owned())),
        _ => Err(unreadable()),
    }
}

/// Whether a group or service can be named in a filter. White space separates scopes in OAuth and
/// `!` begins a filter, so a name that holds one could be read in two ways.
fn is_label(value: &str) -> bool {
    let plain = |c: char| !(c.is_whitespace() || c.is_control() || c == '!');
    !value.is_empty() && value.chars().all(plain)
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let length = text.len();
        if length > SCOPE_MAX {
            return Err(ScopeError::TooLong { length });
        }
        let Some((name, filter)) = text.split_once('!') else {
            return Ok(Self::all(text.parse()?));
        };
        let name: ScopeName = name.parse()?;
        if name.is_metascope() {
            return Err(ScopeError::Metascope { name });
        }
        Ok(Self::of(name, parse_filter(text, filter)?))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_str())?;
        match &self.filter {
            None => Ok(()),
            Some(Filter::Group(group)) => write!(f, "!group={group}"),
            Some(Filter::Server(id)) => write!(f, "!server={}/{}", id.user, id.server),
            Some(Filter::Service(service)) => write!(f, "!service={service}"),
            Some(Filter::User(user)) => write!(f, "!user={user}"),
            Some(Filter::OwnServer) => f.write_str("!server"),
            Some(Filter::OwnService) => f.write_str("!service"),
            Some(Filter::OwnUser) => f.write_str("!user"),
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back() {
        for text in [
            "proxy",
            "self",
            "inherit",
            "read:users!user",
            "access:servers!server",
            "access:services!service",
            "read:users!user=a.b@c",
            "access:servers!server=u1/",
            "access:servers!server=u1/proj-2",
            "list:users!group=staff=2026",
            "read:services!service=idle-culler",
        ] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        let upper: Scope = "tokens!user=ALICE".parse().unwrap();
        assert_eq!(upper.to_string(), "tokens!user=alice");
    }

    #[test]
    fn hostile_scopes_are_refused() {
        let long = format!("read:users!group={}", "x".repeat(600));
        for text in [
            "",
            " ",
            "Proxy",
            "proxy ",
            "admin:*",
            "*",
            "custom:thing",
            "!user=a",
            "read:users!",
            "read:users!user=",
            "read:users!user=a!user=b",
            "read:users!user=..",
            "read:users!group=",
            "read:users!group=a!group=b",
            "read:users!group=a admin:users",
            "read:users!group=a\nb",
            "read:users!group",
            "read:users!host=a",
            "read:users!User=a",
            "access:servers!server=u1",
            "access:servers!server=u1/Bad_Name",
            "access:servers!server=u1/a/b",
            "access:servers!server=/a",
            "self!user=a",
            "inherit!user",
            &long,
        ] {
            assert!(text.parse::<Scope>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn sentences_say_what_to_do() {
        let say = |text: &str| text.parse::<Scope>().unwrap_err().to_string();
        assert_eq!(
            say("read:user"),
            "there is no scope called \"read:user\"; did you mean read:users?"
        );
        assert_eq!(
            say("all"),
            "there is no scope called \"all\"; did you mean inherit?"
        );
        assert_eq!(say("fly:planes"), "there is no scope called \"fly:planes\"");
        assert!(say("tokens!user=a/b").ends_with("'/' is not allowed"));
    }

    #[test]
    fn lists_are_bounded() {
        let many = vec!["proxy"; 10_000];
        assert_eq!(Scope::parse_all(many), Err(ScopeError::TooMany));
        assert_eq!(Scope::parse_all(["proxy", "shutdown"]).unwrap().len(), 2);
    }

    #[test]
    fn a_visitor_needs_one_of_two_scopes() {
        let server = ServerId::default_of(UserName::new("tee").unwrap());
        assert_eq!(
            Scope::access_to(&server).map(String::from),
            ["access:servers!server=tee/", "access:servers!user=tee"]
        );
    }
}
