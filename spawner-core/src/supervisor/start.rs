//! A start as a whole: its phases in order, another address when the first was taken, its end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::breaker::Breaker;
use super::budget::{Budget, Limit};
use super::guard::{Panicked, guarded};
use super::handle::StartError;
use super::owner::{Owner, Run, StopRequest};
use super::phase::Event;
use super::stop::booked;
use crate::context::SpawnContext;
use crate::endpoint::Endpoint;
use crate::error::{BoxError, SpawnError, SpawnErrorKind, error_chain};
use crate::outcome::{Ending, Outcome, StartPhase};
use crate::progress::ProgressLog;
use crate::status::StopMode;

/// How many addresses are tried when somebody else always listens there.
const ADDRESSES: u32 = 3;
/// How long the reason of a failed start is held back until nothing of the start is left.
const CLEARING: Duration = Duration::from_secs(2);

/// Why a start did not reach its end.
pub(super) enum Abort {
    /// Somebody wants it stopped.
    Stop(StopRequest),
    /// It failed.
    Failed {
        phase: StartPhase,
        error: SpawnError,
    },
}

impl Owner {
    pub(super) async fn start(
        &mut self,
        ctx: SpawnContext,
        reply: oneshot::Sender<Result<Endpoint, StartError>>,
    ) {
        let limit = self.knob(|config| config.consecutive_failure_limit);
        let fits = self.phase().step(Event::Start);
        let admitted = fits.and_then(|_| self.breaker.admit(limit, Instant::now()));
        if let Err(denied) = admitted.and_then(|()| self.request(Event::Start)) {
            let _ = reply.send(Err(denied.into()));
            return;
        }
        let progress = ProgressLog::new();
        progress.report(0, "Server requested");
        self.show_progress(&progress);
        self.run = Some(Run {
            launch_id: ctx.launch_id.clone(),
            endpoint: None,
            saved: None,
        });
        let began = Instant::now();
        match self.bring_up(ctx, &progress).await {
            Ok(endpoint) => {
                let server = &self.id;
                tracing::info!(%server, %endpoint, after = ?began.elapsed(), "server is ready");
                self.breaker = Breaker::succeeded();
                self.step(Event::Ready);
                self.schedule_poll();
                progress.ready();
                let _ = reply.send(Ok(endpoint));
            }
            Err(abort) => {
                if abort.counts() {
                    self.breaker = self.breaker.failed(limit, Instant::now());
                }
                self.give_up(abort, &progress, reply).await;
            }
        }
    }

    /// The phases of a start, up to the moment before it is called running.
    async fn bring_up(
        &mut self,
        ctx: SpawnContext,
        progress: &ProgressLog,
    ) -> Result<Endpoint, Abort> {
        let mut budget = self.knob(Budget::new);
        self.prepare(&ctx, &budget).await?;
        let mut address = 1;
        loop {
            match self.bring_up_once(ctx.clone(), &mut budget, progress).await {
                Err(Abort::Failed { error, .. })
                    if error.kind() == SpawnErrorKind::AddressTaken && address < ADDRESSES =>
                {
                    address += 1;
                    let server = &self.id;
                    tracing::warn!(%server, error = error_chain(&error), "trying another address");
                    let message = format!(
                        "The server's address was taken, trying another one ({address} of {ADDRESSES})"
                    );
                    progress.report(10, message);
                    self.leave_address(&budget).await?;
                }
                done => return done,
            }
        }
    }

    /// One attempt, at an address of its own.
    async fn bring_up_once(
        &mut self,
        ctx: SpawnContext,
        budget: &mut Budget,
        progress: &ProgressLog,
    ) -> Result<Endpoint, Abort> {
        let path = format!("{}api", ctx.service_prefix());
        let (mut launch, cancel) = self.address(ctx, budget, progress).await?;
        self.pre_spawn(&mut launch, budget).await?;
        progress.report(10, "Starting your server");
        let endpoint = self.launch(launch, &cancel, budget).await?;
        self.step(Event::Launched {
            endpoint: endpoint.clone(),
        });
        progress.report(60, "Your server runs, waiting for it to answer");
        self.wait_for_http(&endpoint, &path, budget).await?;
        Ok(endpoint)
    }

