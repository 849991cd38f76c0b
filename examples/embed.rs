//! Spawning without a hub: one server under an owner task, in a program of your own.
//!
//! Run it with `cargo run -p hubd-examples --example embed`; it needs `python3` for its server.

use std::time::Duration;

use spawner_core::{
    BackendSetup, Deps, HubUrls, LaunchId, OauthClient, Secret, ServerId, SpawnContext,
    SpawnerConfig, SpawnerFactory as _, StopMode, UserName, UserOptions, supervise,
};
use spawner_local::LocalFactory;

/// Serves `GET /` on the port that it was told, which is all that the probe asks for.
const SERVER: &str = "
import http.server, os, urllib.parse
url = urllib.parse.urlparse(os.environ['JUPYTERHUB_SERVICE_URL'])
http.server.HTTPServer((url.hostname, url.port), http.server.SimpleHTTPRequestHandler).serve_forever()
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = SpawnerConfig {
        cmd: ["python3", "-c", SERVER].map(str::to_owned).to_vec(),
        poll_interval: Duration::from_secs(5),
        ..SpawnerConfig::default()
    };
    let setup = BackendSetup {
        config,
        settings: serde_json::Map::new(),
        state_dir: std::env::current_dir()?.join("embed-state"),
        instance: "embed".to_owned(),
    };
    let factory = LocalFactory::simple(setup)?;
    factory.preflight().await?;

    let alice = ServerId::default_of(UserName::new("alice")?);
    let (handle, owner) = supervise(alice.clone(), factory.create(&alice), Deps::default());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(owner);
    handle.add_poll_callback(|outcome| async move {
        println!("the server ended by itself: {:?}", outcome.ending);
        Ok(())
    });

    let endpoint = handle.start(context(alice)).await?;
    println!("the server answers at {endpoint}");
    handle.stop(StopMode::Graceful).await?;
    println!("and is gone again");
    Ok(())
}

/// What a hub would tell its server; nobody reads it here.
fn context(server: ServerId) -> SpawnContext {
    SpawnContext {
        server,
        launch_id: LaunchId::random(),
        token: Secret::new("unused"),
        options: UserOptions::default(),
        listen: None,
        hub: HubUrls {
            base_url: "/".to_owned(),
            api_url: "http://127.0.0.1:8000/hub/api".to_owned(),
            host: String::new(),
            public_url: None,
        },
        oauth: OauthClient {
            client_id: "embed".to_owned(),
            access_scopes: Vec::new(),
            allowed_scopes: Vec::new(),
        },
    }
}
