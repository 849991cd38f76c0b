//! What belongs to the hub beside its servers: the services, and the culler.
//!
//! ```text
//! [[service]] --token-------------> auth: who it is              (external and managed ones)
//!             --url---------------> a route below services/NAME/, an OAuth client
//!             --command--> Keeper --start--> process --end--> a pause, then again
//!                            |  a mark in its environment, a log, a fresh token
//!                            '--stop of the hub--> its whole tree ends
//!
//! POST {api}/services/NAME --> the books: an external one, with a token, a route and a client
//!
//! [culler]  Servers::last_use --> Watch --> decide --> a reason in the books, then a stop
//! ```
//!
//! - **Never two.** What a hub that crashed has left running is ended before anything is started. It
//!   is found by its mark, whatever the configuration says of services by now.
//! - A managed service runs as long as the hub. When it ends it is started again, after a pause that
//!   grows while it keeps ending.
//! - The culler goes by a clock that cannot be set, and by nothing that was before the hub began.

mod culler;
mod environment;
mod keeper;
mod left_over;
mod list;

pub(crate) use culler::{Culler, Outlook};
pub(crate) use keeper::Ground;
pub(crate) use list::{Services, Shown};
