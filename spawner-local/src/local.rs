//! The spawner: one server of one user as a process of this host.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use nix::unistd::Uid;
use spawner_core::{
    Endpoint, Env, ExitStatus, LAUNCH_MARKER, Launch, ListenOn, PollStatus, ServerId, SpawnContext,
    SpawnError, SpawnErrorKind, Spawner, SpawnerConfig, SpawnerState, StateError, StopMode,
    base_args, base_env, base_listen_on,
};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::account::{Account, Credentials};
use crate::cgroup::Group;
use crate::command::Command;
use crate::factory::Shared;
use crate::gate::{self, Forking, Gate, StartError};
use crate::listener;
use crate::log::Log;
use crate::process::Identity;
use crate::reap::{INSTANCE_MARKER, SERVER_MARKER};
use crate::run::{Run, Saved};
use crate::socket;
use crate::start::Prepared;
use crate::sys::Step;

/// The variables that come from the account, unless configuration or a layer sets them.
const FROM_ACCOUNT: [&str; 3] = ["USER", "HOME", "SHELL"];

/// Runs a server as a process of this host: `LocalProcessSpawner`, and with another choice of
/// account `SimpleLocalProcessSpawner`. Made by [`LocalFactory`](crate::LocalFactory).
///
/// `USER`, `HOME` and `SHELL` are the account's; an entry of `environment`, or one that a layer
/// adds, wins over them. The server starts in `HOME`.
#[doc(alias = "SimpleLocalProcessSpawner")]
#[derive(Debug)]
pub struct LocalProcessSpawner {
    shared: Arc<Shared>,
    server: ServerId,
    log: Log,
    /// Where the last run begins in the log; kept when the run is cleared, for who asks late.
    log_from: u64,
    /// A start whose outcome is not known: under way, or dropped half way.
    forking: Option<Forking>,
    run: Option<Run>,
}

impl LocalProcessSpawner {
    pub(crate) fn new(server: ServerId, shared: Arc<Shared>) -> Self {
        Self {
            log: Log::of(&shared.log_dir, &server),
            shared,
            server,
            log_from: 0,
            forking: None,
            run: None,
        }
    }

    /// Looks at everything that a start needs before there is a process.
    async fn prepare(&self, launch: &mut Launch) -> Result<Prepared, SpawnError> {
        let account = self.shared.run_as.account(&self.server).await?;
        let mut env = std::mem::take(&mut launch.env);
        complete(&mut env, &account);
        self.mark(&mut env, launch);
        let home = PathBuf::from(env.get("HOME").unwrap_or_default());
        let (cmd, args) = (launch.cmd.clone(), launch.args.clone());
        let (log, shared) = (self.log.clone(), Arc::clone(&self.shared));
        let launch_id = launch.ctx.launch_id.clone();
        let prepared = spawn_blocking(move || {
            let command = Command::new(&cmd, &args, &env)?;
            let group = shared.place.group(&launch_id, &shared.limits)?;
            Prepared::new(command, account, home, &log, group, &shared.settings)
        });
        prepared.await.map_err(|error| {
            SpawnError::other("The start of the server could not be prepared.").with_source(error)
        })?
    }

    /// Sets what the processes of the run are found by, whatever configuration and layers say.
    fn mark(&self, env: &mut Env, launch: &Launch) {
        env.set(LAUNCH_MARKER, launch.ctx.launch_id.as_str());
        env.set(INSTANCE_MARKER, self.shared.instance.as_str());
        env.set(SERVER_MARKER, self.server.to_string());
    }

