//! Callbacks for the ends that nobody asked for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::guard::guarded;
use crate::error::{BoxError, error_chain};
use crate::ids::ServerId;
use crate::outcome::Outcome;

/// How long one callback may hold up the next.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) type Callback =
    Arc<dyn Fn(Arc<Outcome>) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>;

/// The registered ones. They stay registered and run once for each end that is noticed.
#[derive(Default)]
pub(super) struct Callbacks(Mutex<Vec<Callback>>);

impl Callbacks {
    pub(super) fn add(&self, callback: Callback) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(callback);
    }

    /// Runs all of them, in the order they were added. What one does wrong is logged and touches
    /// no other.
    pub(super) async fn fire(&self, server: &ServerId, outcome: &Arc<Outcome>) {
        let callbacks = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for callback in callbacks {
            let outcome = Arc::clone(outcome);
            let run = guarded(
                server,
                "poll callback",
                async move { callback(outcome).await },
            );
            match tokio::time::timeout(PATIENCE, run).await {
                // The log has a panic already.
                Ok(Ok(Ok(())) | Err(_)) => {}
                Ok(Ok(Err(error))) => {
                    tracing::error!(%server, error = error_chain(&*error), "poll callback failed");
                }
                Err(_elapsed) => tracing::error!(%server, "poll callback took too long"),
            }
        }
    }
}
