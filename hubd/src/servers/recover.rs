//! After a restart: every run that was not over is looked for, all at once.

use std::time::Duration;

use spawner_core::{LaunchId, Saved, ServerId};
use tokio::sync::mpsc;

use super::fleet::{Place, Servers};
use crate::store::{Server, Stage};

impl Servers {
    /// Hands every run that was not over to its owner task, all at once, and waits until it is known
    /// what became of each, at most `patience`. Whoever takes longer finds their own way from
    /// `Checking`; one that cannot be told holds up no other.
    pub(crate) async fn recover(&self, patience: Duration) {
        let (waiting, mut settled) = mpsc::channel::<()>(1);
        for (server, row) in self.inner.store.servers().not_stopped() {
            let (servers, waiting) = (self.clone(), waiting.clone());
            self.inner.tasks.spawn_until_stop("recover", async move {
                servers.recover_one(&server, &row).await;
                servers
                    .changed(&server, Place::Checking, Duration::MAX)
                    .await;
                drop(waiting);
            });
        }
        drop(waiting);
        // Nothing is ever sent: the channel closes when the last task has dropped its end.
        let _ = tokio::time::timeout(patience, settled.recv()).await;
    }

    async fn recover_one(&self, server: &ServerId, row: &Server) {
        let unreadable = row
            .damage
            .iter()
            .any(|damage| matches!(damage.column, "state" | "launch_id"));
        for damage in &row.damage {
            let (column, reason) = (damage.column, &damage.reason);
            tracing::error!(%server, column, reason, "a row is damaged, the server needs attention");
        }
        let Some(launch_id) = row.launch_id.clone().filter(|_| !unreadable) else {
            // It may be running. It is left alone until somebody stops it, which forgets the run.
            let launch_id = row.launch_id.clone().unwrap_or_else(LaunchId::random);
            let _ = self
                .handle(server)
                .recover(Saved::unreadable(launch_id))
                .await;
            return;
        };
        let mut saved = Saved::new(launch_id, row.state.clone(), self.prefix(server));
        saved.endpoint.clone_from(&row.endpoint);
        // Only a server that answered has an address in the books.
        saved.ready = row.endpoint.is_some();
        saved.stopping = row.stage == Stage::Stopping;
        if self.handle(server).recover(saved).await.is_ok() {
            self.inner.metrics.adopted_servers.inc();
        }
    }
}
