//! Where the spawners of this host come from.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nix::unistd::{Uid, User};
use spawner_core::{
    BackendSetup, BoxError, Finding, Found, Known, Registry, ServerId, SetupError, SpawnError,
    SpawnErrorKind, Spawner, SpawnerConfig, SpawnerFactory, Verdict,
};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::account::{RunAs, private_directory};
use crate::cgroup::{Limits, Place};
use crate::local::LocalProcessSpawner;
use crate::process::{Identity, Process};
use crate::reap;
use crate::settings::{Kind, Settings, Transport};
use crate::socket::Sockets;

/// How long a look for left over runs may take. A process that cannot be asked holds up whoever asks.
const REAP_TIMEOUT: Duration = Duration::from_secs(30);

/// Adds the kinds `local` and `simple`.
pub fn register(registry: &mut Registry) {
    registry.register("local", |setup| Ok(Arc::new(LocalFactory::local(setup)?)));
    registry.register("simple", |setup| Ok(Arc::new(LocalFactory::simple(setup)?)));
}

/// Makes the spawners of one kind, which share their settings.
#[derive(Debug, Clone)]
pub struct LocalFactory {
    shared: Arc<Shared>,
}

/// What the spawners of one factory have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: SpawnerConfig,
    pub(crate) settings: Settings,
    pub(crate) run_as: RunAs,
    /// Where the control groups of the runs are made, and what is written into them.
    pub(crate) place: Place,
    pub(crate) limits: Limits,
    /// Where the logs are.
    pub(crate) log_dir: PathBuf,
    /// Where the sockets are, if servers listen on such.
    pub(crate) sockets: Option<Sockets>,
    /// Tells this hub's processes from another's.
    pub(crate) instance: String,
}

impl LocalFactory {
    /// `LocalProcessSpawner`: each server runs as the system user of the same name. That takes a
    /// hub that runs as root; another can start servers only for the account it runs as itself.
    pub fn local(setup: BackendSetup) -> Result<Self, SetupError> {
        Self::new(setup, Kind::Local)
    }

    /// `SimpleLocalProcessSpawner`: all servers run as the account that runs the hub, each user's
    /// in a private home. Nothing but these homes' names keeps users apart: it is for one person,
    /// for people who trust each other, and for tests.
    #[doc(alias = "SimpleLocalProcessSpawner")]
    pub fn simple(setup: BackendSetup) -> Result<Self, SetupError> {
        Self::new(setup, Kind::Simple)
    }

    /// The spawner of one server, by its own type.
    pub fn spawner(&self, server: &ServerId) -> LocalProcessSpawner {
        LocalProcessSpawner::new(server.clone(), Arc::clone(&self.shared))
    }

    fn new(setup: BackendSetup, kind: Kind) -> Result<Self, SetupError> {
        let settings = Settings::read(&setup, kind)?;
        // The working directory of a server is another one, so nothing stays relative.
        let state_dir = std::path::absolute(&setup.state_dir).map_err(|error| {
            SetupError::new(format!("the state directory cannot be named: {error}"))
        })?;
        let run_as = match kind {
            Kind::Local => RunAs::SystemUser {
                allow_root: settings.allow_root,
            },
            Kind::Simple => {
                let homes = state_dir.join(&settings.home_dir_template);
                let homes = homes.into_os_string().into_string().map_err(|_| {
                    SetupError::new(
                        "the state directory's name is not UTF-8, so no home can be \
                                     below it; set `home_dir_template` to a path from the root",
                    )
                })?;
                RunAs::HubUser { homes }
            }
        };
        let sockets = match settings.transport {
            Transport::Tcp => None,
            Transport::Unix => {
                // Other accounts cannot pass through the state directory.
                let shared = kind == Kind::Local && Uid::effective().is_root();
                let default = if shared { "/run/hubd" } else { "sockets" };
                let dir = settings.socket_dir.as_deref().unwrap_or(default.as_ref());
                Some(Sockets::new(state_dir.join(dir), shared)?)
            }
        };
        let log_dir = settings.log_dir.as_deref().unwrap_or("logs".as_ref());
        Ok(Self {
            shared: Arc::new(Shared {
                place: Place::find(&settings.cgroup, &setup.instance),
                limits: Limits::new(&setup.config, settings.pids_limit),
                config: setup.config,
                log_dir: state_dir.join(log_dir),
                settings,
                run_as,
                sockets,
                instance: setup.instance,
            }),
        })
    }
}

#[async_trait]
impl SpawnerFactory for LocalFactory {
    fn create(&self, server: &ServerId) -> Box<dyn Spawner> {
        Box::new(self.spawner(server))
    }

