//! Every background task of the hub, each with a name, under one stop signal; and a bound for code
//! that is not the hub's own.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// The set of tasks. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Runs `work` as a task. A panic ends that task alone and is logged with its name.
    pub(crate) fn spawn(
        &self,
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let guarded = async move {
            if AssertUnwindSafe(work).catch_unwind().await.is_err() {
                tracing::error!(task = name, "task panicked");
            }
        };
        self.tracker
            .spawn(guarded.instrument(tracing::debug_span!("task", name)));
    }

    /// As [`Tasks::spawn`], for work that goes on until the hub stops: it is dropped at its next
    /// await point then.
    pub(crate) fn spawn_until_stop(
        &self,
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        self.spawn(name, async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// The signal that the hub is stopping.
    pub(crate) fn stop_signal(&self) -> &CancellationToken {
        &self.stop
    }

    /// Gives the stop signal and waits for the tasks, at most `grace`; how many did not end.
    pub(crate) async fn stop(&self, grace: Duration) -> usize {
        self.stop.cancel();
        self.tracker.close();
        let _ = tokio::time::timeout(grace, self.tracker.wait()).await;
        self.tracker.len()
    }
}

/// Why a piece of foreign code gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// It took too long.
    #[error("there was no answer within {} seconds", .0.as_secs_f64())]
    Late(Duration),
    /// It panicked.
    #[error("it panicked")]
    Panicked,
}

/// Waits for the answer of code that somebody else wrote, at most `limit`. Its panic is an answer.
pub(crate) async fn bounded<T>(
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, NoAnswer> {
    let guarded = AssertUnwindSafe(work).catch_unwind();
    match tokio::time::timeout(limit, guarded).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_panic)) => Err(NoAnswer::Panicked),
        Err(_elapsed) => Err(NoAnswer::Late(limit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_stays_in_its_task() {
        let tasks = Tasks::default();
        let (sender, done) = tokio::sync::oneshot::channel();
        tasks.spawn("panics", async { panic!("on purpose") });
        tasks.spawn("works", async { sender.send(()).unwrap() });
        done.await.unwrap();
        assert_eq!(tasks.stop(Duration::from_secs(60)).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn foreign_code_is_bounded() {
        let limit = Duration::from_secs(2);
        assert_eq!(bounded(limit, async { 1 }).await, Ok(1));
        let late = bounded(limit, std::future::pending::<()>()).await;
        assert_eq!(late, Err(NoAnswer::Late(limit)));
        let panics = bounded(limit, async { panic!("on purpose") }).await;
        assert_eq!(panics.map(|(): ()| ()), Err(NoAnswer::Panicked));
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_ends_endless_work_and_counts_what_stays() {
        let tasks = Tasks::default();
        tasks.spawn_until_stop("endless", std::future::pending());
        tasks.spawn("stubborn", std::future::pending());
        assert_eq!(tasks.stop(Duration::from_secs(30)).await, 1);
    }
}
