//! `[auth]`: who may log in, and how they prove who they are. Each kind that has keys of its own has
//! a table of its name, in a file of its own.

mod dummy;
mod header;
mod names;
mod oidc;
mod pam;
mod password;
mod shared_password;

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;
use spawner_core::{Secret, UserName};

use super::names::{allowed_user, user};
use super::reader::TableReader;
use super::spec::{KeySpec, TableSpec};
use super::value::{count, flag, one_of, some_text};

pub(crate) use self::header::HeaderTable;
pub(crate) use self::oidc::OidcTable;
pub(crate) use self::pam::PamTable;
pub(crate) use self::password::PasswordTable;
pub(crate) use self::shared_password::SharedPasswordTable;

/// `[auth]` and its tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuthTable {
    /// The authenticator. There is no default: a hub without one does not start.
    pub(crate) kind: Option<AuthKind>,
    /// Whether everybody whom the authenticator knows may come in.
    pub(crate) allow_all: bool,
    /// Who may come in.
    pub(crate) allowed_users: Vec<UserName>,
    /// Whose members may come in: groups of the system for PAM, of a provider that tells them, else
    /// the hub's.
    pub(crate) allowed_groups: Vec<String>,
    /// Who may not, whatever else says they may.
    pub(crate) blocked_users: Vec<UserName>,
    /// Who may come in and is an admin.
    pub(crate) admin_users: Vec<UserName>,
    /// The longest that a token lives that somebody asks for; zero sets no limit.
    pub(crate) token_max_age: Duration,
    /// What a name has to look like as a whole, after it was put into its one form.
    pub(crate) username_pattern: Option<Regex>,
    /// Names as people prove them, in lower case, and what they are called here.
    pub(crate) username_map: BTreeMap<String, UserName>,
    /// The one password of the dummy authenticator; none takes any.
    pub(crate) dummy_password: Option<Secret>,
    pub(crate) password: PasswordTable,
    pub(crate) shared_password: SharedPasswordTable,
    pub(crate) pam: PamTable,
    pub(crate) header: HeaderTable,
    pub(crate) oidc: OidcTable,
}

/// How users prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthKind {
    /// Accounts of the system, through its PAM.
    Pam,
    /// Accounts in hubd's own database.
    Password,
    /// Any name, with one password for users and a longer one for admins.
    SharedPassword,
    /// A proxy in front of the hub says who asks.
    Header,
    /// An OpenID Connect provider says who somebody is.
    Oidc,
    /// Any name, and one password for all or none: for trying things out on one machine.
    Dummy,
}

/// What the file calls each kind: the one list of them.
pub(super) const KINDS: &[(&str, AuthKind)] = &[
    ("pam", AuthKind::Pam),
    ("password", AuthKind::Password),
    ("shared-password", AuthKind::SharedPassword),
    ("header", AuthKind::Header),
    ("oidc", AuthKind::Oidc),
    ("dummy", AuthKind::Dummy),
];

/// The tables that stand in `[auth]`.
pub(super) const DUMMY_SPEC: TableSpec = dummy::SPEC;
pub(super) const HEADER_SPEC: TableSpec = header::SPEC;
pub(super) const OIDC_SPEC: TableSpec = oidc::SPEC;
pub(super) const PAM_SPEC: TableSpec = pam::SPEC;
pub(super) const PASSWORD_SPEC: TableSpec = password::SPEC;
pub(super) const SHARED_PASSWORD_SPEC: TableSpec = shared_password::SPEC;

