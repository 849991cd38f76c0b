//! The containers of one server: found by label, created once, removed until they are gone.
//!
//! Invariants:
//! - nothing is touched that does not carry this hub's, this user's and this server's labels;
//! - a create that was sent is waited for, within its limit, by the start or else by whoever asks
//!   next, so no container appears behind the back of a start that was cancelled;
//! - only a 404 means that a container is gone.

use std::sync::Arc;
use std::time::Duration;

use bollard::models::ContainerCreateBody;
use spawner_core::{LaunchId, PollStatus, ServerId, SpawnError, SpawnErrorKind, StopMode};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::Engine;
use crate::container::{Container, ContainerId, Listed};
use crate::error::EngineError;
use crate::factory::Shared;
use crate::identity::{Identity, Labels, launch_of};
use crate::name::ContainerName;

/// How often the engine is asked again about something that is about to happen, and how long apart.
pub(crate) const TRIES: u32 = 50;
pub(crate) const PAUSE: Duration = Duration::from_millis(100);
/// What could not be done when a container was not made.
const CREATE: &str = "create the container";

/// What of the engine belongs to one server.
#[derive(Debug)]
pub(crate) struct Ours {
    shared: Arc<Shared>,
    identity: Identity,
    name: ContainerName,
    /// A create that was sent and not yet answered; it goes on when the start is dropped.
    making: JoinSet<Result<ContainerId, EngineError>>,
}

impl Ours {
    pub(crate) fn new(shared: Arc<Shared>, server: &ServerId) -> Self {
        Self {
            identity: Identity::new(&shared.instance, server),
            name: ContainerName::of(&shared.settings.names(), server),
            shared,
            making: JoinSet::new(),
        }
    }

    /// What the server's container is called.
    pub(crate) fn name(&self) -> &ContainerName {
        &self.name
    }

    /// What the server's container carries.
    pub(crate) fn labels(&self, launch: &LaunchId) -> Labels {
        self.identity.labels(launch)
    }

    fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// A container as it is now; `None` when it is gone, or not ours.
    pub(crate) async fn look(&self, id: &ContainerId) -> Result<Option<Container>, SpawnError> {
        let found = self
            .engine()
            .inspect(id)
            .await
            .map_err(|error| error.doing("say how the container is"))?;
        Ok(found.filter(|container| self.identity.owns(container.labels())))
    }

    /// Every container of this server that exists, whatever run it is of.
    pub(crate) async fn all(&mut self) -> Result<Vec<Listed>, SpawnError> {
        // What is being created will carry our labels, and must not be missed.
        while self.making.join_next().await.is_some() {}
        self.engine()
            .list(&self.identity)
            .await
            .map_err(|error| error.doing("list the containers"))
    }

    /// The containers that were made for one run.
    pub(crate) async fn of_run(&mut self, launch: &LaunchId) -> Result<Vec<Listed>, SpawnError> {
        let mut all = self.all().await?;
        all.retain(|found| launch_of(&found.labels).as_ref() == Some(launch));
        Ok(all)
    }

    /// Creates the container, taking the place of an older one of ours.
    pub(crate) async fn create(
        &mut self,
        body: ContainerCreateBody,
    ) -> Result<ContainerId, SpawnError> {
        let launch = body.labels.as_ref().and_then(launch_of);
        for _ in 0..TRIES {
            match self.create_once(body.clone()).await? {
                Ok(id) => return Ok(id),
                Err(error) if error.is_conflict() => {
                    if let Some(id) = self.make_room(error, launch.as_ref()).await? {
                        return Ok(id);
                    }
                }
                Err(error) => return Err(error.doing(CREATE)),
            }
        }
        let made = self.create_once(body).await?;
        made.map_err(|error| error.doing(CREATE))
    }

