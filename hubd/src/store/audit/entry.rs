//! What there is to say about one act: who, by which means, what, to whom.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Map, Value};
use spawner_core::ServerId;

use super::super::ids::{GroupId, ServerRowId, TokenId, UserId};
use super::super::users::User;

/// The longest list of names in a detail; more are counted.
const NAMES_MAX: usize = 20;

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Actor {
    pub(super) kind: ActorKind,
    pub(super) id: Option<i64>,
    pub(super) name: String,
    pub(super) means: Means,
    /// The token by name, if it was one of the books.
    pub(super) token: Option<TokenId>,
    pub(super) source: Option<IpAddr>,
}

/// What kind of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActorKind {
    /// A user; the number is theirs.
    User,
    Service,
    /// Somebody who runs a command on this host; the number is that of the account.
    Command,
    /// The hub by itself, by the name of its part.
    Hub,
    /// Somebody who has not shown who they are.
    Nobody,
}

/// How somebody has shown who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// The login of a browser.
    Session,
    /// A token of the books.
    Token,
    /// The token of a service from the configuration.
    ServiceToken,
    /// Name and password.
    Password,
    /// The one-time link.
    Link,
    /// Another program's word: a trusted proxy's, another site's.
    External,
    /// An account of this host, as the kernel says.
    Account,
    /// Nothing was to be shown.
    None,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What was done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Action {
            $($(#[$doc])* $name,)*
        }

        impl Action {
            /// Every one of them.
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            /// Its word, which stays as it is for good.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

actions! {
    Login = "login",
    Logout = "logout",
    Signup = "signup",
    SignupApprove = "signup.approve",
    SignupDecline = "signup.decline",
    UserCreate = "user.create",
    UserChange = "user.change",
    UserPassword = "user.password",
    UserBlock = "user.block",
    UserUnblock = "user.unblock",
    /// The account belongs to somebody at a login provider from now on.
    UserBind = "user.bind",
    UserUnbind = "user.unbind",
    UserDelete = "user.delete",
    GroupCreate = "group.create",
    GroupChange = "group.change",
    GroupAdd = "group.add",
    GroupRemove = "group.remove",
    GroupDelete = "group.delete",
    TokenCreate = "token.create",
    TokenRevoke = "token.revoke",
    OauthGrant = "oauth.grant",
    ServerCreate = "server.create",
    ServerChange = "server.change",
    ServerStart = "server.start",
    ServerStop = "server.stop",
    ServerKeep = "server.keep",
    ServerDelete = "server.delete",
    /// Somebody opens a server that is not theirs.
    ServerVisit = "server.visit",
    ServiceCreate = "service.create",
    ServiceDelete = "service.delete",
    HubStart = "hub.start",
    HubStop = "hub.stop",
    HubShutdown = "hub.shutdown",
    /// Entries that were older than what is kept are gone.
    AuditPrune = "audit.prune",
}

/// To what it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub(super) kind: &'static str,
    pub(super) id: Option<i64>,
    pub(super) name: String,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is done.
    Done,
    /// It is under way, and ends as it ends.
    Begun,
    /// It was not done.
    Refused,
}

/// One act, to be written down with the change that it makes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(super) by: Actor,
    pub(super) action: Action,
    /// Without one the entry is about whatever its change makes: one row for each thing, and none if
    /// nothing is made.
    pub(super) object: Option<Object>,
    /// Whom it concerns; an object that is a user concerns that one.
    pub(super) user: Option<(UserId, String)>,
    pub(super) outcome: Outcome,
    pub(super) detail: Map<String, Value>,
}

impl Actor {
    /// A user, from that address.
    pub(crate) fn user(user: &User, means: Means, source: IpAddr) -> Self {
        Self {
            id: Some(user.id.0),
            source: Some(source),
            ..Self::new(ActorKind::User, user.name.as_str(), means)
        }
    }

    /// A service, from that address.
    pub(crate) fn service(name: &str, means: Means, source: IpAddr) -> Self {
        Self {
            source: Some(source),
            ..Self::new(ActorKind::Service, name, means)
        }
    }

    /// Whoever runs a command as this account of the host.
    pub(crate) fn command(uid: u32, account: &str) -> Self {
        Self {
            id: Some(uid.into()),
            ..Self::new(ActorKind::Command, account, Means::Account)
        }
    }

    /// A part of the hub.
    pub(crate) fn hub(part: &str) -> Self {
        Self::new(ActorKind::Hub, part, Means::None)
    }

    /// A stranger.
    pub(crate) fn nobody(means: Means, source: IpAddr) -> Self {
        Self {
            source: Some(source),
            ..Self::new(ActorKind::Nobody, "", means)
        }
    }

    /// The same with this token.
    pub(crate) fn with_token(self, token: TokenId) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }

    fn new(kind: ActorKind, name: &str, means: Means) -> Self {
        Self {
            kind,
            id: None,
            name: name.to_owned(),
            means,
            token: None,
            source: None,
        }
    }
}

