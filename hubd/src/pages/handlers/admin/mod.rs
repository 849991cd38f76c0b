//! `/hub/admin`: the users and their servers, a page at a time.
//!
//! ```text
//! GET  admin?name_filter=&state=&sort=&offset=   the list, chosen and sorted here
//! GET  admin/events?user=A&user=B                which of these rows are no longer as shown
//! POST admin/start/USER[/SERVER]  admin/open/... admin/rights/USER  admin/users
//! GET, POST admin/delete/USER                    the question, and the answer
//! GET  admin/audit?user=&action=&before=         who did what to whom; for admins alone
//! ```
//!
//! - The page needs `admin-ui` and `list:users`; every action needs its own scope, which is asked
//!   for again when it is done. What somebody may not do is not offered either.
//! - Every action is a form that posts and comes back to the list as it was.
//! - Whoever opens somebody else's server is noted, and the owner's home page says so.

pub(super) mod audit;
pub(super) mod events;
pub(super) mod list;
mod listing;
pub(super) mod people;
pub(super) mod rows;
pub(super) mod servers;

#[cfg(test)]
mod tests;
