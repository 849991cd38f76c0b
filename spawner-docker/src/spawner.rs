//! One server of one user as a container.
//!
//! ```text
//! start: image there? -> remove what an earlier run left -> create -> checkpoint -> start -> address
//! stop:  every container with our labels: end, remove, until gone
//! ```
//!
//! What is ours, and that nothing else is touched, is [`Ours`]' business.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use spawner_core::{
    Endpoint, Env, ExitStatus, FormContext, FormData, Launch, OptionsError, OptionsForm,
    PollStatus, ServerId, SpawnContext, SpawnError, SpawnErrorKind, Spawner, SpawnerConfig,
    SpawnerState, StateError, StopMode, UserOptions, base_env,
};
use tokio::time::sleep;

use crate::choice;
use crate::client::{Engine, host_of};
use crate::container::{Container, ContainerId, exit_status};
use crate::create::create_body;
use crate::factory::Shared;
use crate::image::ImageRef;
use crate::ours::{Ours, PAUSE, TRIES};

/// The layout of [`State`].
const STATE_VERSION: u32 = 1;
/// How long apart attempts to hear of an end are, when the engine is away.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_LAST: Duration = Duration::from_secs(30);

/// Runs one server in a container; made by a [`DockerFactory`](crate::DockerFactory).
///
/// A user may choose the image (the option `image`) as far as the settings allow it; it takes
/// precedence over the configured one.
#[derive(Debug)]
pub struct DockerSpawner {
    shared: Arc<Shared>,
    server: ServerId,
    ours: Ours,
    /// The container of the present run.
    container: Option<ContainerId>,
}

/// What is saved of a run.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    container_id: String,
    /// For people; the container is found by its id and known by its labels.
    name: String,
}

impl DockerSpawner {
    pub(crate) fn new(shared: Arc<Shared>, server: ServerId) -> Self {
        Self {
            ours: Ours::new(Arc::clone(&shared), &server),
            shared,
            server,
            container: None,
        }
    }

    fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// The container of the present run as it is now, if there is one.
    async fn look(&self) -> Result<Option<Container>, SpawnError> {
        match &self.container {
            None => Ok(None),
            Some(id) => self.ours.look(id).await,
        }
    }

    /// Where a container that was just started is reached. The engine can say that it runs before
    /// its port is published.
    async fn reachable(&self) -> Result<Endpoint, SpawnError> {
        for _ in 0..TRIES {
            let container = self.look().await?;
            let status = container
                .as_ref()
                .map_or(PollStatus::Exited(ExitStatus::Unknown), Container::status);
            if let PollStatus::Exited(status) = status {
                let message = format!("The server ended while it was being started: {status}.");
                return Err(SpawnError::new(SpawnErrorKind::Exited(status), message));
            }
            if let Some(endpoint) = container.and_then(|found| self.address(&found)) {
                return Ok(endpoint);
            }
            sleep(PAUSE).await;
        }
        Err(SpawnError::other(
            "The container runs, but the Docker Engine gave it no address. An admin can check \
             `network_name` and `use_internal_ip`.",
        ))
    }

    fn address(&self, container: &Container) -> Option<Endpoint> {
        let settings = &self.shared.settings;
        container.endpoint(
            settings.is_internal().then(|| settings.network_name()),
            self.shared.config.port,
            self.engine().host_name(),
        )
    }

    /// Inside a container, loopback is the container: by far the commonest reason for a server that
    /// starts and never becomes ready.
    fn warn_of_loopback(&self, launch: &Launch) {
        let url = &launch.ctx.hub.api_url;
        let host = host_of(url);
        let address = host.parse::<IpAddr>();
        if host == "localhost" || address.is_ok_and(|address| address.is_loopback()) {
            tracing::warn!(
                server = %self.server, url,
                "servers in containers cannot reach the hub on loopback: set connect_url"
            );
            let message = format!(
                "The server is told to find the hub at {url}, which inside a container is the \
                 container itself. An admin can set connect_url."
            );
            launch.report(5, message);
        }
    }
}

#[async_trait]
impl Spawner for DockerSpawner {
    fn config(&self) -> &SpawnerConfig {
        &self.shared.config
    }

