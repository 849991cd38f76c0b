//! `[audit]`: how long it is known who did what.

use jiff::{SignedDuration, Timestamp};

use super::reader::TableReader;
use super::spec::{KeySpec, TableSpec};
use super::value::count;

/// `[audit]`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AuditTable {
    /// After how many days an entry is deleted; 0 keeps all.
    pub(crate) keep_days: u32,
}

pub(super) const SPEC: TableSpec = TableSpec {
    path: "audit",
    repeated: false,
    about: "The log of who did what to whom: `hubd audit` and a page for admins show it.",
    keys: &[KeySpec::new(
        "keep_days",
        "365",
        "After how many days an entry is deleted. 0 keeps all of them.",
    )],
};

impl AuditTable {
    /// What was before this moment is to go; `None` if nothing is.
    pub(crate) fn keep_since(&self, now: Timestamp) -> Option<Timestamp> {
        let kept = SignedDuration::from_hours(24 * i64::from(self.keep_days));
        let since = now.checked_sub(kept).ok()?;
        (self.keep_days > 0).then_some(since)
    }
}

impl Default for AuditTable {
    fn default() -> Self {
        Self { keep_days: 365 }
    }
}

pub(super) fn read(mut table: TableReader<'_, '_>) -> AuditTable {
    let default = AuditTable::default();
    let keep_days = table.get("keep_days", count).unwrap_or(default.keep_days);
    table.finish();
    AuditTable { keep_days }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_back() {
        let now: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let since = |keep_days| AuditTable { keep_days }.keep_since(now);
        let yesterday = "2026-02-28T00:00:00Z".parse().unwrap();
        assert_eq!(since(1), Some(yesterday));
        assert_eq!(since(0), None);
        assert_eq!(since(u32::MAX), None, "before all calendars");
    }
}
