//! Where DockerSpawners come from: one engine, one set of settings, one spawner for each server.

use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use spawner_core::{
    Finding, Found, Known, Registry, ServerId, SetupError, SpawnError, SpawnErrorKind, Spawner,
    SpawnerConfig, SpawnerFactory,
};
use tokio::task::JoinSet;

use crate::client::Engine;
use crate::container::Listed;
use crate::events::Ends;
use crate::identity::{CONFIG, launch_of, server_of};
use crate::image::ImageRef;
use crate::limits::{Able, Limits};
use crate::network::ServerNetwork;
use crate::pull::{PullPolicy, Pulls};
use crate::registry::Registries;
use crate::settings::DockerSettings;
use crate::spawner::DockerSpawner;
use crate::start::image_is_missing;

/// Where a server listens inside its container when nothing says otherwise.
const PORT: u16 = 8888;

/// Makes the [`DockerSpawner`]s of one hub on one engine.
#[derive(Debug, Clone)]
pub struct DockerFactory {
    pub(crate) shared: Arc<Shared>,
    /// Pulls ahead of time. Beside what is shared, so that they end with the factory.
    pub(crate) ahead: Arc<Mutex<JoinSet<()>>>,
}

/// What all spawners of a factory share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: SpawnerConfig,
    pub(crate) settings: DockerSettings,
    pub(crate) engine: Arc<Engine>,
    pub(crate) instance: String,
    pub(crate) ends: Ends,
    pub(crate) network: ServerNetwork,
    able: OnceLock<Able>,
    pub(crate) pulls: Pulls,
    pub(crate) registries: Arc<Registries>,
}

/// Adds the kind `docker` to a registry.
pub fn register(registry: &mut Registry) {
    registry.register("docker", |setup| {
        let settings = DockerSettings::from_table(&setup.settings)?;
        let factory = DockerFactory::new(setup.config, settings, setup.instance);
        Ok::<_, SetupError>(Arc::new(factory))
    });
}

