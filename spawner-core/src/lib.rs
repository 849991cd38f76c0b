//! The spawner contract of hubd: what it takes to start, watch and stop single-user servers.
//!
//! JupyterHub's `Spawner` base class, with its names and semantics, in shapes that make wrong use
//! hard. Nothing here knows of an HTTP server, a database or a backend; a daemon of your own can be
//! built on it as well as hubd is.
//!
//! # A tour
//!
//! [`Spawner`] is what a backend implements: four methods are required, the others have the seed's
//! defaults. [`SpawnerConfig`] holds the knobs that all backends share. A [`SpawnerFactory`] makes
//! one spawner for each server, and a [`Registry`] finds the factory by its name in a
//! configuration file.
//!
//! [`supervise`] puts one server under an owner task and gives out its [`ServerHandle`]. The task
//! does the life cycle: timeouts, polling, callbacks, cancelling, stopping until nothing is left,
//! and finding the server again after a restart. [`Phase`] says where the server is in its life;
//! a [`Journal`] is told before the world can see a change.
//!
//! With the feature `conformance`, the module `conformance` is a kit of checks that tells an author
//! what a spawner does wrong.
//!
//! A [`SpawnerLayer`] changes a few answers of any spawner: a form, arguments, environment.
//!
//! # A spawner in forty lines
//!
//! The least that works. It ends the child alone and forgets it with the daemon; the crate
//! `examples/custom-spawner` does it right and is held to the contract by the conformance kit.
//!
//! ```
//! use std::process::{Child, Command};
//!
//! use async_trait::async_trait;
//! use spawner_core::{
//!     Endpoint, ExitStatus, Launch, PollStatus, SpawnError, Spawner, SpawnerConfig, StopMode,
//! };
//!
//! /// Runs the server as a child, and forgets it when the daemon ends.
//! #[derive(Debug, Default)]
//! struct ChildSpawner {
//!     config: SpawnerConfig,
//!     child: Option<Child>,
//! }
//!
//! #[async_trait]
//! impl Spawner for ChildSpawner {
//!     fn config(&self) -> &SpawnerConfig {
//!         &self.config
//!     }
//!
//!     async fn start(&mut self, launch: Launch) -> Result<Endpoint, SpawnError> {
//!         let [program, first @ ..] = launch.cmd.as_slice() else {
//!             return Err(SpawnError::other("There is no command to run."));
//!         };
//!         let child = Command::new(program)
//!             .args(first)
//!             .args(&launch.args)
//!             .env_clear()
//!             .envs(launch.env.iter())
//!             .spawn()
//!             .map_err(|e| SpawnError::other(format!("Cannot run {program}.")).with_source(e))?;
//!         self.child = Some(child);
//!         let listen = launch.ctx.listen.as_ref().expect("chosen before start");
//!         Ok(listen.local_endpoint())
//!     }
//!
//!     async fn stop(&mut self, _: StopMode) -> Result<(), SpawnError> {
//!         if let Some(mut child) = self.child.take() {
//!             child.kill().and_then(|()| child.wait()).map_err(|error| {
//!                 SpawnError::other("The server cannot be ended.").with_source(error)
//!             })?;
//!         }
//!         Ok(())
//!     }
//!
//!     async fn poll(&mut self) -> Result<PollStatus, SpawnError> {
//!         let Some(child) = &mut self.child else {
//!             return Ok(PollStatus::Exited(ExitStatus::Unknown));
//!         };
//!         let ended = child.try_wait().map_err(|error| {
//!             SpawnError::other("The system does not tell whether it runs.").with_source(error)
//!         })?;
//!         Ok(match ended.and_then(|status| status.code()) {
//!             Some(code) => PollStatus::Exited(ExitStatus::Code(code)),
//!             None if ended.is_some() => PollStatus::Exited(ExitStatus::Unknown),
//!             None => PollStatus::Running,
//!         })
//!     }
//! }
//! ```
//!
//! # Rules that hold everywhere
//!
//! - *Cannot tell is not gone.* An `Err` of [`Spawner::poll`] leads to [`Phase::Unknown`], which is
//!   left only when somebody can tell again.
//! - *Options are untrusted.* They can come from a REST body without any form;
//!   [`Spawner::check_options`] sees them all.
//! - *Two readers for every error.* `Display` is one sentence for the user, the
//!   [`source`](std::error::Error::source) chain is for the log.
//! - *No secret by accident.* [`Secret`] and [`Env`] have a `Debug` that shows none.

mod command;
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod context;
mod endpoint;
mod env;
mod error;
mod factory;
mod forward;
mod hooks;
mod ids;
mod journal;
mod launch;
mod layer;
mod options;
mod outcome;
mod ports;
mod progress;
mod registry;
mod secret;
mod spawner;
mod state;
mod status;
mod supervisor;
mod user_env;

pub use command::{base_args, expand};
pub use config::{EnvValue, FormSource, SingleuserArgs, SpawnerConfig};
pub use context::{HubUrls, OauthClient, SpawnContext, service_prefix};
pub use endpoint::{Endpoint, ListenOn};
pub use env::{Env, LAUNCH_MARKER, base_env, launch_marker};
pub use error::{BoxError, SpawnError, SpawnErrorKind, error_chain};
pub use factory::{Found, Known, SpawnerFactory};
pub use hooks::SpawnHooks;
pub use ids::{LaunchId, NameError, ServerId, ServerName, UserName, escape_object_name};
pub use journal::{Journal, NoJournal};
pub use launch::Launch;
pub use layer::{Layered, SpawnerLayer};
pub use options::{FormContext, FormData, OptionsError, OptionsForm, UserOptions, escape_html};
pub use outcome::{Ended, Ending, Failure, Outcome, StartPhase};
pub use ports::{base_listen_on, free_port};
pub use progress::{ProgressEvent, ProgressLog, ProgressReader};
pub use registry::{BackendSetup, Registry, SetupError};
pub use secret::Secret;
pub use spawner::Spawner;
pub use state::{SpawnerState, StateError};
pub use status::{ExitStatus, PollStatus, StopMode};
pub use supervisor::{
    Denied, Deps, Event, Gone, HttpProbe, Phase, Probe, Saved, ServerHandle, StartError, supervise,
};
pub use user_env::check_user_variable;
