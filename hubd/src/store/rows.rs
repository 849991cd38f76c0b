//! What a job works with: the rows of the open transaction, and the list of changes it reports.
//!
//! Every statement of the store is declared with [`statements!`], which also lists it for the test
//! that prepares all of them against a fresh file. Statements return whole rows (`*`) and columns
//! are read by name, so a new column disturbs no reader.

use std::error::Error;
use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, Params, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::audit::Object;
use super::error::StoreError;
use super::mirror::Change;

/// The longest JSON text kept in one column. What a spawner saves and a user chooses is far below.
pub(super) const MAX_JSON: usize = 1024 * 1024;

/// SQL that went through [`statements!`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Statement(pub(super) &'static str);

/// Declares the statements of a family as constants, and `STATEMENTS`, the list of them.
macro_rules! statements {
    ($($name:ident = $sql:expr;)*) => {
        $(pub(super) const $name: $crate::store::rows::Statement = $crate::store::rows::Statement($sql);)*
        #[cfg(test)]
        pub(super) const STATEMENTS: &[(&str, $crate::store::rows::Statement)] =
            &[$((stringify!($name), $name)),*];
    };
}
pub(super) use statements;

/// The rows as the transaction sees them.
pub(super) struct Rows<'c> {
    conn: &'c Connection,
    changes: Vec<Change>,
    made: Vec<Object>,
}

impl<'c> Rows<'c> {
    pub(super) fn new(conn: &'c Connection) -> Self {
        Self {
            conn,
            changes: Vec::new(),
            made: Vec::new(),
        }
    }

    /// Runs a statement and reads every row that it returns.
    ///
    /// Always to the end: SQLite checks foreign keys after the last row, so leaving early would
    /// miss a refusal.
    pub(super) fn all<T>(
        &self,
        sql: Statement,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.conn.prepare_cached(sql.0)?;
        let rows = statement.query_map(params, read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// As [`Rows::all`], for a statement that returns at most one row.
    pub(super) fn one<T>(
        &self,
        sql: Statement,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.all(sql, params, read)?.pop())
    }

    /// As [`Rows::all`], for a statement that always returns one row.
    pub(super) fn the<T>(
        &self,
        sql: Statement,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let row = self.one(sql, params, read)?;
        row.ok_or_else(|| StoreError::Internal(format!("no row from: {}", sql.0)))
    }

    /// Whether a statement returns any row.
    pub(super) fn any(&self, sql: Statement, params: impl Params) -> Result<bool, StoreError> {
        Ok(self.one(sql, params, |_| Ok(()))?.is_some())
    }

    /// Reports a row that was changed; the mirror takes it over after the commit.
    pub(super) fn changed(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Reports something that did not exist before, for the audit log.
    pub(super) fn made(&mut self, object: Object) {
        self.made.push(object);
    }

    pub(super) fn take_made(&mut self) -> Vec<Object> {
        std::mem::take(&mut self.made)
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    /// The connection itself, for tests that set up what no job can.
    #[cfg(test)]
    pub(super) fn connection(&self) -> &'c Connection {
        self.conn
    }
}

/// A time as it is stored: microseconds since the epoch.
pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// A stored time. One that no calendar has is taken for the nearest that it has.
pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    Ok(from_micros(row.get(column)?))
}

/// A stored time that may be absent.
pub(super) fn maybe_time(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(from_micros))
}

fn from_micros(micros: i64) -> Timestamp {
    let nearest = if micros < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_microsecond(micros).unwrap_or(nearest)
}

/// A text that must be a name.
pub(super) fn name<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<T>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    row.get::<_, String>(column)?
        .parse()
        .map_err(|error| unreadable(row, column, error))
}

/// A text that must be one of a few words.
pub(super) fn word<T: Copy>(
    row: &Row<'_>,
    column: &str,
    words: &[(&str, T)],
) -> rusqlite::Result<T> {
    let found: String = row.get(column)?;
    match words.iter().find(|(word, _)| *word == found) {
        Some((_, value)) => Ok(*value),
        None => Err(unreadable(row, column, UnknownWord(found))),
    }
}

/// How one of a few words is stored.
pub(super) fn spelled<T: PartialEq>(
    value: &T,
    words: &'static [(&'static str, T)],
) -> &'static str {
    let found = words.iter().find(|(_, known)| known == value);
    found.expect("every value has its word").0
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is none of the words for it")]
struct UnknownWord(String);

/// A JSON text that must be readable.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| unreadable(row, column, error))
}

/// A JSON text that may be absent and is readable otherwise.
pub(super) fn maybe_json<T: DeserializeOwned>(
    row: &Row<'_>,
    column: &str,
) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    let value = text.map(|text| serde_json::from_str(&text)).transpose();
    value.map_err(|error| unreadable(row, column, error))
}

/// The bytes of a text that may be absent and need not even be UTF-8.
pub(super) fn raw<'r>(row: &'r Row<'_>, column: &str) -> rusqlite::Result<Option<&'r [u8]>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) => Some(bytes),
        _ => None,
    })
}

/// A value as JSON text for a column; `what` names it in the refusal of one that is too long.
pub(super) fn to_json(what: &'static str, value: &impl Serialize) -> Result<String, StoreError> {
    let text = serde_json::to_string(value)
        .map_err(|error| StoreError::Internal(format!("{what} is no JSON: {error}")))?;
    if text.len() > MAX_JSON {
        return Err(StoreError::TooLarge {
            what,
            size: text.len(),
            max: MAX_JSON,
        });
    }
    Ok(text)
}

fn unreadable<E>(row: &Row<'_>, column: &str, error: E) -> rusqlite::Error
where
    E: Error + Send + Sync + 'static,
{
    let index = row.as_ref().column_index(column).unwrap_or_default();
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_to_the_microsecond_and_never_fail() {
        let at: Timestamp = "2026-01-02T03:04:05.678901Z".parse().unwrap();
        assert_eq!(from_micros(micros(at)), at);
        assert_eq!(from_micros(i64::MAX), Timestamp::MAX);
        assert_eq!(from_micros(i64::MIN), Timestamp::MIN);
    }

    #[test]
    fn long_json_is_refused_by_name() {
        let longest = "x".repeat(MAX_JSON - 2);
        assert_eq!(to_json("this", &longest).unwrap().len(), MAX_JSON);
        let error = to_json("this", &format!("{longest}x")).unwrap_err();
        assert!(error.to_string().starts_with("this has 1048577 bytes"));
    }
}
