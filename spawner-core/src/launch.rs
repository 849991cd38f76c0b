//! What `start` is given: what to run, and a line back to the owner task.

use std::future::Future;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::allowance::Allowance;
use crate::context::SpawnContext;
use crate::endpoint::{Endpoint, ListenOn};
use crate::env::Env;
use crate::error::{SpawnError, SpawnErrorKind};
use crate::journal::{Journal, NoJournal};
use crate::progress::ProgressLog;
use crate::state::SpawnerState;

/// One start, ready to be carried out: arguments and environment were asked for already, so that
/// a layer can change them over any spawner.
///
/// ```
/// use spawner_core::{Launch, SpawnError, SpawnerState};
///
/// /// The middle of a `start` that can take long.
/// async fn fetch(launch: &Launch, state: &SpawnerState) -> Result<(), SpawnError> {
///     launch.checkpoint(state).await?;
///     launch.report(30, "Fetching the image");
///     tokio::select! {
///         () = launch.cancelled() => Err(SpawnError::cancelled()),
///         () = tokio::time::sleep(std::time::Duration::from_secs(5)) => Ok(()),
///     }
/// }
/// ```
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
    allowance: Allowance,
}

impl Launch {
    /// A launch of its own, without an owner task: nobody cancels it, checkpoints go nowhere. For
    /// tests, and for callers that drive a spawner by hand.
    ///
    /// Example: see [`Launch`](crate::Launch).
    pub fn new(cmd: Vec<String>, args: Vec<String>, env: Env, ctx: SpawnContext) -> Self {
        Self {
            cmd,
            args,
            env,
            ctx,
            progress: ProgressLog::new(),
            cancel: CancellationToken::new(),
            journal: Arc::new(NoJournal),
            allowance: Allowance::new(),
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

    /// The program as a process of this host: `cmd` and `args`, `env` and nothing else of the
    /// daemon's, no input and no output. What no program can be given is refused.
    ///
    /// ```
    /// # fn start(launch: &spawner_core::Launch) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut command = launch.command()?;
    /// command.stdout(std::fs::File::create("server.log")?);
    /// let child = command.spawn()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn command(&self) -> Result<Command, SpawnError> {
        let refused = |message| Err(SpawnError::new(SpawnErrorKind::Refused, message));
        let Some((program, first)) = self.cmd.split_first() else {
            return refused("There is no command to run.");
        };
        if self
            .env
            .iter()
            .any(|(name, _)| name.is_empty() || name.contains('='))
        {
            return refused("An environment variable has a name that no program can be given.");
        }
        let mut command = Command::new(program);
        command
            .args(first)
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(command)
    }

    /// Where the hub reaches the server if it runs on this host: see
    /// [`ListenOn::local_endpoint`](crate::ListenOn::local_endpoint).
    ///
    /// Example: see the [front page](crate).
    pub fn local_endpoint(&self) -> Result<Endpoint, SpawnError> {
        let listen = self.ctx.listen.as_ref();
        listen
            .map(ListenOn::local_endpoint)
            .ok_or_else(|| SpawnError::other("No address was chosen for the server."))
    }

    /// Tells every viewer how far the start is. Percentages never fall and stay below 100: the
    /// hub alone says ready.
    ///
    /// Example: see [`Launch`](crate::Launch).
    pub fn report(&self, percent: u8, message: impl Into<String>) {
        self.progress.report(percent, message);
    }

    /// Saves the spawner's state and returns once it is durable. Call it as soon as there is
    /// something that must be found again, before that something runs if that can be arranged.
    ///
    /// Example: see [`Launch`](crate::Launch).
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

    /// Does `work` within a limit of its own, and returns `None` when that has passed. The time that
    /// it takes counts neither towards `start_timeout` nor towards `total_timeout`: this is for what
    /// takes long the first time only and shows its progress, such as fetching an image.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use spawner_core::{Launch, SpawnError, SpawnErrorKind};
    ///
    /// async fn fetch() -> Result<(), SpawnError> {
    ///     Ok(())
    /// }
    ///
    /// /// Part of a `start`.
    /// async fn fetch_image(launch: &Launch) -> Result<(), SpawnError> {
    ///     launch.report(20, "Fetching the image");
    ///     let fetched = launch.with_budget(Duration::from_mins(10), fetch()).await;
    ///     fetched.unwrap_or_else(|| {
    ///         let message = "The image was not there within ten minutes.";
    ///         Err(SpawnError::new(SpawnErrorKind::Timeout, message))
    ///     })
    /// }
    /// ```
    pub async fn with_budget<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        self.allowance.extend(limit, work).await
    }

    /// What of the start does not count.
    pub(crate) fn allowance(&self) -> Allowance {
        self.allowance.clone()
    }

    /// Ends when the start is cancelled. A start that can take long watches it, cleans up and
    /// returns [`SpawnError::cancelled`]; one that does not is dropped a moment later.
    ///
    /// Example: see [`Launch`](crate::Launch).
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::context;

    fn launch(cmd: &[&str], variable: &str) -> Launch {
        let mut env = Env::default();
        env.set(variable, "value");
        let cmd = cmd.iter().map(|&word| word.to_owned()).collect();
        Launch::new(cmd, vec!["last".into()], env, context("tee", ""))
    }

    #[test]
    fn a_command_has_what_was_given_and_nothing_else() {
        let command = launch(&["program", "first"], "NAME").command().unwrap();
        assert_eq!(command.get_program(), "program");
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["first", "last"]);
        assert_eq!(command.get_envs().count(), 1);
    }

    #[test]
    fn what_cannot_be_given_is_refused_without_its_value() {
        for (cmd, variable) in [(&[][..], "NAME"), (&["program"], "A=B"), (&["program"], "")] {
            let error = launch(cmd, variable).command().unwrap_err();
            assert_eq!(error.kind(), SpawnErrorKind::Refused);
            assert!(!error.to_string().contains("value"), "{error}");
        }
    }
}
