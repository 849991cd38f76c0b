//! The admin pages: the users, one of them, the groups, and one of those.

use serde::Serialize;

use super::{ServerState, View};
use crate::auth::local_path::LocalPath;

/// The way from one list to another.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Tabs {
    pub(crate) users: LocalPath,
    /// For those who may see the groups.
    pub(crate) groups: Option<LocalPath>,
    /// The audit log, for admins.
    pub(crate) audit: Option<LocalPath>,
}

/// Which part of a list a page shows.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Part {
    /// How many there are on all pages.
    pub(crate) total: usize,
    /// The places of the first and the last of this page in the list, from 1 on.
    pub(crate) first: usize,
    pub(crate) last: usize,
    pub(crate) previous_url: Option<LocalPath>,
    pub(crate) following_url: Option<LocalPath>,
}

/// The list of users.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AdminView {
    pub(crate) tabs: Tabs,
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
    pub(crate) part: Part,
    /// The stream that says which rows are no longer as shown.
    pub(crate) events_url: LocalPath,
    /// The form for new users, for those who may make some.
    pub(crate) add: Option<AddForm>,
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
    /// Whose names the visitor may see.
    pub(crate) groups: Vec<String>,
    /// The page of this user.
    pub(crate) user_url: LocalPath,
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

/// One user; an address is there only for who may do that.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct UserView {
    pub(crate) name: String,
    pub(crate) you: bool,
    pub(crate) admin: bool,
    pub(crate) created: String,
    pub(crate) last_seen: Option<String>,
    /// The roles that they hold themselves.
    pub(crate) roles: Vec<String>,
    /// `None` if the visitor may not see them.
    pub(crate) groups: Option<Vec<GroupOfUser>>,
    /// Puts them into a group.
    pub(crate) join: Option<JoinForm>,
    pub(crate) rename: Option<RenameForm>,
    /// The key of the configuration that names them, so that they keep their name.
    pub(crate) named_by: Option<&'static str>,
    /// Whether the configuration makes them an admin, so that they stay one.
    pub(crate) named_admin: bool,
    /// Makes them an admin, or no longer one.
    pub(crate) admin_url: Option<LocalPath>,
    /// Asks whether to delete them.
    pub(crate) delete_url: Option<LocalPath>,
    /// This very page.
    pub(crate) here: LocalPath,
    /// The list to go back to.
    pub(crate) list_url: LocalPath,
}

/// A group that somebody is in.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GroupOfUser {
    pub(crate) name: String,
    pub(crate) configured: bool,
    pub(crate) url: Option<LocalPath>,
    pub(crate) take_out_url: Option<LocalPath>,
}

/// The form that puts a user into one of `groups`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct JoinForm {
    pub(crate) url: LocalPath,
    pub(crate) groups: Vec<String>,
}

/// The form for another name.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RenameForm {
    pub(crate) url: LocalPath,
    /// The name as it is, or as it was typed before.
    pub(crate) typed: String,
    pub(crate) error: Option<String>,
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

/// The list of groups.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GroupsView {
    pub(crate) tabs: Tabs,
    pub(crate) rows: Vec<GroupRow>,
    pub(crate) part: Part,
    /// The form for a new group, for those who may make one.
    pub(crate) add: Option<NewGroupForm>,
}

/// A group.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GroupRow {
    pub(crate) name: String,
    pub(crate) configured: bool,
    /// Its page and how many are in it; `None` if the visitor may not see that.
    pub(crate) url: Option<LocalPath>,
    pub(crate) members: Option<usize>,
}

/// The form for a new group.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NewGroupForm {
    pub(crate) url: LocalPath,
    pub(crate) typed: String,
    pub(crate) error: Option<String>,
}

/// One group.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GroupView {
    pub(crate) name: String,
    /// Whether it is the configuration's, and changed there alone.
    pub(crate) configured: bool,
    /// The roles that the configuration gives to it.
    pub(crate) roles: Vec<String>,
    pub(crate) members: Vec<MemberRow>,
    pub(crate) part: Part,
    pub(crate) take_out_url: Option<LocalPath>,
    pub(crate) add: Option<MembersForm>,
    /// Asks whether to delete it.
    pub(crate) delete_url: Option<LocalPath>,
    /// This very page.
    pub(crate) here: LocalPath,
    pub(crate) list_url: LocalPath,
}

/// Somebody in a group.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MemberRow {
    pub(crate) name: String,
    /// Their page, if they are in the books and the visitor may see it.
    pub(crate) url: Option<LocalPath>,
}

/// The form for new members.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MembersForm {
    pub(crate) url: LocalPath,
    pub(crate) names: String,
    pub(crate) error: Option<String>,
}

/// The question whether a group is to be deleted.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DeleteGroupView {
    pub(crate) name: String,
    pub(crate) members: usize,
    pub(crate) action: LocalPath,
    pub(crate) group_url: LocalPath,
}

impl View for AdminView {
    const TEMPLATE: &'static str = "admin.html";
}

impl View for UserView {
    const TEMPLATE: &'static str = "admin_user.html";
}

impl View for DeleteUserView {
    const TEMPLATE: &'static str = "admin_delete.html";
}

impl View for GroupsView {
    const TEMPLATE: &'static str = "admin_groups.html";
}

impl View for GroupView {
    const TEMPLATE: &'static str = "admin_group.html";
}

impl View for DeleteGroupView {
    const TEMPLATE: &'static str = "admin_group_delete.html";
}
