//! The task itself: waits for what comes next and hands it to the part that knows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::breaker::Breaker;
use super::callbacks::Callbacks;
use super::guard::{self, guarded};
use super::handle::{Command, ServerHandle, Shared};
use super::phase::{Denied, Event, Phase};
use super::probe::{HttpProbe, Probe};
use super::recover::Saved;
use super::stop::booked;
use crate::config::SpawnerConfig;
use crate::endpoint::Endpoint;
use crate::error::{SpawnError, SpawnErrorKind, error_chain};
use crate::ids::{LaunchId, ServerId};
use crate::journal::{Journal, NoJournal};
use crate::outcome::{Ended, Ending};
use crate::progress::ProgressLog;
use crate::spawner::Spawner;
use crate::status::{ExitStatus, PollStatus, StopMode};

/// Requests that may wait for the owner task before senders have to.
const QUEUE: usize = 32;
/// How long one poll may take before it counts as "cannot tell".
const POLL_LIMIT: Duration = Duration::from_secs(10);
/// The first pause before a server that cannot be told is polled again; it doubles.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest such pause: the books have to agree within five seconds after a backend is back.
const LAST_LOOK: Duration = Duration::from_secs(4);
/// The longest pause between attempts to end a server that cannot be ended.
pub(super) const LAST_RETRY: Duration = Duration::from_secs(30);
/// How many lines of its log an ended server leaves in its outcome.
const TAIL_LINES: usize = 40;
/// How long reading them may take.
const TAIL_LIMIT: Duration = Duration::from_secs(2);

/// What the owner task needs of the program around it.
///
/// Example: see [`supervise`](crate::supervise).
#[derive(Debug, Clone)]
pub struct Deps {
    /// The books.
    pub journal: Arc<dyn Journal>,
    /// How a server is asked whether it is up.
    pub probe: Arc<dyn Probe>,
}

impl Default for Deps {
    /// No books, and JupyterHub's probe.
    fn default() -> Self {
        Self {
            journal: Arc::new(NoJournal),
            probe: Arc::new(HttpProbe),
        }
    }
}

/// Puts a server under an owner task: the handle to talk to it, and the task, which the caller
/// runs where it runs its tasks.
///
/// The task ends when the last handle is dropped, and leaves the server as it is.
///
/// ```
/// use spawner_core::{Deps, StopMode, supervise};
/// # use spawner_core::{Endpoint, Launch, PollStatus, SpawnError, Spawner, SpawnerConfig};
/// # #[derive(Debug, Default)]
/// # struct Idle(SpawnerConfig);
/// # #[async_trait::async_trait]
/// # impl Spawner for Idle {
/// #     fn config(&self) -> &SpawnerConfig { &self.0 }
/// #     async fn start(&mut self, launch: Launch) -> Result<Endpoint, SpawnError> {
/// #         Ok(launch.ctx.listen.as_ref().unwrap().local_endpoint())
/// #     }
/// #     async fn stop(&mut self, _: StopMode) -> Result<(), SpawnError> { Ok(()) }
/// #     async fn poll(&mut self) -> Result<PollStatus, SpawnError> { Ok(PollStatus::Running) }
/// # }
/// # #[derive(Debug)]
/// # struct Up;
/// # #[async_trait::async_trait]
/// # impl spawner_core::Probe for Up {
/// #     async fn answers(&self, _: &Endpoint, _: &str) -> Result<(), spawner_core::BoxError> { Ok(()) }
/// # }
/// # async fn run(ctx: spawner_core::SpawnContext) -> Result<(), Box<dyn std::error::Error>> {
/// # let deps = Deps { probe: std::sync::Arc::new(Up), ..Deps::default() };
///
/// // `deps` could be `Deps::default()`; `Idle` is some spawner.
/// let (server, owner) = supervise(ctx.server.clone(), Box::new(Idle::default()), deps);
/// let mut tasks = tokio::task::JoinSet::new();
/// tasks.spawn(owner);
///
/// server.add_poll_callback(|outcome| async move {
///     println!("it ended: {:?}", outcome.ending);
///     Ok(())
/// });
/// let endpoint = server.start(ctx).await?;
/// println!("{} answers at {endpoint}", server.id());
/// assert_eq!(server.poll().await?, PollStatus::Running);
/// server.stop_polling();
/// server.start_polling();
/// server.stop(StopMode::Graceful).await?;
/// assert!(server.wait_for_death(std::time::Duration::from_secs(1)).await);
/// # Ok(())
/// # }
/// # use spawner_core::{HubUrls, OauthClient, ServerId, UserName};
/// # let ctx = spawner_core::SpawnContext {
/// #     server: ServerId::default_of(UserName::new("tee").unwrap()),
/// #     launch_id: spawner_core::LaunchId::random(),
/// #     token: spawner_core::Secret::new(""),
/// #     options: Default::default(),
/// #     listen: None,
/// #     hub: HubUrls { base_url: "/".into(), api_url: String::new(), host: String::new(), public_url: None },
/// #     oauth: OauthClient { client_id: String::new(), access_scopes: Vec::new(), allowed_scopes: Vec::new() },
/// # };
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(run(ctx)).unwrap();
/// ```
pub fn supervise(
    id: ServerId,
    spawner: Box<dyn Spawner>,
    deps: Deps,
) -> (ServerHandle, impl Future<Output = ()> + Send) {
    let (commands, inbox) = mpsc::channel(QUEUE);
    let shared = Arc::new(Shared {
        phase: watch::Sender::new(Phase::default()),
        progress: Mutex::new(None),
        callbacks: Callbacks::default(),
        polling: AtomicBool::new(true),
    });
    let handle = ServerHandle {
        id: id.clone(),
        commands,
        shared: Arc::clone(&shared),
    };
    let owner = Owner {
        id,
        spawner,
        deps,
        inbox,
        shared,
        run: None,
        due: None,
        deaf: false,
        breaker: Breaker::default(),
    };
    (handle, owner.run())
}

