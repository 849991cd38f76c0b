//! The audit log: a page of its entries.

use serde::Serialize;

use super::View;
use super::admin::{Choice, Tabs};
use crate::auth::local_path::LocalPath;

/// Who did what to whom, the latest first.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AuditView {
    pub(crate) tabs: Tabs,
    /// The log without anything chosen; the search form goes there.
    pub(crate) list_url: LocalPath,
    /// By or about whom.
    pub(crate) user_filter: String,
    /// The actions to choose from.
    pub(crate) actions: Vec<Choice>,
    pub(crate) rows: Vec<AuditRow>,
    /// The first page, from any other one.
    pub(crate) latest_url: Option<LocalPath>,
    /// The next page, which is of earlier entries.
    pub(crate) earlier_url: Option<LocalPath>,
}

/// One entry.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AuditRow {
    pub(crate) at: String,
    /// Empty for a stranger.
    pub(crate) who: String,
    pub(crate) action: String,
    pub(crate) what: String,
    /// By which means and from where.
    pub(crate) means: String,
    pub(crate) source: Option<String>,
    pub(crate) refused: bool,
    /// JSON; empty for nothing.
    pub(crate) details: String,
}

impl View for AuditView {
    const TEMPLATE: &'static str = "audit.html";
}
