//! A hub of one engine: a factory, and servers under their owner tasks.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use spawner_core::{
    Deps, Ending, Endpoint, HttpProbe, HubUrls, Launch, LaunchId, NoJournal, OauthClient, Outcome,
    Phase, ProgressEvent, Secret, ServerHandle, ServerId, SpawnContext, Spawner, SpawnerConfig,
    SpawnerFactory as _, StartError, UserName, UserOptions, supervise,
};
use spawner_docker::{DockerFactory, DockerSettings};
use tokio::task::JoinSet;

use super::engine::Pretend;

/// A server under its owner task.
pub(crate) struct Server {
    pub(crate) handle: ServerHandle,
    _task: JoinSet<()>,
}

/// A factory on a pretend engine. `table` is added to what every story needs.
pub(crate) fn factory(engine: &Pretend, table: Value) -> DockerFactory {
    with_config(engine, table, SpawnerConfig::default())
}

/// The same with limits that are short.
pub(crate) fn quick(engine: &Pretend, table: Value) -> DockerFactory {
    let config = SpawnerConfig {
        start_timeout: Duration::from_secs(2),
        poll_interval: Duration::from_millis(100),
        ..SpawnerConfig::default()
    };
    with_config(engine, table, config)
}

fn with_config(engine: &Pretend, table: Value, config: SpawnerConfig) -> DockerFactory {
    let mut settings = Map::from_iter([
        ("image".to_owned(), json!("lab")),
        ("host".to_owned(), json!(engine.host())),
        // Which publishes ports.
        ("network_name".to_owned(), json!("bridge")),
        // Nobody's own logins.
        ("docker_config".to_owned(), json!("/nonexistent")),
    ]);
    let Value::Object(table) = table else {
        panic!("a table, please")
    };
    settings.extend(table);
    let settings = DockerSettings::from_table(&settings).unwrap();
    DockerFactory::new(config, settings, "pretend".to_owned())
}

/// The default server of a user.
pub(crate) fn server(user: &str) -> ServerId {
    ServerId::default_of(UserName::new(user).unwrap())
}

fn context(server: &ServerId, options: Value) -> SpawnContext {
    SpawnContext {
        server: server.clone(),
        launch_id: LaunchId::random(),
        token: Secret::new("the-token"),
        options: serde_json::from_value::<UserOptions>(options).unwrap(),
        listen: None,
        hub: HubUrls {
            base_url: "/".into(),
            api_url: "http://hub.example:8000/hub/api".into(),
            host: String::new(),
            public_url: None,
        },
        oauth: OauthClient {
            client_id: "jupyterhub-user-x".into(),
            access_scopes: Vec::new(),
            allowed_scopes: Vec::new(),
        },
    }
}

/// What an owner task would hand to `start`.
pub(crate) async fn launch(spawner: &mut dyn Spawner, server: &ServerId, options: Value) -> Launch {
    let mut ctx = context(server, options);
    ctx.listen = Some(spawner.listen_on(&ctx).await.unwrap());
    let cmd = spawner.config().cmd.clone();
    let (args, env) = (spawner.get_args(&ctx), spawner.get_env(&ctx));
    Launch::new(cmd, args, env, ctx)
}

impl Server {
    pub(crate) fn of(factory: &DockerFactory, user: &str) -> Self {
        let id = server(user);
        let deps = Deps {
            journal: Arc::new(NoJournal),
            probe: Arc::new(HttpProbe),
        };
        let (handle, task) = supervise(id.clone(), factory.create(&id), deps);
        let mut tasks = JoinSet::new();
        tasks.spawn(task);
        Self {
            handle,
            _task: tasks,
        }
    }

    pub(crate) async fn start(&self) -> Result<Endpoint, StartError> {
        self.start_with(json!({})).await
    }

    async fn start_with(&self, options: Value) -> Result<Endpoint, StartError> {
        self.handle.start(context(self.handle.id(), options)).await
    }

    /// The sentence of a start that fails.
    pub(crate) async fn failing_start(&self) -> String {
        failure(self.start().await)
    }

    /// The sentence of a start of another image that fails.
    pub(crate) async fn failing_start_of(&self, image: &str) -> String {
        failure(self.start_with(json!({"image": image})).await)
    }

    pub(crate) async fn until(&self, phase: impl FnMut(&Phase) -> bool) {
        self.handle.watch().wait_for(phase).await.unwrap();
    }

    /// How the last run ended.
    pub(crate) async fn ended(&self) -> Arc<Outcome> {
        self.until(Phase::is_stopped).await;
        match self.handle.phase() {
            Phase::Stopped { last: Some(last) } => last,
            phase => panic!("{phase:?}"),
        }
    }

    /// Returns when a line of the progress holds `text`.
    pub(crate) async fn says(&self, text: &str) {
        self.until(|phase| *phase == Phase::Starting).await;
        let mut progress = self.handle.progress().unwrap().read();
        while let Some(event) = progress.next().await {
            if matches!(&event, ProgressEvent::Step { message, .. } if message.contains(text)) {
                return;
            }
        }
        panic!("nobody said {text:?}: {:?}", self.steps());
    }

    /// The percentages and lines so far.
    pub(crate) fn steps(&self) -> Vec<(u8, String)> {
        let events = self.handle.progress().unwrap().events();
        let step = |event| match event {
            ProgressEvent::Step { percent, message } => Some((percent, message)),
            ProgressEvent::Ready | ProgressEvent::Failed { .. } => None,
        };
        events.into_iter().filter_map(step).collect()
    }
}

fn failure(started: Result<Endpoint, StartError>) -> String {
    match started {
        Err(StartError::Failed(outcome)) => match &outcome.ending {
            Ending::Failed(failure) => failure.message.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}
