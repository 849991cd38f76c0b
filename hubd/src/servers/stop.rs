//! A stop, and the deletion of what was stopped.

use std::time::Duration;

use spawner_core::{ServerId, SpawnError, StopMode};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::fleet::{Place, Servers};
use crate::metrics::Status;
use crate::store::audit::Action;
use crate::store::{StoreError, User};

/// How a stop stands when its caller's patience ends, or before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// Nothing is left.
    Done,
    /// It is still going on.
    Pending,
}

/// Why a server was not stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StopRefused {
    /// It could not be ended yet; the hub keeps trying.
    #[error(transparent)]
    Failed(#[from] SpawnError),
    /// The books could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the hub is shutting down")]
    ShuttingDown,
}

impl Servers {
    /// Stops a server, or cancels its start, and waits for that, at most `patience`. The stop goes
    /// on when the caller leaves. Fine when nothing runs.
    pub(crate) async fn stop(
        &self,
        server: &ServerId,
        mode: StopMode,
        patience: Duration,
    ) -> Result<Stopped, StopRefused> {
        let nobody = self.existing(server).is_none() && self.in_line(server).is_none();
        if nobody && !self.inner.search.is_for(server) {
            return Ok(Stopped::Done);
        }
        if self.look(server).place != Place::Stopped {
            let entry = self.entry_on(Action::ServerStop, server);
            self.inner.store.note(entry.begun()).await?;
        }
        let (servers, id) = (self.clone(), server.clone());
        let (done, result) = oneshot::channel();
        self.inner.tasks.spawn_until_stop("stop", async move {
            let _ = done.send(servers.stop_for_good(&id, mode).await);
        });
        match tokio::time::timeout(patience, result).await {
            Err(_elapsed) => Ok(Stopped::Pending),
            Ok(Ok(Ok(()))) => Ok(Stopped::Done),
            Ok(Ok(Err(refused))) => Err(refused),
            Ok(Err(_)) => Err(StopRefused::ShuttingDown),
        }
    }

    async fn stop_for_good(&self, server: &ServerId, mode: StopMode) -> Result<(), StopRefused> {
        // One that was called meanwhile begins, which is then cancelled.
        if let Some(mut spot) = self.in_line(server) {
            self.inner.limits.leave(server);
            spot.begins().await;
        }
        // What is not found yet has no owner task to ask. The wish goes into the books, where it is
        // seen as soon as the run is found, if need be by the next hub.
        if self.inner.search.is_for(server) {
            if let Some(row) = self.inner.store.servers().find(server) {
                match self.inner.store.servers().mark_stopping(row.id).await {
                    // It was found meanwhile, and is over.
                    Ok(_) | Err(StoreError::Conflict(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            self.inner.search.is_over_for(server).await;
        }
        match self.existing(server) {
            Some(handle) if handle.phase().is_stopped() => Ok(handle.stop(mode).await?),
            Some(handle) => {
                let began = Instant::now();
                let stopped = handle.stop(mode).await;
                let status = match stopped {
                    Ok(()) => Status::success,
                    Err(_) => Status::failure,
                };
                self.inner.metrics.stopped(status, began.elapsed());
                Ok(stopped?)
            }
            None => Ok(()),
        }
    }

    /// Stops a named server and removes it, and waits for that, at most `patience`. It goes on when
    /// the caller leaves.
    pub(crate) async fn stop_and_remove(
        &self,
        server: &ServerId,
        patience: Duration,
    ) -> Result<Stopped, StopRefused> {
        let (servers, id) = (self.clone(), server.clone());
        let (done, result) = oneshot::channel();
        self.inner.tasks.spawn_until_stop("remove", async move {
            let stopped = servers.stop(&id, StopMode::Graceful, Duration::MAX).await;
            let removed = match stopped {
                Ok(_) => servers.remove(&id).await.map_err(StopRefused::from),
                Err(error) => Err(error),
            };
            let _ = done.send(removed);
        });
        match tokio::time::timeout(patience, result).await {
            Err(_elapsed) => Ok(Stopped::Pending),
            Ok(Ok(removed)) => removed.map(|()| Stopped::Done),
            Ok(Err(_)) => Err(StopRefused::ShuttingDown),
        }
    }

    /// Removes a named server that is stopped.
    pub(crate) async fn remove(&self, server: &ServerId) -> Result<(), StoreError> {
        if let Some(row) = self.inner.store.servers().find(server) {
            let entry = self.entry_on(Action::ServerDelete, server);
            let store = self.inner.store.noting(entry);
            store.servers().remove(row.id).await?;
        }
        self.forget(server);
        Ok(())
    }

    /// Stops all servers of a user, and waits for that, at most `patience`; it goes on then.
    pub(crate) async fn stop_all_of(
        &self,
        user: &User,
        mode: StopMode,
        patience: Duration,
    ) -> Result<Stopped, StopRefused> {
        let ids = self.all_of(user);
        let stops = ids.iter().map(|server| self.stop(server, mode, patience));
        for stopped in futures_util::future::join_all(stops).await {
            if stopped? == Stopped::Pending {
                return Ok(Stopped::Pending);
            }
        }
        Ok(Stopped::Done)
    }

    /// Stops all servers of a user and deletes the user, if that comes to an end within `patience`.
    pub(crate) async fn delete_user(
        &self,
        user: &User,
        patience: Duration,
    ) -> Result<Stopped, StopRefused> {
        let stopped = self.stop_all_of(user, StopMode::Graceful, patience).await?;
        if stopped == Stopped::Pending {
            return Ok(Stopped::Pending);
        }
        let ids = self.all_of(user);
        let entry = self.entry(Action::UserDelete).on_user(user);
        let store = self.inner.store.noting(entry);
        store.users().delete(user.id).await?;
        for server in &ids {
            self.forget(server);
        }
        Ok(Stopped::Done)
    }

    /// The servers of a user, running or not.
    fn all_of(&self, user: &User) -> Vec<ServerId> {
        let rows = self.inner.store.servers().of(user.id);
        rows.iter()
            .map(|row| ServerId::new(user.name.clone(), row.name.clone()))
            .collect()
    }

    /// Stops everything, for a hub that is configured to take its servers with it.
    pub(crate) async fn stop_all(&self, patience: Duration) {
        let active = self.all_active();
        let stops = active
            .iter()
            .map(|server| self.stop(server, StopMode::Graceful, patience));
        futures_util::future::join_all(stops).await;
    }
}
