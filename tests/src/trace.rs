//! What a hub keeps and runs, at one moment: a request that is refused leaves no trace in it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

use crate::hub::TestHub;

/// The name of a column that changes by looking at the hub.
const SEEN: &str = "last_activity";
/// The table in which refusals are written down, and how names of what is kept about it begin.
const RECORD: &str = "audit";

/// The rows of a hub's database and the processes of its servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace(BTreeSet<String>);

impl TestHub {
    /// What there is now. Times at which somebody was seen last are left out.
    pub fn trace(&self) -> Trace {
        let database = self.state_dir().join("hubd.sqlite");
        let mut facts =
            rows(&database).unwrap_or_else(|error| panic!("{}: {error}", database.display()));
        let servers = self.servers();
        facts.extend(servers.iter().map(|server| format!("process {server}")));
        Trace(facts)
    }

    /// The hub is as it was at `before`, well, and nothing in it has panicked.
    #[track_caller]
    pub fn assert_no_trace(&self, before: &Trace, case: &str) {
        let now = self.trace();
        let new: Vec<_> = now.0.difference(&before.0).collect();
        let gone: Vec<_> = before.0.difference(&now.0).collect();
        assert!(
            new.is_empty() && gone.is_empty(),
            "{case:.200} left a trace\nnew: {new:#?}\ngone: {gone:#?}"
        );
        let log = self.log();
        assert!(!log.contains("panicked"), "{case:.200}: {log}");
    }
}

fn rows(database: &Path) -> rusqlite::Result<BTreeSet<String>> {
    let database = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut tables = database.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    )?;
    let tables: Vec<String> = tables
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut rows = BTreeSet::new();
    for table in tables.into_iter().filter(|table| table != RECORD) {
        let mut statement = database.prepare(&format!("SELECT * FROM \"{table}\""))?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let mut fact = table.clone();
            for (index, column) in columns.iter().enumerate() {
                if column != SEEN {
                    let value: Value = row.get(index)?;
                    let _ = write!(fact, " {column}={value:?}");
                }
            }
            if !fact.contains(&format!("key=Text(\"{RECORD}_")) {
                rows.insert(fact);
            }
        }
    }
    Ok(rows)
}
