//! One server of one user as a container.
//!
//! ```text
//! start   see the module of that name
//! poll    what the engine says of the container of this run, or what was heard of its end
//! stop    every container of this run: end, remove, until gone
//! ```
//!
//! What is ours, and that nothing else is touched, is [`Ours`]' business.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use spawner_core::{
    Endpoint, Env, ExitStatus, FormContext, FormData, Launch, LaunchId, OptionsError, OptionsForm,
    PollStatus, ServerId, SpawnContext, SpawnError, Spawner, SpawnerConfig, SpawnerState,
    StateError, StopMode, UserOptions, base_env,
};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::choice;
use crate::client::Engine;
use crate::container::{Container, ContainerId};
use crate::events::Heard;
use crate::factory::Shared;
use crate::limits::Limits;
use crate::network::seen_from_inside;
use crate::ours::Ours;
use crate::patch::Overrides;
use crate::start::HUB_URLS;

/// The layout of [`State`].
const STATE_VERSION: u32 = 1;
/// How long apart attempts to look at a container are, when the engine is away.
const RETRY: Duration = Duration::from_millis(500);

/// Runs one server in a container; made by a [`DockerFactory`](crate::DockerFactory).
///
/// A user may choose the image (the option `image`) as far as the settings allow it; it takes
/// precedence over the configured one.
#[derive(Debug)]
pub struct DockerSpawner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) server: ServerId,
    pub(crate) ours: Ours,
    /// The present run, from the moment that something may be made for it.
    pub(crate) run: Option<Run>,
}

/// A run, which is over when its container is.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) launch: LaunchId,
    /// Its container. `None` until it is made, or found again by its labels.
    pub(crate) container: Option<ContainerId>,
    /// Where it was reached at first.
    pub(crate) endpoint: Option<Endpoint>,
    /// How it ended, once that was told.
    pub(crate) ended: Option<ExitStatus>,
    /// What is heard of the container; `None` until somebody listens.
    heard: Option<watch::Receiver<Heard>>,
    /// Whether the container was looked at since something was heard of it.
    looked: bool,
}

/// What is saved of a run.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    launch: LaunchId,
    container_id: Option<String>,
    /// For people; the container is found by its id and known by its labels.
    name: String,
}

impl Run {
    pub(crate) fn new(launch: LaunchId, container: Option<ContainerId>) -> Self {
        Self {
            launch,
            container,
            endpoint: None,
            ended: None,
            heard: None,
            looked: false,
        }
    }
}

