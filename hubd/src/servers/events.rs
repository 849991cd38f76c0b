//! What the proxy sees: activity, and servers that refuse connections.

use std::collections::HashMap;

use jiff::Timestamp;
use spawner_core::ServerId;
use tokio::sync::mpsc;

use super::fleet::Servers;
use crate::proxy::Event;
use crate::store::Active;

/// How many events are taken over in one go.
const BATCH: usize = 256;

impl Servers {
    /// Takes over the proxy's events until it ends.
    pub(crate) async fn follow(self, mut events: mpsc::Receiver<Event>) {
        let mut batch = Vec::with_capacity(BATCH);
        while events.recv_many(&mut batch, BATCH).await > 0 {
            let mut seen: HashMap<ServerId, Timestamp> = HashMap::new();
            for event in batch.drain(..) {
                match event {
                    Event::Activity { server, at } => {
                        self.used(&server);
                        let latest = seen.entry(server).or_insert(at);
                        *latest = at.max(*latest);
                    }
                    Event::Refused { server, .. } => self.poll_soon(&server),
                }
            }
            self.touch(seen).await;
        }
    }

    /// A refused connection is a hint, not a proof: the spawner is asked.
    fn poll_soon(&self, server: &ServerId) {
        if let Some(handle) = self.existing(server) {
            self.inner.tasks.spawn_until_stop("poll", async move {
                let _ = handle.poll().await;
            });
        }
    }

    async fn touch(&self, seen: HashMap<ServerId, Timestamp>) {
        let rows = seen.into_iter().filter_map(|(server, at)| {
            let row = self.inner.store.servers().find(&server)?;
            Some([(Active::Server(row.id), at), (Active::User(row.user), at)])
        });
        let rows: Vec<_> = rows.flatten().collect();
        if !rows.is_empty()
            && let Err(error) = self.inner.store.touch_many(rows).await
        {
            tracing::warn!(%error, "cannot record activity");
        }
    }
}
