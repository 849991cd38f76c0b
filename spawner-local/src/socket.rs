//! The unix sockets of servers: where they are, who can reach them, and how they go.
//!
//! ```text
//! {socket_dir}/                 the hub's; 0711 if servers of other accounts pass through, else 0700
//!    {launch id}/               0700, the account's, until the server answers; the hub's from then on
//!       s                       the server's
//! ```
//!
//! - A place is named after its run, so no two servers share one and none meets another's remains,
//!   and every name has the same length.
//! - It is made while the child waits at its gate, after the state was saved: whatever happens next,
//!   somebody knows what there is to remove.
//! - A hub that is root would follow a symbolic link to any socket of this host, on behalf of whoever
//!   put the link there. So the place is taken from the account before the server is called ready,
//!   and only then it is looked at what is in it: it stays so.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use spawner_core::{LaunchId, SetupError, SpawnError};

use crate::account::{Credentials, private_directory};

/// The socket within its place.
const NAME: &str = "s";
/// What fits into `sockaddr_un`, less the NUL at its end.
const PATH_MAX: usize = 107;
/// How long a launch id is.
const PLACE_LEN: usize = 32;

/// The directory that the places of all runs are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sockets {
    dir: PathBuf,
    /// Whether servers run as other accounts than the hub.
    shared: bool,
}

impl Sockets {
    /// The places below `dir`, an absolute path.
    pub(crate) fn new(dir: PathBuf, shared: bool) -> Result<Self, SetupError> {
        let room = PATH_MAX - PLACE_LEN - NAME.len() - 2;
        let length = dir.as_os_str().len();
        if length > room {
            return Err(SetupError::key(
                "socket_dir",
                format!(
                    "a unix socket's path has at most {PATH_MAX} bytes, which leaves {room} for \
                     `socket_dir`; {} has {length}",
                    dir.display()
                ),
            ));
        }
        // It travels in a URL and in an argument.
        if dir.to_str().is_none() {
            let message = "`socket_dir` has to be a path in UTF-8";
            return Err(SetupError::key("socket_dir", message));
        }
        Ok(Self { dir, shared })
    }

    /// Where the server of one run makes its socket.
    pub(crate) fn path(&self, launch: &LaunchId) -> PathBuf {
        self.dir.join(launch.as_str()).join(NAME)
    }

    /// Makes the directory, and looks whether servers can get there. Blocks.
    pub(crate) fn prepare(&self) -> Result<(), SpawnError> {
        self.made().map_err(|source| {
            let dir = self.dir.display();
            let message = format!("The directory {dir} for sockets cannot be used: {source}.");
            SpawnError::other(message).with_source(source)
        })
    }

    fn made(&self) -> io::Result<()> {
        if !self.shared {
            return private_directory(&self.dir);
        }
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o711).create(&self.dir)?;
        let found = self.dir.symlink_metadata()?;
        if !found.is_dir() {
            return Err(io::Error::other("it is not a directory"));
        }
        if found.uid() != Uid::effective().as_raw() || found.mode() & 0o022 != 0 {
            return Err(io::Error::other("others than the hub can write to it"));
        }
        let closed = |path: &&Path| path.metadata().is_ok_and(|found| found.mode() & 0o001 == 0);
        match self.dir.ancestors().find(closed) {
            None => Ok(()),
            Some(closed) => Err(io::Error::other(format!(
                "the servers' accounts cannot pass through {}",
                closed.display()
            ))),
        }
    }
}

/// Makes the place of a run whose server will listen at `socket`. Blocks.
pub(crate) fn make_place(socket: &Path, account: Option<&Credentials>) -> io::Result<()> {
    let place = socket.parent().ok_or(io::ErrorKind::InvalidInput)?;
    remove(place)?;
    DirBuilder::new().mode(0o700).create(place)?;
    if let Some(ids) = account {
        chown(place, Some(ids.uid), Some(ids.gid))?;
    }
    Ok(())
}

/// Makes sure that what is at `socket` is a socket of `account` and stays the same one. Blocks.
pub(crate) fn hold(socket: &Path, account: Option<u32>) -> io::Result<()> {
    let place = socket.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let hub = Uid::effective().as_raw();
    if account != Some(hub) && Uid::effective().is_root() {
        chown(place, Some(hub), None)?;
        fs::set_permissions(place, Permissions::from_mode(0o700))?;
    }
    let found = socket.symlink_metadata()?;
    if !found.file_type().is_socket() {
        return Err(io::Error::other("it is not a socket"));
    }
    if account.is_some_and(|account| account != found.uid()) {
        return Err(io::Error::other("it belongs to another account"));
    }
    Ok(())
}

/// Whether it is `account` that has its place, or after [`hold`] its socket, there. Blocks.
pub(crate) fn is_of(socket: &Path, account: u32) -> bool {
    let of_account = |path: &Path| path.symlink_metadata().is_ok_and(|it| it.uid() == account);
    of_account(socket) || socket.parent().is_some_and(of_account)
}

