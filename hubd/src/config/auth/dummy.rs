//! `[auth.dummy]`: one password for everybody, or none.

use spawner_core::Secret;

use super::super::reader::TableReader;
use super::super::spec::{KeySpec, TableSpec};
use super::super::value::some_text;

pub(super) const SPEC: TableSpec = TableSpec {
    path: "auth.dummy",
    repeated: false,
    about: "For kind = \"dummy\".",
    keys: &[KeySpec::unset(
        "password",
        "\"correct horse battery staple\"",
        "The password of every user. Without it any password is taken.",
    )],
};

pub(super) fn read(mut table: TableReader<'_, '_>) -> Option<Secret> {
    let password = table.get("password", some_text).map(Secret::new);
    table.finish();
    password
}
