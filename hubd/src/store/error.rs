//! What can go wrong, in two kinds.
//!
//! [`OpenError`]: the state cannot be used and the hub does not start; a sentence for whoever runs
//! it, with what to do. [`StoreError`]: one change was not made; the HTTP edge chooses the status.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;
use rusqlite::ffi;

/// Why the hub refuses to open its state.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The file system refused something.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried, as a verb phrase that the path follows.
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// Something that should be private is open to the group or to all.
    #[error(
        "others can reach {} (mode {mode:04o}), and it holds secrets; run: chmod {wanted:o} {}",
        path.display(), path.display()
    )]
    NotPrivate {
        path: PathBuf,
        mode: u32,
        wanted: u32,
    },
    /// It belongs to another system user.
    #[error(
        "{} belongs to user id {owner}, but hubd runs as user id {us}; run hubd as its owner, or run: chown -R {us} {}",
        path.display(), path.display()
    )]
    NotOurs { path: PathBuf, owner: u32, us: u32 },
    /// The exclusive lock is taken.
    #[error("another hubd (pid {pid}) is using this state directory: {}", path.display())]
    InUse { path: PathBuf, pid: String },
    /// The log of a database is there and the database is not.
    #[error(
        "{} is missing, but its log {}-wal is there; put the file back, or move the log away to begin with an empty hub",
        path.display(), path.display()
    )]
    Lost { path: PathBuf },
    /// A file of zero bytes. The hub never leaves one behind, so something else emptied it.
    #[error(
        "{} is empty; put a backup in its place, or remove it to begin with an empty hub",
        path.display()
    )]
    Empty { path: PathBuf },
    /// Not SQLite, or the database of another program.
    #[error(
        "{} is not a database of hubd; move it away, or put a backup in its place",
        path.display()
    )]
    Foreign { path: PathBuf },
    /// SQLite found a fault in it.
    #[error(
        "{} is damaged ({detail}); keep the file, and put a backup in its place",
        path.display()
    )]
    Damaged { path: PathBuf, detail: String },
    /// One row cannot be understood.
    #[error("{} has a row in table {table} that cannot be read", path.display())]
    Row {
        path: PathBuf,
        table: &'static str,
        source: rusqlite::Error,
    },
    /// Written by a later version.
    #[error(
        "{} was written by a newer hubd (layout {found}, this one knows up to {known}); install that version, \
         or put the copy in its place that was made before the change (hubd.sqlite.before-N)",
        path.display()
    )]
    Newer {
        path: PathBuf,
        found: u32,
        known: u32,
    },
    /// It can be read and not written.
    #[error(
        "{} cannot be written; make the file and its directory writable for hubd",
        path.display()
    )]
    ReadOnly { path: PathBuf },
    /// A step to a newer layout failed and was rolled back.
    #[error("cannot bring {} to layout {version}; it stays at layout {}", path.display(), version - 1)]
    Migration {
        path: PathBuf,
        version: u32,
        source: rusqlite::Error,
    },
    /// Any other answer of SQLite.
    #[error("cannot use the database {}", path.display())]
    Database {
        path: PathBuf,
        source: rusqlite::Error,
    },
}

/// Why a change was not made.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum StoreError {
    /// Not now; the same change may work later. Reading goes on. (503)
    #[error("the hub cannot save changes at the moment: {trouble}")]
    Unavailable {
        trouble: Trouble,
        source: Option<Cause>,
    },
    /// The row that it is about is not there. (404)
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The rows are not in the state that the change needs. (409)
    #[error("{0}")]
    Conflict(&'static str),
    /// More than the hub keeps. (413)
    #[error("{what} has {size} bytes, and the hub keeps at most {max}")]
    TooLarge {
        what: &'static str,
        size: usize,
        max: usize,
    },
    /// A mistake in hubd. (500)
    #[error("the hub's store made a mistake: {0}")]
    Internal(String),
}

/// The error under a [`StoreError`]; shared, because one failed commit is the answer to many.
pub(crate) type Cause = Arc<dyn Error + Send + Sync>;

