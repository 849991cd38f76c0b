//! Numbered steps from one layout of the file to the next.
//!
//! `PRAGMA user_version` holds the number of the last step. Each step and its number are one
//! transaction, so a hub that dies half-way finds the file before or after a step, never inside one.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ffi};

use super::error::OpenError;
use super::state_dir::failed;

/// Step N is entry N - 1. A released step is never edited; a change is a new step.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_groups.sql"),
    include_str!("migrations/0003_services.sql"),
    include_str!("migrations/0004_people.sql"),
    include_str!("migrations/0005_visits.sql"),
    include_str!("migrations/0006_audit.sql"),
    include_str!("migrations/0007_identities.sql"),
    include_str!("migrations/0008_services.sql"),
];

/// The number of the last step that the file has seen; 0 for none.
pub(super) fn version(conn: &Connection) -> rusqlite::Result<u32> {
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// The layout that `steps` lead to.
pub(super) fn newest(steps: &[&str]) -> u32 {
    u32::try_from(steps.len()).expect("a handful of migrations")
}

/// Runs the steps that the file has not seen.
pub(super) fn migrate(conn: &Connection, path: &Path, steps: &[&str]) -> Result<(), OpenError> {
    let seen = version(conn).map_err(|e| OpenError::from_sqlite(path.to_owned(), e))?;
    for (number, step) in (1..).zip(steps).filter(|(number, _)| *number > seen) {
        run(conn, number, step).map_err(|source| OpenError::Migration {
            path: path.to_owned(),
            version: number,
            source,
        })?;
    }
    Ok(())
}

fn run(conn: &Connection, number: u32, step: &str) -> rusqlite::Result<()> {
    // A table is changed by copying it, which must not cascade; the keys are checked at the end.
    conn.pragma_update(None, "foreign_keys", false)?;
    let transaction = conn.unchecked_transaction()?;
    transaction.execute_batch(step)?;
    if astray(&transaction)? {
        return Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_CONSTRAINT_FOREIGNKEY),
            Some("a row would point to one that is not there".to_owned()),
        ));
    }
    transaction.pragma_update(None, "user_version", number)?;
    transaction.commit()?;
    conn.pragma_update(None, "foreign_keys", true)
}

/// Whether some row points to one that is not there.
pub(super) fn astray(conn: &Connection) -> rusqlite::Result<bool> {
    conn.prepare("PRAGMA foreign_key_check")?.exists(())
}

/// Copies the file to `hubd.sqlite.before-N` before it is brought to layout N.
///
/// The copy appears under its name only when it is whole and on disk.
pub(super) fn back_up(conn: &Connection, path: &Path, target: u32) -> Result<PathBuf, OpenError> {
    let copy = beside(path, &format!(".before-{target}"));
    let part = beside(path, &format!(".before-{target}.part"));
    if part.exists() {
        fs::remove_file(&part).map_err(failed("remove the unfinished copy", &part))?;
    }
    // SQLite writes into an empty file that is there, so the copy is private from its first byte.
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&part)
        .map_err(failed("make the copy", &part))?;
    let target = part.to_str().ok_or_else(|| OpenError::Io {
        doing: "copy the database, whose path is not UTF-8, to",
        path: part.clone(),
        source: std::io::ErrorKind::InvalidFilename.into(),
    })?;
    conn.execute("VACUUM INTO ?1", [target])
        .map_err(|e| OpenError::from_sqlite(part.clone(), e))?;
    file.sync_all().map_err(failed("save the copy", &part))?;
    fs::rename(&part, &copy).map_err(failed("name the copy", &copy))?;
    Ok(copy)
}

/// `path` with `suffix` at its end.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layout of a file: the text of every table and index.
    fn layout(conn: &Connection) -> Vec<String> {
        let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        let mut statement = conn.prepare(sql).unwrap();
        let texts = statement.query_map((), |row| row.get(0)).unwrap();
        texts.collect::<Result<_, _>>().unwrap()
    }

    fn through(steps: &[&str]) -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        migrate(&conn, Path::new("test"), steps).unwrap();
        conn
    }

    #[test]
    fn every_earlier_layout_reaches_the_newest() {
        let newest_layout = layout(&through(MIGRATIONS));
        for seen in 0..MIGRATIONS.len() {
            let conn = through(&MIGRATIONS[..seen]);
            assert_eq!(version(&conn).unwrap(), newest(&MIGRATIONS[..seen]));
            migrate(&conn, Path::new("test"), MIGRATIONS).unwrap();
            assert_eq!(layout(&conn), newest_layout, "from layout {seen}");
            assert_eq!(version(&conn).unwrap(), newest(MIGRATIONS));
        }
    }

    #[test]
    fn a_step_happens_whole_or_not_at_all() {
        let steps = [
            "CREATE TABLE a (x INTEGER PRIMARY KEY); CREATE TABLE b (a INTEGER REFERENCES a (x))",
            "CREATE TABLE c (x); CREATE TABLE c (x)",
        ];
        let conn = through(&steps[..1]);
        let before = layout(&conn);
        let error = migrate(&conn, Path::new("test"), &steps).unwrap_err();
        let sentence = "cannot bring test to layout 2; it stays at layout 1";
        assert_eq!(error.to_string(), sentence);
        assert_eq!(layout(&conn), before);
        assert_eq!(version(&conn).unwrap(), 1);
    }

    #[test]
    fn a_step_that_leaves_a_row_pointing_nowhere_is_undone() {
        let steps = [
            "CREATE TABLE a (x INTEGER PRIMARY KEY); CREATE TABLE b (a INTEGER REFERENCES a (x));
             INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)",
            "DELETE FROM a",
        ];
        let conn = through(&steps[..1]);
        assert!(migrate(&conn, Path::new("test"), &steps).is_err());
        assert!(conn.prepare("SELECT * FROM a").unwrap().exists(()).unwrap());
    }
}
