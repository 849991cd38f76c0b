//! A stop: leaves `Stopping` only when nothing is left.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;

use super::owner::{LAST_RETRY, Owner, StopRequest, attended};
use super::phase::{Denied, Event, Phase};
use crate::error::{SpawnError, SpawnErrorKind, error_chain};
use crate::outcome::{Ending, Outcome};
use crate::status::StopMode;

/// The bound of one attempt; longer than any ladder of signals that somebody would configure.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(300);
/// The pause after the first attempt that failed; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Somebody who waits for a stop.
pub(super) type StopReply = oneshot::Sender<Result<(), SpawnError>>;

/// How an attempt went.
enum Attempt {
    Done(Result<(), SpawnError>),
    /// It was dropped for a stop that cannot wait for it.
    MoreUrgent(StopRequest),
}

impl Owner {
    pub(super) async fn stop(&mut self, mode: StopMode, reply: StopReply) {
        if self.phase().step(Event::Stop { mode }) == Err(Denied::NotRunning) {
            let _ = reply.send(Ok(()));
            return;
        }
        let Some(run) = &self.run else {
            unreachable!("what can be stopped has a run")
        };
        if let Err(error) = self.deps.journal.stopping(&self.id, &run.launch_id).await {
            let message = "The hub cannot save its state at the moment, so nothing was stopped.";
            let error = SpawnError::new(SpawnErrorKind::Unavailable, message).with_source(error);
            let _ = reply.send(Err(error));
            return;
        }
        self.wind_down(mode, Ending::Stopped, vec![reply]).await;
    }

    /// Records that a stop begins; used where the run has to end whether or not it can be recorded.
    pub(super) async fn record_stopping(&self) {
        let Some(run) = &self.run else { return };
        if let Err(error) = self.deps.journal.stopping(&self.id, &run.launch_id).await {
            let server = &self.id;
            tracing::error!(%server, error = error_chain(&*error), "cannot record the stop");
        }
    }

    /// Stops until nothing is left, then closes the run with `ending`. Whoever waits is answered
    /// by the first attempt, also when it fails.
    pub(super) async fn wind_down(
        &mut self,
        mode: StopMode,
        ending: Ending,
        mut waiting: Vec<StopReply>,
    ) -> Option<Arc<Outcome>> {
        self.due = None;
        self.step(Event::Stop { mode });
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.attempt(&mut waiting).await {
            let server = &self.id;
            tracing::error!(%server, error = error_chain(&error), "stop failed, trying again");
            for reply in waiting.drain(..) {
                let _ = reply.send(Err(SpawnError::new(error.kind(), error.to_string())));
            }
            // Another request to stop means: now.
            let rest = tokio::time::sleep(pause);
            if let Err(stop) = attended(&mut self.inbox, &self.shared, rest).await {
                self.join(stop, &mut waiting);
            }
            pause = (pause * 2).min(LAST_RETRY);
        }
        let run = self.run.take()?;
        self.spawner.clear_state();
        let outcome = Arc::new(Outcome {
            launch_id: run.launch_id,
            at: SystemTime::now(),
            ending,
        });
        let recorded = self
            .deps
            .journal
            .stopped(&self.id, &outcome.launch_id, &outcome)
            .await;
        if let Err(error) = recorded {
            let server = &self.id;
            tracing::error!(%server, error = error_chain(&*error), "cannot record the stop");
        }
        self.step(Event::Gone {
            outcome: Arc::clone(&outcome),
        });
        for reply in waiting {
            let _ = reply.send(Ok(()));
        }
        Some(outcome)
    }

    /// One attempt, which starts over when a request makes it more urgent.
    async fn attempt(&mut self, waiting: &mut Vec<StopReply>) -> Result<(), SpawnError> {
        loop {
            let Phase::Stopping { mode } = self.phase() else {
                unreachable!("a run is wound down in Stopping")
            };
            match self.attempt_once(mode, waiting).await {
                Attempt::Done(done) => return done,
                Attempt::MoreUrgent(request) => self.join(request, waiting),
            }
        }
    }

    async fn attempt_once(&mut self, mode: StopMode, waiting: &mut Vec<StopReply>) -> Attempt {
        let stop = tokio::time::timeout(ATTEMPT_LIMIT, self.spawner.stop(mode));
        let mut stop = std::pin::pin!(stop);
        loop {
            match attended(&mut self.inbox, &self.shared, &mut stop).await {
                Ok(Ok(done)) => return Attempt::Done(done),
                Ok(Err(_elapsed)) => {
                    let message = "The stop did not come to an end.";
                    return Attempt::Done(Err(SpawnError::new(SpawnErrorKind::Timeout, message)));
                }
                Err(request) if mode == StopMode::Graceful && request.mode == StopMode::Now => {
                    return Attempt::MoreUrgent(request);
                }
                Err(request) => waiting.push(request.reply),
            }
        }
    }

    fn join(&self, request: StopRequest, waiting: &mut Vec<StopReply>) {
        self.step(Event::Stop { mode: request.mode });
        waiting.push(request.reply);
    }
}
