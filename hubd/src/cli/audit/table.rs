//! Entries of the audit log as text.

use std::fmt::Write as _;

use comfy_table::{Table, presets};
use jiff::Timestamp;

use crate::store::audit::Record;

/// Columns with a heading.
pub(super) fn for_people(records: &[Record]) -> String {
    if records.is_empty() {
        return "There are no such entries.\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "TIME (UTC)",
        "WHO",
        "BY",
        "FROM",
        "ACTION",
        "ON",
        "OUTCOME",
        "DETAILS",
    ]);
    let seconds = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M:%S").to_string();
    for record in records {
        table.add_row(cells(record, seconds));
    }
    let lines = table.to_string();
    lines.lines().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{}", line.trim());
        text
    })
}

/// A line an entry, cells apart by tabs.
pub(super) fn for_programs(records: &[Record]) -> String {
    let lines = records
        .iter()
        .map(|record| cells(record, |time| time.to_string()).join("\t") + "\n");
    lines.collect()
}

fn cells(record: &Record, time: impl Fn(Timestamp) -> String) -> [String; 8] {
    let means = match &record.token {
        Some(token) => format!("{} {token}", record.means),
        None => record.means.clone(),
    };
    [
        time(record.at),
        or_dash(&record.who()),
        means,
        or_dash(record.source.as_deref().unwrap_or_default()),
        record.action.clone(),
        plain(&record.what()),
        record.outcome.clone(),
        or_dash(&record.details()),
    ]
}

fn or_dash(text: &str) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        plain(text)
    }
}

/// Without anything that a terminal could take for a command.
fn plain(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record() -> Record {
        serde_json::from_value(json!({
            "id": 7, "at": "2026-01-02T03:04:05.678901Z", "actor": "user", "actor_id": 1,
            "actor_name": "ann", "means": "token", "token": "a9", "source": "10.0.0.1",
            "action": "user.change", "object": "user", "object_id": 2, "object_name": "bob",
            "user_id": 2, "user_name": "bob", "outcome": "done", "detail": {"name": "x\u{1b}[1m"},
        }))
        .unwrap()
    }

    #[test]
    fn people_see_columns() {
        let text = for_people(&[record()]);
        let mut lines = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(lines.next().unwrap()[..2], ["TIME", "(UTC)"]);
        let row = lines.next().unwrap().join(" ");
        assert_eq!(
            row,
            "2026-01-02 03:04:05 ann token a9 10.0.0.1 user.change user bob done {\"name\":\"x\\u001b[1m\"}"
        );
        assert!(for_people(&[]).starts_with("There are no"));
    }

    #[test]
    fn programs_see_tabs() {
        let hostile = Record {
            detail: serde_json::Map::new(),
            actor: "service".to_owned(),
            actor_name: "a\tb\x1b".to_owned(),
            token: None,
            source: None,
            ..record()
        };
        assert_eq!(
            for_programs(&[hostile]),
            "2026-01-02T03:04:05.678901Z\tservice a b \ttoken\t-\tuser.change\tuser bob\tdone\t-\n"
        );
        assert_eq!(for_programs(&[]), "");
    }
}