    /// Ends a start that failed or was stopped, and says so to everybody who waits.
    ///
    /// A failure is told when nothing of the start is left, or after [`CLEARING`]: a backend that
    /// hangs would hold the reason back for as long as it hangs. The phase stays `Stopping` until
    /// the run is cleared, so nothing is started beside what may be left.
    async fn give_up(
        &mut self,
        abort: Abort,
        progress: &ProgressLog,
        reply: oneshot::Sender<Result<Endpoint, StartError>>,
    ) {
        let (mode, ending, waiting) = self.ending(abort).await;
        let (message, early) = match &ending {
            Ending::Failed(failure) => (failure.message.clone(), self.outcome(&ending)),
            _ => ("The start was cancelled.".to_owned(), None),
        };
        progress.report(95, "Clearing what is left of the start");
        self.record_stopping().await;
        let (server, journal) = (self.id.clone(), Arc::clone(&self.deps.journal));
        let mut cleared = std::pin::pin!(self.wind_down(mode, ending, waiting));
        let in_time = tokio::time::timeout(CLEARING, &mut cleared).await;
        let (outcome, cleared) = match (in_time, early) {
            (Ok(outcome), _) => (outcome, None),
            (Err(_elapsed), None) => (cleared.await, None),
            (Err(_elapsed), Some(outcome)) => {
                let recorded = journal.failed(&server, &outcome.launch_id, &outcome);
                if let Err(error) = booked(guarded(&server, "failed", recorded)).await {
                    tracing::error!(%server, error = error_chain(&*error), "cannot record why");
                }
                (Some(Arc::new(outcome)), Some(cleared))
            }
        };
        progress.failed(message);
        let error = outcome.map_or(StartError::Gone(super::Gone), StartError::Failed);
        let _ = reply.send(Err(error));
        if let Some(cleared) = cleared {
            cleared.await;
        }
    }

    /// How the present run would end if it ended now.
    fn outcome(&self, ending: &Ending) -> Option<Outcome> {
        let run = self.run.as_ref()?;
        Some(Outcome {
            launch_id: run.launch_id.clone(),
            at: SystemTime::now(),
            ending: ending.clone(),
        })
    }

    /// What a start that was given up ends with, how, and who waits for that.
    pub(super) async fn ending(
        &mut self,
        abort: Abort,
    ) -> (
        StopMode,
        Ending,
        Vec<oneshot::Sender<Result<(), SpawnError>>>,
    ) {
        match abort {
            Abort::Stop(StopRequest { mode, reply }) => (mode, Ending::Stopped, vec![reply]),
            Abort::Failed { phase, error } => {
                let (failure, waiting) = self.failure(phase, &error).await;
                (StopMode::Now, Ending::Failed(failure), waiting)
            }
        }
    }
}

impl Abort {
    pub(super) fn failed(phase: StartPhase, error: impl Into<SpawnError>) -> Self {
        let error = error.into();
        Self::Failed { phase, error }
    }

    /// What came of one step: bounded, open to a stop, safe from panics.
    pub(super) fn unless<T>(limit: Limit, stepped: Stepped<T>) -> Result<T, Self> {
        let phase = limit.phase;
        match stepped {
            Err(stop) => Err(Self::Stop(stop)),
            Ok(Err(_elapsed)) => Err(Self::failed(phase, limit.passed())),
            Ok(Ok(Err(panicked))) => Err(Self::failed(phase, panicked)),
            Ok(Ok(Ok(done))) => done.map_err(|error| Self::failed(phase, error)),
        }
    }

    /// Whether it says that the server cannot be started: not when the request was at fault, nor
    /// when somebody did not want it any more.
    fn counts(&self) -> bool {
        match self {
            Self::Stop(_) => false,
            Self::Failed { error, .. } => error.kind() != SpawnErrorKind::Refused,
        }
    }
}

/// The layers around what a step returned, outermost first: a stop, the time, a panic.
pub(super) type Stepped<T> = Result<
    Result<Result<Result<T, SpawnError>, Panicked>, tokio::time::error::Elapsed>,
    StopRequest,
>;

pub(super) fn books_failed(source: BoxError) -> SpawnError {
    SpawnError::new(
        SpawnErrorKind::Unavailable,
        "The hub cannot save its state at the moment.",
    )
    .with_source(source)
}
