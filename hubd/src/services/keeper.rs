//! One service that the hub starts: it runs until the hub stops, in one process after the other.

use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use spawner_core::{
    ExitStatus, HubUrls, Launch, LaunchId, ListenOn, OauthClient, Secret, ServerId, SpawnContext,
    SpawnError, StopMode, UserName, UserOptions, error_chain, escape_object_name,
};
use spawner_local::{Log, MarkedRun};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::environment::environment;
use super::list::{Service, client};
use crate::auth::directory::Directory;
use crate::random::new_token;
use crate::store::{Digest, Store, StoreError};

/// How long a service may take to end by itself.
const TERM: Duration = Duration::from_secs(10);
/// The pause before a service that ended is started again; it doubles up to the longest one.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// One that ran this long has not failed to start, so the pause is the first one again.
const SETTLED: Duration = Duration::from_mins(1);
/// How much of what a service prints is kept, and how often that is looked after.
const LOG_MAX: u64 = 16 << 20;
const LOG_LOOK: Duration = Duration::from_secs(30);

/// What the services stand on.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) store: Store,
    pub(crate) directory: Arc<Directory>,
    pub(crate) urls: HubUrls,
    /// The mark by which the runs of this hub's services are found. Not that of its servers, whose
    /// own search would find them too.
    pub(crate) instance: String,
    /// Where their logs are.
    pub(crate) log_dir: PathBuf,
}

/// Keeps one service running.
pub(super) struct Keeper {
    service: Arc<Service>,
    ground: Arc<Ground>,
    log: Log,
}