    async fn preflight(&self) -> Result<(), SpawnError> {
        can_hold_processes()?;
        let shared = Arc::clone(&self.shared);
        let checked = spawn_blocking(move || {
            if matches!(shared.run_as, RunAs::SystemUser { .. }) {
                tell_who_can_be_served();
            }
            shared.place.preflight(&shared.limits)?;
            private_directory(&shared.log_dir).map_err(|source| {
                let dir = shared.log_dir.display();
                let message = format!("The log directory {dir} cannot be used: {source}.");
                SpawnError::other(message).with_source(source)
            })?;
            match &shared.sockets {
                Some(sockets) => sockets.prepare(),
                None => Ok(()),
            }
        });
        checked.await.map_err(|error| {
            SpawnError::other("The log directory could not be looked at.").with_source(error)
        })?
    }

    async fn diagnose(&self, _hub_url: &str) -> Vec<Finding> {
        let shared = Arc::clone(&self.shared);
        let groups = spawn_blocking(move || shared.place.diagnose(&shared.limits)).await;
        let mut findings = vec![Finding::of(
            can_hold_processes(),
            "servers can be started and kept track of",
        )];
        findings.extend(groups.ok());
        if !Uid::effective().is_root() && matches!(self.shared.run_as, RunAs::SystemUser { .. }) {
            let message = "this account is not root, so only its own server can be started; run \
                           the hub as root, or see `kind = \"simple\"`";
            findings.push(Finding::new(Verdict::Warning, message));
        }
        findings
    }

    async fn reap(&self, known: &[Known]) -> Result<Vec<Found>, SpawnError> {
        let known: HashSet<_> = known.iter().map(|known| known.launch_id.clone()).collect();
        let shared = Arc::clone(&self.shared);
        let search = spawn_blocking(move || {
            let Shared {
                instance,
                run_as,
                sockets,
                place,
                ..
            } = &*shared;
            reap::search(instance, &known, run_as, sockets.as_ref(), place)
        });
        let cannot_tell = |source: BoxError| {
            let message = "The hub cannot see which servers were left behind.";
            SpawnError::new(SpawnErrorKind::Unavailable, message).with_source(source)
        };
        match timeout(REAP_TIMEOUT, search).await {
            Ok(Ok(Ok(found))) => Ok(found),
            Ok(Ok(Err(error))) => Err(cannot_tell(error.into())),
            Ok(Err(error)) => Err(cannot_tell(error.into())),
            Err(elapsed) => Err(cannot_tell(elapsed.into())),
        }
    }
}

/// Holds this process the way servers are held.
fn can_hold_processes() -> Result<(), SpawnError> {
    let held = Identity::of(rustix::process::getpid()).and_then(|myself| myself.open());
    match held {
        Ok(Some(Process { .. })) => Ok(()),
        Ok(None) => Err(SpawnError::other(
            "Servers cannot be kept track of: /proc shows the processes of another namespace.",
        )),
        Err(source) => Err(SpawnError::other(
            "Servers cannot be kept track of. That takes Linux 5.4 or later, with /proc mounted \
             and the system call pidfd_open allowed.",
        )
        .with_source(source)),
    }
}

/// A hub that is not root is useful to one person, who should know that before anyone else tries.
fn tell_who_can_be_served() {
    let hub = Uid::effective();
    if hub.is_root() {
        return;
    }
    let account = match User::from_uid(hub) {
        Ok(Some(user)) => user.name,
        _ => hub.to_string(),
    };
    tracing::warn!(
        %account,
        "the hub does not run as root, so only this account can have a server; \
         kind = \"simple\" runs the servers of all users under it"
    );
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn setup(state_dir: PathBuf) -> BackendSetup {
        BackendSetup {
            config: SpawnerConfig::default(),
            settings: Map::new(),
            state_dir,
            instance: "test-of-the-factory".into(),
        }
    }

    #[tokio::test]
    async fn both_kinds_are_registered_and_usable() {
        let dir = tempfile::tempdir().unwrap();
        let mut registry = Registry::new();
        register(&mut registry);
        assert_eq!(registry.kinds().collect::<Vec<_>>(), ["local", "simple"]);
        for kind in ["local", "simple"] {
            let factory = registry.build(kind, setup(dir.path().into())).unwrap();
            factory.preflight().await.unwrap();
        }
        assert!(dir.path().join("logs").is_dir());
    }

    #[tokio::test]
    async fn a_log_directory_that_cannot_be_is_told_at_once() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let mut setup = setup(dir.path().into());
        setup.settings.insert("log_dir".into(), json!("file/logs"));
        let error = LocalFactory::simple(setup).unwrap().preflight().await;
        let message = error.unwrap_err().to_string();
        assert!(message.contains("file/logs"), "{message}");
    }

    #[test]
    fn paths_are_absolute_whatever_the_state_directory_is() {
        let factory = LocalFactory::simple(setup("hubd-state".into())).unwrap();
        assert!(factory.shared.log_dir.is_absolute());
        let RunAs::HubUser { homes } = &factory.shared.run_as else {
            panic!("not the simple kind")
        };
        assert!(homes.starts_with('/') && homes.ends_with("/hubd-state/homes/{username}"));
    }
}
