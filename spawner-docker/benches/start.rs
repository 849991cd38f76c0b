//! How fast containers are started, beside what the engine alone takes for the same container.
//!
//! `cargo bench -p spawner-docker`, with the number of containers as an argument after `--`. The
//! floor is a create and a start with the engine's client and nothing else; both are measured twice,
//! in turns, because an engine is quicker the second time.

#[path = "../tests/world/image.rs"]
mod image;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, PortBinding};
use bollard::query_parameters::{
    CreateContainerOptions, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
    StartContainerOptions,
};
use futures_util::{StreamExt as _, stream};
use image::{File, Shared};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde_json::json;
use spawner_core::{
    HubUrls, Launch, LaunchId, OauthClient, Secret, ServerId, SpawnContext, Spawner, SpawnerConfig,
    UserName, UserOptions,
};
use spawner_docker::{DockerFactory, DockerSettings};

const SIDE_BY_SIDE: usize = 10;
const PORT: u16 = 8888;
const LABEL: &str = "hubd.instance";

static PROBE: Shared = Shared::new();

fn main() {
    // cargo adds `--bench` when it means it; otherwise this only shows that it runs.
    let measured = std::env::args().any(|arg| arg == "--bench");
    let given = std::env::args().find_map(|arg| arg.parse().ok());
    let number = given.unwrap_or(if measured { 50 } else { 1 });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(compare(number));
}

async fn compare(number: usize) {
    let sleep = || -> Result<Vec<File>, String> {
        image::with_libraries(std::path::Path::new("/bin/sleep"), "bin/sleep")
    };
    let Some(image) = PROBE.open(sleep, None).await else {
        return;
    };
    let docker = image::connect().await.expect("the engine");
    for round in 1..=2 {
        floor(&docker, &image.name, number, round).await;
        ours(&docker, &image.name, number, round).await;
    }
}

/// A create and a start, and nothing else.
async fn floor(docker: &Docker, image: &str, number: usize, round: u32) {
    let instance = format!("bench-{}-{}", std::process::id(), image::count());
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: Some(vec!["/bin/sleep".to_owned(), "1000".to_owned()]),
        labels: Some(HashMap::from([(LABEL.to_owned(), instance.clone())])),
        exposed_ports: Some(vec![format!("{PORT}/tcp")]),
        host_config: Some(HostConfig {
            network_mode: Some("bridge".to_owned()),
            port_bindings: Some(HashMap::from([(
                format!("{PORT}/tcp"),
                Some(vec![PortBinding {
                    host_ip: Some("127.0.0.1".to_owned()),
                    host_port: None,
                }]),
            )])),
            init: Some(true),
            pids_limit: Some(512),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(HashMap::from([
                    ("max-size".to_owned(), "10m".to_owned()),
                    ("max-file".to_owned(), "2".to_owned()),
                ])),
            }),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let start = async |_| {
        let made = docker.create_container(None::<CreateContainerOptions>, body.clone());
        let id = made.await.expect("a container").id;
        let started = docker.start_container(&id, None::<StartContainerOptions>);
        started.await.expect("a start");
    };
    measure(&format!("{round}. engine alone"), number, start).await;
    clear(docker, &instance).await;
}

/// The same by DockerSpawners of one hub.
async fn ours(docker: &Docker, image: &str, number: usize, round: u32) {
    let instance = format!("bench-{}-{}", std::process::id(), image::count());
    let prefix = format!("b{}", instance.trim_start_matches("bench-"));
    let table = json!({"image": image, "prefix": prefix, "network_name": "bridge"});
    let settings = DockerSettings::from_table(table.as_object().expect("a table"));
    let config = SpawnerConfig {
        cmd: vec!["/bin/sleep".to_owned(), "1000".to_owned()],
        ..SpawnerConfig::default()
    };
    let settings = settings.expect("settings");
    let factory = Arc::new(DockerFactory::new(config, settings, instance.clone()));
    let start = async |at: usize| {
        let server = ServerId::default_of(UserName::new(&format!("user{at}")).expect("a name"));
        let mut spawner = factory.spawner(&server);
        let launch = launch(&mut spawner, server).await;
        spawner.start(launch).await.expect("a start");
    };
    measure(&format!("{round}. DockerSpawner"), number, start).await;
    clear(docker, &instance).await;
}

async fn measure(what: &str, number: usize, start: impl AsyncFn(usize)) {
    let (begin, cpu) = (Instant::now(), cpu());
    let start = &start;
    let mut times: Vec<Duration> = stream::iter(0..number)
        .map(async |at| {
            let begin = Instant::now();
            start(at).await;
            begin.elapsed()
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .collect()
        .await;
    let (whole, cpu) = (begin.elapsed(), self::cpu().saturating_sub(cpu));
    times.sort_unstable();
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
    #[allow(clippy::cast_precision_loss, reason = "a small number")]
    let rate = number as f64 / whole.as_secs_f64();
    let each = cpu / u32::try_from(number).expect("a small number");
    println!(
        "{what:18} {number} at {SIDE_BY_SIDE}: {rate:6.2}/s  p50 {:>9.2?}  p99 {:>9.2?}  \
         processor time here {each:>8.2?} each",
        at(50),
        at(99)
    );
}

/// The processor time of this process so far.
fn cpu() -> Duration {
    let used = getrusage(UsageWho::RUSAGE_SELF).expect("our own usage");
    let micros = (used.user_time() + used.system_time()).num_microseconds();
    Duration::from_micros(micros.try_into().expect("a positive time"))
}

async fn clear(docker: &Docker, instance: &str) {
    let label = vec![format!("{LABEL}={instance}")];
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&HashMap::from([("label", label)]))
        .build();
    let found = docker.list_containers(Some(options)).await;
    stream::iter(found.expect("a list"))
        .for_each_concurrent(SIDE_BY_SIDE, async |found| {
            let options = RemoveContainerOptionsBuilder::default().force(true).v(true);
            let id = found.id.expect("an id");
            let removed = docker.remove_container(&id, Some(options.build())).await;
            removed.expect("a removal");
        })
        .await;
}

async fn launch(spawner: &mut dyn Spawner, server: ServerId) -> Launch {
    let mut ctx = SpawnContext {
        server,
        launch_id: LaunchId::random(),
        token: Secret::new("token"),
        options: UserOptions::default(),
        listen: None,
        hub: HubUrls {
            base_url: "/".into(),
            api_url: "http://127.0.0.1:1/hub/api".into(),
            host: String::new(),
            public_url: None,
        },
        oauth: OauthClient {
            client_id: "bench".into(),
            access_scopes: Vec::new(),
            allowed_scopes: Vec::new(),
        },
    };
    ctx.listen = Some(spawner.listen_on(&ctx).await.expect("an address"));
    let env = spawner.get_env(&ctx);
    Launch::new(spawner.config().cmd.clone(), Vec::new(), env, ctx)
}