pub(super) const SPEC: TableSpec = TableSpec {
    path: "auth",
    repeated: false,
    about: "Who may log in. Names are put into one form before they are compared: trimmed, in lower\n\
            case, then changed by username_map. Who is blocked is refused before anything else is\n\
            looked at.",
    keys: &[
        KeySpec::unset(
            "kind",
            "\"password\"",
            "How users prove who they are. hubd does not start without it.\n\
             \"pam\": accounts of this system; run hubd as root for it.\n\
             \"password\": accounts in hubd's own database, made with `hubd user add`.\n\
             \"shared-password\": any user name, with one password for all users.\n\
             \"header\": a proxy in front of hubd says who asks.\n\
             \"oidc\": people sign in at an OpenID Connect provider.\n\
             \"dummy\": any user name, for trying things out; on a loopback address only.",
        ),
        KeySpec::new(
            "allow_all",
            "false",
            "Whether everybody may come in who proves who they are. Otherwise only allowed_users,\n\
             members of allowed_groups and admin_users may.",
        ),
        KeySpec::new("allowed_users", "[]", "Names of users who may come in."),
        KeySpec::new(
            "allowed_groups",
            "[]",
            "Names of groups whose members may come in. For kind = \"pam\" these are groups of the\n\
             system, for \"oidc\" with a claim_groups_key those of the provider, looked up at each login;\n\
             else groups of the hub.",
        ),
        KeySpec::new(
            "blocked_users",
            "[]",
            "Names of users who may not, whatever else says they may. `hubd user block` does it while\n\
             the hub runs.",
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
        KeySpec::unset(
            "username_pattern",
            "\"[a-z][a-z0-9]{2,}\"",
            "A regular expression that the whole of a name must fit, beside the rules that hold for\n\
             every name.",
        ),
        KeySpec::new(
            "username_map",
            "{}",
            "What users are called here who prove another name, as in { \"ann@example.org\" = \"ann\" }.",
        ),
    ],
};

impl AuthKind {
    /// Its word in the file.
    pub(crate) fn as_str(self) -> &'static str {
        let word = KINDS.iter().find(|(_, kind)| *kind == self);
        word.map_or("", |(word, _)| word)
    }
}

impl AuthTable {
    /// Whether nobody may come in, whoever they prove to be.
    pub(crate) fn allows_nobody(&self) -> bool {
        // Who is approved after a sign-up needs no other line.
        let by_signup = self.kind == Some(AuthKind::Password) && self.password.allow_signup;
        let nobody_listed = self.allowed_users.is_empty()
            && self.allowed_groups.is_empty()
            && self.admin_users.is_empty();
        !self.allow_all && nobody_listed && !by_signup
    }
}

/// Patterns are compared by their text.
impl PartialEq for AuthTable {
    fn eq(&self, other: &Self) -> bool {
        let facts = |table: &Self| {
            (
                table.kind,
                table.allow_all,
                table.allowed_users.clone(),
                table.allowed_groups.clone(),
                table.blocked_users.clone(),
                table.admin_users.clone(),
                table.token_max_age,
                table.username_pattern.as_ref().map(Regex::to_string),
                table.username_map.clone(),
            )
        };
        facts(self) == facts(other)
            && self.dummy_password == other.dummy_password
            && self.password == other.password
            && self.shared_password == other.shared_password
            && self.pam == other.pam
            && self.header == other.header
            && self.oidc == other.oidc
    }
}

pub(super) fn read(mut table: TableReader<'_, '_>) -> AuthTable {
    let read = AuthTable {
        dummy_password: dummy::read(sub(&mut table, "dummy", &DUMMY_SPEC)),
        password: password::read(sub(&mut table, "password", &PASSWORD_SPEC)),
        shared_password: shared_password::read(sub(
            &mut table,
            "shared-password",
            &SHARED_PASSWORD_SPEC,
        )),
        pam: pam::read(sub(&mut table, "pam", &PAM_SPEC)),
        header: header::read(sub(&mut table, "header", &HEADER_SPEC)),
        oidc: oidc::read(sub(&mut table, "oidc", &OIDC_SPEC)),
        kind: table.get("kind", one_of(KINDS)),
        allow_all: table.get("allow_all", flag).unwrap_or_default(),
        allowed_users: table
            .list("allowed_users", allowed_user)
            .unwrap_or_default(),
        allowed_groups: table.list("allowed_groups", some_text).unwrap_or_default(),
        blocked_users: table.list("blocked_users", user).unwrap_or_default(),
        admin_users: table.list("admin_users", user).unwrap_or_default(),
        token_max_age: table
            .get("token_expires_in_max_seconds", count)
            .map(|seconds| Duration::from_secs(seconds.into()))
            .unwrap_or_default(),
        username_pattern: table.get("username_pattern", names::pattern),
        username_map: names::map(&mut table),
    };
    table.finish();
    read
}

/// A reader of the table `[auth.<name>]`.
fn sub<'r, 'd>(
    table: &'r mut TableReader<'_, 'd>,
    name: &str,
    spec: &'static TableSpec,
) -> TableReader<'r, 'd> {
    let entries = table.table(name);
    table.sub(spec, spec.path.to_owned(), entries)
}
