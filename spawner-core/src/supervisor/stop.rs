//! A stop: leaves `Stopping` only when nothing is left.
//!
//! The journal is not bounded here. The books are the daemon's own and answer or fail; a write
//! that was given up could come true later, behind the back of whoever was told that it failed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;

use super::guard::{self, Guarded, guarded};
use super::owner::{LAST_RETRY, Owner, StopRequest, attended};
use super::phase::{Denied, Event, Phase};
use crate::error::{BoxError, SpawnError, SpawnErrorKind, error_chain};
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
        let recorded = self.deps.journal.stopping(&self.id, &run.launch_id);
        if let Err(error) = booked(guarded(&self.id, "stopping", recorded)).await {
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
        let recorded = self.deps.journal.stopping(&self.id, &run.launch_id);
        if let Err(error) = booked(guarded(&self.id, "stopping", recorded)).await {
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
        self.deaf = false;
        let outcome = Arc::new(Outcome {
            launch_id: run.launch_id,
            at: SystemTime::now(),
            ending,
        });
        self.post_stop(&outcome, &mut waiting).await;
        let spawner = &mut self.spawner;
        let _ = guard::call(&self.id, "clear_state", || spawner.clear_state());
        let recorded = self
            .deps
            .journal
            .stopped(&self.id, &outcome.launch_id, &outcome);
        if let Err(error) = booked(guarded(&self.id, "stopped", recorded)).await {
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
        let spawner = &mut self.spawner;
        let stop = guarded(&self.id, "stop", async { spawner.stop(mode).await });
        let mut stop = std::pin::pin!(tokio::time::timeout(ATTEMPT_LIMIT, stop));
        loop {
            match attended(&mut self.inbox, &self.shared, &mut stop).await {
                Ok(Ok(Ok(done))) => return Attempt::Done(done),
                Ok(Ok(Err(panicked))) => return Attempt::Done(Err(panicked.into())),
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

    /// Runs the post-stop hook. Somebody who wants the server gone now does not wait for it.
    async fn post_stop(&mut self, outcome: &Outcome, waiting: &mut Vec<StopReply>) {
        let knobs = self.knob(|config| (config.hooks.clone(), config.hook_timeout));
        let (Some(hooks), limit) = knobs else { return };
        let server = self.id.clone();
        let hook = async { hooks.post_stop_hook(&server, outcome).await };
        let hook = booked(guarded(&server, "post_stop_hook", hook));
        let mut hook = std::pin::pin!(tokio::time::timeout(limit, hook));
        loop {
            match attended(&mut self.inbox, &self.shared, &mut hook).await {
                Ok(Ok(Ok(()))) => return,
                Ok(Ok(Err(error))) => {
                    let error = error_chain(&*error);
                    return tracing::error!(%server, error, "the post-stop hook failed");
                }
                Ok(Err(_elapsed)) => {
                    return tracing::error!(%server, ?limit, "the post-stop hook took too long");
                }
                Err(request) => {
                    let now = request.mode == StopMode::Now;
                    self.join(request, waiting);
                    if now {
                        return tracing::warn!(%server, "the post-stop hook was cut short");
                    }
                }
            }
        }
    }

    fn join(&self, request: StopRequest, waiting: &mut Vec<StopReply>) {
        self.step(Event::Stop { mode: request.mode });
        waiting.push(request.reply);
    }
}

/// An answer of the journal or of a hook, a panic being one as well.
pub(super) async fn booked(answer: Guarded<'_, Result<(), BoxError>>) -> Result<(), BoxError> {
    answer.await.map_err(BoxError::from)?
}