    async fn create_once(
        &mut self,
        body: ContainerCreateBody,
    ) -> Result<Result<ContainerId, EngineError>, SpawnError> {
        let (shared, name) = (Arc::clone(&self.shared), self.name.clone());
        self.making
            .spawn(async move { shared.engine.create(&name, body).await });
        let failed = || SpawnError::other("The hub could not create the container.");
        match self.making.join_next().await {
            Some(Ok(made)) => Ok(made),
            Some(Err(error)) => Err(failed().with_source(error)),
            None => Err(failed()),
        }
    }

    /// The name is taken: by what was made for this very run, which is taken up; by ours, which is
    /// removed; or by somebody else's, which is left alone.
    async fn make_room(
        &self,
        conflict: EngineError,
        launch: Option<&LaunchId>,
    ) -> Result<Option<ContainerId>, SpawnError> {
        let holder = self
            .engine()
            .named(&self.name)
            .await
            .map_err(|error| error.doing("say what holds the container's name"))?;
        let Some(holder) = holder else {
            // It went meanwhile; or it is still being made, for a hub that has crashed, and can be
            // seen when it is.
            sleep(PAUSE).await;
            return Ok(None);
        };
        match (holder.id(), holder.labels()) {
            (Some(id), Some(labels)) if self.identity.owns(Some(labels)) => {
                if launch.is_some() && launch_of(labels).as_ref() == launch {
                    return Ok(Some(id));
                }
                self.remove(&id).await?;
                Ok(None)
            }
            _ => {
                let message = format!(
                    "There is a container named \"{name}\" that this hub did not make for this \
                     server, so it was left alone. An admin can rename it (docker rename {name} \
                     NEW-NAME) or set another `prefix`.",
                    name = self.name
                );
                Err(SpawnError::new(SpawnErrorKind::Refused, message).with_source(conflict))
            }
        }
    }

    /// Removes a container of ours and returns when it is gone.
    pub(crate) async fn remove(&self, id: &ContainerId) -> Result<(), SpawnError> {
        let remove = || async {
            let doing = |error: EngineError| error.doing("remove the container");
            self.engine().remove(id).await.map_err(doing)
        };
        if remove().await? {
            return Ok(());
        }
        // Somebody else removes it as well; theirs may fail, so ask again now and then.
        for _ in 0..TRIES {
            sleep(PAUSE).await;
            if remove().await? {
                return Ok(());
            }
        }
        let message = format!("The container {} is still being removed.", id.short());
        Err(SpawnError::new(SpawnErrorKind::StillAlive, message))
    }

    /// Ends what runs in a container of ours, and removes it if that is configured.
    pub(crate) async fn end(&self, id: &ContainerId, mode: StopMode) -> Result<(), SpawnError> {
        let settings = &self.shared.settings;
        match mode {
            StopMode::Graceful => self.engine().stop(id, settings.stop_timeout).await,
            // A removal kills as well.
            StopMode::Now if settings.remove => Ok(()),
            StopMode::Now => self.engine().kill(id).await,
        }
        .map_err(|error| error.doing("stop the container"))?;
        if settings.remove {
            self.remove(id).await?;
        } else {
            self.wait_until_still(id).await?;
        }
        Ok(())
    }

    /// Kills what runs in a container of ours, paused or not, and leaves the container.
    pub(crate) async fn halt(&self, id: &ContainerId) -> Result<(), SpawnError> {
        self.engine()
            .kill(id)
            .await
            .map_err(|error| error.doing("stop the container"))?;
        self.wait_until_still(id).await
    }

    /// A killed container is on its way out when the engine has answered.
    async fn wait_until_still(&self, id: &ContainerId) -> Result<(), SpawnError> {
        for _ in 0..TRIES {
            let found = self.look(id).await?;
            match found.map(|container| container.status()) {
                Some(PollStatus::Running) => sleep(PAUSE).await,
                Some(PollStatus::Exited(_)) | None => return Ok(()),
            }
        }
        let message = format!("The container {} was killed and still runs.", id.short());
        Err(SpawnError::new(SpawnErrorKind::StillAlive, message))
    }
}
