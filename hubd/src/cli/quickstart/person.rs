//! The person who types `hubd quickstart`.

use std::env;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};
use spawner_core::UserName;

/// Who it is when the account's name cannot be a user's.
const FALLBACK: &str = "admin";

/// Whose hub it is going to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Person {
    /// The one user and admin of the hub.
    pub(super) name: UserName,
    /// Why the name is not the account's.
    pub(super) note: Option<String>,
    /// The account's own name.
    pub(super) account: String,
    /// An existing folder.
    pub(super) home: String,
    pub(super) shell: String,
    pub(super) is_root: bool,
}

impl Person {
    /// The account that this process runs as.
    pub(super) fn invoking() -> Result<Self, String> {
        let uid = Uid::effective();
        // Containers run under ids that nobody entered anywhere; that is no reason to fail.
        let user = User::from_uid(uid).ok().flatten();
        let (name, note) = match &user {
            Some(user) => name_of(&user.name),
            None => (
                fallback(),
                Some(format!(
                    "User id {uid} has no account here, so you are \"{FALLBACK}\"."
                )),
            ),
        };
        let (account, dir, shell) = match user {
            Some(user) => (user.name, Some(user.dir), user.shell),
            None => (name.to_string(), None, PathBuf::new()),
        };
        let shell = absolute("SHELL").unwrap_or(shell);
        Ok(Self {
            home: home(absolute("HOME").or(dir))?,
            shell: match shell.to_str() {
                Some(shell) if !shell.is_empty() => shell.to_owned(),
                _ => "/bin/sh".to_owned(),
            },
            name,
            note,
            account,
            is_root: uid.is_root(),
        })
    }

    /// Where programs keep what is the person's and not a document (`XDG_DATA_HOME`).
    pub(super) fn data_home(&self) -> PathBuf {
        absolute("XDG_DATA_HOME").unwrap_or_else(|| Path::new(&self.home).join(".local/share"))
    }
}

/// The path in a variable. One that depends on the current folder means nothing here.
fn absolute(variable: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os(variable)?);
    path.is_absolute().then_some(path)
}

fn home(found: Option<PathBuf>) -> Result<String, String> {
    let home = found.ok_or("nobody says where your home folder is: set HOME")?;
    let shown = home.display().to_string();
    if !home.is_dir() {
        return Err(format!(
            "your home folder {shown} does not exist: set HOME to one that does"
        ));
    }
    let home = home.into_os_string().into_string();
    home.map_err(|_| {
        format!("the name of your home folder {shown} is not UTF-8: set HOME to another")
    })
}

fn name_of(account: &str) -> (UserName, Option<String>) {
    match UserName::new(account) {
        Ok(name) => (name, None),
        Err(error) => {
            let note =
                format!("Your account is {account:?}, and {error}; so you are \"{FALLBACK}\".");
            (fallback(), Some(note))
        }
    }
}

fn fallback() -> UserName {
    UserName::new(FALLBACK).expect("a constant name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_a_user_if_it_can_be() {
        for (account, name) in [("alice", "alice"), ("Alice", "alice"), ("a.b-c", "a.b-c")] {
            assert_eq!(name_of(account), (UserName::new(name).unwrap(), None));
        }
        for account in ["", "DOM\\alice", "anaïs", "-x"] {
            let (name, note) = name_of(account);
            assert_eq!(name.as_str(), "admin");
            let note = note.unwrap();
            assert!(
                note.contains("a user name") && note.contains("\"admin\""),
                "{note}"
            );
        }
    }

    #[test]
    fn a_home_is_an_existing_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(home(Some(folder.path().to_owned())).is_ok());
        for missing in [None, Some(folder.path().join("nowhere"))] {
            assert!(home(missing).unwrap_err().contains("HOME"));
        }
    }
}
