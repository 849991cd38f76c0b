//! Write a spawner in twenty minutes.
//!
//! This crate is a whole one: it runs each server as a process of this host, and finds it again by the
//! launch id that the hub puts into its environment. It is short enough to be read in one go. What
//! there is to think of, in this order:
//!
//! 1. **What names a server in the world?** Not its user: the same user starts it again tomorrow.
//!    Not a pid: the kernel gives it out again. Every launch has a [`LaunchId`], which nobody else
//!    has; put it where you can find it. Here it is in the environment already, as
//!    [`LAUNCH_MARKER`](spawner_core::LAUNCH_MARKER).
//! 2. **`start`**: keep that name in `self`, save it with [`Launch::checkpoint`], and only then make
//!    the server. Wherever the start is dropped, or the daemon dies, the server can then be found and
//!    stopped. Give it `cmd`, `args` and `env` of the launch, and nothing else.
//! 3. **`poll`**: look at the world and change nothing. If you cannot look, that is an error and not
//!    an end.
//! 4. **`stop`**: end everything that has that name, and return when it is gone. There may be
//!    nothing, it may have ended by itself, and you may be called again.
//! 5. **State**: `get_state`, `load_state` and `clear_state` carry that name over a restart of the
//!    daemon. [`SpawnerState::pack`] and [`SpawnerState::unpack`] see to versions and damage.
//! 6. **[`build`]** makes a factory from the configuration file; a program registers it and is a hub
//!    of its own, see `src/main.rs`.
//! 7. **Run the kit**: `tests/conformance.rs` is thirty lines, and its checks tell you what you did
//!    not think of. What is left of the trait has defaults.

mod processes;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Signal, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use spawner_core::{
    BackendSetup, Endpoint, ExitStatus, Launch, LaunchId, PollStatus, ServerId, SetupError,
    SpawnError, SpawnErrorKind, Spawner, SpawnerConfig, SpawnerFactory, SpawnerState, StateError,
    StopMode,
};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// How long processes that were killed may take to be gone.
const KILLED_WITHIN: Duration = Duration::from_secs(10);
/// How often a process is looked at that does not show its mark yet.
const LOOKS: usize = 1000;

/// The backend's own table of the configuration file, `[spawner.marked]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// How long a server may take to end after SIGTERM, in seconds; 30 if not set.
    term_timeout: Option<f32>,
}

/// One server.
#[derive(Debug)]
struct MarkedSpawner {
    config: Arc<SpawnerConfig>,
    term_timeout: Duration,
    run: Option<Run>,
    /// The process, if this instance started it: then its exit code is ours to know.
    child: Option<Child>,
}

/// What is saved of a run.
#[derive(Debug, Serialize, Deserialize)]
struct Run {
    launch_id: LaunchId,
}

/// Builds the backend from its configuration.
pub fn build(setup: BackendSetup) -> Result<Arc<dyn SpawnerFactory>, SetupError> {
    let seconds = setup.settings::<Settings>()?.term_timeout.unwrap_or(30.0);
    let term_timeout = Duration::try_from_secs_f32(seconds)
        .map_err(|error| SetupError::key("term_timeout", error.to_string()))?;
    let config = Arc::new(setup.config);
    Ok(Arc::new(move |_: &ServerId| MarkedSpawner {
        config: Arc::clone(&config),
        term_timeout,
        run: None,
        child: None,
    }))
}

#[async_trait]
impl Spawner for MarkedSpawner {
    fn config(&self) -> &SpawnerConfig {
        &self.config
    }

    async fn start(&mut self, launch: Launch) -> Result<Endpoint, SpawnError> {
        let (Some((program, first)), Some(listen)) = (launch.cmd.split_first(), &launch.ctx.listen)
        else {
            return Err(SpawnError::other(
                "There is nothing to run, or nowhere to listen.",
            ));
        };
        if launch.env.iter().any(|(name, _)| name.contains('=')) {
            return Err(SpawnError::other(
                "A variable cannot have a `=` in its name.",
            ));
        }
        let launch_id = launch.ctx.launch_id.clone();
        (self.run, self.child) = (Some(Run { launch_id }), None);
        launch.checkpoint(&self.get_state()).await?;
        let mut command = Command::new(program);
        command.args(first).args(&launch.args);
        command.env_clear().envs(launch.env.iter());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.process_group(0).spawn().map_err(|error| {
            SpawnError::other(format!("\"{program}\" cannot be run.")).with_source(error)
        })?;
        self.child = Some(child);
        self.see_the_mark()?;
        launch.report(30, "The process was started");
        Ok(listen.local_endpoint())
    }

