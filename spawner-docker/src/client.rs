//! The engine: every call that we make, each with a limit of its own.
//!
//! The client library bounds only the time until an answer begins, so an engine that accepts and
//! then says nothing would hold a caller for ever. Here a call ends in time or is a
//! [`EngineError::Timeout`]; no call waits for another one's. Everything that becomes part of a
//! request's path is of a type that cannot hold a slash too many.
//!
//! Note for whoever sets up logging: the library logs whole requests at `debug`, with the tokens in
//! them. Keep `bollard` at `info`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::OnceLock;
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::models::{
    ContainerCreateBody, CreateImageInfo, EventMessage, NetworkCreateRequest, NetworkInspect,
    SystemInfo,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, DownloadFromContainerOptionsBuilder,
    EventsOptionsBuilder, InspectContainerOptions, InspectNetworkOptions, KillContainerOptions,
    ListContainersOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    StartContainerOptions, StopContainerOptionsBuilder, UploadToContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use http::HeaderValue;
use tokio::time::timeout;

use crate::container::{Container, ContainerId, Listed};
use crate::error::EngineError;
use crate::identity::{Identity, filter_of};
use crate::image::{ImageRef, Pullable};
use crate::log::{LogTail, Output};
use crate::name::ContainerName;

/// Where an engine is when nothing says otherwise.
const LOCAL: &str = "unix:///var/run/docker.sock";
/// For questions.
const ASK: Duration = Duration::from_secs(10);
/// For making, starting and removing containers, which a busy disk can hold up.
const ACT: Duration = Duration::from_mins(1);
/// For what has limits of another kind.
const FAR: Duration = Duration::from_hours(48);
/// For what a stop takes beyond its own time limit.
const STOP_SLACK: Duration = Duration::from_secs(15);

/// One engine, connected when it is first needed.
pub(crate) struct Engine {
    host: String,
    /// Set once by whoever connected first; until then everybody tries for themselves, so that one
    /// attempt that hangs keeps nobody waiting.
    docker: OnceLock<Docker>,
}

/// What we need to know of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ImageInfo {
    /// Its id, which tells it from a newer one of the same name.
    pub(crate) id: String,
    /// Whom its programs run as; empty for root.
    pub(crate) user: String,
    /// Its own command; empty when it has none.
    pub(crate) command: Vec<String>,
    /// Its entry point, which runs before the command; empty when it has none.
    pub(crate) entry_point: Vec<String>,
}

/// What we need to know of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkInfo {
    /// Whether it has no way out, in which case the engine silently publishes no ports.
    pub(crate) internal: bool,
    /// Where its containers find the engine's own machine; `None` where they do not.
    pub(crate) gateway: Option<String>,
}

impl Engine {
    /// The engine at `host`, or where `DOCKER_HOST` says, or the local one. Touches nothing.
    pub(crate) fn new(host: Option<String>) -> Self {
        let from_environment = || {
            std::env::var("DOCKER_HOST")
                .ok()
                .filter(|host| !host.is_empty())
        };
        Self {
            host: host
                .or_else(from_environment)
                .unwrap_or_else(|| LOCAL.to_owned()),
            docker: OnceLock::new(),
        }
    }

    /// Where it is, as it was configured.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The host name of the engine's machine, as we reach it.
    pub(crate) fn host_name(&self) -> &str {
        if self.host.starts_with("unix://") {
            "127.0.0.1"
        } else {
            host_of(&self.host)
        }
    }

    async fn docker(&self) -> Result<Docker, EngineError> {
        if let Some(docker) = self.docker.get() {
            return Ok(docker.clone());
        }
        let docker = self
            .bounded(ASK, async {
                // The result of the negotiation is what has to be used.
                Docker::connect_with_host(&self.host)?
                    .negotiate_version()
                    .await
            })
            .await?;
        Ok(self.docker.get_or_init(|| docker).clone())
    }

    async fn bounded<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, EngineError> {
        match timeout(limit, call).await {
            Ok(answer) => answer.map_err(|error| EngineError::new(error, &self.host, limit)),
            Err(_) => Err(EngineError::Timeout(limit)),
        }
    }

