//! What the owner task tells the world before it goes on.

use std::fmt;

use async_trait::async_trait;

use crate::context::SpawnContext;
use crate::endpoint::Endpoint;
use crate::error::BoxError;
use crate::ids::{LaunchId, ServerId};
use crate::outcome::Outcome;
use crate::state::SpawnerState;

/// The books of the daemon that runs the spawners: each call is awaited by the owner task before it
/// goes on, so what a method records is true before the world can see otherwise.
///
/// Every default does nothing, which suits a program that keeps no books.
///
/// ```
/// use spawner_core::{BoxError, Journal, LaunchId, Outcome, ServerId};
///
/// /// Keeps the outcomes on a printer.
/// #[derive(Debug)]
/// struct Printed;
///
/// #[async_trait::async_trait]
/// impl Journal for Printed {
///     async fn stopped(
///         &self,
///         server: &ServerId,
///         _: &LaunchId,
///         outcome: &Outcome,
///     ) -> Result<(), BoxError> {
///         println!("{server}: {:?}", outcome.ending);
///         Ok(())
///     }
/// }
/// let deps = spawner_core::Deps {
///     journal: std::sync::Arc::new(Printed),
///     ..Default::default()
/// };
/// ```
#[async_trait]
pub trait Journal: fmt::Debug + Send + Sync + 'static {
    /// A start begins: record the intent, the token and the OAuth client before anything of the
    /// run exists. An error refuses the start.
    ///
    /// Example: see [`Journal`](crate::Journal).
    async fn starting(&self, ctx: &SpawnContext) -> Result<(), BoxError> {
        let _ = ctx;
        Ok(())
    }

    /// The spawner's state has changed during a start; durable when this returns. An error ends
    /// the start.
    ///
    /// Example: see [`Journal`](crate::Journal).
    async fn checkpoint(
        &self,
        server: &ServerId,
        launch: &LaunchId,
        state: &SpawnerState,
    ) -> Result<(), BoxError> {
        let _ = (server, launch, state);
        Ok(())
    }

    /// The server answers at `endpoint` and is about to be called running: save it and route to
    /// it. Also called when a running server was found again, possibly at a new address. An error
    /// ends a start; for a server found again it is logged and tried again.
    ///
    /// Example: see [`Journal`](crate::Journal).
    async fn ready(
        &self,
        server: &ServerId,
        launch: &LaunchId,
        endpoint: &Endpoint,
        state: &SpawnerState,
    ) -> Result<(), BoxError> {
        let _ = (server, launch, endpoint, state);
        Ok(())
    }

    /// A stop is about to begin: save the intent, route no longer. An error refuses the stop.
    ///
    /// Example: see [`Journal`](crate::Journal).
    async fn stopping(&self, server: &ServerId, launch: &LaunchId) -> Result<(), BoxError> {
        let _ = (server, launch);
        Ok(())
    }

    /// A start has failed and something of it may be left, since clearing it takes long: whoever
    /// waited for it is about to be told. [`stopped`](Self::stopped) follows when nothing is left.
    /// An error is logged.
    ///
    /// Example: see [`Journal`](crate::Journal).
    async fn failed(
        &self,
        server: &ServerId,
        launch: &LaunchId,
        outcome: &Outcome,
    ) -> Result<(), BoxError> {
        let _ = (server, launch, outcome);
        Ok(())
    }

    /// The run is over, whatever the reason, and nothing of it is left. An error is logged: the
    /// books then say something that the next look at the world corrects.
    ///
    /// Example: see [`Journal`](crate::Journal).
    async fn stopped(
        &self,
        server: &ServerId,
        launch: &LaunchId,
        outcome: &Outcome,
    ) -> Result<(), BoxError> {
        let _ = (server, launch, outcome);
        Ok(())
    }
}

/// Keeps no books.
///
/// Example: see [`Journal`](crate::Journal).
#[derive(Debug, Clone, Copy, Default)]
pub struct NoJournal;

impl Journal for NoJournal {}
