//! How long a start takes until the server's program runs, a stop until all of it is gone, and the
//! look at who listens on a host with many sockets.
//!
//! `cargo bench -p spawner-local`, with the number of rounds as an argument after `--`.

use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Map;
use spawner_core::{
    BackendSetup, Endpoint, Env, HubUrls, Launch, LaunchId, ListenOn, OauthClient, Secret,
    ServerId, SpawnContext, Spawner, SpawnerConfig, StopMode, UserName, UserOptions,
};
use spawner_local::LocalFactory;

/// What a hub with many users may hold in memory: a fork copies the tables of it.
const BALLAST: usize = 256 << 20;
/// What a host with many users has open: so many sockets that listen, and as many connections.
const SOCKETS: usize = 1000;

fn main() {
    if let Some(port) = std::env::args().find_map(|arg| arg.strip_prefix(LISTEN)?.parse().ok()) {
        // A server of `measure_listener`.
        let _listener = TcpListener::bind(("127.0.0.1", port)).expect("the port");
        loop {
            std::thread::park();
        }
    }
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
    runtime.block_on(measure_listener(&factory, rounds));
}

/// The argument that makes this program a server.
const LISTEN: &str = "--listen=";

async fn measure_listener(factory: &LocalFactory, rounds: usize) {
    let mut busy = Vec::new();
    for _ in 0..SOCKETS {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let client = TcpStream::connect(address).expect("a connection");
        busy.push((listener, client));
    }
    let server = ServerId::default_of(UserName::new("bench").expect("a name"));
    let mut spawner = factory.spawner(&server);
    let port = spawner_core::free_port(None).expect("a port");
    let mut launch = launch(&server);
    let myself = std::env::current_exe().expect("this program");
    launch.cmd = vec![myself.display().to_string(), format!("{LISTEN}{port}")];
    spawner.start(launch).await.expect("a start");
    let at = |port| Endpoint::Tcp {
        host: "127.0.0.1".into(),
        port,
    };
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        tokio::task::yield_now().await;
    }
    let stranger = busy[0].0.local_addr().expect("an address").port();
    for (what, port, ours) in [("its own", port, true), ("a stranger's", stranger, false)] {
        let mut times = Vec::new();
        for _ in 0..rounds {
            let begin = Instant::now();
            let checked = spawner.check_listener(&at(port)).await;
            times.push(begin.elapsed());
            assert_eq!(checked.is_ok(), ours, "{checked:?}");
        }
        print(&format!("{SOCKETS} sockets: {what}"), times);
    }
    spawner.stop(StopMode::Now).await.expect("a stop");
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
    println!("{what:28} min {min:>10.2?}  median {median:>10.2?}  max {max:>10.2?}");
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
