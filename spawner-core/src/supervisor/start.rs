//! A start: preparing, launching, waiting; each phase bounded and open to a stop.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::handle::StartError;
use super::owner::{Owner, Run, StopRequest, attended};
use super::phase::Event;
use super::probe::until_up;
use crate::context::SpawnContext;
use crate::endpoint::Endpoint;
use crate::error::{BoxError, SpawnError, SpawnErrorKind, error_chain};
use crate::launch::Launch;
use crate::outcome::{Ending, Failure, StartPhase};
use crate::progress::ProgressLog;
use crate::spawner::Spawner;
use crate::status::{ExitStatus, PollStatus, StopMode};

/// How long a cancelled `start` may take to clean up before it is dropped.
const CANCEL_GRACE: Duration = Duration::from_millis(500);
/// How often a server that does not answer yet is polled, for backends that cannot hear its end.
const WAITING_POLL: Duration = Duration::from_secs(1);
/// How long such a poll may take.
const WAITING_POLL_LIMIT: Duration = Duration::from_secs(5);

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
        if let Err(denied) = self.request(Event::Start) {
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
                self.step(Event::Ready);
                self.schedule_poll();
                progress.ready();
                let _ = reply.send(Ok(endpoint));
            }
            Err(abort) => self.give_up(abort, &progress, reply).await,
        }
    }

    /// The phases of a start, up to the moment before it is called running.
    async fn bring_up(
        &mut self,
        ctx: SpawnContext,
        progress: &ProgressLog,
    ) -> Result<Endpoint, Abort> {
        let path = format!("{}api", ctx.service_prefix());
        let launch = self.prepare(ctx, progress).await?;
        progress.report(10, "Starting your server");
        let endpoint = self.launch(launch).await?;
        self.checkpoint(&endpoint).await?;
        self.step(Event::Launched {
            endpoint: endpoint.clone(),
        });
        progress.report(60, "Your server runs, waiting for it to answer");
        self.wait_for_http(&endpoint, &path).await?;
        self.record_ready(&endpoint)
            .await
            .map_err(|error| Abort::failed(StartPhase::Waiting, books_failed(error)))?;
        Ok(endpoint)
    }

    /// Records the intent, chooses the address, asks for arguments and environment. Nothing of the
    /// run exists before this has succeeded.
    async fn prepare(
        &mut self,
        mut ctx: SpawnContext,
        progress: &ProgressLog,
    ) -> Result<(Launch, CancellationToken), Abort> {
        const PHASE: StartPhase = StartPhase::Preparing;
        let (spawner, journal) = (&mut self.spawner, &self.deps.journal);
        let limit = spawner.config().start_timeout;
        let work = async {
            spawner.check_options(&ctx.options).map_err(|error| {
                SpawnError::new(SpawnErrorKind::Refused, error.message.clone()).with_source(error)
            })?;
            spawner.check_limits()?;
            journal.starting(&ctx).await.map_err(books_failed)?;
            ctx.listen = Some(spawner.listen_on(&ctx).await?);
            Ok(ctx)
        };
        let ctx = attended(
            &mut self.inbox,
            &self.shared,
            tokio::time::timeout(limit, work),
        )
        .await
        .map_err(Abort::Stop)?
        .unwrap_or_else(|_elapsed| Err(too_slow(PHASE, limit)))
        .map_err(|error| Abort::failed(PHASE, error))?;
        let spawner = &self.spawner;
        let cancel = CancellationToken::new();
        let launch = Launch::new(
            spawner.config().cmd.clone(),
            spawner.get_args(&ctx),
            spawner.get_env(&ctx),
            ctx,
        )
        .owned(progress.clone(), cancel.clone(), self.deps.journal.clone());
        Ok((launch, cancel))
    }

    /// Runs the spawner's `start`. A stop or the timeout cancels it, gives it a moment, and drops
    /// it; what it made is cleared by the stop that follows every failed start.
    async fn launch(
        &mut self,
        (launch, cancel): (Launch, CancellationToken),
    ) -> Result<Endpoint, Abort> {
        const PHASE: StartPhase = StartPhase::Launching;
        let limit = self.spawner.config().start_timeout;
        let mut start = self.spawner.start(launch);
        let timed = tokio::time::timeout(limit, &mut start);
        let abort = match attended(&mut self.inbox, &self.shared, timed).await {
            Ok(Ok(Ok(endpoint))) => return Ok(endpoint),
            Ok(Ok(Err(error))) => return Err(Abort::failed(PHASE, error)),
            Ok(Err(_elapsed)) => Abort::failed(PHASE, too_slow(PHASE, limit)),
            Err(stop) => Abort::Stop(stop),
        };
        cancel.cancel();
        let _ = tokio::time::timeout(CANCEL_GRACE, start).await;
        Err(abort)
    }

    /// Saves what the spawner knows now that `start` has returned.
    async fn checkpoint(&mut self, endpoint: &Endpoint) -> Result<(), Abort> {
        let Some(run) = &mut self.run else {
            unreachable!("a start has a run")
        };
        run.endpoint = Some(endpoint.clone());
        let state = self.spawner.get_state();
        self.deps
            .journal
            .checkpoint(&self.id, &run.launch_id, &state)
            .await
            .map_err(|error| Abort::failed(StartPhase::Launching, books_failed(error)))
    }

    /// Waits for the first answer. An end of the server ends the wait at once.
    pub(super) async fn wait_for_http(
        &mut self,
        endpoint: &Endpoint,
        path: &str,
    ) -> Result<(), Abort> {
        const PHASE: StartPhase = StartPhase::Waiting;
        let limit = self.spawner.config().http_timeout;
        let up = until_up(&*self.deps.probe, endpoint, path);
        let spawner = &mut self.spawner;
        let work = async {
            tokio::select! {
                up = tokio::time::timeout(limit, up) => match up {
                    Ok(()) => Ok(()),
                    Err(_elapsed) => Err(too_slow(PHASE, limit)),
                },
                status = heard_or_polled(spawner) => {
                    let message = format!("The server ended before it answered: {status}.");
                    Err(SpawnError::new(SpawnErrorKind::Exited(status), message))
                }
            }
        };
        attended(&mut self.inbox, &self.shared, work)
            .await
            .map_err(Abort::Stop)?
            .map_err(|error| Abort::failed(PHASE, error))
    }

    pub(super) async fn record_ready(&self, endpoint: &Endpoint) -> Result<(), BoxError> {
        let Some(run) = &self.run else {
            unreachable!("a server that is ready has a run")
        };
        let state = self.spawner.get_state();
        self.deps
            .journal
            .ready(&self.id, &run.launch_id, endpoint, &state)
            .await
    }

    /// Ends a start that failed or was stopped, and says so to everybody who waits.
    async fn give_up(
        &mut self,
        abort: Abort,
        progress: &ProgressLog,
        reply: oneshot::Sender<Result<Endpoint, StartError>>,
    ) {
        let (mode, ending, waiting) = match abort {
            Abort::Stop(StopRequest { mode, reply }) => (mode, Ending::Stopped, vec![reply]),
            Abort::Failed { phase, error } => {
                let failure = self.failure(phase, &error).await;
                (StopMode::Now, Ending::Failed(failure), Vec::new())
            }
        };
        let message = match &ending {
            Ending::Failed(failure) => failure.message.clone(),
            _ => "The start was cancelled.".to_owned(),
        };
        progress.report(95, "Clearing what is left of the start");
        self.record_stopping().await;
        let outcome = self.wind_down(mode, ending, waiting).await;
        progress.failed(message);
        let error = outcome.map_or(StartError::Gone(super::Gone), StartError::Failed);
        let _ = reply.send(Err(error));
    }

    /// Gathers what is known of a failed start while its spawner still knows it.
    pub(super) async fn failure(&mut self, phase: StartPhase, error: &SpawnError) -> Failure {
        let server = &self.id;
        tracing::warn!(%server, %phase, error = error_chain(error), "start failed");
        let status = match error.kind() {
            SpawnErrorKind::Exited(status) => Some(status),
            _ if phase == StartPhase::Preparing => None,
            // Still running, cannot tell, or never known to have begun: nothing to report.
            _ => match tokio::time::timeout(WAITING_POLL_LIMIT, self.spawner.poll()).await {
                Ok(Ok(PollStatus::Exited(status))) if status != ExitStatus::Unknown => Some(status),
                _ => None,
            },
        };
        let log_tail = match phase {
            StartPhase::Preparing => Vec::new(),
            StartPhase::Launching | StartPhase::Waiting => self.last_lines().await,
        };
        let refused = error.kind() == SpawnErrorKind::Refused;
        Failure {
            phase,
            message: error.to_string(),
            refused,
            status,
            log_tail,
        }
    }
}

