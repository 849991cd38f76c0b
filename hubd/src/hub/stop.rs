//! The order of stopping.
//!
//! No new connections; WebSockets and progress streams end at once, because their clients come back;
//! requests under way have the grace; then the tasks, and the books last, because everything before
//! may still write them. Servers stay, unless they are to go: then they go first, while the hub can
//! still see that they do.

use std::time::Duration;

use crate::store::Store;
use crate::tasks::Tasks;

/// How long servers may take that have to go with the hub.
pub(super) const SERVERS_LIMIT: Duration = Duration::from_secs(70);

/// Ends the tasks.
pub(super) async fn tasks(tasks: &Tasks, grace: Duration) {
    let left = tasks.stop(grace).await;
    if left > 0 {
        tracing::warn!(left, "tasks did not end in time");
    }
}

/// Closes the books.
pub(super) async fn books(store: &Store) {
    match store.close().await {
        Ok(()) => tracing::info!("stopped"),
        Err(error) => tracing::error!(%error, "the state could not be closed properly"),
    }
}
