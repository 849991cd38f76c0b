//! Ends servers that nobody uses.
//!
//! ```text
//! every `every` seconds:  ready servers --Watch--> how long idle, how long there --decide--> verdict
//!                                                                                     |
//!                       the reason goes into the books, then the server is stopped <--'
//! ```
//!
//! All times are of a clock that cannot be set ([`Servers::last_use`](crate::servers::Servers)): a
//! jump of the time of day ends nobody's work. The price is that a restart of the hub gives every
//! server its whole time again.

mod decide;
mod rounds;
mod span;
mod watch;

pub(crate) use rounds::{Culler, Outlook};
