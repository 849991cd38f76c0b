//! Callbacks for the ends that nobody asked for.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

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
            // The call itself can panic as well as the future it returns.
            let run = AssertUnwindSafe(async move { callback(outcome).await }).catch_unwind();
            match tokio::time::timeout(PATIENCE, run).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) => {
                    tracing::error!(%server, error = error_chain(&*error), "poll callback failed");
                }
                Ok(Err(_panic)) => tracing::error!(%server, "poll callback panicked"),
                Err(_elapsed) => tracing::error!(%server, "poll callback took too long"),
            }
        }
    }
}
