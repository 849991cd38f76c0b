//! What a failing test shows of its hub: the log, the live processes, the rows of the database.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::processes;

/// How much of a long log is shown, from its end.
const LOG_LINES: usize = 300;
/// How many rows of a table are shown.
const ROWS: usize = 50;

/// The hub's log in a test's folder.
pub(crate) fn log_path(folder: &Path) -> PathBuf {
    folder.join("hub.log")
}

/// All that the hub has logged.
pub(crate) fn log(folder: &Path) -> String {
    let bytes = fs::read(log_path(folder)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The report on the test in `folder`. It never fails: what cannot be read is said instead.
pub(crate) fn write(folder: &Path) -> String {
    let log = log(folder);
    let lines: Vec<&str> = log.lines().collect();
    let cut = lines.len().saturating_sub(LOG_LINES);
    let mut report = format!("\n---- hub log ({cut} earlier lines left out) ----\n");
    report += &lines[cut..].join("\n");
    report += "\n---- live processes of this test ----\n";
    for process in processes::of(folder) {
        let _ = writeln!(report, "{process}");
    }
    for path in files(&folder.join("state")) {
        match fs::read(&path) {
            Ok(bytes) if bytes.starts_with(b"SQLite format 3\0") => {
                let _ = writeln!(report, "---- rows of {} ----", path.display());
                let rows = rows(&path).unwrap_or_else(|error| format!("{error}\n"));
                report += &rows;
            }
            // The output of servers: what a failed start said is often the whole story.
            Ok(bytes) if path.extension().is_some_and(|extension| extension == "log") => {
                let text = String::from_utf8_lossy(&bytes);
                let _ = writeln!(report, "---- {} ----\n{text}", path.display());
            }
            _ => {}
        }
    }
    report
}

/// Every file below a folder, but not what is in the homes of users: that is theirs and large.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && entry.file_name() != "homes" => {
                found.extend(files(&entry.path()));
            }
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found.sort();
    found
}

fn rows(database: &Path) -> rusqlite::Result<String> {
    let database = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut tables = database.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    )?;
    let tables: Vec<String> = tables
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut text = String::new();
    for table in tables {
        let mut statement = database.prepare(&format!(
            "SELECT * FROM \"{}\" LIMIT {ROWS}",
            table.replace('"', "\"\"")
        ))?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let _ = write!(text, "{table}:");
            for (index, column) in columns.iter().enumerate().filter(|(_, name)| !secret(name)) {
                let _ = write!(text, " {column}={}", shown(row.get_ref(index)?));
            }
            text.push('\n');
        }
    }
    Ok(text)
}

/// Hashes of secrets help nobody who reads a report, and a report may be pasted anywhere.
fn secret(column: &str) -> bool {
    ["hash", "secret", "password", "token", "cookie", "key"]
        .iter()
        .any(|word| column.contains(word))
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => format!("({} bytes)", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_log_and_the_rows_but_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("state/logs");
        fs::create_dir_all(&logs).unwrap();
        fs::write(log_path(folder.path()), "first\nserver is gone\n").unwrap();
        fs::write(logs.join("tee.log"), "Traceback: no kernel\n").unwrap();
        let database = Connection::open(folder.path().join("state/hubd.sqlite")).unwrap();
        database
            .execute_batch(
                "PRAGMA journal_mode = WAL;
                 CREATE TABLE server (name TEXT, pid INTEGER, token_hash BLOB);
                 INSERT INTO server VALUES ('tee', 42, x'beef'), ('ann', NULL, x'cafe');",
            )
            .unwrap();

        let report = write(folder.path());
        assert!(report.contains("server is gone"), "{report}");
        assert!(report.contains("Traceback: no kernel"), "{report}");
        assert!(report.contains("server: name=\"tee\" pid=42\n"), "{report}");
        assert!(
            report.contains("server: name=\"ann\" pid=NULL\n"),
            "{report}"
        );
        assert!(!report.contains("hash"), "{report}");
    }
}
