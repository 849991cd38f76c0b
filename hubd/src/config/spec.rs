//! The list of every table and key, from which keys are recognised, suggested and printed.
//!
//! A table's keys stand beside the code that reads them, as its `SPEC`; here is the shape of such a
//! list and the list of all of them.

use super::{audit, auth, culler, group, hub, limits, role, service, spawner};

/// One table of the file.
pub(super) struct TableSpec {
    /// Its dotted name; empty for the file itself.
    pub(super) path: &'static str,
    /// Whether it is written `[[path]]`, once for each thing of its kind.
    pub(super) repeated: bool,
    /// What it is for, in one or more lines.
    pub(super) about: &'static str,
    /// Its keys, in the order in which they are printed.
    pub(super) keys: &'static [KeySpec],
}

/// One key of a table.
pub(super) struct KeySpec {
    pub(super) name: &'static str,
    pub(super) value: Shown,
    /// What it is for, in one or more lines.
    pub(super) about: &'static str,
}

/// The value that is printed for a key, as TOML.
#[derive(Clone, Copy)]
pub(super) enum Shown {
    /// What holds if the key is left out.
    Default(&'static str),
    /// A sample: left out, the key has no value.
    Example(&'static str),
}

impl KeySpec {
    /// A key with a default.
    pub(super) const fn new(
        name: &'static str,
        default: &'static str,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            value: Shown::Default(default),
            about,
        }
    }

    /// A key without one; the example is a valid value.
    pub(super) const fn unset(
        name: &'static str,
        example: &'static str,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            value: Shown::Example(example),
            about,
        }
    }
}

/// The file itself: it holds tables only.
pub(super) const ROOT: TableSpec = TableSpec {
    path: "",
    repeated: false,
    about: "",
    keys: &[],
};

/// Every table, in the order in which they are printed.
pub(super) const TABLES: &[&TableSpec] = &[
    &hub::SPEC,
    &auth::SPEC,
    &auth::PAM_SPEC,
    &auth::PASSWORD_SPEC,
    &auth::SHARED_PASSWORD_SPEC,
    &auth::HEADER_SPEC,
    &auth::OIDC_SPEC,
    &auth::DUMMY_SPEC,
    &spawner::SPEC,
    &limits::SPEC,
    &culler::SPEC,
    &audit::SPEC,
    &service::SPEC,
    &role::SPEC,
    &group::SPEC,
];

/// The names of the tables that stand directly in table `path`.
pub(super) fn tables_in(path: &'static str) -> impl Iterator<Item = &'static str> {
    TABLES.iter().filter_map(move |table| {
        let name = if path.is_empty() {
            table.path
        } else {
            table.path.strip_prefix(path)?.strip_prefix('.')?
        };
        (!name.contains('.')).then_some(name)
    })
}

/// How a table's header is written.
pub(super) fn header(table: &TableSpec) -> String {
    if table.repeated {
        format!("[[{}]]", table.path)
    } else {
        format!("[{}]", table.path)
    }
}
