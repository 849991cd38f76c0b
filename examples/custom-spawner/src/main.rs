//! A hub of its own that knows one more kind of spawner: `cargo run -p custom-spawner`.
//!
//! Any name logs in at the address it prints, with the password `demo`. It takes a
//! `jupyterhub-singleuser` in `PATH` for the servers.

use hubd::{Hub, HubError};

const CONFIG: &str = r#"
    [hub]
    bind = "127.0.0.1:8000"
    state_dir = "demo-state"
    [auth]
    kind = "dummy"
    allow_all = true
    [auth.dummy]
    password = "demo"
    [spawner]
    kind = "marked"
    [spawner.marked]
    term_timeout = 10
"#;

#[tokio::main]
async fn main() -> Result<(), HubError> {
    let hub = Hub::builder()
        .config_toml(CONFIG, "demo")?
        .register("marked", custom_spawner::build)
        .start()
        .await?;
    println!("serving at {}; Ctrl-C ends it", hub.url());
    hub.run(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
        .await;
    Ok(())
}