    async fn stop(&mut self, mode: StopMode) -> Result<(), SpawnError> {
        let polite = mode == StopMode::Graceful;
        if polite && self.end(Signal::TERM, self.term_timeout).await?
            || self.end(Signal::KILL, KILLED_WITHIN).await?
        {
            return Ok(());
        }
        let message = "Processes of the server are still there although they were killed.";
        Err(SpawnError::new(SpawnErrorKind::StillAlive, message))
    }

    async fn poll(&mut self) -> Result<PollStatus, SpawnError> {
        if let Some(child) = &mut self.child {
            let ended = child.try_wait().map_err(cannot_look)?.map(how_it_ended);
            return Ok(ended.map_or(PollStatus::Running, PollStatus::Exited));
        }
        if self.marked()?.is_empty() {
            return Ok(PollStatus::Exited(ExitStatus::Unknown));
        }
        Ok(PollStatus::Running)
    }

    async fn exited(&mut self) -> ExitStatus {
        if let Some(child) = &mut self.child
            && let Ok(status) = child.wait().await
        {
            return how_it_ended(status);
        }
        // Cannot tell: the periodic poll will.
        std::future::pending().await
    }

    fn get_state(&self) -> SpawnerState {
        let run = self.run.as_ref();
        run.map_or_else(SpawnerState::default, |run| SpawnerState::pack(1, run))
    }

    fn load_state(&mut self, state: &SpawnerState) -> Result<(), StateError> {
        self.run = state.unpack(1)?;
        Ok(())
    }

    fn clear_state(&mut self) {
        (self.run, self.child) = (None, None);
    }
}

impl MarkedSpawner {
    /// All processes of the run.
    fn marked(&self) -> Result<Vec<OwnedFd>, SpawnError> {
        let run = self.run.as_ref();
        run.map_or(Ok(Vec::new()), |run| processes::marked(&run.launch_id))
            .map_err(cannot_look)
    }

    /// The environment of a process can be read a moment after `spawn` has returned. A hub that was
    /// restarted in between would not find it; so nothing is awaited before.
    fn see_the_mark(&mut self) -> Result<(), SpawnError> {
        for _ in 0..LOOKS {
            if self.our_child()?.is_none() || !self.marked()?.is_empty() {
                return Ok(());
            }
            std::thread::yield_now();
        }
        Err(SpawnError::other(
            "The server hides its environment, so it would get lost.",
        ))
    }

    /// The child while it lives.
    fn our_child(&mut self) -> Result<Option<OwnedFd>, SpawnError> {
        let Some(child) = &mut self.child else {
            return Ok(None);
        };
        let lives = child.try_wait().map_err(cannot_look)?.is_none();
        let pid = child.id().filter(|_| lives);
        Ok(pid.and_then(|pid| processes::hold(pid.try_into().ok()?)))
    }

    /// Sends a signal until nobody is left who could get it, and says whether that came true within
    /// `patience`.
    async fn end(&mut self, signal: Signal, patience: Duration) -> Result<bool, SpawnError> {
        let deadline = Instant::now() + patience;
        loop {
            let mut left = self.marked()?;
            left.extend(self.our_child()?);
            if left.is_empty() || Instant::now() > deadline {
                return Ok(left.is_empty());
            }
            for process in left {
                // It may just have ended, which is what we want.
                let _ = pidfd_send_signal(process, signal);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn how_it_ended(status: std::process::ExitStatus) -> ExitStatus {
    let signal = status
        .signal()
        .map_or(ExitStatus::Unknown, ExitStatus::Signal);
    status.code().map_or(signal, ExitStatus::Code)
}

fn cannot_look(source: io::Error) -> SpawnError {
    SpawnError::other("The processes of this host cannot be seen.").with_source(source)
}
