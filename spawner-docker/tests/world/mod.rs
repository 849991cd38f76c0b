//! What the stories run in: the machine's own engine, a tiny image made for them, and hubs of their
//! own, which take with them what they made.

pub(crate) mod image;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
    ListNetworksOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveVolumeOptions,
};
use futures_util::StreamExt as _;
use image::{File, Image, Shared, beside, connect, count};
use serde_json::{Map, Value, json};
use spawner_core::{
    Endpoint, HubUrls, Launch, LaunchId, OauthClient, Secret, ServerId, SpawnContext, Spawner,
    SpawnerConfig, UserName, UserOptions,
};
use spawner_docker::{DockerFactory, DockerSettings, DockerSpawner};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

static PROBE: Shared = Shared::new();

/// A hub of one story. Dropped, it removes every container that carries its name.
pub(crate) struct Hub {
    pub(crate) docker: Docker,
    pub(crate) image: Arc<Image>,
    pub(crate) instance: String,
    /// Containers that a story made beside the hub.
    strangers: Vec<String>,
    /// Volumes that the hub's containers made, by name.
    pub(crate) volumes: Vec<String>,
}

impl Hub {
    /// A hub of its own, or `None` (said aloud) when there is no engine.
    pub(crate) async fn open() -> Option<Self> {
        let image = PROBE.open(probe, Some("/probe")).await?;
        Some(Self {
            docker: connect().await.unwrap(),
            image,
            instance: format!("test-{}-{}", std::process::id(), count()),
            strangers: Vec::new(),
            volumes: Vec::new(),
        })
    }

    /// A factory as after a start of the hub. `table` is added to what every story needs.
    pub(crate) fn factory(&self, table: Value) -> DockerFactory {
        self.configured(SpawnerConfig::default(), table)
    }

    /// The same with other shared knobs.
    pub(crate) fn configured(&self, config: SpawnerConfig, table: Value) -> DockerFactory {
        let mut settings = Map::from_iter([
            ("image".to_owned(), json!(self.image.name)),
            ("prefix".to_owned(), json!(self.prefix())),
            ("stop_timeout".to_owned(), json!(2)),
            // Networks of one's own take time and are few.
            ("network_name".to_owned(), json!("bridge")),
        ]);
        let Value::Object(table) = table else {
            panic!("a table, please")
        };
        settings.extend(table);
        DockerFactory::new(
            config,
            DockerSettings::from_table(&settings).unwrap(),
            self.instance.clone(),
        )
    }

    /// The spawner of one user's default server.
    pub(crate) fn spawner(&self, table: Value) -> DockerSpawner {
        self.factory(table).spawner(&alice())
    }

    /// Names are the engine's, so that two hubs must not share a prefix.
    pub(crate) fn prefix(&self) -> String {
        // As short as a prefix has to be.
        format!("t{}", self.instance.trim_start_matches("test-"))
    }

    /// Every container of this hub, running or not.
    pub(crate) async fn containers(&self) -> Vec<String> {
        labelled(&self.docker, &self.instance).await
    }

    /// The one container of this hub.
    pub(crate) async fn container(&self) -> String {
        let found = self.containers().await;
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().unwrap()
    }

    /// What the engine says of the one container.
    pub(crate) async fn inspect(&self) -> Value {
        self.inspect_id(&self.container().await).await
    }

    /// What the engine says of a container.
    pub(crate) async fn inspect_id(&self, id: &str) -> Value {
        let none = None::<InspectContainerOptions>;
        serde_json::to_value(self.docker.inspect_container(id, none).await.unwrap()).unwrap()
    }

    /// Returns when the probe in the one container says that it listens.
    pub(crate) async fn listening(&self) {
        self.until_it_listens(&self.container().await).await;
    }

    /// Returns when the probe in a container says that it listens.
    pub(crate) async fn until_it_listens(&self, id: &str) {
        let options = LogsOptionsBuilder::default()
            .stderr(true)
            .follow(true)
            .build();
        let mut log = std::pin::pin!(self.docker.logs(id, Some(options)));
        while let Some(piece) = log.next().await {
            if piece.unwrap().to_string().contains("listening") {
                return;
            }
        }
        panic!("the probe ended before it listened");
    }

    /// A container that somebody else made, with a name that ours would have.
    pub(crate) async fn stranger(&mut self, name: &str) -> String {
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        let body = ContainerCreateBody {
            image: Some(self.image.name.clone()),
            ..ContainerCreateBody::default()
        };
        let made = self.docker.create_container(Some(options), body).await;
        let id = made.unwrap().id;
        self.strangers.push(id.clone());
        id
    }