    /// What the engine can do.
    pub(crate) async fn info(&self) -> Result<SystemInfo, EngineError> {
        let docker = self.docker().await?;
        self.bounded(ASK, docker.info()).await
    }

    /// An image that the engine has, or `None`.
    pub(crate) async fn image(&self, image: &ImageRef) -> Result<Option<ImageInfo>, EngineError> {
        let docker = self.docker().await?;
        let answer = self.bounded(ASK, docker.inspect_image(image.as_str()));
        Ok(found(answer.await)?.map(|image| {
            let config = image.config.unwrap_or_default();
            ImageInfo {
                command: config.cmd.unwrap_or_default(),
                entry_point: config.entrypoint.unwrap_or_default(),
                id: image.id.unwrap_or_default(),
                user: config.user.unwrap_or_default(),
            }
        }))
    }

    /// A network that the engine has, or `None`.
    pub(crate) async fn network(&self, network: &str) -> Result<Option<NetworkInfo>, EngineError> {
        let docker = self.docker().await?;
        let none = None::<InspectNetworkOptions>;
        let answer = self.bounded(ASK, docker.inspect_network(network, none));
        Ok(found(answer.await)?.map(|network| NetworkInfo {
            internal: network.internal == Some(true),
            gateway: self.gateway(network),
        }))
    }

    /// On the engine's machine, and only if that is ours as well.
    fn gateway(&self, network: NetworkInspect) -> Option<String> {
        if !self.host.starts_with("unix://") || network.driver.as_deref() != Some("bridge") {
            return None;
        }
        let ranges = network.ipam?.config?;
        ranges.into_iter().find_map(|range| {
            // Some engines do not write it down where it is what they choose by themselves.
            range
                .gateway
                .as_deref()
                .and_then(address)
                .or_else(|| range.subnet.as_deref().and_then(first_of))
                .map(|at| at.to_string())
        })
    }

    /// Makes a network.
    pub(crate) async fn make_network(
        &self,
        request: NetworkCreateRequest,
    ) -> Result<(), EngineError> {
        let docker = self.docker().await?.with_timeout(ACT);
        self.bounded(ACT, docker.create_network(request))
            .await
            .map(drop)
    }

    /// Removes a network that nobody is on.
    pub(crate) async fn remove_network(&self, network: &str) -> Result<(), EngineError> {
        let docker = self.docker().await?.with_timeout(ACT);
        let answer = self.bounded(ACT, docker.remove_network(network));
        found(answer.await).map(drop)
    }

    /// Unpacks an archive into a directory of a container, which need not run.
    pub(crate) async fn unpack(
        &self,
        id: &ContainerId,
        path: &str,
        archive: Vec<u8>,
    ) -> Result<(), EngineError> {
        let options = UploadToContainerOptionsBuilder::default()
            .path(path)
            .build();
        let docker = self.docker().await?;
        let archive = bollard::body_full(archive.into());
        let answer = docker.upload_to_container(id.as_str(), Some(options), archive);
        self.bounded(ASK, answer).await
    }

    /// Every container of one server, running or not.
    pub(crate) async fn list(&self, whose: &Identity) -> Result<Vec<Listed>, EngineError> {
        let mut all = self.list_where(whose.filter()).await?;
        all.retain(|found| whose.owns(Some(&found.labels)));
        Ok(all)
    }

    /// Every container of one hub, running or not.
    pub(crate) async fn list_all(&self, instance: &str) -> Result<Vec<Listed>, EngineError> {
        self.list_where(filter_of(instance)).await
    }

    async fn list_where(
        &self,
        filters: HashMap<String, Vec<String>>,
    ) -> Result<Vec<Listed>, EngineError> {
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let docker = self.docker().await?;
        let all = self.bounded(ASK, docker.list_containers(Some(options)));
        Ok(all.await?.into_iter().filter_map(Listed::new).collect())
    }

