//! What the demos share: a hub on this machine that runs a kind of spawner of theirs.

use std::sync::Arc;

use hubd::{Hub, HubError};
use spawner_core::{BackendSetup, ServerId, SetupError, Spawner, SpawnerFactory};
use spawner_local::LocalFactory;

/// Serves a hub on loopback whose servers are made by `make` out of a local process spawner, until
/// Ctrl-C. Any name logs in with the password `demo`.
pub async fn serve<F, S>(kind: &'static str, make: F) -> Result<(), HubError>
where
    F: Fn(Box<dyn Spawner>) -> S + Clone + Send + Sync + 'static,
    S: Spawner,
{
    let build = move |setup: BackendSetup| -> Result<Arc<dyn SpawnerFactory>, SetupError> {
        let (inner, make) = (LocalFactory::simple(setup)?, make.clone());
        Ok(Arc::new(move |server: &ServerId| {
            make(inner.create(server))
        }))
    };
    let config = format!(
        r#"
        [hub]
        bind = "127.0.0.1:8000"
        state_dir = "demo-state"
        [auth]
        kind = "dummy"
        allow_all = true
        [auth.dummy]
        password = "demo"
        [spawner]
        kind = "{kind}"
        "#
    );
    let hub = Hub::builder()
        .config_toml(&config, "demo")?
        .spawner(kind, build)
        .start()
        .await?;
    println!(
        "log in at {} with any name and the password \"demo\"; Ctrl-C ends it",
        hub.url()
    );
    hub.run(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
        .await;
    Ok(())
}