    /// Brings the child through its gate: nothing runs before the hub could find it again.
    async fn pass(
        &mut self,
        mut gate: Gate,
        group: Option<Arc<Group>>,
        launch: &Launch,
        endpoint: &Endpoint,
        account: Option<Credentials>,
    ) -> Result<(), SpawnError> {
        let Some(child) = gate.child().await else {
            // There is none, and `settled` says why.
            return Ok(());
        };
        let lost = |source| {
            SpawnError::other("The server's process was lost while it was being started.")
                .with_source(source)
        };
        let saved = Saved {
            identity: Identity::of(child).map_err(lost)?,
            launch_id: launch.ctx.launch_id.clone(),
            endpoint: Some(endpoint.clone()),
            log_from: self.log_from,
            cgroup: group.as_ref().map(|group| group.dir().to_owned()),
            uid: Some(
                account
                    .as_ref()
                    .map_or(Uid::effective().as_raw(), |ids| ids.uid),
            ),
        };
        let run = Run::new(saved, group).map_err(lost)?;
        let run = self.run.insert(run);
        launch.checkpoint(&run.saved().state()).await?;
        if let Endpoint::Unix { path } = endpoint.clone() {
            let made = spawn_blocking(move || {
                socket::make_place(&path, account.as_ref())
                    .map_err(|source| socket::unusable(&path, source))
            });
            made.await.map_err(|error| lost(error.into()))??;
        }
        gate.open().map_err(lost)
    }

    /// Keeps the log of a server that runs from filling the disk.
    async fn bound_log(&self) {
        let (log, max_bytes) = (self.log.clone(), self.shared.settings.log_max_bytes);
        let bounded = spawn_blocking(move || log.bound(max_bytes)).await;
        if let Ok(Err(error)) = bounded {
            warn!(server = %self.server, %error, "cannot bound the log of a server that runs");
        }
    }

    /// Waits until a start that was dropped half way has come to its end: its child is gone, or is
    /// in `run` and can be stopped.
    async fn settle(&mut self) -> Result<(), SpawnError> {
        let Some(forking) = &mut self.forking else {
            return Ok(());
        };
        match timeout(self.shared.settings.patience.kill, forking.settled()).await {
            Ok(_) => self.forking = None,
            // The program is being loaded from something that does not answer, say. If its process
            // is known, it can be ended all the same.
            Err(_) if self.run.is_some() => {}
            Err(elapsed) => {
                let message = "The start of the server was given up, but its process is not gone.";
                let error = SpawnError::new(SpawnErrorKind::StillAlive, message);
                return Err(error.with_source(elapsed));
            }
        }
        Ok(())
    }
}

/// Adds to the environment what the account says.
fn complete(env: &mut Env, account: &Account) {
    let (home, shell) = (
        account.home.to_string_lossy(),
        account.shell.to_string_lossy(),
    );
    for (name, value) in FROM_ACCOUNT
        .into_iter()
        .zip([&*account.name, &*home, &*shell])
    {
        if env.get(name).is_none() {
            env.set(name, value);
        }
    }
}

#[async_trait]
impl Spawner for LocalProcessSpawner {
    fn config(&self) -> &SpawnerConfig {
        &self.shared.config
    }

    async fn start(&mut self, mut launch: Launch) -> Result<Endpoint, SpawnError> {
        self.settle().await?;
        if self.poll().await? == PollStatus::Running {
            let message = "The server is running already.";
            return Err(SpawnError::new(SpawnErrorKind::Refused, message));
        }
        self.run = None;
        let Some(listen) = &launch.ctx.listen else {
            let message = "The server was given no address to listen on.";
            return Err(SpawnError::other(message));
        };
        let endpoint = listen.local_endpoint();

        let prepared = self.prepare(&mut launch).await?;
        let (names, account) = (prepared.names, prepared.plan.credentials.clone());
        self.log_from = prepared.log_from;
        let message = format!("Starting {} as {}", names.program.display(), names.account);
        launch.report(10, message);

        let (forking, gate) =
            gate::begin(prepared.plan).map_err(|source| names.explain(StartError::Fork(source)))?;
        // Kept here before anything is awaited: if this start is dropped, the next call sees it.
        self.forking = Some(forking);
        let passed = self
            .pass(gate, prepared.group, &launch, &endpoint, account)
            .await;
        let settled = match &mut self.forking {
            Some(forking) => forking.settled().await,
            None => Ok(()),
        };
        self.forking = None;
        if let Err(error) = settled {
            self.run = None;
            // A child whose gate was never opened says only that; the reason is ours.
            let given_up = matches!(&error, StartError::Step(failed) if failed.step == Step::Gate);
            return Err(match passed {
                Err(cause) if given_up => cause,
                _ => names.explain(error),
            });
        }
        passed?;
        info!(server = %self.server, program = %names.program.display(), account = %names.account,
            pid = self.run.as_ref().map(|run| run.saved().identity.pid), "server process started");
        launch.report(30, "The server process was started");
        Ok(endpoint)
    }

