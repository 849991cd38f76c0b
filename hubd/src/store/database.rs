//! The connection to the file: how it is opened, what is refused, and how it is opened again after
//! a disk error.
//!
//! A file comes into being under another name and is renamed when it is whole. So a missing, empty or
//! half-made `hubd.sqlite` is never the hub's own doing and is never taken for a new one.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OpenFlags};
use tracing::{info, warn};

use super::error::{OpenError, StoreError, Trouble};
use super::migrate::{self, MIGRATIONS};
use super::state_dir::{self, StateDir, failed};

/// `PRAGMA application_id`: "hubd" in ASCII. It tells our file from any other SQLite file.
const APPLICATION_ID: i32 = 0x6875_6264;

/// How long a write waits for another program that has locked the file.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The connection, and the claim on the directory it lives in.
#[derive(Debug)]
pub(super) struct Database {
    /// `None` while the file could not be opened again.
    connection: Option<Connection>,
    /// `None` for a database in memory.
    home: Option<StateDir>,
}

impl Database {
    /// Opens the file in `home`, made if there never was one, checked and brought to the newest layout.
    pub(super) fn open(home: StateDir) -> Result<Self, OpenError> {
        let connection = open(&home.database(), MIGRATIONS)?;
        Ok(Self {
            connection: Some(connection),
            home: Some(home),
        })
    }

    /// An empty one that is gone when it is dropped.
    #[cfg(test)]
    pub(super) fn in_memory() -> Result<Self, OpenError> {
        let path = Path::new(":memory:");
        let sorted = |e| OpenError::from_sqlite(path.to_owned(), e);
        let conn = Connection::open_in_memory().map_err(sorted)?;
        migrate::migrate(&conn, path, MIGRATIONS)?;
        prepare(&conn).map_err(sorted)?;
        Ok(Self {
            connection: Some(conn),
            home: None,
        })
    }

    /// The connection, if there is one at the moment.
    pub(super) fn connection(&self) -> Result<&Connection, StoreError> {
        self.connection
            .as_ref()
            .ok_or_else(|| StoreError::unavailable(Trouble::Disk))
    }

    /// Where it is, for messages.
    pub(super) fn path(&self) -> PathBuf {
        match &self.home {
            Some(home) => home.database(),
            None => ":memory:".into(),
        }
    }

    /// Leaves a connection that saw a disk error and opens the file again, with a full check.
    ///
    /// After a failed fsync the kernel may call pages clean that never reached the disk, so the log
    /// is written out once more: from then on the file does not rest on what failed.
    pub(super) fn reopen(&mut self) -> Result<(), OpenError> {
        let Some(home) = &self.home else {
            return Ok(());
        };
        if let Some(old) = self.connection.take() {
            // Its last act would be to copy the log into the file; the check comes first.
            let _ = old.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            drop(old);
        }
        let path = home.database();
        let conn = open(&path, MIGRATIONS)?;
        verify(&conn, &path, "integrity_check")?;
        checkpoint(&conn).map_err(|e| OpenError::from_sqlite(path, e))?;
        self.connection = Some(conn);
        Ok(())
    }

    /// Copies the log into the file and closes it. The claim on the directory ends last.
    pub(super) fn close(self) -> Result<(), StoreError> {
        let conn = self
            .connection
            .ok_or_else(|| StoreError::unavailable(Trouble::Disk))?;
        checkpoint(&conn)?;
        conn.close().map_err(|(_, error)| error)?;
        drop(self.home);
        Ok(())
    }
}

