//! The admin page: a page of the list of users, and what can be done with each.

use serde::Serialize;

use super::{ServerState, View};
use crate::auth::local_path::LocalPath;

/// The list.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AdminView {
    /// The list without anything chosen; the search form goes there.
    pub(crate) list_url: LocalPath,
    /// This very page, where every action comes back to.
    pub(crate) here: LocalPath,
    /// Names that hold this text.
    pub(crate) filter: String,
    /// The states to choose from.
    pub(crate) states: Vec<Choice>,
    /// What the list is sorted by, as links.
    pub(crate) sorts: Vec<Sorting>,
    /// The word of the sorting, for the search form to keep.
    pub(crate) sort: &'static str,
    pub(crate) rows: Vec<UserRow>,
    /// How many users there are on all pages.
    pub(crate) total: usize,
    /// The places of the first and the last of this page in the list.
    pub(crate) first: usize,
    pub(crate) last: usize,
    pub(crate) previous_url: Option<LocalPath>,
    pub(crate) following_url: Option<LocalPath>,
    /// The stream that says which rows are no longer as shown.
    pub(crate) events_url: LocalPath,
    /// The form for new users, for those who may make some.
    pub(crate) add: Option<AddForm>,
    /// The audit log, for admins.
    pub(crate) audit_url: Option<LocalPath>,
}

/// A value to choose.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Choice {
    pub(crate) value: &'static str,
    pub(crate) label: &'static str,
    pub(crate) chosen: bool,
}

/// A way to sort.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sorting {
    pub(crate) label: &'static str,
    pub(crate) url: LocalPath,
    /// Whether the list is sorted so, and in which direction.
    pub(crate) current: Option<&'static str>,
}

/// The form for new users.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AddForm {
    pub(crate) url: LocalPath,
    /// What was typed before, to correct it.
    pub(crate) names: String,
    pub(crate) admins: bool,
    /// Whether the visitor may make admins.
    pub(crate) may_admins: bool,
    pub(crate) error: Option<String>,
}

/// A user.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct UserRow {
    pub(crate) name: String,
    /// What the servers do, in one word that changes whenever they do something else.
    pub(crate) stamp: String,
    pub(crate) admin: bool,
    /// Whether they are the person in front of the page.
    pub(crate) you: bool,
    pub(crate) last_seen: Option<String>,
    /// Makes them an admin, or no longer one; not for those whom the configuration names.
    pub(crate) admin_url: Option<LocalPath>,
    /// Asks whether to delete them.
    pub(crate) delete_url: Option<LocalPath>,
    pub(crate) servers: Vec<ServerRow>,
}

/// A server of a user; an address is there only for who may go there.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServerRow {
    /// As a person calls it; empty for the default server.
    pub(crate) name: String,
    /// The words for its state: "Running".
    pub(crate) words: &'static str,
    pub(crate) state: ServerState,
    /// Shows why it is not running, when nobody asked for that.
    pub(crate) failure_url: Option<LocalPath>,
    pub(crate) open_url: Option<LocalPath>,
    pub(crate) start_url: Option<LocalPath>,
    pub(crate) stop_url: Option<LocalPath>,
    /// Removes a named server that is stopped.
    pub(crate) remove_url: Option<LocalPath>,
}

/// The question whether a user is to be deleted.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DeleteUserView {
    pub(crate) name: String,
    /// How many servers they have, and how many of them run.
    pub(crate) servers: usize,
    pub(crate) running: usize,
    pub(crate) action: LocalPath,
    /// The list to come back to.
    pub(crate) list_url: LocalPath,
}

impl View for AdminView {
    const TEMPLATE: &'static str = "admin.html";
}

impl View for DeleteUserView {
    const TEMPLATE: &'static str = "admin_delete.html";
}