/// The state of the task.
pub(super) struct Owner {
    pub(super) id: ServerId,
    pub(super) spawner: Box<dyn Spawner>,
    pub(super) deps: Deps,
    pub(super) inbox: mpsc::Receiver<Command>,
    pub(super) shared: Arc<Shared>,
    /// The run that is not over; `None` exactly when the phase is `Stopped`.
    pub(super) run: Option<Run>,
    /// When the next poll is due.
    pub(super) due: Option<Due>,
    /// Whether the spawner's `exited` panicked in this run, so that it is only polled.
    pub(super) deaf: bool,
    /// What is remembered of starts that failed.
    pub(super) breaker: Breaker,
}

/// What the task remembers of a run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) launch_id: LaunchId,
    pub(super) endpoint: Option<Endpoint>,
    /// Set while a run of an earlier process has not been found yet.
    pub(super) saved: Option<Box<Saved>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    at: Instant,
    pause: Duration,
}

/// What woke the task.
enum Wake {
    Command(Command),
    Ended(ExitStatus),
    Deaf,
    PollDue,
    NobodyLeft,
}

impl Owner {
    async fn run(mut self) {
        loop {
            match self.wait().await {
                Wake::NobodyLeft => return,
                Wake::Ended(status) => self.noticed(status).await,
                Wake::Deaf => {
                    self.deaf = true;
                    self.poll_now();
                }
                Wake::PollDue => drop(self.poll_and_notify().await),
                Wake::Command(Command::Start(ctx, reply)) => self.start(*ctx, reply).await,
                Wake::Command(Command::Stop(mode, reply)) => self.stop(mode, reply).await,
                Wake::Command(Command::Recover(saved, reply)) => self.recover(saved, reply),
                Wake::Command(Command::Poll(reply)) => {
                    let status = self.poll_and_notify().await;
                    let _ = reply.send(status);
                }
                Wake::Command(Command::LogTail(lines, reply)) => {
                    let _ = reply.send(self.log_tail(lines).await);
                }
                Wake::Command(Command::Polling) => self.schedule_poll(),
            }
        }
    }