fn open(path: &Path, steps: &[&str]) -> Result<Connection, OpenError> {
    match fs::metadata(path) {
        Ok(metadata) => {
            state_dir::check_private(path, &metadata, 0o600)?;
            if metadata.len() == 0 {
                let path = path.to_owned();
                return Err(OpenError::Empty { path });
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if migrate::beside(path, "-wal").exists() {
                let path = path.to_owned();
                return Err(OpenError::Lost { path });
            }
            create(path, steps)?;
        }
        Err(error) => return Err(failed("read the database", path)(error)),
    }
    let conn = connect(path)?;
    check(&conn, path, steps)?;
    let target = migrate::newest(steps);
    let sorted = |e| OpenError::from_sqlite(path.to_owned(), e);
    if migrate::version(&conn).map_err(sorted)? < target {
        let copy = migrate::back_up(&conn, path, target)?;
        info!(copy = %copy.display(), layout = target, "bringing the database to a newer layout");
        migrate::migrate(&conn, path, steps)?;
    }
    // Last, because it writes: what was refused above stays as it was.
    prepare(&conn).map_err(sorted)?;
    Ok(conn)
}

/// Makes the file, whole or not at all.
fn create(path: &Path, steps: &[&str]) -> Result<(), OpenError> {
    let new = migrate::beside(path, ".new");
    for leftover in [new.clone(), migrate::beside(&new, "-journal")] {
        if leftover.exists() {
            fs::remove_file(&leftover).map_err(failed("remove the unfinished file", &leftover))?;
        }
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .map_err(failed("make the database", &new))?;
    let conn = connect(&new)?;
    // Nobody misses it before it has its name; until then the disk is waited for once, below.
    conn.pragma_update(None, "synchronous", "off")
        .and_then(|()| conn.pragma_update(None, "application_id", APPLICATION_ID))
        .map_err(|e| OpenError::from_sqlite(new.clone(), e))?;
    migrate::migrate(&conn, &new, steps)?;
    drop(conn);
    file.sync_all().map_err(failed("save", &new))?;
    fs::rename(&new, path).map_err(failed("name the new database", path))?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed("save the directory", directory))
}

/// Connects to a file that is there; SQLite is never let to make one.
fn connect(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sorted = |e| OpenError::from_sqlite(path.to_owned(), e);
    let conn = Connection::open_with_flags(path, flags).map_err(sorted)?;
    conn.busy_timeout(LOCK_WAIT).map_err(sorted)?;
    Ok(conn)
}

fn check(conn: &Connection, path: &Path, steps: &[&str]) -> Result<(), OpenError> {
    let sorted = |e| OpenError::from_sqlite(path.to_owned(), e);
    let path_buf = || path.to_owned();
    let id: i32 = conn
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(sorted)?;
    let found = migrate::version(conn).map_err(sorted)?;
    let known = migrate::newest(steps);
    if id != APPLICATION_ID || found == 0 {
        return Err(OpenError::Foreign { path: path_buf() });
    }
    if found > known {
        return Err(OpenError::Newer {
            path: path_buf(),
            found,
            known,
        });
    }
    // SQLite falls back to reading when it cannot write.
    if conn.is_readonly(MAIN_DB).map_err(sorted)? {
        return Err(OpenError::ReadOnly { path: path_buf() });
    }
    verify(conn, path, "quick_check")
}

fn verify(conn: &Connection, path: &Path, check: &str) -> Result<(), OpenError> {
    let sorted = |e| OpenError::from_sqlite(path.to_owned(), e);
    let finding: String = conn
        .pragma_query_value(None, check, |row| row.get(0))
        .map_err(sorted)?;
    let detail = if finding != "ok" {
        finding
    } else if migrate::astray(conn).map_err(sorted)? {
        "a row points to one that is not there".to_owned()
    } else {
        return Ok(());
    };
    Err(OpenError::Damaged {
        path: path.to_owned(),
        detail,
    })
}

fn prepare(conn: &Connection) -> rusqlite::Result<()> {
    conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    // One for each statement that the store has, so that none is ever parsed twice.
    conn.set_prepared_statement_cache_capacity(128);
    Ok(())
}

fn checkpoint(conn: &Connection) -> rusqlite::Result<()> {
    let blocked: bool = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))?;
    if blocked {
        // Nothing is lost: the log stays beside the file and is read at the next start.
        warn!("another program is reading the database, so its log could not be folded into it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::super::tests::home;
    use super::*;

    const NEXT: &str = "ALTER TABLE users ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'";

    fn one_more() -> Vec<&'static str> {
        [MIGRATIONS, &[NEXT]].concat()
    }

    /// A file in the layout before the newest of [`one_more`], with one user.
    fn before(path: &Path) {
        let conn = open(path, MIGRATIONS).unwrap();
        let sql = "INSERT INTO users (name, admin, created) VALUES ('ann', 0, 0)";
        conn.execute(sql, ()).unwrap();
    }

    #[test]
    fn an_earlier_file_is_copied_and_brought_forward() {
        let home = home();
        let path = home.path().join("hubd.sqlite");
        before(&path);
        let conn = open(&path, &one_more()).unwrap();
        let colour = "SELECT colour FROM users WHERE name = 'ann'";
        let colour: String = conn.query_row(colour, (), |row| row.get(0)).unwrap();
        assert_eq!(colour, "blue");

        let target = migrate::newest(&one_more());
        let copy = migrate::beside(&path, &format!(".before-{target}"));
        assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o777, 0o600);
        let copy = open(&copy, MIGRATIONS).unwrap();
        let users = copy.prepare("SELECT * FROM users").unwrap();
        assert!(users.column_names().all(|name| name != "colour"));
        drop(conn);
        open(&path, &one_more()).unwrap();
    }

    #[test]
    fn a_copy_that_was_interrupted_is_made_again() {
        let home = home();
        let path = home.path().join("hubd.sqlite");
        before(&path);
        let target = migrate::newest(&one_more());
        let part = migrate::beside(&path, &format!(".before-{target}.part"));
        fs::write(&part, b"half of it").unwrap();
        open(&path, &one_more()).unwrap();
        assert!(!part.exists());
    }

    #[test]
    fn a_failed_step_leaves_a_file_that_the_earlier_hub_opens() {
        let home = home();
        let path = home.path().join("hubd.sqlite");
        before(&path);
        let broken = [MIGRATIONS, &[NEXT, "no SQL"]].concat();
        // Twice: the copy of the first attempt is no obstacle.
        for _ in 0..2 {
            let error = open(&path, &broken).unwrap_err();
            assert!(matches!(error, OpenError::Migration { .. }), "{error}");
        }
        open(&path, &one_more()).unwrap();
    }

    #[test]
    fn the_promises_to_the_file_are_kept() {
        let home = home();
        let conn = open(&home.path().join("hubd.sqlite"), MIGRATIONS).unwrap();
        for (pragma, expected) in [
            ("journal_mode", "wal"),
            ("synchronous", "2"),
            ("foreign_keys", "1"),
            ("trusted_schema", "0"),
        ] {
            let value = conn.pragma_query_value(None, pragma, |row| {
                Ok(match row.get_ref(0)? {
                    rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                    other => other.as_str()?.to_owned(),
                })
            });
            assert_eq!(value.unwrap(), expected, "{pragma}");
        }
        let strict = "SELECT count(*) FROM pragma_table_list
            WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%' AND NOT strict";
        let loose: i64 = conn.query_row(strict, (), |row| row.get(0)).unwrap();
        assert_eq!(loose, 0, "every table is STRICT");
    }
}
