//! What everybody else holds of a server.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::callbacks::Callbacks;
use super::phase::{Denied, Phase};
use super::recover::Saved;
use crate::context::SpawnContext;
use crate::endpoint::Endpoint;
use crate::error::{BoxError, SpawnError};
use crate::ids::ServerId;
use crate::outcome::{Ending, Outcome};
use crate::progress::ProgressLog;
use crate::status::{PollStatus, StopMode};

/// A server, as everybody but its owner task sees it. Cheap to clone.
///
/// Requests go to the owner task and are carried out there, also when the caller stops waiting.
/// When all handles are gone the task ends and leaves the server as it is.
///
/// Example: see [`supervise`](crate::supervise).
#[derive(Clone)]
pub struct ServerHandle {
    pub(super) id: ServerId,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) shared: Arc<Shared>,
}

/// What the owner task shows without being asked.
pub(super) struct Shared {
    pub(super) phase: watch::Sender<Phase>,
    pub(super) progress: Mutex<Option<ProgressLog>>,
    pub(super) callbacks: Callbacks,
    pub(super) polling: AtomicBool,
}

/// A request to the owner task, with the way back.
pub(super) enum Command {
    Start(
        Box<SpawnContext>,
        oneshot::Sender<Result<Endpoint, StartError>>,
    ),
    Stop(StopMode, oneshot::Sender<Result<(), SpawnError>>),
    Poll(oneshot::Sender<Result<PollStatus, SpawnError>>),
    Recover(Box<Saved>, oneshot::Sender<Result<(), Denied>>),
    LogTail(usize, oneshot::Sender<Vec<String>>),
    /// `polling` has changed.
    Polling,
}

/// Why a start led to no running server.
///
/// Example: see [`supervise`](crate::supervise).
#[derive(Debug, Clone, thiserror::Error)]
pub enum StartError {
    /// It was not begun.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// It was begun and failed or was stopped; what is known of it is in the outcome.
    #[error("{}", ending_sentence(.0))]
    Failed(Arc<Outcome>),
    /// The owner task has ended.
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// The owner task has ended, so the request reached nobody.
///
/// Example: see [`supervise`](crate::supervise).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hub is shutting down")]
pub struct Gone;

fn ending_sentence(outcome: &Outcome) -> String {
    match &outcome.ending {
        Ending::Stopped => "the start was cancelled".to_owned(),
        Ending::Exited(ended) => format!("the server ended with {}", ended.status),
        Ending::Failed(failure) => failure.message.clone(),
    }
}

impl ServerHandle {
    /// Which server it is.
    ///
    /// Example: see [`supervise`](crate::supervise).
    pub fn id(&self) -> &ServerId {
        &self.id
    }

    /// Starts the server and returns when it answers, or when the start has ended otherwise. Then
    /// nothing of it is left, with one exception: a failure whose clearing takes longer than two
    /// seconds is told before, and the phase stays `Stopping` until nothing is left. A caller that
    /// stops waiting does not stop the start.
    ///
    /// Example: see [`supervise`](crate::supervise).
    pub async fn start(&self, ctx: SpawnContext) -> Result<Endpoint, StartError> {
        self.ask(|reply| Command::Start(Box::new(ctx), reply))
            .await?
    }

    /// Stops the server, cancelling a start, and returns when nothing is left of it. `Ok` when
    /// nothing runs. An error means that it could not be ended *yet*: the phase stays `Stopping`
    /// and the stop is tried again.
    ///
    /// Example: see [`supervise`](crate::supervise).
    pub async fn stop(&self, mode: StopMode) -> Result<(), SpawnError> {
        self.ask(|reply| Command::Stop(mode, reply)).await?
    }

    /// Polls now, as the periodic poll does: an end that it notices runs the callbacks (the seed's
    /// `poll_and_notify`).
    ///
    /// Example: see [`supervise`](crate::supervise).
    pub async fn poll(&self) -> Result<PollStatus, SpawnError> {
        self.ask(Command::Poll).await?
    }

    /// Looks for a server that an earlier process of the daemon started. Returns at once; the
    /// phase tells what was found.
    ///
    /// Example: see [`Saved`](crate::Saved).
    pub async fn recover(&self, saved: Saved) -> Result<(), StartError> {
        Ok(self
            .ask(|reply| Command::Recover(Box::new(saved), reply))
            .await??)
    }

    /// The last lines that the server printed. Empty while it is being started or stopped.
    ///
    /// Example: see [`supervise`](crate::supervise).
    pub async fn log_tail(&self, lines: usize) -> Vec<String> {
        self.ask(|reply| Command::LogTail(lines, reply))
            .await
            .unwrap_or_default()
    }

    /// Where it is in its life, now.
    ///
    /// Example: see [`supervise`](crate::supervise).
    pub fn phase(&self) -> Phase {
        self.shared.phase.borrow().clone()
    }

    /// Where it is in its life, and every change of that.
    ///
    /// Example: see [`supervise`](crate::supervise).
    pub fn watch(&self) -> watch::Receiver<Phase> {
        self.shared.phase.subscribe()
    }

    /// The progress of the running or last start; `None` before the first one.
    ///
    /// Example: see [`supervise`](crate::supervise).
    pub fn progress(&self) -> Option<ProgressLog> {
        self.shared
            .progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Adds a callback that runs each time the server is noticed to have ended by itself: by the
    /// periodic poll, by [`poll`](Self::poll), or because the backend heard it. An explicit stop
    /// and a failed start run none. Errors and panics are logged.
    ///
    /// Example: see [`supervise`](crate::supervise).
    pub fn add_poll_callback<F, R>(&self, callback: F)
    where
        F: Fn(Arc<Outcome>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.shared
            .callbacks
            .add(Arc::new(move |outcome| Box::pin(callback(outcome))));
    }

    /// Polls periodically from now on (the default), every `poll_interval`.
    ///
    /// Example: see [`supervise`](crate::supervise).
    pub fn start_polling(&self) {
        self.set_polling(true);
    }

    /// Polls no more on its own. Ends that the backend can hear are still noticed.
    ///
    /// Example: see [`supervise`](crate::supervise).
    pub fn stop_polling(&self) {
        self.set_polling(false);
    }

    /// Waits until nothing runs, at most `timeout`; whether that came true.
    ///
    /// Example: see [`supervise`](crate::supervise).
    pub async fn wait_for_death(&self, timeout: Duration) -> bool {
        let mut phase = self.watch();
        let stopped = tokio::time::timeout(timeout, phase.wait_for(Phase::is_stopped)).await;
        matches!(stopped, Ok(Ok(_)))
    }

    fn set_polling(&self, on: bool) {
        self.shared.polling.store(on, Ordering::Relaxed);
        // A full queue means that the task is about to look anyway.
        let _ = self.commands.try_send(Command::Polling);
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Gone> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }
}

impl From<Gone> for SpawnError {
    fn from(gone: Gone) -> Self {
        Self::new(
            crate::SpawnErrorKind::Unavailable,
            "The hub is shutting down.",
        )
        .with_source(gone)
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("id", &self.id)
            .field("phase", &self.phase())
            .finish()
    }
}
