//! The directory that holds the hub's state: ours alone, and used by one hub at a time.
//!
//! ```text
//! state_dir/            0700, ours
//!   lock                flock for the life of the hub; holds its pid, for the message only
//!   hubd.sqlite         0600, with -wal and -shm beside it while open
//!   hubd.sqlite.before-N    the copy made before the file was brought to layout N
//! ```

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::OpenError;

/// A claimed state directory. The claim ends when this is dropped or the process ends, however.
#[derive(Debug)]
pub(super) struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Makes the directory if it is missing, checks that it is private, and takes its lock.
    pub(super) fn claim(path: &Path) -> Result<Self, OpenError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed("make the state directory", path))?;
        // Absolute, so that a later change of the working directory moves nothing.
        let path = fs::canonicalize(path).map_err(failed("find the state directory", path))?;
        let metadata = fs::metadata(&path).map_err(failed("read the state directory", &path))?;
        check_private(&path, &metadata, 0o700)?;
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Where the database is or will be.
    pub(super) fn database(&self) -> PathBuf {
        database_in(&self.path)
    }
}

/// Where the database of a state directory is or will be.
pub(super) fn database_in(state_dir: &Path) -> PathBuf {
    state_dir.join("hubd.sqlite")
}

/// Refuses what another user owns and what group or others can use.
pub(super) fn check_private(
    path: &Path,
    metadata: &Metadata,
    wanted: u32,
) -> Result<(), OpenError> {
    let us = rustix::process::geteuid().as_raw();
    if metadata.uid() != us {
        return Err(OpenError::NotOurs {
            path: path.to_owned(),
            owner: metadata.uid(),
            us,
        });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(OpenError::NotPrivate {
            path: path.to_owned(),
            mode,
            wanted,
        });
    }
    Ok(())
}

/// For `map_err`: an error of the file system while doing something with `path`.
pub(super) fn failed(
    doing: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |source| OpenError::Io {
        doing,
        path,
        source,
    }
}

fn lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed("open the lock file", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            return Err(OpenError::InUse {
                path: directory.to_owned(),
                pid: holder(file),
            });
        }
        Err(errno) => return Err(failed("lock the file", &path)(errno.into())),
    }
    let pid = std::process::id();
    file.set_len(0)
        .and_then(|()| writeln!(file, "{pid}"))
        .map_err(failed("write the lock file", &path))?;
    Ok(file)
}

/// What the holder wrote. Only the lock itself decides anything, so whatever stands there will do.
fn holder(file: File) -> String {
    let mut text = String::new();
    let _ = file.take(20).read_to_string(&mut text);
    match text.trim() {
        "" => "unknown".to_owned(),
        pid => pid.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::tests::home;
    use super::*;

    #[test]
    fn is_made_private() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let _claimed = StateDir::claim(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn what_others_can_reach_is_refused_with_the_remedy() {
        let parent = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(parent.path()).unwrap().join("state");
        fs::create_dir(&path).unwrap();
        for mode in [0o755, 0o750, 0o701, 0o770] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = StateDir::claim(&path).unwrap_err().to_string();
            let remedy = format!("(mode {mode:04o})");
            assert!(error.contains(&remedy), "{error}");
            let remedy = format!("run: chmod 700 {}", path.display());
            assert!(error.ends_with(&remedy), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        StateDir::claim(&path).unwrap();
    }

    #[test]
    fn a_file_in_its_place_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = StateDir::claim(file.path()).unwrap_err();
        assert!(matches!(error, OpenError::Io { .. }), "{error}");
    }

    #[test]
    fn the_second_is_told_who_is_first() {
        let parent = home();
        let first = StateDir::claim(parent.path()).unwrap();
        let error = StateDir::claim(parent.path()).unwrap_err().to_string();
        let sentence = format!(
            "another hubd (pid {}) is using this state directory",
            std::process::id()
        );
        assert!(error.starts_with(&sentence), "{error}");
        drop(first);
        StateDir::claim(parent.path()).unwrap();
    }
}