impl DockerSpawner {
    pub(crate) fn new(shared: Arc<Shared>, server: ServerId) -> Self {
        Self {
            ours: Ours::new(Arc::clone(&shared), &server),
            shared,
            server,
            run: None,
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// What is saved of a run of this server.
    pub(crate) fn state_of(&self, launch: &LaunchId, id: Option<&ContainerId>) -> SpawnerState {
        let state = State {
            launch: launch.clone(),
            container_id: id.map(|id| id.as_str().to_owned()),
            name: self.ours.name().to_string(),
        };
        SpawnerState::pack(STATE_VERSION, &state)
    }

    /// The container of the present run as it is now, if there is one.
    pub(crate) async fn look(&mut self) -> Result<Option<Container>, SpawnError> {
        let Some(run) = &mut self.run else {
            return Ok(None);
        };
        if run.container.is_none() {
            // It was saved before the container was made.
            let found = self.ours.of_run(&run.launch).await?;
            run.container = found.into_iter().next().map(|found| found.id);
        }
        match &run.container {
            None => Ok(None),
            Some(id) => self.ours.look(id).await,
        }
    }

    /// How the present run is. What was told of its end is kept, and said again when the container
    /// is gone.
    async fn status(&mut self) -> Result<PollStatus, SpawnError> {
        let found = self.look().await?;
        let Some(run) = &mut self.run else {
            return Ok(PollStatus::Exited(ExitStatus::Unknown));
        };
        let status = found.map_or_else(
            || {
                let heard = run.heard.as_ref().and_then(|heard| heard.borrow().ended);
                let ended = run.ended.or(heard);
                PollStatus::Exited(ended.unwrap_or(ExitStatus::Unknown))
            },
            |container| container.status(),
        );
        if let PollStatus::Exited(status) = status {
            run.ended = Some(status);
        }
        Ok(status)
    }

    /// Whether the container runs where nobody looks for it: somebody has started it again, and the
    /// engine has published another port. Its run is over, since routes are not made twice.
    async fn has_moved(&mut self) -> bool {
        let before = self.run.as_ref().and_then(|run| run.endpoint.clone());
        let now = self.look().await.ok().flatten();
        let now = now.and_then(|found| self.address(&found));
        match before.zip(now) {
            Some((before, now)) if before != now => {
                tracing::warn!(server = %self.server, %before, %now, "a container was restarted");
                true
            }
            _ => false,
        }
    }

    pub(crate) fn address(&self, container: &Container) -> Option<Endpoint> {
        let settings = &self.shared.settings;
        container.endpoint(
            settings.is_internal().then(|| self.shared.network.name()),
            self.shared.config.port,
            self.engine().host_name(),
        )
    }
}

#[async_trait]
impl Spawner for DockerSpawner {
    fn config(&self) -> &SpawnerConfig {
        &self.shared.config
    }

    async fn start(&mut self, launch: Launch) -> Result<Endpoint, SpawnError> {
        Box::pin(self.start_with(launch, Overrides::default())).await
    }

    async fn stop(&mut self, mode: StopMode) -> Result<(), SpawnError> {
        let Some(run) = &self.run else {
            return Ok(());
        };
        // By label, and not only the one that we know: a start that was interrupted may have made
        // one that we never heard of.
        let labelled = self.ours.of_run(&run.launch).await?;
        let mut containers: Vec<_> = labelled.into_iter().map(|found| found.id).collect();
        if let Some(id) = &run.container
            && !containers.contains(id)
            && self.ours.look(id).await?.is_some()
        {
            containers.push(id.clone());
        }
        for id in containers {
            self.ours.end(&id, mode).await?;
            tracing::info!(server = %self.server, container = id.short(), "container is stopped");
        }
        self.run = None;
        Ok(())
    }

    async fn poll(&mut self) -> Result<PollStatus, SpawnError> {
        self.status().await
    }

    async fn exited(&mut self) -> ExitStatus {
        loop {
            let Shared {
                ends,
                engine,
                instance,
                ..
            } = &*self.shared;
            let Some((run, id)) = self.run.as_mut().and_then(|run| {
                let id = run.container.clone()?;
                Some((run, id))
            }) else {
                return std::future::pending().await;
            };
            // Listen first, then look: what happens in between is heard. Whoever drops us at an
            // await has lost nothing, for `looked` is set after the look.
            let listen = || ends.listen(engine, instance, &id);
            let heard = run.heard.get_or_insert_with(listen);
            if run.looked {
                if heard.changed().await.is_err() {
                    return std::future::pending().await;
                }
                run.looked = false;
            }
            match self.status().await {
                Ok(PollStatus::Exited(status)) => return status,
                Ok(PollStatus::Running) if self.has_moved().await => return ExitStatus::Unknown,
                Ok(PollStatus::Running) => {
                    if let Some(run) = &mut self.run {
                        run.looked = true;
                    }
                }
                Err(error) => {
                    let error = spawner_core::error_chain(&error);
                    tracing::debug!(server = %self.server, error, "cannot look at the container");
                    sleep(RETRY).await;
                }
            }
        }
    }

    async fn endpoint(&mut self) -> Result<Option<Endpoint>, SpawnError> {
        let container = self.look().await?;
        let endpoint = container.and_then(|found| self.address(&found));
        if let Some(run) = &mut self.run {
            run.endpoint.clone_from(&endpoint);
        }
        Ok(endpoint)
    }

    async fn check_listener(&mut self, _: &Endpoint) -> Result<(), SpawnError> {
        // Its port is the engine's to give, so nobody else is there; but it may have ended.
        let ended = self.run.as_ref().and_then(|run| run.ended);
        match ended {
            None => Ok(()),
            Some(status) => self.why_it_ended(status).await.map_or(Ok(()), Err),
        }
    }

    fn get_env(&self, ctx: &SpawnContext) -> Env {
        let mut env = base_env(self.config(), ctx);
        // A hub on loopback is at the gateway of the network, once that is known.
        if let Some(gateway) = self.shared.network.gateway() {
            for name in HUB_URLS {
                let inside = env
                    .get(name)
                    .and_then(|url| seen_from_inside(url, &gateway));
                if let Some(inside) = inside {
                    env.set(name, inside);
                }
            }
        }
        let settings = &self.shared.settings;
        let image = settings.images.resolve(&ctx.options).ok();
        // As JupyterHub names it; `environment` wins.
        if let Some(image) = image.filter(|_| env.get("JUPYTER_IMAGE_SPEC").is_none()) {
            env.set("JUPYTER_IMAGE_SPEC", image.to_string());
        }
        env
    }

    fn get_state(&self) -> SpawnerState {
        match &self.run {
            None => SpawnerState::default(),
            Some(run) => self.state_of(&run.launch, run.container.as_ref()),
        }
    }

    fn load_state(&mut self, state: &SpawnerState) -> Result<(), StateError> {
        self.run = None;
        let Some(state) = state.unpack::<State>(STATE_VERSION)? else {
            return Ok(());
        };
        let id = match &state.container_id {
            None => None,
            Some(raw) => Some(ContainerId::new(raw).ok_or_else(|| {
                StateError::Invalid("its container_id is not the id of a container".to_owned())
            })?),
        };
        self.run = Some(Run::new(state.launch, id));
        Ok(())
    }

    fn clear_state(&mut self) {
        self.run = None;
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

    fn check_limits(&self) -> Result<(), SpawnError> {
        let limits = Limits::of(self.config())?;
        let pids = self.shared.settings.pids_limit.is_some();
        self.shared
            .known_able()
            .map_or(Ok(()), |able| able.check(limits, pids))
    }

    async fn log_tail(&self, lines: usize) -> Vec<String> {
        let Some(id) = self.run.as_ref().and_then(|run| run.container.as_ref()) else {
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use spawner_core::UserName;

    use super::*;
    use crate::factory::DockerFactory;
    use crate::image::ImageRef;
    use crate::settings::DockerSettings;

    fn spawner(config: SpawnerConfig) -> DockerSpawner {
        let settings = DockerSettings::from(ImageRef::new("lab").unwrap());
        let server = ServerId::default_of(UserName::new("alice").unwrap());
        DockerFactory::new(config, settings, "one".to_owned()).spawner(&server)
    }

    #[test]
    fn a_state_round_trips() {
        let state = json!({"version": 1, "data": {
            "launch": spawner_core::LaunchId::random(), "container_id": "0a".repeat(32),
            "name": "jupyter-alice",
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
            let state = json!({"version": 1, "data": {
                "launch": LaunchId::random(), "container_id": id, "name": "x",
            }});
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