/// Why a service was not started.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("its log cannot be opened")]
    Log(#[source] io::Error),
    #[error("there is no folder {}, which is its `cwd`", .0.display())]
    Folder(PathBuf),
    #[error("its name cannot be carried by a process")]
    Name(#[source] spawner_core::NameError),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

impl Keeper {
    pub(super) fn new(service: Arc<Service>, ground: Arc<Ground>) -> Self {
        let file = ground.log_dir.join(format!("{}.log", service.table.name));
        Self {
            service,
            ground,
            log: Log::at(file),
        }
    }

    /// Starts it, again and again, until `stop`. Then it ends, and nothing of it is left.
    pub(super) async fn keep(self, stop: CancellationToken) {
        let service = &self.service.table.name;
        let mut pause = Duration::ZERO;
        while !stop.is_cancelled() {
            let began = Instant::now();
            let ended = self.run(&stop).await;
            if stop.is_cancelled() {
                return;
            }
            pause = next_pause(pause, began.elapsed());
            match ended {
                Ok(status) => {
                    tracing::warn!(service, %status, ?pause, "service ended, it is started again");
                }
                Err(error) => {
                    let error = error_chain(&error);
                    tracing::error!(service, error, ?pause, "service cannot be started");
                }
            }
            let _ = stop.run_until_cancelled(sleep(pause)).await;
        }
    }

    /// One run, from its token to the last of its processes.
    async fn run(&self, stop: &CancellationToken) -> Result<ExitStatus, StartError> {
        let service = &self.service.table;
        let launch = self.launch(self.token().await?)?;
        let command = self.command(&launch)?;
        let mut run = MarkedRun::new(&launch, &self.ground.instance)?;
        let spawned = run.spawn(command);
        let mut status = ExitStatus::Unknown;
        if spawned.is_ok() {
            let pid = run.pid().unwrap_or_default();
            self.service.pid.store(pid, Ordering::Relaxed);
            tracing::info!(service = service.name, pid, "service started");
            status = self.ended(&mut run, stop).await;
            self.service.pid.store(0, Ordering::Relaxed);
        }
        // Also what it left behind, or the next run could meet this one.
        while let Err(error) = run.stop(StopMode::Graceful, TERM).await {
            let error = error_chain(&error);
            tracing::error!(service = service.name, error, "service does not end");
            sleep(PAUSE).await;
        }
        spawned?;
        Ok(status)
    }

    /// Waits until the run has ended by itself or the hub stops.
    async fn ended(&self, run: &mut MarkedRun, stop: &CancellationToken) -> ExitStatus {
        let mut look = interval(LOG_LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                status = run.exited() => return status,
                () = stop.cancelled() => return ExitStatus::Unknown,
                _ = look.tick() => self.bound_log().await,
            }
        }
    }

    async fn bound_log(&self) {
        let log = self.log.clone();
        let bounded = tokio::task::spawn_blocking(move || log.bound(LOG_MAX)).await;
        if let Ok(Err(error)) = bounded {
            let log = self.log.path().display();
            tracing::warn!(%log, %error, "cannot bound the log of a service");
        }
    }

    /// The token of the next run: its own, or a new one, which ends those of earlier runs.
    async fn token(&self) -> Result<Secret, StoreError> {
        let service = &self.service.table;
        if let Some(token) = &service.api_token {
            return Ok(token.clone());
        }
        let token = new_token();
        let digest = Digest::of(token.expose());
        let known = self.ground.directory.services();
        known.set_token(&service.name, digest);
        // It is the secret of its OAuth client as well, as the contract has it.
        if let Some(client) = client(service, &self.ground.urls.base_url, digest) {
            let clients = self.ground.store.clients();
            clients.put_of_service(&service.name, client).await?;
        }
        Ok(token)
    }

    fn launch(&self, token: Secret) -> Result<Launch, StartError> {
        let service = &self.service.table;
        let ctx = SpawnContext {
            server: run_name(&service.name).map_err(StartError::Name)?,
            launch_id: LaunchId::random(),
            token,
            options: UserOptions::default(),
            // A run has an address; who asks for this one goes by the route, see `list::routes`.
            listen: Some(ListenOn::Tcp { ip: None, port: 0 }),
            hub: self.ground.urls.clone(),
            oauth: OauthClient {
                client_id: service.client_id(),
                access_scopes: Vec::new(),
                allowed_scopes: Vec::new(),
            },
        };
        let env = environment(service, &ctx, |name| std::env::var_os(name));
        Ok(Launch::new(service.command.clone(), Vec::new(), env, ctx))
    }

    /// The program with its folder and its log.
    fn command(&self, launch: &Launch) -> Result<Command, StartError> {
        let (output, _) = self.log.open(LOG_MAX).map_err(StartError::Log)?;
        let errors = output.try_clone().map_err(StartError::Log)?;
        let mut command = launch.command()?;
        command.stdout(Stdio::from(output)).stderr(errors);
        if let Some(cwd) = &self.service.table.cwd {
            // Else the program would be said to be missing.
            if !cwd.is_dir() {
                return Err(StartError::Folder(cwd.clone()));
            }
            command.current_dir(cwd);
        }
        Ok(command)
    }
}

/// What a run of a service is called in its mark, which is made for servers of users.
fn run_name(service: &str) -> Result<ServerId, spawner_core::NameError> {
    let name = format!("service-{}", escape_object_name(service));
    UserName::new(&name).map(ServerId::default_of)
}

/// The pause before the next start, by the last one and by how long the service ran.
fn next_pause(last: Duration, ran: Duration) -> Duration {
    if ran >= SETTLED || last.is_zero() {
        PAUSE
    } else {
        (last * 2).min(PAUSE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_it_keeps_ending() {
        let mut pause = Duration::ZERO;
        let mut pauses = Vec::new();
        for ran in [0, 0, 59, 0, 0, 0, 0, 0, 60, 0] {
            pause = next_pause(pause, Duration::from_secs(ran));
            pauses.push(pause.as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 1, 2]);
    }

    #[test]
    fn every_name_of_a_service_can_be_marked() {
        for name in ["a", "Grader", "grader", "a.b_c@d+e-f", &"_".repeat(64)] {
            run_name(name).unwrap();
        }
        assert_ne!(run_name("Grader"), run_name("grader"));
    }
}
