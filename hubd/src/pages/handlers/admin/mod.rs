//! `/hub/admin`: the users and their servers, a page at a time.
//!
//! ```text
//! GET  admin?name_filter=&state=&sort=&offset=   the list, chosen and sorted here
//! GET  admin/events?user=A&user=B                which of these rows are no longer as shown
//! POST admin/users                               new users
//! POST admin/start/USER[/SERVER]  admin/open/...
//! GET  admin/user/USER                           one user
//! POST admin/rename/USER  admin/rights/USER  admin/join/USER
//! GET, POST admin/delete/USER                    the question, and the answer
//! GET, POST admin/groups                         the groups, and a new one
//! GET  admin/groups/GROUP                        one group
//! POST admin/groups/GROUP/add  .../take-out
//! GET, POST admin/groups/GROUP/delete            the question, and the answer
//! GET  admin/audit?user=&action=&before=         who did what to whom; for admins alone
//! ```
//!
//! - The page needs `admin-ui` and `list:users`; every action needs its own scope, which is asked
//!   for again when it is done. What somebody may not do is not offered either.
//! - Every action is a form that posts and comes back to the page as it was. The rules for changes are
//!   in `people`, the same as for the API.
//! - Whoever opens somebody else's server is noted, and the owner's home page says so.

pub(super) mod audit;
pub(super) mod events;
pub(super) mod group;
pub(super) mod groups;
pub(super) mod list;
mod listing;
mod part;
pub(super) mod people;
pub(super) mod rows;
pub(super) mod servers;
pub(super) mod user;

#[cfg(test)]
mod tests;
