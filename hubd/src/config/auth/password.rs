//! `[auth.password]`: accounts in hubd's own database.

use super::super::reader::TableReader;
use super::super::spec::{KeySpec, TableSpec};
use super::super::value::{Fault, count, flag};

/// The shortest password that may be asked for, in characters.
const LENGTH_LEAST: u32 = 8;
/// A longer one would be refused for being too long.
const LENGTH_MOST: u32 = 256;

/// `[auth.password]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PasswordTable {
    /// Whether people may ask for an account, which an admin then approves.
    pub(crate) allow_signup: bool,
    /// The length of new passwords, in characters.
    pub(crate) minimum_length: usize,
}

impl Default for PasswordTable {
    fn default() -> Self {
        Self {
            allow_signup: false,
            minimum_length: LENGTH_LEAST as usize,
        }
    }
}

pub(super) const SPEC: TableSpec = TableSpec {
    path: "auth.password",
    repeated: false,
    about: "For kind = \"password\".",
    keys: &[
        KeySpec::new(
            "allow_signup",
            "false",
            "Whether people may ask for an account. Nobody gets in before an admin has approved, on the\n\
             page of sign-ups or with `hubd user approve`; then allowed_users need not name them.",
        ),
        KeySpec::new(
            "minimum_length",
            "8",
            "How many characters a new password has at least.",
        ),
    ],
};

pub(super) fn read(mut table: TableReader<'_, '_>) -> PasswordTable {
    let default = PasswordTable::default();
    let read = PasswordTable {
        allow_signup: table
            .get("allow_signup", flag)
            .unwrap_or(default.allow_signup),
        minimum_length: table
            .get("minimum_length", |value| match count(value)? {
                length if (LENGTH_LEAST..=LENGTH_MOST).contains(&length) => Ok(length as usize),
                _ => Err(Fault::new(format!(
                    "a password has {LENGTH_LEAST} to {LENGTH_MOST} characters at least"
                ))),
            })
            .unwrap_or(default.minimum_length),
    };
    table.finish();
    read
}
