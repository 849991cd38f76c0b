//! The conformance kit: does your spawner keep the contract of [`Spawner`](crate::Spawner)?
//!
//! ```text
//!  conformance_tests!(Mine)  one #[test] for each check, and the probe server
//!      │
//!      ├── Backend    yours: how to set up a place, what there is in the world, how to cut it off
//!      ├── check      what a check is, and the tests that are made of it
//!      │     ├── list      all of them, with the rule behind each
//!      │     └── checks/   one file for each topic, one function for each check
//!      ├── bench      what a check works with: servers, launches, the world
//!      │     ├── subject   one instance of your spawner, called the way the owner task calls it
//!      │     └── owned     your spawner under a real owner task
//!      └── probe      the server that your spawner starts: it tells what it was given
//! ```
//!
//! # How to use it
//!
//! Switch the feature `conformance` on for your tests, and write a file `tests/conformance.rs`:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use async_trait::async_trait;
//! # use spawner_core::{SpawnerConfig, SpawnerFactory, ServerId};
//! use spawner_core::conformance::{Backend, processes_with};
//!
//! # fn my_factory(_: SpawnerConfig) -> Arc<dyn SpawnerFactory> { unimplemented!() }
//! struct Mine { place: String }
//!
//! #[async_trait]
//! impl Backend for Mine {
//!     async fn set_up() -> Self {
//!         Self { place: spawner_core::LaunchId::random().to_string() }
//!     }
//!     fn factory(&self) -> Arc<dyn SpawnerFactory> {
//!         let mut config = SpawnerConfig::default();
//!         config.environment.insert("PLACE".into(), self.place.as_str().into());
//!         my_factory(config)
//!     }
//!     async fn census(&self, server: &ServerId) -> Vec<String> {
//!         processes_with(&[("PLACE", &self.place)], server)
//!     }
//! }
//!
//! spawner_core::conformance_tests!(Mine);
//! ```
//!
//! `cargo test --test conformance` then runs every check of the table at [`Check::all`] under its own
//! name, such as `drop::a_dropped_start_leaves_nothing`. One that fails says what your spawner did,
//! which rule that breaks, and what a hub does wrong because of it.
//!
//! # What makes a check worth trusting
//!
//! - What is left in the world is looked at without asking the spawner: [`Backend::census`].
//! - Checks wait for events. The only bound is [`Backend::patience`], and nothing is concluded from
//!   how long anything took.
//! - A check that does not apply says so in one line on stderr and passes.
//! - Every check has a spawner, broken on purpose, that it catches: `tests/mutants.rs` of this crate.
//!
mod backend;
mod bench;
mod books;
mod check;
mod checks;
mod client;
mod fault;
mod host;
mod list;
mod log;
mod owned;
mod probe;
mod run;
mod subject;

pub use backend::{Backend, Behaviour, Recipe};
pub use check::{Check, Verdict};
pub use host::processes_with;
pub use probe::{Ending, Probe, Program};
#[doc(hidden)]
pub use run::{probe_server, test};
