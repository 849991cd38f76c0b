//! Work that takes its time, a bounded amount of it at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many may wait for one that is worked on.
const WAITING_PER_WORKER: usize = 64;

/// So many turns at once, and so many that wait for one.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    workers: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _place: OwnedSemaphorePermit,
    _worker: OwnedSemaphorePermit,
}

/// So many are waiting that one more would only wait in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many people are logging in at once: try again in a few seconds")]
pub(crate) struct Busy;

impl Turns {
    /// At most `parallel` at once.
    pub(super) fn new(parallel: usize) -> Self {
        let parallel = parallel.max(1);
        Self {
            workers: Arc::new(Semaphore::new(parallel)),
            places: Arc::new(Semaphore::new(parallel * (1 + WAITING_PER_WORKER))),
        }
    }

    /// Waits for a turn, unless too many wait already.
    pub(super) async fn take(&self) -> Result<Turn, Busy> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| Busy)?;
        let worker = self.workers.clone().acquire_owned().await;
        Ok(Turn {
            _place: place,
            _worker: worker.map_err(|_| Busy)?, // It is never closed.
        })
    }

    /// How many could begin at once.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.workers.available_permits()
    }

    /// Every place, so that nobody finds one.
    #[cfg(test)]
    pub(super) async fn take_all(&self) -> OwnedSemaphorePermit {
        let all = u32::try_from(self.places.available_permits()).unwrap();
        let places = Arc::clone(&self.places);
        places.acquire_many_owned(all).await.unwrap()
    }
}
