//! A start, step by step.
//!
//! ```text
//! image -> network -> checkpoint -> what earlier runs left: use again, or remove -> create -> start
//!       -> address
//! ```

use std::sync::Arc;

use bollard::models::ContainerCreateBody;
use spawner_core::{
    Endpoint, ExitStatus, Launch, PollStatus, SpawnError, SpawnErrorKind, Spawner as _,
};
use tokio::time::sleep;

use crate::container::{Container, ContainerId, Listed};
use crate::create::{Plan, create_body, garbled_settings};
use crate::identity::{CONFIG, launch_of};
use crate::image::ImageRef;
use crate::limits::Limits;
use crate::network::is_loopback;
use crate::ours::{PAUSE, TRIES};
use crate::owner::give_volumes;
use crate::patch::Overrides;
use crate::reuse::{Fate, env_file, make_reusable};
use crate::spawner::{DockerSpawner, Run};

/// The exit code for a program that is there and cannot be executed.
const NOT_A_PROGRAM: i32 = 126;
/// The exit code for a program that is not there.
const NOT_FOUND: i32 = 127;
/// Among how many of the last lines the init process is looked for: it says one, and ends.
const INIT_LINES: usize = 5;

/// The variables by which a server finds the hub.
pub(crate) const HUB_URLS: [&str; 2] = ["JUPYTERHUB_API_URL", "JUPYTERHUB_ACTIVITY_URL"];