    /// What happens to the containers of one hub, from `since` (nanoseconds of the epoch) on.
    pub(crate) async fn events(
        &self,
        instance: &str,
        since: i64,
    ) -> Result<impl Stream<Item = Result<EventMessage, EngineError>>, EngineError> {
        let mut filters = filter_of(instance);
        filters.insert("type".to_owned(), vec!["container".to_owned()]);
        let actions = ["die", "oom", "destroy", "start"].map(str::to_owned);
        filters.insert("event".to_owned(), actions.to_vec());
        let (seconds, nanos) = (since / 1_000_000_000, since % 1_000_000_000);
        let options = EventsOptionsBuilder::default()
            .since(&format!("{seconds}.{nanos:09}"))
            .filters(&filters)
            .build();
        let docker = self.docker().await?;
        let host = self.host.clone();
        let events = docker.events(Some(options));
        Ok(events.map(move |event| event.map_err(|error| EngineError::new(error, &host, ASK))))
    }

    /// A container as it is now, or `None`.
    pub(crate) async fn inspect(&self, id: &ContainerId) -> Result<Option<Container>, EngineError> {
        self.inspect_path(id.as_str()).await
    }

    /// Whatever container has this name, or `None`.
    pub(crate) async fn named(
        &self,
        name: &ContainerName,
    ) -> Result<Option<Container>, EngineError> {
        self.inspect_path(name.as_str()).await
    }

    async fn inspect_path(&self, path: &str) -> Result<Option<Container>, EngineError> {
        let docker = self.docker().await?;
        let none = None::<InspectContainerOptions>;
        let answer = self.bounded(ASK, docker.inspect_container(path, none));
        Ok(found(answer.await)?.map(Container::new))
    }

    /// Makes a container, which does not run yet.
    pub(crate) async fn create(
        &self,
        name: &ContainerName,
        body: ContainerCreateBody,
    ) -> Result<ContainerId, EngineError> {
        let options = CreateContainerOptionsBuilder::default()
            .name(name.as_str())
            .build();
        let docker = self.docker().await?.with_timeout(ACT);
        let made = self
            .bounded(ACT, docker.create_container(Some(options), body))
            .await?;
        for warning in &made.warnings {
            tracing::warn!(container = %name, warning, "the engine has a warning");
        }
        ContainerId::new(&made.id)
            .ok_or_else(|| EngineError::Garbled(format!("no container id: {:?}", made.id).into()))
    }

