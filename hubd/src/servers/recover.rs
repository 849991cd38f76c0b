//! After a restart: every run that was not over is looked for, all at once.

use std::time::Duration;

use spawner_core::{LaunchId, Saved, ServerId};
use tokio::sync::mpsc;

use super::fleet::Servers;
use super::reap::is_cut_off;
use crate::store::{Server, Stage};

impl Servers {
    /// Hands every run that was not over to its owner task, all at once, and waits until it is known
    /// what became of each, at most `patience`. Whoever takes longer finds their own way from
    /// `Checking`; one that cannot be told holds up no other. Beside that the world is searched for
    /// runs that the books do not know how to find.
    pub(crate) async fn recover(&self, patience: Duration) {
        let (waiting, mut settled) = mpsc::channel::<()>(1);
        for (server, row) in self.inner.store.servers().not_stopped() {
            for damage in &row.damage {
                let (column, reason) = (damage.column, &damage.reason);
                tracing::error!(%server, column, reason, "a row is damaged, the server needs attention");
            }
            let sought = is_cut_off(&row);
            if sought {
                self.inner.search.add(server.clone());
            }
            let (servers, waiting) = (self.clone(), waiting.clone());
            self.inner.tasks.spawn_until_stop("recover", async move {
                let unread = if sought {
                    None
                } else {
                    servers.recover_one(&server, &row).await
                };
                servers.checked(&server).await;
                drop(waiting);
                if let Some(launch_id) = unread {
                    servers.end_unread(&server, &launch_id).await;
                }
            });
        }
        let servers = self.clone();
        self.inner
            .tasks
            .spawn_until_stop("reap", async move { servers.reap().await });
        drop(waiting);
        // Nothing is ever sent: the channel closes when the last task has dropped its end.
        let _ = tokio::time::timeout(patience, settled.recv()).await;
    }

    /// Hands a run to its owner task. The launch id comes back of one that cannot be read: it may be
    /// running, and is left alone until somebody stops it, which forgets the run.
    async fn recover_one(&self, server: &ServerId, row: &Server) -> Option<LaunchId> {
        let handle = self.handle(server);
        let Some(launch_id) = row.launch_id.clone().filter(|_| !row.is_unreadable()) else {
            let launch_id = row.launch_id.clone();
            let shown = launch_id.clone().unwrap_or_else(LaunchId::random);
            let _ = handle.recover(Saved::unreadable(shown)).await;
            return launch_id;
        };
        // The owner task finds the same, and says so.
        let unread = self.spawner(server).load_state(&row.state).is_err();
        let mut saved = Saved::new(launch_id.clone(), row.state.clone(), self.prefix(server));
        saved.endpoint.clone_from(&row.endpoint);
        // Only a server that answered has an address in the books.
        saved.ready = row.endpoint.is_some();
        saved.stopping = row.stage == Stage::Stopping;
        if handle.recover(saved).await.is_ok() && !unread {
            self.inner.metrics.adopted_servers.inc();
        }
        unread.then_some(launch_id)
    }
}
