//! What `start` is given: what to run, and a line back to the owner task.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::context::SpawnContext;
use crate::env::Env;
use crate::error::SpawnError;
use crate::journal::{Journal, NoJournal};
use crate::progress::ProgressLog;
use crate::state::SpawnerState;

/// One start, ready to be carried out: arguments and environment were asked for already, so that
/// a layer can change them over any spawner.
#[derive(Debug)]
#[non_exhaustive]
pub struct Launch {
    /// The program and its first arguments; empty means the backend's own (an image's command).
    pub cmd: Vec<String>,
    /// Arguments after `cmd`.
    pub args: Vec<String>,
    /// The whole environment: nothing else is to be inherited.
    pub env: Env,
    /// The run that this is.
    pub ctx: SpawnContext,
    progress: ProgressLog,
    cancel: CancellationToken,
    journal: Arc<dyn Journal>,
}

impl Launch {
    /// A launch of its own, without an owner task: nobody cancels it, checkpoints go nowhere. For
    /// tests, and for callers that drive a spawner by hand.
    pub fn new(cmd: Vec<String>, args: Vec<String>, env: Env, ctx: SpawnContext) -> Self {
        Self {
            cmd,
            args,
            env,
            ctx,
            progress: ProgressLog::new(),
            cancel: CancellationToken::new(),
            journal: Arc::new(NoJournal),
        }
    }

    /// Connects it with its owner task.
    pub(crate) fn owned(
        mut self,
        progress: ProgressLog,
        cancel: CancellationToken,
        journal: Arc<dyn Journal>,
    ) -> Self {
        (self.progress, self.cancel, self.journal) = (progress, cancel, journal);
        self
    }

    /// Tells every viewer how far the start is. Percentages never fall and stay below 100: the
    /// hub alone says ready.
    pub fn report(&self, percent: u8, message: impl Into<String>) {
        self.progress.report(percent, message);
    }

    /// Saves the spawner's state and returns once it is durable. Call it as soon as there is
    /// something that must be found again, before that something runs if that can be arranged.
    pub async fn checkpoint(&self, state: &SpawnerState) -> Result<(), SpawnError> {
        self.journal
            .checkpoint(&self.ctx.server, &self.ctx.launch_id, state)
            .await
            .map_err(|source| {
                SpawnError::other(
                    "The hub could not save its state, so the server was not started.",
                )
                .with_source(source)
            })
    }

    /// Ends when the start is cancelled. A start that can take long watches it, cleans up and
    /// returns [`SpawnError::cancelled`]; one that does not is dropped a moment later.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }
}
