//! `[auth.shared-password]`: one password for users, a longer one for admins.

use std::collections::BTreeSet;

use spawner_core::Secret;

use super::super::files::secret_from;
use super::super::reader::TableReader;
use super::super::spec::{KeySpec, TableSpec};
use super::super::value::Fault;

/// The shortest of the two, in characters (JupyterHub's numbers).
const USER_MIN: usize = 8;
const ADMIN_MIN: usize = 32;
/// How many different characters make a password that is not only long.
const DIFFERENT_MIN: usize = 5;

/// `[auth.shared-password]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SharedPasswordTable {
    /// For everybody who is no admin.
    pub(crate) user_password: Option<Secret>,
    /// For admins.
    pub(crate) admin_password: Option<Secret>,
}

pub(super) const SPEC: TableSpec = TableSpec {
    path: "auth.shared-password",
    repeated: false,
    about: "For kind = \"shared-password\".",
    keys: &[
        KeySpec::unset(
            "user_password_file",
            "\"users.password\"",
            "File with the password of all users who are no admins, and nothing else, readable by its\n\
             owner only. 8 characters at least.",
        ),
        KeySpec::unset(
            "user_password",
            "\"correct horse battery\"",
            "That password, if it has to stand in this file.",
        ),
        KeySpec::unset(
            "admin_password_file",
            "\"admins.password\"",
            "File with the password of admins. 32 characters at least; without it no admin can log in.\n\
             `umask 077; openssl rand -hex 32 > admins.password` makes one.",
        ),
        KeySpec::unset(
            "admin_password",
            "\"a whole sentence that only admins know\"",
            "That password, if it has to stand in this file.",
        ),
    ],
};

pub(super) fn read(mut table: TableReader<'_, '_>) -> SharedPasswordTable {
    let read = SharedPasswordTable {
        user_password: secret_from(
            &mut table,
            "user_password",
            "user_password_file",
            |password| strong(password, USER_MIN),
        ),
        admin_password: secret_from(
            &mut table,
            "admin_password",
            "admin_password_file",
            |password| strong(password, ADMIN_MIN),
        ),
    };
    table.finish();
    read
}

/// A password that everybody shares is tried by everybody else.
fn strong(password: String, min: usize) -> Result<Secret, Fault> {
    let length = password.chars().count();
    if length < min {
        let message = format!("this password has at least {min} characters, this one has {length}");
        return Err(Fault::new(message).help("`openssl rand -hex 32` makes a good one"));
    }
    let different: BTreeSet<char> = password.chars().collect();
    if different.len() < DIFFERENT_MIN {
        let message = "this password repeats a few characters and is easy to guess";
        return Err(Fault::new(message).help("`openssl rand -hex 32` makes a good one"));
    }
    Ok(Secret::new(password))
}