impl ActorKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Service => "service",
            Self::Command => "command",
            Self::Hub => "hub",
            Self::Nobody => "nobody",
        }
    }
}

impl Means {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Token => "token",
            Self::ServiceToken => "service-token",
            Self::Password => "password",
            Self::Link => "link",
            Self::External => "external",
            Self::Account => "account",
            Self::None => "none",
        }
    }
}

impl Outcome {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Begun => "begun",
            Self::Refused => "refused",
        }
    }
}

impl Object {
    pub(crate) fn user(user: &User) -> Self {
        Self::new("user", Some(user.id.0), user.name.as_str())
    }

    pub(crate) fn server(row: Option<ServerRowId>, server: &ServerId) -> Self {
        Self::new("server", row.map(|row| row.0), &server.to_string())
    }

    pub(crate) fn group(id: GroupId, name: &str) -> Self {
        Self::new("group", Some(id.0), name)
    }

    pub(crate) fn token(id: TokenId) -> Self {
        Self::new("token", Some(id.0), &id.to_string())
    }

    pub(crate) fn service(name: &str) -> Self {
        Self::new("service", None, name)
    }

    /// A sign-up, or an account that somebody has tried to log in to without proving anything.
    pub(crate) fn name(name: &str) -> Self {
        Self::new("name", None, name)
    }

    /// The hub as a whole.
    pub(crate) fn hub() -> Self {
        Self::new("hub", None, "hub")
    }

    fn new(kind: &'static str, id: Option<i64>, name: &str) -> Self {
        let name = name.to_owned();
        Self { kind, id, name }
    }
}

impl Entry {
    /// Says that `by` does `action` to whatever the change makes.
    pub(crate) fn new(by: Actor, action: Action) -> Self {
        Self {
            by,
            action,
            object: None,
            user: None,
            outcome: Outcome::Done,
            detail: Map::new(),
        }
    }

    /// To this.
    pub(crate) fn on(self, object: Object) -> Self {
        let object = Some(object);
        Self { object, ..self }
    }

    /// To this user.
    pub(crate) fn on_user(self, user: &User) -> Self {
        self.on(Object::user(user)).concerning(user)
    }

    /// It concerns this user.
    pub(crate) fn concerning(self, user: &User) -> Self {
        let user = Some((user.id, user.name.to_string()));
        Self { user, ..self }
    }

    /// It is under way.
    pub(crate) fn begun(self) -> Self {
        let outcome = Outcome::Begun;
        Self { outcome, ..self }
    }

    /// It was refused.
    pub(crate) fn refused(self) -> Self {
        let outcome = Outcome::Refused;
        Self { outcome, ..self }
    }

    /// More about it. It must be no secret.
    pub(crate) fn with(mut self, key: &str, value: impl Serialize) -> Self {
        // What cannot be JSON is left out; a detail never stands in the way of an act.
        if let Ok(value) = serde_json::to_value(value) {
            self.detail.insert(key.to_owned(), value);
        }
        self
    }

    /// More about it, if there is any.
    pub(crate) fn with_some(self, key: &str, value: Option<impl Serialize>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// The first names of a list, and how many there are if there are more.
    pub(crate) fn with_names<N: AsRef<str>>(
        self,
        key: &str,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        let mut names = names.into_iter();
        let first: Vec<String> = (names.by_ref().take(NAMES_MAX))
            .map(|name| name.as_ref().to_owned())
            .collect();
        let more = names.count();
        let entry = self.with(key, first);
        entry.with_some("more", (more > 0).then_some(more))
    }
}
