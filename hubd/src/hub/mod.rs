//! The hub as one thing: put together, started, run, stopped.
//!
//! ```text
//! HubBuilder --start()--> Hub --run(until)--> done
//!   configuration          listens, has looked at the books,      drains, closes the books;
//!   kinds of spawners      looks for servers of earlier times     servers stay
//! ```
//!
//! While it runs, commands on this host reach it through the control socket, see `control.rs`. The
//! order of starting is in `boot.rs`, the order of stopping in `stop.rs`.

mod books;
mod boot;
mod builder;
pub(crate) mod control;
mod doctor;
mod error;
mod hooks;
mod running;
mod spawner;
mod stop;

pub use builder::HubBuilder;
pub use error::HubError;
pub use running::Hub;