    async fn start(&mut self, launch: Launch) -> Result<Endpoint, SpawnError> {
        let settings = &self.shared.settings;
        let image = settings
            .images
            .resolve(&launch.ctx.options)
            .map_err(|error| {
                SpawnError::new(SpawnErrorKind::Refused, error.message.clone()).with_source(error)
            })?;
        self.warn_of_loopback(&launch);
        launch.report(10, format!("Looking for the image {image}"));
        let info = self
            .engine()
            .image(&image)
            .await
            .map_err(|error| error.doing("look for the image"))?
            .ok_or_else(|| image_is_missing(&image))?;
        let port = self.shared.config.port;
        let labels = self.ours.labels(&launch.ctx.launch_id);
        let body = create_body(settings, labels, &launch, &image, &info, port)?;

        self.container = None;
        for id in self.ours.all().await? {
            tracing::info!(server = %self.server, container = id.short(), "removing an older run");
            launch.report(20, "Removing the container of an earlier run");
            self.ours.remove(&id).await?;
        }
        launch.report(30, format!("Creating the container {}", self.ours.name()));
        let id = self.ours.create(body).await?;
        self.container = Some(id.clone());
        launch.checkpoint(&self.get_state()).await?;
        tracing::info!(
            server = %self.server, container = id.short(), name = %self.ours.name(), %image,
            "created a container"
        );
        launch.report(60, "Starting the container");
        self.engine()
            .start(&id)
            .await
            .map_err(|error| error.doing("start the container"))?;
        let endpoint = self.reachable().await?;
        launch.report(80, "The container runs");
        Ok(endpoint)
    }

    async fn stop(&mut self, mode: StopMode) -> Result<(), SpawnError> {
        // By label, and not only the one that we know: a start that was interrupted may have made
        // one that we never heard of.
        for id in self.ours.all().await? {
            self.ours.end(&id, mode).await?;
            tracing::info!(server = %self.server, container = id.short(), "container is stopped");
        }
        self.container = None;
        Ok(())
    }

    async fn poll(&mut self) -> Result<PollStatus, SpawnError> {
        Ok(match self.look().await? {
            Some(container) => container.status(),
            None => PollStatus::Exited(ExitStatus::Unknown),
        })
    }

    async fn exited(&mut self) -> ExitStatus {
        let Some(id) = self.container.clone() else {
            return std::future::pending().await;
        };
        let mut pause = RETRY_FIRST;
        loop {
            match self.engine().wait(&id).await {
                Ok(code) => match self.look().await {
                    // Somebody started it again meanwhile.
                    Ok(Some(found)) if found.status() == PollStatus::Running => {}
                    Ok(Some(found)) => {
                        if let PollStatus::Exited(status) = found.status() {
                            return status;
                        }
                    }
                    Ok(None) | Err(_) => return exit_status(code, false),
                },
                Err(error) if error.is_not_found() => return ExitStatus::Unknown,
                Err(error) => {
                    let error = spawner_core::error_chain(&error);
                    tracing::debug!(server = %self.server, error, "cannot hear the container");
                }
            }
            sleep(pause).await;
            pause = RETRY_LAST.min(2 * pause);
        }
    }

    async fn endpoint(&mut self) -> Result<Option<Endpoint>, SpawnError> {
        let container = self.look().await?;
        Ok(container.and_then(|found| self.address(&found)))
    }

    fn get_env(&self, ctx: &SpawnContext) -> Env {
        let mut env = base_env(self.config(), ctx);
        let settings = &self.shared.settings;
        let image = settings.images.resolve(&ctx.options).ok();
        // As JupyterHub names them; `environment` wins.
        for (name, value) in [
            ("JUPYTER_IMAGE_SPEC", image.map(|image| image.to_string())),
            (
                "MEM_LIMIT",
                settings.limits.memory.map(|n| n.bytes().to_string()),
            ),
            (
                "CPU_LIMIT",
                settings.limits.cpu.map(|n| n.number().to_string()),
            ),
        ] {
            if let Some(value) = value.filter(|_| env.get(name).is_none()) {
                env.set(name, value);
            }
        }
        env
    }