    /// Starts a container.
    pub(crate) async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        let docker = self.docker().await?.with_timeout(ACT);
        let none = None::<StartContainerOptions>;
        self.bounded(ACT, docker.start_container(id.as_str(), none))
            .await
    }

    /// Asks a container to end and kills it after `patience`; fine when it has ended or is gone.
    pub(crate) async fn stop(
        &self,
        id: &ContainerId,
        patience: Duration,
    ) -> Result<(), EngineError> {
        let seconds = patience.as_secs() + u64::from(patience.subsec_nanos() > 0);
        let options = StopContainerOptionsBuilder::default()
            .t(i32::try_from(seconds).unwrap_or(i32::MAX))
            .build();
        let limit = patience + STOP_SLACK;
        let docker = self.docker().await?.with_timeout(limit);
        let answer = self.bounded(limit, docker.stop_container(id.as_str(), Some(options)));
        found(answer.await).map(drop)
    }

    /// Kills what runs in a container; fine when nothing does or it is gone.
    pub(crate) async fn kill(&self, id: &ContainerId) -> Result<(), EngineError> {
        let docker = self.docker().await?;
        let none = None::<KillContainerOptions>;
        match self
            .bounded(ASK, docker.kill_container(id.as_str(), none))
            .await
        {
            Err(error) if error.is_conflict() || error.is_not_found() => Ok(()),
            answer => answer,
        }
    }

    /// Removes a container, killing what runs in it, with the volumes that have no name. `false`
    /// when somebody else is about to.
    pub(crate) async fn remove(&self, id: &ContainerId) -> Result<bool, EngineError> {
        let options = RemoveContainerOptionsBuilder::default()
            .force(true)
            .v(true)
            .build();
        let docker = self.docker().await?.with_timeout(ACT);
        match self
            .bounded(ACT, docker.remove_container(id.as_str(), Some(options)))
            .await
        {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() => Ok(true),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// One path of a container as an archive, which is read as far as it is needed.
    pub(crate) async fn archive(
        &self,
        id: &ContainerId,
        path: &str,
    ) -> Result<BoxStream<'static, Result<Bytes, EngineError>>, EngineError> {
        let options = DownloadFromContainerOptionsBuilder::default()
            .path(path)
            .build();
        let docker = self.docker().await?;
        let host = self.host.clone();
        let pieces = docker.download_from_container(id.as_str(), Some(options));
        let pieces =
            pieces.map(move |piece| piece.map_err(|error| EngineError::new(error, &host, ASK)));
        Ok(pieces.boxed())
    }

    /// The exit code of a container that has ended or ends within `limit`.
    pub(crate) async fn wait(&self, id: &ContainerId, limit: Duration) -> Result<i64, EngineError> {
        let options = WaitContainerOptionsBuilder::default()
            .condition("not-running")
            .build();
        let docker = self.docker().await?;
        let mut answers = std::pin::pin!(docker.wait_container(id.as_str(), Some(options)));
        match timeout(limit, answers.next()).await {
            Err(_elapsed) => Err(EngineError::Timeout(limit)),
            Ok(Some(Ok(answer))) => Ok(answer.status_code),
            // The library takes every exit code but 0 for an error of its own.
            Ok(Some(Err(Error::DockerContainerWaitError { code, .. }))) => Ok(code),
            Ok(Some(Err(error))) => Err(EngineError::new(error, &self.host, limit)),
            Ok(None) => Err(EngineError::Garbled("the answer to a wait is empty".into())),
        }
    }

    /// Lets a paused container go on; fine when it is not paused.
    pub(crate) async fn unpause(&self, id: &ContainerId) -> Result<(), EngineError> {
        let docker = self.docker().await?;
        match self
            .bounded(ASK, docker.unpause_container(id.as_str()))
            .await
        {
            Err(EngineError::Refused {
                status: 500,
                message,
            }) if message.contains("not paused") => Ok(()),
            answer => answer,
        }
    }

    /// Whether it answers at all, within `limit`. Asked before anything is made on it, so that a
    /// start on an engine that is away or hangs fails at once and not call by call.
    pub(crate) async fn ping(&self, limit: Duration) -> Result<(), EngineError> {
        let ping = async { self.bounded(ASK, self.docker().await?.ping()).await };
        match timeout(limit, ping).await {
            Ok(answer) => answer.map(drop),
            Err(_elapsed) => Err(EngineError::Timeout(limit)),
        }
    }

    /// Pulls an image, telling `auth` to its registry. The pull goes on while the lines are read and
    /// is given up when they are dropped. Its limits are the caller's business.
    pub(crate) async fn pull(
        &self,
        image: &Pullable,
        auth: Option<HeaderValue>,
    ) -> Result<impl Stream<Item = Result<CreateImageInfo, Error>> + use<>, EngineError> {
        let mut options = CreateImageOptionsBuilder::default().from_image(&image.from);
        if let Some(tag) = &image.tag {
            options = options.tag(tag);
        }
        let docker = self.docker().await?.with_timeout(FAR);
        // Not by the library's own way, which sends another alphabet than engines read.
        let docker = docker.with_request_modifier(move |mut request| {
            if let Some(auth) = &auth {
                request
                    .headers_mut()
                    .insert("X-Registry-Auth", auth.clone());
            }
            request
        });
        Ok(docker
            .create_image(Some(options.build()), None, None)
            .boxed())
    }

    /// What an error of the client library, met in an answer, is.
    pub(crate) fn sort(&self, error: Error) -> EngineError {
        EngineError::new(error, &self.host, ASK)
    }

    /// The last `lines` lines of a container's log.
    pub(crate) async fn log_tail(
        &self,
        id: &ContainerId,
        lines: usize,
    ) -> Result<Vec<String>, EngineError> {
        let options = LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .tail(&lines.to_string())
            .build();
        let docker = self.docker().await?;
        let mut tail = LogTail::new(lines);
        let read = async {
            let mut pieces = std::pin::pin!(docker.logs(id.as_str(), Some(options)));
            while let Some(piece) = pieces.next().await {
                match piece? {
                    LogOutput::StdErr { message } => tail.push(Output::Err, &message),
                    LogOutput::StdOut { message } | LogOutput::Console { message } => {
                        tail.push(Output::Out, &message);
                    }
                    LogOutput::StdIn { .. } => {}
                }
            }
            Ok(())
        };
        self.bounded(ASK, read).await?;
        Ok(tail.finish())
    }
}

