//! `[[group]]`: groups of users that exist from the start.

use spawner_core::UserName;

use super::names::{name, user};
use super::reader::TableReader;
use super::spec::{KeySpec, TableSpec};

/// One `[[group]]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupTable {
    /// Its name; no other group has it.
    pub(crate) name: String,
    /// Who is in it.
    pub(crate) users: Vec<UserName>,
}

pub(super) const SPEC: TableSpec = TableSpec {
    path: "group",
    repeated: true,
    about: "A group of users that exists from the start; once for each group.\n\
            The API makes others, and cannot change these.",
    keys: &[
        KeySpec::unset("name", "\"class\"", "Its name."),
        KeySpec::new("users", "[]", "Names of the users in it."),
    ],
};

pub(super) fn read(mut table: TableReader<'_, '_>) -> GroupTable {
    let read = GroupTable {
        name: table.require("name", name).unwrap_or_default(),
        users: table.list("users", user).unwrap_or_default(),
    };
    table.finish();
    read
}