impl Abort {
    fn failed(phase: StartPhase, error: SpawnError) -> Self {
        Self::Failed { phase, error }
    }
}

/// Resolves when the server has ended, whether the backend hears it or a poll finds it.
async fn heard_or_polled(spawner: &mut Box<dyn Spawner>) -> ExitStatus {
    loop {
        if let Ok(status) = tokio::time::timeout(WAITING_POLL, spawner.exited()).await {
            return status;
        }
        let poll = tokio::time::timeout(WAITING_POLL_LIMIT, spawner.poll()).await;
        if let Ok(Ok(PollStatus::Exited(status))) = poll {
            return status;
        }
    }
}

fn too_slow(phase: StartPhase, limit: Duration) -> SpawnError {
    let limit = limit.as_secs_f64();
    let message = match phase {
        StartPhase::Preparing => format!("The start could not be prepared within {limit} s."),
        StartPhase::Launching => {
            format!("The server was not started within {limit} s (start_timeout).")
        }
        StartPhase::Waiting => {
            format!("The server did not answer within {limit} s (http_timeout).")
        }
    };
    SpawnError::new(SpawnErrorKind::Timeout, message)
}

fn books_failed(source: BoxError) -> SpawnError {
    SpawnError::new(
        SpawnErrorKind::Unavailable,
        "The hub cannot save its state at the moment.",
    )
    .with_source(source)
}