    pub(crate) async fn exists(&self, id: &str) -> bool {
        let none = None::<InspectContainerOptions>;
        self.docker.inspect_container(id, none).await.is_ok()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let instance = self.instance.clone();
        let strangers = std::mem::take(&mut self.strangers);
        let volumes = std::mem::take(&mut self.volumes);
        // To the end, before the image goes.
        beside(async move {
            let Ok(docker) = connect().await else { return };
            let ours = labelled(&docker, &instance).await;
            for id in ours.iter().chain(&strangers) {
                let options = RemoveContainerOptionsBuilder::default().force(true).v(true);
                let _ = docker.remove_container(id, Some(options.build())).await;
            }
            for network in networks(&docker, &instance).await {
                let _ = docker.remove_network(&network).await;
            }
            for volume in &volumes {
                let _ = docker
                    .remove_volume(volume, None::<RemoveVolumeOptions>)
                    .await;
            }
        });
    }
}

async fn labelled(docker: &Docker, instance: &str) -> Vec<String> {
    let label = vec![format!("hubd.instance={instance}")];
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&HashMap::from([("label", label)]))
        .build();
    let found = docker.list_containers(Some(options)).await.unwrap();
    found.into_iter().filter_map(|found| found.id).collect()
}

async fn networks(docker: &Docker, instance: &str) -> Vec<String> {
    let label = vec![format!("hubd.instance={instance}")];
    let options = ListNetworksOptionsBuilder::default()
        .filters(&HashMap::from([("label", label)]))
        .build();
    let found = docker.list_networks(Some(options)).await.unwrap();
    found.into_iter().filter_map(|found| found.id).collect()
}

pub(crate) fn alice() -> ServerId {
    ServerId::default_of(UserName::new("alice").unwrap())
}

/// What the owner task of a server would hand to `start`.
pub(crate) async fn launch(spawner: &mut dyn Spawner, options: Value) -> Launch {
    launch_of(spawner, &alice(), options).await
}

/// The same for anybody's server.
pub(crate) async fn launch_of(
    spawner: &mut dyn Spawner,
    server: &ServerId,
    options: Value,
) -> Launch {
    let options: UserOptions = serde_json::from_value(options).unwrap();
    let mut ctx = SpawnContext {
        server: server.clone(),
        launch_id: LaunchId::random(),
        token: Secret::new("the-token"),
        options,
        listen: None,
        hub: HubUrls {
            base_url: "/".into(),
            api_url: "http://127.0.0.1:8000/hub/api".into(),
            host: String::new(),
            public_url: None,
        },
        oauth: OauthClient {
            client_id: "jupyterhub-user-alice".into(),
            access_scopes: Vec::new(),
            allowed_scopes: Vec::new(),
        },
    };
    ctx.listen = Some(spawner.listen_on(&ctx).await.unwrap());
    let cmd = spawner.config().cmd.clone();
    let (args, env) = (spawner.get_args(&ctx), spawner.get_env(&ctx));
    Launch::new(cmd, args, env, ctx)
}

/// Starts it and waits until the probe listens.
pub(crate) async fn start(hub: &Hub, spawner: &mut DockerSpawner) -> Endpoint {
    let launch = launch(spawner, json!({})).await;
    let endpoint = spawner.start(launch).await.unwrap();
    hub.listening().await;
    endpoint
}

/// Returns when somebody answers there.
pub(crate) async fn until_it_answers(endpoint: &Endpoint) {
    let Endpoint::Tcp { host, port } = endpoint else {
        panic!("not TCP: {endpoint}")
    };
    let answered = async || {
        let mut stream = TcpStream::connect((host.as_str(), *port)).await.ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        (!answer.is_empty()).then_some(())
    };
    let until = async {
        while answered().await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), until)
        .await
        .unwrap();
}

/// The body of an answer; empty when the server ended before it gave one.
pub(crate) async fn get(endpoint: &Endpoint, path: &str) -> String {
    let Endpoint::Tcp { host, port } = endpoint else {
        panic!("not TCP: {endpoint}")
    };
    let mut stream = TcpStream::connect((host.as_str(), *port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .unwrap_or_default()
}

/// The probe as a program that needs nothing of its image.
fn probe() -> Result<Vec<File>, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let program = folder.path().join("probe");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/world/probe.c");
    let built = Command::new("cc")
        .args(["-static", "-Os", "-s", "-o"])
        .arg(&program)
        .arg(source)
        .output()
        .map_err(|error| format!("there is no C compiler for the probe: {error}"))?;
    if !built.status.success() {
        let why = String::from_utf8_lossy(&built.stderr);
        return Err(format!("the probe cannot be compiled: {why}"));
    }
    // A shell beside it, for containers that are used again, and one that can open connections.
    let mut files = image::with_libraries(Path::new("/bin/sh"), "bin/sh")?;
    files.extend(image::with_libraries(Path::new("/bin/bash"), "bin/bash")?);
    files.push(("probe".to_owned(), image::read(&program)?));
    Ok(files)
}
