//! The control socket: how commands on this host talk to the hub that runs.
//!
//! ```text
//! hubd user, token, quickstart, doctor --Client--> state_dir/control.sock --Control--> Accounts, TokenDesk, Servers
//!                               HTTP/1.1, JSON
//! GET    /status                 who runs, and where it serves
//! GET    /users                  everybody in the books
//! POST   /users                  {name, admin, password}: add an account
//! PUT    /users/{name}/password  {password}: change a password
//! PUT    /users/{name}/blocked   {blocked}: shut the user out and stop their servers, or let them in again
//! DELETE /users/{name}/identity  take the account from whoever has it at a login provider
//! DELETE /users/{name}           stop the user's servers, then delete the user
//! POST   /tokens                 {owner, wish}: make a token
//! POST   /tokens/list            {owner}: the tokens of one owner, or of all
//! POST   /tokens/revoke          {id}: revoke a token
//! GET    /signups                everybody who asks for an account
//! POST   /signups/{name}         approve
//! DELETE /signups/{name}         decline
//! POST   /audit                  {name, action, since, before, limit}: entries of the audit log
//! ```
//!
//! - What is done is done by the account that connects, as the kernel says, and the audit log says so.
//! - Who may connect may do all of it. So the directory is 0700, the socket is 0600, and the hub asks
//!   the kernel who connects: its own account and root are served, everybody else is hung up on.
//! - The lock of the state directory says whose socket it is. Who holds it may remove what an earlier
//!   hub left behind, and nobody else does.
//! - An error is `{"message": "..."}`, a sentence for whoever typed the command.

mod client;
mod server;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};
use serde::{Deserialize, Serialize};

pub(crate) use client::{CallError, Client};
pub(super) use server::Control;

use crate::store::audit::Actor;

/// The longest path that the address of a socket holds.
const ADDRESS_MAX: usize = 107;

/// The answer to `GET /status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) version: String,
    pub(crate) pid: u32,
    /// The address that a person opens.
    pub(crate) url: String,
    /// The address of its API, as servers are told it.
    pub(crate) api_url: String,
    /// What tells its servers from those of other hubs.
    pub(crate) instance: String,
}

/// How the audit log names whoever runs a command as this account of the host.
pub(crate) fn account(uid: u32) -> Actor {
    let known = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    Actor::command(uid, known.as_ref().map_or("", |user| &user.name))
}

/// The body of every answer that is no success.
#[derive(Debug, Serialize, Deserialize)]
struct Message {
    message: String,
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("control.sock")
}

/// What stands for a path in a socket's address. A path too long for it goes by way of the open
/// directory, which has to stay open until the address was used.
struct Address {
    path: PathBuf,
    _directory: Option<File>,
}

impl Address {
    fn of(state_dir: &Path) -> io::Result<Self> {
        let path = path(state_dir);
        if path.as_os_str().as_bytes().len() <= ADDRESS_MAX {
            return Ok(Self {
                path,
                _directory: None,
            });
        }
        let directory = File::open(state_dir)?;
        Ok(Self {
            path: self::path(&PathBuf::from(format!(
                "/proc/self/fd/{}",
                directory.as_raw_fd()
            ))),
            _directory: Some(directory),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_long_path_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("x".repeat(200));
        std::fs::create_dir(&long).unwrap();
        let _listener = UnixListener::bind(Address::of(&long).unwrap().path).unwrap();
        assert!(path(&long).exists());
        UnixStream::connect(Address::of(&long).unwrap().path).unwrap();
    }
}
