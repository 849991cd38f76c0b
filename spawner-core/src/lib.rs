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
//! # A spawner in fifty lines
//!
//! Over a system that gives identity and the end of a whole tree (an engine of containers, say) a
//! spawner is as short as this. It keeps the whole contract: the conformance kit runs it. The page
//! [`guide`], "Write a spawner in twenty minutes", explains it and goes on to its factory;
//! `examples/custom-spawner` is a whole crate for processes of this host.
//!
#![doc = concat!("```\n", include_str!("guide/engine.md"), include_str!("guide/unit.rs"), "```")]
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

mod allowance;
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
pub mod guide;
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
pub use config::{Command, EnvValue, FormSource, SingleuserArgs, SpawnerConfig};
pub use context::{HubUrls, OauthClient, SpawnContext, service_prefix};
pub use endpoint::{Endpoint, ListenOn};
pub use env::{Env, LAUNCH_MARKER, base_env, launch_marker};
pub use error::{BoxError, SpawnError, SpawnErrorKind, error_chain};
pub use factory::{Finding, Found, Known, SpawnerFactory, Verdict};
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
