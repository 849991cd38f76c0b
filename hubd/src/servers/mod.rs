//! The running servers: who owns each, how one is started and stopped, and where its route leads.
//!
//! ```text
//! api, pages --start/stop--> Servers --> ServerHandle --> owner task --> spawner
//!                                                            |
//!                     store  <--intent, state, end--       Books  --route--> Routes --> proxy
//! ```
//!
//! - A handle exists for every server that ran since the hub began; all others are stopped.
//! - [`Books`](books::Books) is told by the owner task before the world can see a change, so the
//!   rows and the routes never claim what is not so.
//! - A start beyond `concurrent_spawns` waits in line; nothing of it exists until its turn comes.
//! - No lock is held across an await, and each server has its own task: nothing of one user waits
//!   for another.

mod books;
mod display_name;
mod events;
mod fleet;
mod form;
mod in_line;
mod limits;
mod reap;
mod recover;
mod reserved;
mod routes;
mod spawn;
mod stop;
#[cfg(test)]
mod tests;
mod uses;

pub(crate) use display_name::{DISPLAY_NAME_MAX, is_display_name};
pub(crate) use fleet::{EndCallback, Place, Servers, Setup};
pub(crate) use form::NoForm;
pub(crate) use limits::{Limits, Spot, Waiting};
pub(crate) use reserved::hides_a_page;
pub(crate) use routes::Routes;
pub(crate) use spawn::{Begun, StartRefused, check_name};
pub(crate) use stop::{StopRefused, Stopped};