/// The host in a URL, without port and brackets.
pub(crate) fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// An address, with or without the length of its prefix.
fn address(text: &str) -> Option<IpAddr> {
    text.split('/').next()?.parse().ok()
}

/// The first address of a range of IPv4 addresses.
fn first_of(range: &str) -> Option<IpAddr> {
    let (base, length) = range.split_once('/')?;
    let base: Ipv4Addr = base.parse().ok()?;
    let host_bits = 32_u32.checked_sub(length.parse().ok()?)?;
    let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
    Some(Ipv4Addr::from((u32::from(base) & mask).checked_add(1)?).into())
}

/// Makes "there is none" an answer.
fn found<T>(answer: Result<T, EngineError>) -> Result<Option<T>, EngineError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    #[test]
    fn the_engines_machine() {
        for (host, name) in [
            ("unix:///run/docker.sock", "127.0.0.1"),
            ("tcp://engine.example:2376", "engine.example"),
            ("tcp://192.0.2.1", "192.0.2.1"),
            ("http://[2001:db8::1]:2375/x", "2001:db8::1"),
        ] {
            assert_eq!(Engine::new(Some(host.into())).host_name(), name);
        }
    }

    #[test]
    fn gateways() {
        let text = |at: Option<IpAddr>| at.map(|at| at.to_string());
        assert_eq!(text(address("172.18.0.1")), Some("172.18.0.1".into()));
        assert_eq!(text(address("fd00::1/64")), Some("fd00::1".into()));
        assert_eq!(text(address("")), None);
        for (range, first) in [
            ("172.17.0.0/16", Some("172.17.0.1")),
            ("10.1.2.64/26", Some("10.1.2.65")),
            ("10.1.2.70/26", Some("10.1.2.65")),
            ("0.0.0.0/0", Some("0.0.0.1")),
            ("10.0.0.0/33", None),
            ("10.0.0.0", None),
            ("fd00::/64", None),
        ] {
            assert_eq!(text(first_of(range)).as_deref(), first, "{range}");
        }
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_no_answer() {
        let folder = tempfile::tempdir().unwrap();
        let host = format!("unix://{}/none.sock", folder.path().display());
        let engine = Engine::new(Some(host));
        let id = ContainerId::new(&"a".repeat(64)).unwrap();
        let error = engine.inspect(&id).await.unwrap_err();
        assert!(
            matches!(error, EngineError::Unreachable { .. }),
            "{error:?}"
        );
    }

    /// Time stands still but for the limits: whatever waits for them sees them pass at once.
    #[tokio::test(start_paused = true)]
    async fn an_engine_that_hangs_is_an_error_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hung.sock");
        // Connections are accepted by the kernel, and nobody ever reads them.
        let _listener = UnixListener::bind(&path).unwrap();
        let engine = Engine::new(Some(format!("unix://{}", path.display())));
        let id = ContainerId::new(&"a".repeat(64)).unwrap();
        let ask = || engine.inspect(&id);
        // Side by side: none waits for the others' turn.
        let started = tokio::time::Instant::now();
        let answers = futures_util::future::join_all((0..50).map(|_| ask())).await;
        assert!(started.elapsed() < 2 * ASK);
        for answer in answers {
            assert!(matches!(answer, Err(EngineError::Timeout(_))), "{answer:?}");
        }
    }
}