impl DockerSpawner {
    /// Says what is still wrong with the hub's address, the commonest reason by far for a server that
    /// starts and never becomes ready.
    fn warn_of_loopback(&self, launch: &Launch) {
        for name in HUB_URLS {
            let Some(url) = launch.env.get(name).filter(|url| is_loopback(url)) else {
                continue;
            };
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

    /// Like [`Spawner::start`](spawner_core::Spawner::start), with some settings different for this start alone: the seed's
    /// `start(image, extra_create_kwargs, extra_host_config)`. For layers and embedders; what
    /// `overrides` says is not checked against the allowed images.
    pub async fn start_with(
        &mut self,
        launch: Launch,
        overrides: Overrides,
    ) -> Result<Endpoint, SpawnError> {
        let shared = Arc::clone(&self.shared);
        let settings = &shared.settings;
        let image = match overrides.image {
            Some(image) => image,
            None => settings
                .images
                .resolve(&launch.ctx.options)
                .map_err(|error| {
                    let message = error.message.clone();
                    SpawnError::new(SpawnErrorKind::Refused, message).with_source(error)
                })?,
        };
        let answers = self.engine().ping(settings.connect_timeout).await;
        answers.map_err(|error| error.doing("answer the hub"))?;
        let limits = Limits::of(&shared.config)?;
        if limits != Limits::default() {
            shared.able().await?.check(limits, false)?;
        }
        launch.report(10, format!("Looking for the image {image}"));
        let info = shared.provide(&image, &launch).await?;
        shared.network.ensure(&shared.engine).await?;
        self.warn_of_loopback(&launch);
        let mut env = launch.env.clone();
        let account = match &settings.system_user {
            Some(mode) => Some(mode.look_up(&self.server).await?),
            None => None,
        };
        if let Some(account) = &account {
            account.add_env(&mut env);
        }
        let plan = Plan {
            settings,
            limits,
            launch: &launch,
            env: &env,
            image: &image,
            info: &info,
            network: shared.network.name(),
            port: shared.config.port,
        };
        let mut body = create_body(plan, self.ours.labels(&launch.ctx.launch_id))?;
        if let Some(account) = &account {
            account.apply(&mut body);
        }
        let patched = |body| {
            let body = settings.patch.apply(body)?;
            overrides.patch.apply(body)
        };
        let mut body = patched(body).map_err(garbled_settings)?;
        if settings.reuses() {
            make_reusable(&mut body, &info.entry_point, &info.command, &info.id)
                .map_err(garbled_settings)?;
        }

        self.run = Some(Run::new(launch.ctx.launch_id.clone(), None));
        // From here on a container can exist; its labels are in the books before it does.
        launch.checkpoint(&self.get_state()).await?;
        let id = if let Some(id) = self.leftover(&launch, &body).await? {
            id
        } else {
            launch.report(30, format!("Creating the container {}", self.ours.name()));
            let user = body.user.clone().unwrap_or_else(|| info.user.clone());
            let id = self.ours.create(body).await?;
            let written = settings.volumes.iter();
            let written = written.filter_map(|volume| volume.written(&self.server));
            let written: Vec<_> = written.collect();
            give_volumes(&shared.engine, &id, &user, &written).await?;
            tracing::info!(
                server = %self.server, container = id.short(), name = %self.ours.name(), %image,
                "created a container"
            );
            id
        };
        if let Some(run) = &mut self.run {
            run.container = Some(id.clone());
        }
        if settings.reuses() {
            let resumed = self.engine().unpack(&id, "/", env_file(&env)).await;
            resumed.map_err(|error| error.doing("give the container its environment"))?;
        }
        launch.report(60, "Starting the container");
        let started = match self.engine().start(&id).await {
            // It was started already, and then paused.
            Err(error) if error.is_conflict() => self.engine().unpause(&id).await,
            started => started,
        };
        if let Err(error) = started {
            // The network may have been removed behind our back; the next start makes it again.
            shared.network.forget();
            return Err(error.doing("start the container"));
        }
        let endpoint = self.reachable().await?;
        if let Some(run) = &mut self.run {
            run.endpoint = Some(endpoint.clone());
        }
        launch.report(80, "The container runs");
        Ok(endpoint)
    }

    /// What is left of earlier runs: the one container that is used again, ready to be started. All
    /// others are removed.
    async fn leftover(
        &mut self,
        launch: &Launch,
        body: &ContainerCreateBody,
    ) -> Result<Option<ContainerId>, SpawnError> {
        let settings = &self.shared.settings;
        let wanted = body.labels.as_ref().and_then(|labels| labels.get(CONFIG));
        let mut kept = None;
        for Listed { id, labels, runs } in self.ours.all().await? {
            if launch_of(&labels).as_ref() == Some(&launch.ctx.launch_id) && kept.is_none() {
                // Asked for twice: it is what this start would make.
                kept = Some(id);
                continue;
            }
            let fate = match wanted {
                Some(wanted) if kept.is_none() => settings.reuse.fate(&labels, wanted),
                _ => Fate::Replaced,
            };
            match fate {
                Fate::Resumed => {
                    launch.report(20, "Using the container of an earlier run again");
                    if runs {
                        // Of a run that nobody knows any more, with a token that is worth nothing.
                        self.ours.halt(&id).await?;
                    }
                    tracing::info!(server = %self.server, container = id.short(), "resuming");
                    kept = Some(id);
                    continue;
                }
                Fate::Outdated => launch.report(
                    20,
                    "The image or the configuration has changed, so a new container is made. \
                     Volumes are kept, what was installed in the old one is not",
                ),
                Fate::Replaced => launch.report(20, "Removing the container of an earlier run"),
            }
            tracing::info!(server = %self.server, container = id.short(), ?fate, "removing");
            self.ours.remove(&id).await?;
        }
        Ok(kept)
    }

    /// Where a container that was just started is reached. The engine can say that it runs before
    /// its port is published.
    async fn reachable(&mut self) -> Result<Endpoint, SpawnError> {
        for _ in 0..TRIES {
            let container = self.look().await?;
            let status = container
                .as_ref()
                .map_or(PollStatus::Exited(ExitStatus::Unknown), Container::status);
            if let PollStatus::Exited(status) = status {
                let known = self.why_it_ended(status).await;
                return Err(known.unwrap_or_else(|| {
                    let message = format!("The server ended while it was being started: {status}.");
                    SpawnError::new(SpawnErrorKind::Exited(status), message)
                }));
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
}

impl DockerSpawner {
    /// What is known of a container that ended early beyond its exit status: that the program it was
    /// to run is not there, or is none. With an init process inside, that is not a failed start.
    pub(crate) async fn why_it_ended(&self, status: ExitStatus) -> Option<SpawnError> {
        if !matches!(status, ExitStatus::Code(NOT_A_PROGRAM | NOT_FOUND)) {
            return None;
        }
        let log = self.log_tail(INIT_LINES).await;
        let (program, reason) = log.iter().rev().find_map(|line| said_by_init(line))?;
        let message = format!(
            "The program \"{program}\" cannot be run in the container: {reason}. An admin can \
             check `cmd`, or choose an image that has it."
        );
        Some(SpawnError::new(SpawnErrorKind::Exited(status), message))
    }
}

/// Takes the program and the reason out of a line of the init process, as
/// `[FATAL tini (7)] exec nosuch failed: No such file or directory`.
fn said_by_init(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("[FATAL tini")?;
    let (_, said) = line.split_once("] exec ")?;
    said.split_once(" failed: ")
}

/// The error of an image that the engine does not have.
pub(crate) fn image_is_missing(image: &ImageRef) -> SpawnError {
    let message = format!(
        "The image \"{image}\" is not on this host. An admin can fetch it: \"docker pull {image}\"."
    );
    SpawnError::new(SpawnErrorKind::NotFound, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_says_what_it_could_not_run() {
        for (line, said) in [
            (
                "[FATAL tini (7)] exec nosuch failed: No such file or directory",
                Some(("nosuch", "No such file or directory")),
            ),
            (
                "[FATAL tini (12)] exec /etc/passwd failed: Permission denied",
                Some(("/etc/passwd", "Permission denied")),
            ),
            ("[WARN  tini (7)] exec x failed: y", None),
            ("exec nosuch failed: No such file or directory", None),
            ("", None),
        ] {
            assert_eq!(said_by_init(line), said, "{line}");
        }
    }
}
