//! Code of an administrator that runs around every run of a server, over any spawner.

use std::fmt;

use async_trait::async_trait;

use crate::error::{BoxError, SpawnError};
use crate::ids::ServerId;
use crate::launch::Launch;
use crate::outcome::Outcome;

/// JupyterHub's `pre_spawn_hook` and `post_stop_hook`, for the knob
/// [`SpawnerConfig::hooks`](crate::SpawnerConfig::hooks). The owner task runs them, so they work
/// over every spawner; each call is bounded by `hook_timeout`, and a panic is an error.
///
/// ```
/// use spawner_core::{BoxError, Launch, Outcome, ServerId, SpawnError, SpawnHooks};
///
/// /// Gives each user a directory before the start.
/// #[derive(Debug)]
/// struct Homes;
///
/// #[async_trait::async_trait]
/// impl SpawnHooks for Homes {
///     async fn pre_spawn_hook(&self, launch: &mut Launch) -> Result<(), SpawnError> {
///         let home = format!("/srv/homes/{}", launch.ctx.server.user);
///         std::fs::create_dir_all(&home).map_err(|error| {
///             SpawnError::other("Your home directory cannot be made.").with_source(error)
///         })?;
///         launch.env.set("HOME", home);
///         Ok(())
///     }
/// }
///
/// let config = spawner_core::SpawnerConfig {
///     hooks: Some(std::sync::Arc::new(Homes)),
///     ..Default::default()
/// };
/// ```
#[async_trait]
pub trait SpawnHooks: fmt::Debug + Send + Sync + 'static {
    /// Runs before [`Spawner::start`](crate::Spawner::start) and may change what is started. An
    /// error fails the start with its sentence.
    ///
    /// It runs again when a start is repeated at another address, and its future can be dropped:
    /// what it makes must bear being made twice.
    ///
    /// Example: see [`SpawnHooks`].
    async fn pre_spawn_hook(&self, launch: &mut Launch) -> Result<(), SpawnError> {
        let _ = launch;
        Ok(())
    }

    /// Runs once at the end of every run, when nothing is left of it, and also after a start that
    /// failed, was refused or was cancelled. The next start waits for it. An error is logged.
    ///
    /// Example: see [`SpawnHooks`].
    async fn post_stop_hook(&self, server: &ServerId, outcome: &Outcome) -> Result<(), BoxError> {
        let _ = (server, outcome);
        Ok(())
    }
}
