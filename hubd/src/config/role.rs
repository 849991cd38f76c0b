//! `[[role]]`: scopes for users, groups and services.

use spawner_core::UserName;

use super::names::{name, scope, user};
use super::reader::TableReader;
use super::spec::{KeySpec, TableSpec};

/// One `[[role]]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RoleTable {
    /// Its name; no other role in the file has it.
    pub(crate) name: String,
    /// What it allows. They look like scopes; whether they are is for whoever uses them to check.
    pub(crate) scopes: Vec<String>,
    /// Users who have it.
    pub(crate) users: Vec<UserName>,
    /// Groups whose users have it.
    pub(crate) groups: Vec<String>,
    /// Services that have it; each stands in the file.
    pub(crate) services: Vec<String>,
}

pub(super) const SPEC: TableSpec = TableSpec {
    path: "role",
    repeated: true,
    about: "Scopes for users, groups and services; once for each role.",
    keys: &[
        KeySpec::unset("name", "\"grading\"", "Its name."),
        KeySpec::new(
            "scopes",
            "[]",
            "What it allows, as in [\"list:users\", \"access:servers!group=class\"].",
        ),
        KeySpec::new("users", "[]", "Names of users who have this role."),
        KeySpec::new("groups", "[]", "Names of groups whose users have it."),
        KeySpec::new("services", "[]", "Names of services that have it."),
    ],
};

pub(super) fn read(mut table: TableReader<'_, '_>) -> RoleTable {
    let read = RoleTable {
        name: table.require("name", name).unwrap_or_default(),
        scopes: table.list("scopes", scope).unwrap_or_default(),
        users: table.list("users", user).unwrap_or_default(),
        groups: table.list("groups", name).unwrap_or_default(),
        services: table.list("services", name).unwrap_or_default(),
    };
    table.finish();
    read
}