    fn get_state(&self) -> SpawnerState {
        match &self.container {
            None => SpawnerState::default(),
            Some(id) => SpawnerState::pack(
                STATE_VERSION,
                &State {
                    container_id: id.as_str().to_owned(),
                    name: self.ours.name().to_string(),
                },
            ),
        }
    }

    fn load_state(&mut self, state: &SpawnerState) -> Result<(), StateError> {
        self.container = match state.unpack::<State>(STATE_VERSION)? {
            None => None,
            Some(state) => Some(ContainerId::new(&state.container_id).ok_or_else(|| {
                StateError::Invalid("its container_id is not the id of a container".to_owned())
            })?),
        };
        Ok(())
    }

    fn clear_state(&mut self) {
        self.container = None;
    }

    async fn options_form(&self, ctx: &FormContext) -> Result<OptionsForm, SpawnError> {
        Ok(match self.config().options_form.resolve(ctx) {
            OptionsForm::None => self.shared.settings.images.form(&ctx.previous),
            configured @ OptionsForm::Html(_) => configured,
        })
    }

    fn options_from_form(&self, form: FormData) -> Result<UserOptions, OptionsError> {
        choice::options_from_form(form)
    }

    fn check_options(&self, options: &UserOptions) -> Result<(), OptionsError> {
        self.shared.settings.images.resolve(options).map(drop)
    }

    async fn log_tail(&self, lines: usize) -> Vec<String> {
        let Some(id) = &self.container else {
            return Vec::new();
        };
        match self.engine().log_tail(id, lines).await {
            Ok(tail) => tail,
            Err(error) => {
                let error = spawner_core::error_chain(&error);
                tracing::debug!(server = %self.server, error, "cannot read the container's log");
                Vec::new()
            }
        }
    }
}

/// The error of an image that the engine does not have.
pub(crate) fn image_is_missing(image: &ImageRef) -> SpawnError {
    let message = format!(
        "The image \"{image}\" is not on this host. An admin can fetch it with: docker pull {image}"
    );
    SpawnError::new(SpawnErrorKind::NotFound, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use spawner_core::UserName;

    use super::*;
    use crate::factory::DockerFactory;
    use crate::settings::DockerSettings;

    fn spawner(config: SpawnerConfig) -> DockerSpawner {
        let settings = DockerSettings::from(ImageRef::new("lab").unwrap());
        let server = ServerId::default_of(UserName::new("alice").unwrap());
        DockerFactory::new(config, settings, "one".to_owned()).spawner(&server)
    }

    #[test]
    fn a_state_round_trips() {
        let state = json!({"version": 1, "data": {
            "container_id": "0a".repeat(32), "name": "jupyter-alice",
        }});
        let state: SpawnerState = serde_json::from_value(state).unwrap();
        let mut spawner = spawner(SpawnerConfig::default());
        spawner.load_state(&state).unwrap();
        assert_eq!(spawner.get_state(), state);
        spawner.load_state(&SpawnerState::default()).unwrap();
        assert!(spawner.get_state().is_empty());
    }

    #[test]
    fn a_damaged_state_reaches_no_engine() {
        let mut spawner = spawner(SpawnerConfig::default());
        for id in ["", "abc", "../images/x", &"A".repeat(64)] {
            let state = json!({"version": 1, "data": {"container_id": id, "name": "x"}});
            let state = serde_json::from_value(state).unwrap();
            assert!(spawner.load_state(&state).is_err(), "{id:?}");
        }
        let newer = json!({"version": 2, "data": {"container_id": "a".repeat(64), "name": "x"}});
        let newer = serde_json::from_value(newer).unwrap();
        assert!(spawner.load_state(&newer).is_err());
    }

    #[tokio::test]
    async fn a_configured_form_comes_first() {
        let own = OptionsForm::Html("<input name=\"image\">".to_owned());
        let config = SpawnerConfig {
            options_form: spawner_core::FormSource::Fixed(own.clone()),
            ..SpawnerConfig::default()
        };
        for (config, expected) in [(config, own), (SpawnerConfig::default(), OptionsForm::None)] {
            let spawner = spawner(config);
            let ctx = FormContext {
                server: spawner.server.clone(),
                previous: UserOptions::default(),
            };
            assert_eq!(spawner.options_form(&ctx).await.unwrap(), expected);
        }
    }
}
