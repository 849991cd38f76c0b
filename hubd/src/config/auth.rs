//! `[auth]`: who may log in, and how they prove who they are.

use std::time::Duration;

use spawner_core::{Secret, UserName};

use super::names::{allowed_user, user};
use super::reader::TableReader;
use super::spec::{KeySpec, TableSpec};
use super::value::{count, flag, one_of, some_text};

/// `[auth]` and its tables.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct AuthTable {
    /// The authenticator. There is no default: a hub without one does not start.
    pub(crate) kind: Option<AuthKind>,
    /// Whether everybody whom the authenticator knows may come in.
    pub(crate) allow_all: bool,
    /// Who may come in.
    pub(crate) allowed_users: Vec<UserName>,
    /// Who may not, whatever else says they may.
    pub(crate) blocked_users: Vec<UserName>,
    /// Who may come in and is an admin.
    pub(crate) admin_users: Vec<UserName>,
    /// The longest that a token lives that somebody asks for; zero sets no limit.
    pub(crate) token_max_age: Duration,
    /// The one password of the dummy authenticator; none takes any.
    pub(crate) dummy_password: Option<Secret>,
}

/// How users prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthKind {
    /// Accounts in hubd's own database.
    Password,
    /// Any name, and one password for all or none: for trying things out on one machine.
    Dummy,
}

impl AuthKind {
    /// What the file calls it.
    pub(crate) fn as_str(self) -> &'static str {
        let called = KINDS.iter().find(|(_, kind)| *kind == self);
        called.map_or("", |(name, _)| name)
    }
}

/// What the file calls each kind.
pub(super) const KINDS: &[(&str, AuthKind)] =
    &[("password", AuthKind::Password), ("dummy", AuthKind::Dummy)];

pub(super) const SPEC: TableSpec = TableSpec {
    path: "auth",
    repeated: false,
    about: "Who may log in.",
    keys: &[
        KeySpec::unset(
            "kind",
            "\"password\"",
            "How users prove who they are. hubd does not start without it.\n\
             \"password\": accounts in hubd's own database, made with `hubd user add`.\n\
             \"dummy\": any user name, for trying things out; on a loopback address only.",
        ),
        KeySpec::new(
            "allow_all",
            "false",
            "Whether everybody may come in who has an account. Otherwise only allowed_users and\n\
             admin_users may.",
        ),
        KeySpec::new("allowed_users", "[]", "Names of users who may come in."),
        KeySpec::new(
            "blocked_users",
            "[]",
            "Names of users who may not, whatever else says they may.",
        ),
        KeySpec::new(
            "admin_users",
            "[]",
            "Names of users who may come in and are admins.",
        ),
        KeySpec::new(
            "token_expires_in_max_seconds",
            "0",
            "The longest that a token lives that somebody asks for, in whole seconds; one without an end\n\
             lives that long. Longer ones of earlier times are shortened when hubd starts. 0 sets no\n\
             limit.",
        ),
    ],
};

pub(super) const DUMMY_SPEC: TableSpec = TableSpec {
    path: "auth.dummy",
    repeated: false,
    about: "For kind = \"dummy\".",
    keys: &[KeySpec::unset(
        "password",
        "\"correct horse battery staple\"",
        "The password of every user. Without it any password is taken.",
    )],
};

pub(super) fn read(mut table: TableReader<'_, '_>) -> AuthTable {
    let entries = table.table("dummy");
    let mut dummy = table.sub(&DUMMY_SPEC, DUMMY_SPEC.path.to_owned(), entries);
    let dummy_password = dummy.get("password", some_text).map(Secret::new);
    dummy.finish();
    let read = AuthTable {
        kind: table.get("kind", one_of(KINDS)),
        allow_all: table.get("allow_all", flag).unwrap_or_default(),
        allowed_users: table
            .list("allowed_users", allowed_user)
            .unwrap_or_default(),
        blocked_users: table.list("blocked_users", user).unwrap_or_default(),
        admin_users: table.list("admin_users", user).unwrap_or_default(),
        token_max_age: table
            .get("token_expires_in_max_seconds", count)
            .map(|seconds| Duration::from_secs(seconds.into()))
            .unwrap_or_default(),
        dummy_password,
    };
    table.finish();
    read
}