/// What stands in the way of saving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No room left.
    DiskFull,
    /// Another program holds the database.
    Locked,
    /// The file or its file system became read-only.
    ReadOnly,
    /// A read, write or fsync failed, or the file is no longer sound.
    Disk,
    /// `COMMIT` was refused for a reason that leaves the file sound.
    Refused,
    /// More changes are waiting than the queue holds.
    Busy,
    /// The store has been closed.
    Closed,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DiskFull => "the disk is full",
            Self::Locked => "another program has locked the database",
            Self::ReadOnly => "the database is read-only",
            Self::Disk => "the disk failed, and the database is checked before the next change",
            Self::Refused => "the database refused the commit",
            Self::Busy => "too many changes are waiting",
            Self::Closed => "the hub is stopping",
        })
    }
}

impl OpenError {
    /// Sorts an answer of SQLite about the file at `path`.
    pub(super) fn from_sqlite(path: PathBuf, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Foreign { path },
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { path },
            Some(ErrorCode::DatabaseCorrupt) => {
                let detail = source.to_string();
                Self::Damaged { path, detail }
            }
            _ => Self::Database { path, source },
        }
    }
}

impl StoreError {
    /// Trouble without an error of its own underneath.
    pub(super) fn unavailable(trouble: Trouble) -> Self {
        Self::Unavailable {
            trouble,
            source: None,
        }
    }

    /// A failed `BEGIN` or `COMMIT`: whatever SQLite calls it, nothing was saved and the callers
    /// did nothing wrong.
    pub(super) fn from_commit(error: rusqlite::Error) -> Self {
        let trouble = trouble(&error).unwrap_or(Trouble::Refused);
        Self::Unavailable {
            trouble,
            source: Some(Arc::new(error)),
        }
    }

    /// Whether the handle must not be trusted until the file was opened and checked again.
    pub(super) fn is_suspect(&self) -> bool {
        matches!(
            self,
            Self::Unavailable {
                trouble: Trouble::Disk,
                ..
            }
        )
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if let Some(trouble) = trouble(&error) {
            return Self::Unavailable {
                trouble,
                source: Some(Arc::new(error)),
            };
        }
        match error.sqlite_error().map(|e| e.extended_code) {
            Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => {
                Self::NotFound("user, server or client for this entry")
            }
            Some(ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => {
                Self::Conflict("such an entry exists already")
            }
            _ => Self::Internal(error.to_string()),
        }
    }
}

impl From<OpenError> for StoreError {
    /// Opening again after a disk error did not work; it is tried once more with the next change.
    fn from(error: OpenError) -> Self {
        Self::Unavailable {
            trouble: Trouble::Disk,
            source: Some(Arc::new(error)),
        }
    }
}

fn trouble(error: &rusqlite::Error) -> Option<Trouble> {
    Some(match error.sqlite_error_code()? {
        ErrorCode::DiskFull => Trouble::DiskFull,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Trouble::Locked,
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Trouble::ReadOnly,
        ErrorCode::SystemIoFailure
        | ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        | ErrorCode::CannotOpen
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::OutOfMemory => Trouble::Disk,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_sqlite_are_sorted() {
        let sorted = |code| {
            StoreError::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
                .to_string()
        };
        let cases = [
            (ffi::SQLITE_FULL, "the disk is full"),
            (ffi::SQLITE_BUSY, "locked the database"),
            (ffi::SQLITE_READONLY_DBMOVED, "read-only"),
            (ffi::SQLITE_IOERR_FSYNC, "the disk failed"),
            (ffi::SQLITE_CORRUPT, "the disk failed"),
            (ffi::SQLITE_CONSTRAINT_FOREIGNKEY, "there is no such user"),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, "exists already"),
            (ffi::SQLITE_CONSTRAINT_CHECK, "made a mistake"),
            (ffi::SQLITE_MISUSE, "made a mistake"),
        ];
        for (code, words) in cases {
            assert!(sorted(code).contains(words), "{code}: {}", sorted(code));
        }
    }
}
