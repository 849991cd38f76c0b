//! The trait that a backend implements.

use std::fmt;

use async_trait::async_trait;

use crate::command::base_args;
use crate::config::SpawnerConfig;
use crate::context::SpawnContext;
use crate::endpoint::{Endpoint, ListenOn};
use crate::env::{Env, base_env};
use crate::error::{SpawnError, SpawnErrorKind};
use crate::launch::Launch;
use crate::options::{FormContext, FormData, OptionsError, OptionsForm, UserOptions};
use crate::ports::base_listen_on;
use crate::state::{SpawnerState, StateError};
use crate::status::{ExitStatus, PollStatus, StopMode};

/// One server of one user on one backend: the seed's `Spawner`.
///
/// An instance lives as long as the daemon knows the server and goes through many runs. Its owner
/// task ([`supervise`](crate::supervise)) calls it by `&mut`, so no two calls overlap: a stop
/// cannot meet a poll, and a start that takes too long is dropped before anything else is asked.
///
/// The order of calls in a run is `check_options`, `check_limits`, [`listen_on`](Self::listen_on),
/// [`get_env`](Self::get_env) and [`get_args`](Self::get_args), [`start`](Self::start), then
/// [`poll`](Self::poll) and [`exited`](Self::exited), then [`stop`](Self::stop), which is called
/// after *every* run, also after a failed start and after an end that was noticed. After a daemon
/// restart it is [`load_state`](Self::load_state), `poll`, [`endpoint`](Self::endpoint).
///
/// Four methods are required; a new backend needs little more.
///
/// Example: see the [front page](crate).
#[async_trait]
pub trait Spawner: fmt::Debug + Send + Sync + 'static {
    /// The shared knobs.
    ///
    /// Example: see the [front page](crate).
    fn config(&self) -> &SpawnerConfig;

    /// Starts the server and returns where the hub reaches it. The process or container exists
    /// when this returns, although it may not answer yet.
    ///
    /// Bounded by `start_timeout`, but for what it does [with a budget of its
    /// own](Launch::with_budget). The future can be dropped at any await point; `stop(Now)`
    /// follows and must find whatever was made, so put it into `self` before awaiting. Errors are
    /// shown to the user.
    ///
    /// Example: see the [front page](crate).
    async fn start(&mut self, launch: Launch) -> Result<Endpoint, SpawnError>;

    /// Ends the server with everything it started, and returns when it is gone. `Ok` when there is
    /// nothing to end. If it cannot be ended, or that cannot be told, it is an error, the state is
    /// kept and the call is made again later.
    ///
    /// The future can be dropped: a `stop(Now)` may follow a graceful stop that takes too long.
    ///
    /// Example: see the [front page](crate).
    async fn stop(&mut self, mode: StopMode) -> Result<(), SpawnError>;

    /// Whether the server is there. `Err` means "cannot tell", never "gone"; a server that was
    /// never started is `Exited(Unknown)`. Changes nothing, whatever the answer.
    ///
    /// Example: see the [front page](crate).
    async fn poll(&mut self) -> Result<PollStatus, SpawnError>;

    /// Resolves when the server ends, for a backend that can hear it; by default never, and the
    /// periodic poll notices. Cancel-safe: it is dropped and asked again all the time.
    ///
    /// Example: see the [front page](crate).
    async fn exited(&mut self) -> ExitStatus {
        std::future::pending().await
    }

    /// Where the server shall listen, as the server sees it. By default [`base_listen_on`].
    ///
    /// Example: see the [front page](crate).
    async fn listen_on(&mut self, ctx: &SpawnContext) -> Result<ListenOn, SpawnError> {
        let _ = ctx;
        base_listen_on(self.config())
    }

    /// Where a running server is reached, asked after `load_state` when it was found alive
    /// (JupyterHub's `get_url`). `None`, the default, means: where it was before.
    ///
    /// Example: see the [front page](crate).
    async fn endpoint(&mut self) -> Result<Option<Endpoint>, SpawnError> {
        Ok(None)
    }

    /// Whether it is this server that listens at `endpoint`, and no stranger who took its address
    /// between [`listen_on`](Self::listen_on) and its bind. Asked when somebody answers there for
    /// the first time, before the server is called running, and when the server ended before it
    /// answered. An error of kind [`SpawnErrorKind::AddressTaken`] makes the owner task end the
    /// process and try again at another address. For a server that ended, an error of kind
    /// [`SpawnErrorKind::Exited`] says why in better words than its exit status does. By default
    /// nothing is looked at.
    ///
    /// Example: see the [front page](crate).
    async fn check_listener(&mut self, endpoint: &Endpoint) -> Result<(), SpawnError> {
        let _ = endpoint;
        Ok(())
    }

    /// The environment of a run. By default [`base_env`]: `env`, `env_keep`, the hub's variables,
    /// `environment`.
    ///
    /// Example: see the [front page](crate).
    fn get_env(&self, ctx: &SpawnContext) -> Env {
        base_env(self.config(), ctx)
    }

    /// The arguments after `cmd`. By default [`base_args`]: the seed's flags if configured, then
    /// `args`.
    ///
    /// Example: see the [front page](crate).
    fn get_args(&self, ctx: &SpawnContext) -> Vec<String> {
        base_args(self.config(), ctx)
    }

    /// What is needed to find the server again; empty when nothing runs.
    ///
    /// Example: see the [front page](crate).
    fn get_state(&self) -> SpawnerState {
        SpawnerState::default()
    }

    /// Takes up a state that `get_state` gave, in this process or an earlier one. Reads only; the
    /// next `poll` looks at the world. An empty state means nothing runs.
    ///
    /// Example: see the [front page](crate).
    fn load_state(&mut self, state: &SpawnerState) -> Result<(), StateError> {
        let _ = state;
        Ok(())
    }

    /// Forgets the run, after it is over. What must outlive a run (a volume's name, say) stays.
    ///
    /// Example: see the [front page](crate).
    fn clear_state(&mut self) {}

    /// The form that a user fills before a start. By default the configured `options_form`.
    ///
    /// Example: see the [front page](crate).
    async fn options_form(&self, ctx: &FormContext) -> Result<OptionsForm, SpawnError> {
        Ok(self.config().options_form.resolve(ctx))
    }

    /// Turns a submitted form into options. By default the lists as they came.
    ///
    /// Example: see the [front page](crate).
    fn options_from_form(&self, form: FormData) -> Result<UserOptions, OptionsError> {
        Ok(form.into_options())
    }

    /// Refuses options that cannot be meant. It sees every option that reaches a start, from a
    /// form or from a REST body, which is why validation belongs here and not in the form.
    ///
    /// Example: see the [front page](crate).
    fn check_options(&self, options: &UserOptions) -> Result<(), OptionsError> {
        let _ = options;
        Ok(())
    }

    /// Refuses limits (`mem_limit`, `mem_guarantee`, `cpu_limit`, `cpu_guarantee`) that this spawner
    /// cannot enforce, and says why. Asked before every start. By default every one that is set is
    /// refused: a limit that is silently ignored is worse than none.
    ///
    /// Example: see the [front page](crate).
    fn check_limits(&self) -> Result<(), SpawnError> {
        match self.config().limits_set().next() {
            None => Ok(()),
            Some(name) => Err(SpawnError::new(
                SpawnErrorKind::Refused,
                format!("`{name}` is configured, and this kind of spawner cannot enforce it."),
            )),
        }
    }

    /// The last `lines` lines that the server printed, oldest first. By default none.
    ///
    /// Example: see the [front page](crate).
    async fn log_tail(&self, lines: usize) -> Vec<String> {
        let _ = lines;
        Vec::new()
    }
}
