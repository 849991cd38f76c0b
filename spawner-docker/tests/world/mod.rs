//! What the stories run in: the machine's own engine, a tiny image made for them, and hubs of their
//! own, which take with them what they made.

use std::collections::HashMap;
use std::io::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once, Weak};

use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, InspectContainerOptions,
    ListContainersOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder, RemoveVolumeOptions,
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::{Map, Value, json};
use spawner_core::{
    Endpoint, HubUrls, Launch, LaunchId, OauthClient, Secret, ServerId, SpawnContext, Spawner,
    SpawnerConfig, UserName, UserOptions,
};
use spawner_docker::{DockerFactory, DockerSettings, DockerSpawner};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Made by the first story that needs it, removed with the last one that does.
static WORLD: tokio::sync::Mutex<Weak<World>> = tokio::sync::Mutex::const_new(Weak::new());
static SAID: Once = Once::new();
static COUNT: AtomicU32 = AtomicU32::new(0);

/// The engine with the probe's image on it.
pub(crate) struct World {
    pub(crate) image: String,
    image_id: String,
}

/// A hub of one story. Dropped, it removes every container that carries its name.
pub(crate) struct Hub {
    pub(crate) docker: Docker,
    pub(crate) world: Arc<World>,
    pub(crate) instance: String,
    /// Containers that a story made beside the hub.
    strangers: Vec<String>,
    /// Volumes that the hub's containers made, by name.
    pub(crate) volumes: Vec<String>,
}

impl World {
    async fn open() -> Option<Arc<Self>> {
        let mut current = WORLD.lock().await;
        if let Some(world) = current.upgrade() {
            return Some(world);
        }
        match Self::make().await {
            Ok(world) => {
                let world = Arc::new(world);
                *current = Arc::downgrade(&world);
                Some(world)
            }
            Err(why) => {
                assert!(std::env::var_os("CI").is_none(), "no Docker Engine: {why}");
                SAID.call_once(|| {
                    // Past the capture of the test harness, which would keep it to itself.
                    let line = format!("SKIPPED: no story with a Docker Engine was run: {why}\n");
                    let _ = std::io::stderr().write_all(line.as_bytes());
                });
                None
            }
        }
    }

    async fn make() -> Result<Self, String> {
        let docker = connect().await?;
        let image = format!("hubd-test-probe:{}-{}", std::process::id(), count());
        let (repo, tag) = image.split_once(':').unwrap();
        let options = CreateImageOptionsBuilder::default()
            .from_src("-")
            .repo(repo)
            .tag(tag)
            .changes(vec!["ENTRYPOINT [\"/probe\"]".to_owned()])
            .build();
        let layer = bollard::body_full(tar("probe", &probe()?).into());
        docker
            .create_image(Some(options), Some(layer), None)
            .try_for_each(|_| async { Ok(()) })
            .await
            .map_err(|error| format!("the probe's image cannot be made: {error}"))?;
        let made = docker.inspect_image(&image).await;
        let image_id = made.ok().and_then(|made| made.id).ok_or("no image id")?;
        Ok(Self { image, image_id })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let id = self.image_id.clone();
        beside(async move {
            let options = RemoveImageOptionsBuilder::default().force(true).build();
            if let Ok(docker) = connect().await {
                let _ = docker.remove_image(&id, Some(options), None).await;
            }
        });
    }
}

impl Hub {
    /// A hub of its own, or `None` (said aloud) when there is no engine.
    pub(crate) async fn open() -> Option<Self> {
        let world = World::open().await?;
        Some(Self {
            docker: connect().await.unwrap(),
            world,
            instance: format!("test-{}-{}", std::process::id(), count()),
            strangers: Vec::new(),
            volumes: Vec::new(),
        })
    }

    /// A factory as after a start of the hub. `table` is added to what every story needs.
    pub(crate) fn factory(&self, table: Value) -> DockerFactory {
        let mut settings = Map::from_iter([
            ("image".to_owned(), json!(self.world.image)),
            ("prefix".to_owned(), json!(self.prefix())),
            ("stop_timeout".to_owned(), json!(2)),
        ]);
        let Value::Object(table) = table else {
            panic!("a table, please")
        };
        settings.extend(table);
        DockerFactory::new(
            SpawnerConfig::default(),
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
        let id = self.container().await;
        let none = None::<InspectContainerOptions>;
        serde_json::to_value(self.docker.inspect_container(&id, none).await.unwrap()).unwrap()
    }

    /// Returns when the probe says that it listens.
    pub(crate) async fn listening(&self) {
        let options = LogsOptionsBuilder::default()
            .stderr(true)
            .follow(true)
            .build();
        let id = self.container().await;
        let mut log = std::pin::pin!(self.docker.logs(&id, Some(options)));
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
            image: Some(self.world.image.clone()),
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

pub(crate) fn alice() -> ServerId {
    ServerId::default_of(UserName::new("alice").unwrap())
}

/// What the owner task of a server would hand to `start`.
pub(crate) async fn launch(spawner: &mut dyn Spawner, options: Value) -> Launch {
    let options: UserOptions = serde_json::from_value(options).unwrap();
    let mut ctx = SpawnContext {
        server: alice(),
        launch_id: LaunchId::random(),
        token: Secret::new("the-token"),
        options,
        listen: None,
        hub: HubUrls {
            base_url: "/".into(),
            api_url: "http://hub.example:8000/hub/api".into(),
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

async fn connect() -> Result<Docker, String> {
    let connected = match Docker::connect_with_defaults() {
        Ok(docker) => docker.negotiate_version().await,
        Err(error) => Err(error),
    };
    connected.map_err(|error| error.to_string())
}

/// The probe as a program that needs nothing of its image.
fn probe() -> Result<Vec<u8>, String> {
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
    std::fs::read(&program).map_err(|error| error.to_string())
}

/// An archive with one program in it.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0u8; 512];
    let mut field = |at: usize, text: &str| {
        header[at..at + text.len()].copy_from_slice(text.as_bytes());
    };
    field(0, name);
    field(100, "0000755");
    field(108, "0000000");
    field(116, "0000000");
    field(124, &format!("{:011o}", content.len()));
    field(136, "00000000000");
    field(148, "        ");
    field(156, "0");
    field(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(content);
    // Padding to a whole block, and two empty blocks at the end.
    archive.resize(archive.len().div_ceil(512) * 512 + 1024, 0);
    archive
}

fn count() -> u32 {
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// Runs to its end on a thread of its own: a destructor cannot await.
fn beside(work: impl Future<Output = ()> + Send + 'static) {
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let Ok(runtime) = runtime {
            runtime.block_on(work);
        }
    });
    let _ = thread.join();
}