    async fn stop(&mut self, mode: StopMode) -> Result<(), SpawnError> {
        self.settle().await?;
        match &mut self.run {
            Some(run) => run.stop(mode, self.shared.settings.patience).await,
            None => Ok(()),
        }
    }

    async fn poll(&mut self) -> Result<PollStatus, SpawnError> {
        match &mut self.run {
            Some(run) => {
                let found = run.look().await.map_err(|source| {
                    SpawnError::other("The hub cannot see the server's process.")
                        .with_source(source)
                })?;
                if found == PollStatus::Running {
                    self.bound_log().await;
                }
                Ok(found)
            }
            None if self.forking.is_some() => Ok(PollStatus::Running),
            None => Ok(PollStatus::Exited(ExitStatus::Unknown)),
        }
    }

    async fn exited(&mut self) -> ExitStatus {
        match &mut self.run {
            Some(run) => run.exited().await,
            None => std::future::pending().await,
        }
    }

    async fn endpoint(&mut self) -> Result<Option<Endpoint>, SpawnError> {
        Ok(self
            .run
            .as_ref()
            .and_then(|run| run.saved().endpoint.clone()))
    }

    async fn listen_on(&mut self, ctx: &SpawnContext) -> Result<ListenOn, SpawnError> {
        let Some(sockets) = self.shared.sockets.clone() else {
            return base_listen_on(self.config());
        };
        let path = sockets.path(&ctx.launch_id);
        let prepared = spawn_blocking(move || sockets.prepare()).await;
        prepared.map_err(|error| {
            SpawnError::other("The directory for sockets could not be looked at.")
                .with_source(error)
        })??;
        Ok(ListenOn::Unix { path })
    }

    async fn check_listener(&mut self, endpoint: &Endpoint) -> Result<(), SpawnError> {
        let running = self.poll().await? == PollStatus::Running;
        match &self.run {
            Some(run) => listener::check(run.saved(), running, endpoint).await,
            None => Ok(()),
        }
    }

    fn get_env(&self, ctx: &SpawnContext) -> Env {
        let config = self.config();
        let mut env = base_env(config, ctx);
        // What `env_keep` would take over here is the hub's, not the user's.
        for name in FROM_ACCOUNT {
            if !config.environment.contains_key(name) && !config.env.contains_key(name) {
                env.remove(name);
            }
        }
        env
    }

    fn get_args(&self, ctx: &SpawnContext) -> Vec<String> {
        let mut args = Vec::new();
        // A Jupyter server takes a socket from its arguments only. It comes first, so that `args`
        // can say something else to a program that calls it otherwise.
        if let Some(ListenOn::Unix { path }) = &ctx.listen {
            args.push(format!("--ServerApp.sock={}", path.display()));
        }
        args.extend(base_args(self.config(), ctx));
        args
    }

    fn get_state(&self) -> SpawnerState {
        self.run
            .as_ref()
            .map(|run| run.saved().state())
            .unwrap_or_default()
    }

    fn load_state(&mut self, state: &SpawnerState) -> Result<(), StateError> {
        let saved = Saved::read(state)?;
        let adopted = match saved {
            Some(saved) => {
                let group = (saved.cgroup.as_ref())
                    .map(|dir| self.shared.place.saved(dir, &saved.launch_id));
                let group = group.transpose()?.map(Arc::new);
                Some(Run::adopt(saved, group))
            }
            None => None,
        };
        self.log_from = (adopted.as_ref()).map_or(self.log_from, |run| run.saved().log_from);
        self.run = adopted;
        Ok(())
    }

    fn clear_state(&mut self) {
        self.run = None;
    }

    fn check_limits(&self) -> Result<(), SpawnError> {
        Ok(self.shared.place.check(&self.shared.limits)?)
    }

    async fn log_tail(&self, lines: usize) -> Vec<String> {
        let (log, from) = (self.log.clone(), self.log_from);
        spawn_blocking(move || log.tail(from, lines))
            .await
            .unwrap_or_default()
    }
}
