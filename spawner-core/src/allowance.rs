//! What of a start does not count towards its bounds.
//!
//! ```text
//! start_timeout  |----- counts -----|. . . with_budget(pull) . . .|----- counts -----|
//! ```
//!
//! Invariant: at every moment there is an end in sight. What does not count has a limit of its own,
//! by which the bounds move, and they move back by what it leaves of that.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};

/// What is longer is no limit, and the clock would overflow.
const FAR: Duration = Duration::from_secs(365 * 86_400);

/// By how much the bounds of a start have moved. Clones share one.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    extra: watch::Sender<Duration>,
}

/// Takes back what was not used, whether the work ended or was dropped.
struct Unused<'a> {
    allowance: &'a Allowance,
    began: Instant,
    limit: Duration,
}

impl Allowance {
    /// None so far.
    pub(crate) fn new() -> Self {
        Self {
            extra: watch::Sender::new(Duration::ZERO),
        }
    }

    /// What was granted, and used or still being used.
    pub(crate) fn so_far(&self) -> Duration {
        *self.extra.borrow()
    }

    /// Does `work` until `at`, or as much later as it is granted meanwhile.
    pub(crate) async fn timeout_at<T>(
        &self,
        at: Instant,
        work: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        let mut work = pin!(work);
        let mut extra = self.extra.subscribe();
        loop {
            let granted = *extra.borrow_and_update();
            tokio::select! {
                biased;
                done = timeout_at(at + granted, &mut work) => match done {
                    Err(_) if self.so_far() > granted => {}
                    done => return done,
                },
                // The sender is held by `self`, so it has changed.
                _ = extra.changed() => {}
            }
        }
    }

    /// Grants `work` a limit of its own; `None` when that has passed.
    pub(crate) async fn extend<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let limit = limit.min(FAR);
        self.extra
            .send_modify(|extra| *extra = extra.saturating_add(limit).min(2 * FAR));
        let unused = Unused {
            allowance: self,
            began: Instant::now(),
            limit,
        };
        let done = timeout(limit, work).await;
        drop(unused);
        done.ok()
    }
}

impl Drop for Unused<'_> {
    fn drop(&mut self) {
        let unused = self.limit.saturating_sub(self.began.elapsed());
        self.allowance
            .extra
            .send_modify(|extra| *extra = extra.saturating_sub(unused));
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    async fn within<T>(
        allowance: &Allowance,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let done = allowance.timeout_at(Instant::now() + limit, work);
        done.await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_its_own_limit_does_not_count() {
        let allowance = Allowance::new();
        let began = Instant::now();
        let work = async {
            sleep(MINUTE / 2).await;
            let pulled = allowance.extend(10 * MINUTE, sleep(9 * MINUTE)).await;
            assert_eq!(pulled, Some(()));
            // Half a minute is left, and the minute that was not used does not count for it.
            sleep(MINUTE).await;
        };
        assert_eq!(within(&allowance, MINUTE, work).await, None);
        assert_eq!(began.elapsed().as_secs(), 600);
        assert_eq!(allowance.so_far().as_secs(), 540);
    }

    #[tokio::test(start_paused = true)]
    async fn its_own_limit_ends_it() {
        let allowance = Allowance::new();
        let began = Instant::now();
        let work = async {
            let pulled = allowance.extend(2 * MINUTE, std::future::pending::<()>());
            assert_eq!(pulled.await, None);
            sleep(MINUTE / 2).await;
            7
        };
        assert_eq!(within(&allowance, MINUTE, work).await, Some(7));
        assert_eq!(began.elapsed().as_secs(), 150);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_dropped_gives_its_limit_back() {
        let allowance = Allowance::new();
        let began = Instant::now();
        let work = async {
            let pull = allowance.extend(10 * MINUTE, std::future::pending::<()>());
            let _ = timeout(MINUTE, pull).await;
            std::future::pending::<()>().await;
        };
        assert_eq!(within(&allowance, MINUTE, work).await, None);
        assert_eq!(began.elapsed().as_secs(), 120);
    }

    #[tokio::test(start_paused = true)]
    async fn endless_limits_are_fine() {
        let allowance = Allowance::new();
        let work = allowance.extend(Duration::MAX, sleep(MINUTE));
        assert_eq!(within(&allowance, MINUTE, work).await, Some(Some(())));
    }
}
