//! How long a start takes until the server's program runs, and a stop until all of it is gone.
//!
//! `cargo bench -p spawner-local`, with the number of rounds as an argument after `--`.

use std::time::{Duration, Instant};

use serde_json::Map;
use spawner_core::{
    BackendSetup, Env, HubUrls, Launch, LaunchId, ListenOn, OauthClient, Secret, ServerId,
    SpawnContext, Spawner, SpawnerConfig, StopMode, UserName, UserOptions,
};
use spawner_local::LocalFactory;

/// What a hub with many users may hold in memory: a fork copies the tables of it.
const BALLAST: usize = 256 << 20;

fn main() {
    // cargo adds `--bench` when it means it; otherwise this only shows that it runs.
    let measured = std::env::args().any(|arg| arg == "--bench");
    let given = std::env::args().find_map(|arg| arg.parse().ok());
    let rounds = given.unwrap_or(if measured { 200 } else { 1 });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let factory = LocalFactory::simple(BackendSetup {
        config: SpawnerConfig::default(),
        settings: Map::new(),
        state_dir: dir.path().into(),
        instance: "bench".into(),
    })
    .expect("the default settings");
    runtime.block_on(measure("small hub", &factory, rounds));
    let ballast = vec![1_u8; BALLAST];
    runtime.block_on(measure("256 MiB hub", &factory, rounds));
    drop(std::hint::black_box(ballast));
}

async fn measure(what: &str, factory: &LocalFactory, rounds: usize) {
    let server = ServerId::default_of(UserName::new("bench").expect("a name"));
    let mut spawner = factory.spawner(&server);
    let (mut starts, mut stops) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let launch = launch(&server);
        let begin = Instant::now();
        spawner.start(launch).await.expect("a start");
        starts.push(begin.elapsed());
        let begin = Instant::now();
        spawner.stop(StopMode::Now).await.expect("a stop");
        stops.push(begin.elapsed());
        spawner.clear_state();
    }
    print(&format!("{what}: start"), starts);
    print(&format!("{what}: stop"), stops);
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let Some((min, max)) = times.first().zip(times.last()) else {
        return;
    };
    let median = times[times.len() / 2];
    println!("{what:20} min {min:>10.2?}  median {median:>10.2?}  max {max:>10.2?}");
}

fn launch(server: &ServerId) -> Launch {
    let mut env = Env::default();
    env.set("PATH", "/usr/bin:/bin");
    let ctx = SpawnContext {
        server: server.clone(),
        launch_id: LaunchId::random(),
        token: Secret::new("token"),
        options: UserOptions::default(),
        listen: Some(ListenOn::Tcp { ip: None, port: 1 }),
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
    let cmd = vec!["sleep".to_owned(), "1000".to_owned()];
    Launch::new(cmd, Vec::new(), env, ctx)
}