    /// Between requests the phase is `Stopped`, `Running` or `Unknown`; the others last only while
    /// a request is carried out.
    async fn wait(&mut self) -> Wake {
        let due = self.due;
        let poll_due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.at).await,
                None => std::future::pending().await,
            }
        };
        // A server that was not found again yet may be known to the books alone.
        let audible = !self.deaf && self.run.as_ref().is_some_and(|run| run.saved.is_none());
        let spawner = &mut self.spawner;
        let exited = async { guarded(&self.id, "exited", async { spawner.exited().await }).await };
        tokio::select! {
            biased;
            command = self.inbox.recv() => command.map_or(Wake::NobodyLeft, Wake::Command),
            status = exited, if audible => status.map_or(Wake::Deaf, Wake::Ended),
            () = poll_due => Wake::PollDue,
        }
    }

    /// One poll, and what follows from it.
    pub(super) async fn poll_and_notify(&mut self) -> Result<PollStatus, SpawnError> {
        let Some(run) = &self.run else {
            return Ok(PollStatus::Exited(self.last_status()));
        };
        if run.saved.as_ref().is_some_and(|saved| saved.unreadable) {
            self.due = None;
            return Err(SpawnError::other(
                "What was saved of this server cannot be read.",
            ));
        }
        let polled = self.bounded("poll", |spawner| spawner.poll()).await;
        match &polled {
            Ok(PollStatus::Running) => self.found().await,
            Ok(PollStatus::Exited(status)) => self.noticed(*status).await,
            Err(error) => {
                let server = &self.id;
                tracing::warn!(%server, error = error_chain(error), "cannot tell whether it runs");
                self.lost();
            }
        }
        polled
    }

    /// Asks the spawner something that it should know at once.
    pub(super) async fn bounded<T>(
        &mut self,
        what: &'static str,
        ask: impl for<'a> FnOnce(&'a mut dyn Spawner) -> BoxFuture<'a, Result<T, SpawnError>> + Send,
    ) -> Result<T, SpawnError> {
        let spawner = &mut *self.spawner;
        let answer = guarded(&self.id, what, async { ask(spawner).await });
        match tokio::time::timeout(POLL_LIMIT, answer).await {
            Ok(answer) => answer?,
            Err(_elapsed) => Err(SpawnError::new(
                SpawnErrorKind::Timeout,
                "The spawner does not answer.",
            )),
        }
    }

    /// Whether it runs cannot be told, or not be recorded: look again, with growing pauses.
    pub(super) fn lost(&mut self) {
        let pause = match (self.phase(), self.due) {
            (Phase::Unknown { .. }, Some(due)) => (due.pause * 2).min(LAST_LOOK),
            _ => FIRST_RETRY,
        };
        self.step(Event::Lost {
            at: SystemTime::now(),
        });
        self.due = Some(Due {
            at: Instant::now() + pause,
            pause,
        });
    }

    /// The server has ended by itself: clear what is left of it, then run the callbacks.
    pub(super) async fn noticed(&mut self, status: ExitStatus) {
        let server = self.id.clone();
        let Some(run) = &self.run else { return };
        tracing::info!(%server, %status, "server is gone");
        // The route goes at once. That the books could not be written changes nothing about it.
        let recorded = self.deps.journal.stopping(&server, &run.launch_id);
        if let Err(error) = booked(guarded(&server, "stopping", recorded)).await {
            tracing::error!(%server, error = error_chain(&*error), "cannot record the end");
        }
        let ending = match &run.saved {
            // An earlier process of the daemon had begun to stop it.
            Some(saved) if saved.stopping => Ending::Stopped,
            Some(saved) if !saved.ready => self.failed_while_away(Some(status)).await,
            _ => {
                let log_tail = self.last_lines().await;
                Ending::Exited(Ended { status, log_tail })
            }
        };
        let noticed = matches!(ending, Ending::Exited(_));
        let outcome = self.wind_down(StopMode::Now, ending, Vec::new()).await;
        if let (true, Some(outcome)) = (noticed, outcome) {
            self.shared.callbacks.fire(&server, &outcome).await;
        }
    }

    /// Sets the time of the next poll of a running server.
    pub(super) fn schedule_poll(&mut self) {
        let on = self.shared.polling.load(Ordering::Relaxed);
        let (pause, jitter) = self.knob(|config| (config.poll_interval, config.poll_jitter));
        match self.phase() {
            Phase::Running { .. } if on && !pause.is_zero() => {
                self.due = Some(Due {
                    at: Instant::now() + spread(pause, jitter, rand::random()),
                    pause,
                });
            }
            // It has to be found again, whatever is configured about polling.
            Phase::Unknown { .. } if self.due.is_some() => {}
            _ => self.due = None,
        }
    }

    pub(super) fn poll_now(&mut self) {
        self.due = Some(Due {
            at: Instant::now(),
            pause: FIRST_RETRY / 2,
        });
    }

    async fn log_tail(&self, lines: usize) -> Vec<String> {
        tail(&self.id, &*self.spawner, lines).await
    }

    /// The log that a failed or ended run leaves behind.
    pub(super) async fn last_lines(&self) -> Vec<String> {
        last_lines(&self.id, &*self.spawner).await
    }

    /// Reads the shared knobs; their defaults when the spawner cannot give them.
    pub(super) fn knob<T>(&self, read: impl Fn(&SpawnerConfig) -> T) -> T {
        guard::call(&self.id, "config", || read(self.spawner.config()))
            .unwrap_or_else(|_panicked| read(&SpawnerConfig::default()))
    }

    pub(super) fn phase(&self) -> Phase {
        self.shared.phase.borrow().clone()
    }

    /// Takes a step that the order of calls in this task makes possible.
    ///
    /// # Panics
    /// When it is not, which is a mistake in this module.
    pub(super) fn step(&self, event: Event) {
        if let Err(denied) = self.request(event) {
            panic!("{}: a step out of {:?}: {denied}", self.id, self.phase());
        }
    }

    /// Takes a step that somebody asked for.
    pub(super) fn request(&self, event: Event) -> Result<(), Denied> {
        let next = self.phase().step(event)?;
        self.shared.phase.send_replace(next);
        Ok(())
    }

    pub(super) fn show_progress(&self, log: &ProgressLog) {
        *self
            .shared
            .progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(log.clone());
    }

    /// What a poll says of a server that is not running.
    fn last_status(&self) -> ExitStatus {
        match self.phase() {
            Phase::Stopped { last: Some(last) } => last.status().unwrap_or(ExitStatus::Unknown),
            _ => ExitStatus::Unknown,
        }
    }
}