impl DockerFactory {
    /// A factory whose containers carry `instance`, which tells them from another hub's on the same
    /// engine: keep it the same across restarts.
    ///
    /// Some shared knobs mean nothing inside a container, so where they are left at their defaults
    /// they become DockerSpawner's: `cmd` is the image's own, `env_keep` keeps nothing, `ip` is
    /// every address of the container, `port` is 8888.
    pub fn new(config: SpawnerConfig, settings: DockerSettings, instance: String) -> Self {
        let registries =
            Registries::new(settings.registries.clone(), settings.docker_config.clone());
        let network = ServerNetwork::new(&settings, &instance);
        Self {
            shared: Arc::new(Shared {
                config: inside_container(config, settings.port),
                engine: Arc::new(Engine::new(settings.host.clone())),
                settings,
                instance,
                ends: Ends::default(),
                network,
                able: OnceLock::new(),
                pulls: Pulls::default(),
                registries: Arc::new(registries),
            }),
            ahead: Arc::default(),
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The spawner of one server.
    pub fn spawner(&self, server: &ServerId) -> DockerSpawner {
        DockerSpawner::new(Arc::clone(&self.shared), server.clone())
    }
}

fn inside_container(mut config: SpawnerConfig, port: Option<NonZeroU16>) -> SpawnerConfig {
    let default = SpawnerConfig::default();
    if config.cmd == default.cmd {
        config.cmd.clear();
    }
    if config.env_keep == default.env_keep {
        config.env_keep.clear();
    }
    if config.ip == default.ip {
        "0.0.0.0".clone_into(&mut config.ip);
    }
    config.port = match (port, config.port) {
        (Some(port), _) => port.get(),
        (None, 0) => PORT,
        (None, port) => port,
    };
    config
}

#[async_trait]
impl SpawnerFactory for DockerFactory {
    fn create(&self, server: &ServerId) -> Box<dyn Spawner> {
        Box::new(self.spawner(server))
    }

    async fn preflight(&self) -> Result<(), SpawnError> {
        let shared = &*self.shared;
        let limits = Limits::of(&shared.config)?;
        let able = shared.able().await?;
        able.check(limits, shared.settings.pids_limit.is_some())?;
        if limits.memory.is_some() && !able.limits_swap() {
            tracing::warn!("this engine cannot limit swap: `mem_limit` holds for memory alone");
        }
        self.check_network().await?;
        self.check_images().await?;
        if shared.settings.pull.pre_pull {
            self.pull_ahead();
        }
        Ok(())
    }

    async fn diagnose(&self, hub_url: &str) -> Vec<Finding> {
        self.look_at_everything(hub_url).await
    }

    async fn reap(&self, known: &[Known]) -> Result<Vec<Found>, SpawnError> {
        let Shared {
            engine,
            settings,
            instance,
            ..
        } = &*self.shared;
        let all = engine
            .list_all(instance)
            .await
            .map_err(|error| error.doing("list the containers"))?;
        Ok(all
            .into_iter()
            // A stopped one is kept for its log, or for the next start.
            .filter(|container| container.runs || settings.remove)
            .filter_map(|container| {
                let found = self.found(&container)?;
                let is_known = known.iter().any(|known| {
                    // One that is used again carries the mark of the run that it was made for. It
                    // is the only one of its server, so it is of the run that the books have.
                    known.server == found.server
                        && (known.launch_id == found.launch_id
                            || container.labels.contains_key(CONFIG))
                });
                (!is_known).then_some(found)
            })
            .collect())
    }
}

impl Shared {
    /// What the engine can enforce, if it was asked before.
    pub(crate) fn known_able(&self) -> Option<Able> {
        self.able.get().copied()
    }

    /// What the engine can enforce.
    pub(crate) async fn able(&self) -> Result<Able, SpawnError> {
        if let Some(able) = self.able.get() {
            return Ok(*able);
        }
        let info = self
            .engine
            .info()
            .await
            .map_err(|error| error.doing("say what it can do"))?;
        Ok(*self.able.get_or_init(|| Able::of(&info)))
    }
}

impl DockerFactory {
    /// The run that a container belongs to, if its labels say so.
    fn found(&self, container: &Listed) -> Option<Found> {
        let server = server_of(&container.labels)?;
        let launch_id = launch_of(&container.labels)?;
        let spawner = self.spawner(&server);
        Some(Found {
            state: spawner.state_of(&launch_id, Some(&container.id)),
            server,
            launch_id,
        })
    }

    /// An engine creates containers on a network that it does not have, and fails to start them.
    pub(crate) async fn check_network(&self) -> Result<(), SpawnError> {
        let Shared {
            engine,
            settings,
            network,
            ..
        } = &*self.shared;
        let found = network.ensure(engine).await?;
        if found.internal && !settings.is_internal() {
            let message = format!(
                "The network \"{}\" is internal, so the Docker Engine publishes no ports on it. \
                 Set use_internal_ip = true.",
                network.name()
            );
            return Err(SpawnError::new(SpawnErrorKind::Refused, message));
        }
        Ok(())
    }

    /// The default image, then the others.
    pub(crate) fn images(&self) -> impl Iterator<Item = &ImageRef> {
        let images = &self.shared.settings.images;
        let default = images.default_image();
        let others = images.offered().filter(move |image| *image != default);
        std::iter::once(default).chain(others)
    }

    /// Without the default image nobody can start; without another one, only those who choose it.
    async fn check_images(&self) -> Result<(), SpawnError> {
        let Shared {
            engine, settings, ..
        } = &*self.shared;
        let default = settings.images.default_image();
        let policy = settings.pull.policy;
        if policy == PullPolicy::Skip {
            return Ok(());
        }
        for image in self.images() {
            let found = engine
                .image(image)
                .await
                .map_err(|error| error.doing("look for the image"))?;
            match found {
                Some(_) => {}
                None if policy.pulls() && image.pullable().is_some() => {
                    tracing::info!(%image, "this image will be pulled when it is needed");
                }
                None if image == default => return Err(image_is_missing(image)),
                None => tracing::warn!(%image, "an allowed image is not on this engine"),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_of_processes_are_not_those_of_containers() {
        let inside = inside_container(SpawnerConfig::default(), None);
        assert!(inside.cmd.is_empty() && inside.env_keep.is_empty());
        assert_eq!((inside.ip.as_str(), inside.port), ("0.0.0.0", 8888));
    }

    #[test]
    fn what_was_chosen_is_kept() {
        let chosen = SpawnerConfig {
            cmd: vec!["start-notebook.py".into()],
            env_keep: vec!["LANG".into()],
            ip: "::".into(),
            port: 7777,
            ..SpawnerConfig::default()
        };
        let inside = inside_container(chosen.clone(), None);
        assert_eq!(inside.cmd, chosen.cmd);
        assert_eq!(inside.env_keep, chosen.env_keep);
        assert_eq!((inside.ip.as_str(), inside.port), ("::", 7777));
        assert_eq!(inside_container(chosen, NonZeroU16::new(9999)).port, 9999);
    }

    #[test]
    fn the_kind_is_registered() {
        let mut registry = Registry::new();
        register(&mut registry);
        assert_eq!(registry.kinds().collect::<Vec<_>>(), ["docker"]);
    }
}