/// Removes the place of a run that is over, with all that is in it. Blocks.
///
/// It does so only if `socket` is where [`Sockets::path`] puts that of `launch`, whatever the books
/// say: a path is no proof.
pub(crate) fn remove_place(socket: &Path, launch: &LaunchId) -> io::Result<()> {
    let place = socket.parent().filter(|place| {
        socket.file_name().is_some_and(|name| name == NAME)
            && place
                .file_name()
                .is_some_and(|name| name == launch.as_str())
    });
    match place {
        Some(place) => remove(place),
        None => Err(io::Error::other("it is not where this hub makes sockets")),
    }
}

/// Follows no link.
fn remove(place: &Path) -> io::Result<()> {
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// What a failure at a place is called.
pub(crate) fn unusable(socket: &Path, source: io::Error) -> SpawnError {
    let message = format!(
        "The server's socket {} cannot be used: {source}.",
        socket.display()
    );
    SpawnError::other(message).with_source(source)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o777
    }

    #[test]
    fn every_path_fits_or_is_refused_before_anything_starts() {
        let longest = format!("/{}", "d".repeat(71));
        let sockets = Sockets::new(longest.clone().into(), false).unwrap();
        let path = sockets.path(&LaunchId::random());
        assert_eq!(path.as_os_str().len(), PATH_MAX);
        let error = Sockets::new(format!("{longest}d").into(), false).unwrap_err();
        assert_eq!(error.key.as_deref(), Some("socket_dir"));
        assert!(error.message.contains("at most 107 bytes"), "{error}");
        // The kernel agrees about what fits.
        assert!(std::os::unix::net::SocketAddr::from_pathname(&path).is_ok());
        assert!(std::os::unix::net::SocketAddr::from_pathname(path.with_file_name("ss")).is_err());
    }

    #[test]
    fn a_place_is_private_and_fresh() {
        let dir = tempfile::tempdir().unwrap();
        let sockets = Sockets::new(dir.path().join("sockets"), false).unwrap();
        sockets.prepare().unwrap();
        sockets.prepare().unwrap();
        let launch = LaunchId::random();
        let socket = sockets.path(&launch);
        for _ in 0..2 {
            make_place(&socket, None).unwrap();
            assert!(!socket.exists());
            assert_eq!(mode(socket.parent().unwrap()), 0o700);
            drop(UnixListener::bind(&socket).unwrap());
            hold(&socket, Some(Uid::effective().as_raw())).unwrap();
        }
        remove_place(&socket, &launch).unwrap();
        remove_place(&socket, &launch).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("sockets")).unwrap().count(), 0);
    }

    #[test]
    fn nothing_is_removed_because_a_state_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let launch = LaunchId::random();
        let file = dir.path().join("s");
        fs::write(&file, "precious").unwrap();
        for path in [file.as_path(), dir.path(), Path::new("/"), Path::new("")] {
            assert!(remove_place(path, &launch).is_err(), "{}", path.display());
        }
        // A link in a place goes, and not what it leads to.
        let place = dir.path().join(launch.as_str());
        fs::create_dir(&place).unwrap();
        symlink(&file, place.join("s")).unwrap();
        symlink(dir.path(), place.join("t")).unwrap();
        remove_place(&place.join("s"), &launch).unwrap();
        assert!(!place.exists() && file.exists());
    }

    #[test]
    fn only_a_socket_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let myself = Some(Uid::effective().as_raw());
        let real = dir.path().join("real");
        let _listener = UnixListener::bind(&real).unwrap();
        let link = dir.path().join("s");
        symlink(&real, &link).unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [link, file, dir.path().join("nothing")] {
            assert!(hold(&path, myself).is_err(), "{}", path.display());
        }
        hold(&real, myself).unwrap();
    }

    #[test]
    fn an_account_loses_its_place_when_its_server_is_ready() {
        if !Uid::effective().is_root() {
            return;
        }
        let dir = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o711))
            .tempdir()
            .unwrap();
        let sockets = Sockets::new(dir.path().join("sockets"), true).unwrap();
        sockets.prepare().unwrap();
        assert_eq!(mode(&dir.path().join("sockets")), 0o711);
        let socket = sockets.path(&LaunchId::random());
        let place = socket.parent().unwrap();
        let ids = Credentials {
            uid: 1,
            gid: 1,
            groups: Vec::new(),
        };
        make_place(&socket, Some(&ids)).unwrap();
        assert_eq!(place.metadata().unwrap().uid(), 1);
        let _listener = UnixListener::bind(&socket).unwrap();
        let error = hold(&socket, Some(1)).unwrap_err();
        assert!(error.to_string().contains("another account"), "{error}");
        chown(&socket, Some(1), Some(1)).unwrap();
        hold(&socket, Some(1)).unwrap();
        assert_eq!(place.metadata().unwrap().uid(), 0);

        fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
        let error = sockets.prepare().unwrap_err().to_string();
        assert!(error.contains("cannot pass through"), "{error}");
    }
}