/// The log that a failed or ended run leaves behind.
pub(super) async fn last_lines(server: &ServerId, spawner: &dyn Spawner) -> Vec<String> {
    tail(server, spawner, TAIL_LINES).await
}

async fn tail(server: &ServerId, spawner: &dyn Spawner, lines: usize) -> Vec<String> {
    let tail = guarded(server, "log_tail", async { spawner.log_tail(lines).await });
    match tokio::time::timeout(TAIL_LIMIT, tail).await {
        Ok(Ok(lines)) => lines,
        _ => Vec::new(),
    }
}

/// `pause`, longer or shorter by up to half of its part `jitter`: `chance` of 0 is the shortest, of
/// 1 the longest. This is what JupyterHub does with `poll_jitter`.
fn spread(pause: Duration, jitter: f64, chance: f64) -> Duration {
    let jitter = if jitter.is_finite() {
        jitter.clamp(0.0, 1.0)
    } else {
        0.0
    };
    Duration::try_from_secs_f64(pause.as_secs_f64() * (1.0 + jitter * (chance - 0.5)))
        .unwrap_or(pause)
}

/// Runs `work` while answering requests. A stop ends it early and is handed back; everything else
/// that can be answered without the spawner is answered.
pub(super) async fn attended<T>(
    inbox: &mut mpsc::Receiver<Command>,
    shared: &Shared,
    work: impl Future<Output = T>,
) -> Result<T, StopRequest> {
    let mut work = std::pin::pin!(work);
    // A program that dropped its handles still gets its start or stop carried out to the end.
    let mut open = true;
    loop {
        let command = tokio::select! {
            biased;
            command = inbox.recv(), if open => command,
            done = &mut work => return Ok(done),
        };
        match command {
            None => open = false,
            Some(Command::Stop(mode, reply)) => return Err(StopRequest { mode, reply }),
            Some(Command::Start(_, reply)) => {
                let denied = shared.phase.borrow().clone().step(Event::Start).err();
                let _ = reply.send(Err(denied.unwrap_or(Denied::OutOfOrder).into()));
            }
            Some(Command::Recover(_, reply)) => drop(reply.send(Err(Denied::OutOfOrder))),
            // The seed's rule: alive while a start has not ended. Nothing is known to have ended.
            Some(Command::Poll(reply)) => drop(reply.send(Ok(PollStatus::Running))),
            Some(Command::LogTail(_, reply)) => drop(reply.send(Vec::new())),
            Some(Command::Polling) => {}
        }
    }
}

/// A stop that came while something else was going on.
pub(super) struct StopRequest {
    pub(super) mode: StopMode,
    pub(super) reply: oneshot::Sender<Result<(), SpawnError>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_are_spread_to_both_sides() {
        let pause = Duration::from_secs(100);
        for (jitter, chance, seconds) in [
            (0.1, 0.0, 95),
            (0.1, 0.5, 100),
            (0.1, 1.0, 105),
            (0.0, 1.0, 100),
            (-1.0, 0.0, 100),
            (1.0, 0.0, 50),
            (9.0, 0.0, 50),
            (f64::NAN, 0.0, 100),
        ] {
            assert_eq!(
                spread(pause, jitter, chance).as_millis(),
                seconds * 1000,
                "{jitter} {chance}"
            );
        }
        assert_eq!(spread(Duration::MAX, 1.0, 1.0), Duration::MAX);
    }
}
