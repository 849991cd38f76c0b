//! What the demos share: a hub on this machine that runs a kind of spawner of theirs, and a rehearsal
//! for their tests.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hubd::{Hub, HubBuilder, HubError};
use spawner_core::{
    BackendSetup, BoxError, HubUrls, Launch, LaunchId, OauthClient, Secret, ServerId, SetupError,
    SpawnContext, Spawner, SpawnerConfig, SpawnerFactory, StopMode, UserName, UserOptions,
};
use spawner_local::LocalFactory;

/// Serves a hub on loopback that runs this kind of spawner, until Ctrl-C. Any name logs in with the
/// password `demo`; the servers are what `jupyterhub-singleuser` in `PATH` is.
pub async fn serve<B>(kind: &str, build: B) -> Result<(), HubError>
where
    B: Fn(BackendSetup) -> Result<Arc<dyn SpawnerFactory>, SetupError> + Send + Sync + 'static,
{
    let hub = hub(kind, build)?.start().await?;
    println!(
        "log in at {} with any name and the password \"demo\"; Ctrl-C ends it",
        hub.url()
    );
    hub.run(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
        .await;
    Ok(())
}

/// The hub that [`serve`] starts.
pub fn hub<B>(kind: &str, build: B) -> Result<HubBuilder, HubError>
where
    B: Fn(BackendSetup) -> Result<Arc<dyn SpawnerFactory>, SetupError> + Send + Sync + 'static,
{
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
    Ok(Hub::builder()
        .config_toml(&config, "demo")?
        .spawner(kind, build))
}

/// A backend whose spawners are made by `make` out of local process spawners.
pub fn over_local<F, S>(
    make: F,
) -> impl Fn(BackendSetup) -> Result<Arc<dyn SpawnerFactory>, SetupError> + Clone
where
    F: Fn(Box<dyn Spawner>) -> S + Clone + Send + Sync + 'static,
    S: Spawner,
{
    move |setup| {
        let (inner, make) = (LocalFactory::simple(setup)?, make.clone());
        Ok(Arc::new(move |server: &ServerId| {
            make(inner.create(server))
        }))
    }
}

/// What the hub would tell the server `server` in a run with these options.
pub fn context(server: ServerId, options: UserOptions) -> SpawnContext {
    SpawnContext {
        oauth: OauthClient {
            client_id: format!("jupyterhub-user-{}", server.user),
            access_scopes: Vec::new(),
            allowed_scopes: Vec::new(),
        },
        server,
        launch_id: LaunchId::random(),
        token: Secret::new(LaunchId::random().to_string()),
        options,
        listen: None,
        hub: HubUrls {
            base_url: "/".to_owned(),
            api_url: "http://127.0.0.1:8000/hub/api".to_owned(),
            host: String::new(),
            public_url: None,
        },
    }
}

/// What a server was given.
#[derive(Debug)]
pub struct Given {
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
}

/// Starts a real process in the place of tee's server, with a home below `dir`, and says what it was
/// given. Options are checked first, as the hub does.
pub async fn rehearse<B>(build: B, dir: &Path, options: UserOptions) -> Result<Given, BoxError>
where
    B: Fn(BackendSetup) -> Result<Arc<dyn SpawnerFactory>, SetupError>,
{
    const TELL: &str = r#"env -0 > env; printf '%s\0' "$@" > args"#;
    let config = SpawnerConfig {
        cmd: ["sh", "-c", TELL, "server"].map(str::to_owned).to_vec(),
        ..SpawnerConfig::default()
    };
    let factory = build(BackendSetup {
        config,
        settings: serde_json::Map::new(),
        state_dir: dir.to_owned(),
        instance: LaunchId::random().to_string(),
    })?;
    let server = ServerId::default_of(UserName::new("tee")?);
    let mut spawner = factory.create(&server);
    spawner.check_options(&options)?;
    let mut ctx = context(server, options);
    ctx.listen = Some(spawner.listen_on(&ctx).await?);
    let (args, env) = (spawner.get_args(&ctx), spawner.get_env(&ctx));
    let cmd = spawner.config().cmd.clone();
    spawner.start(Launch::new(cmd, args, env, ctx)).await?;
    spawner.exited().await;
    spawner.stop(StopMode::Now).await?;
    let told = |file| -> Result<Vec<String>, BoxError> {
        let text = std::fs::read_to_string(dir.join("homes/tee").join(file))?;
        let words = text.split_terminator('\0').map(str::to_owned);
        Ok(words.collect())
    };
    let variables = told("env")?.into_iter();
    let pairs = variables.filter_map(|variable| {
        let (name, value) = variable.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    Ok(Given {
        args: told("args")?,
        env: pairs.collect(),
    })
}
