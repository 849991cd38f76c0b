//! A hub of its own that knows one more kind of spawner: `cargo run -p custom-spawner`.
//!
//! Any name logs in at the address it prints, with the password `demo`. It takes a
//! `jupyterhub-singleuser` in `PATH` for the servers. Ctrl-C ends it, and the servers go on: the next
//! run finds them again.

use hubd::{Hub, HubError};

#[tokio::main]
async fn main() -> Result<(), HubError> {
    let hub = Hub::builder()
        .config_toml(include_str!("../hubd.toml"), "hubd.toml")?
        .spawner("marked", custom_spawner::build)
        .start()
        .await?;
    println!("serving at {}; Ctrl-C ends it", hub.url());
    hub.run(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
        .await;
    Ok(())
}
