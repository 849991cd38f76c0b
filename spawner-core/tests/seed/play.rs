//! A spawner that plays the part of any, over a pretend process.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use spawner_core::{
    BoxError, Deps, Endpoint, ExitStatus, HubUrls, Launch, LaunchId, ListenOn, OauthClient,
    PollStatus, Probe, Secret, ServerHandle, ServerId, ServerName, SpawnContext, SpawnError,
    Spawner, SpawnerConfig, SpawnerState, StateError, StopMode, UserName, UserOptions, supervise,
};
use tokio::task::JoinSet;

/// What the pretend process did and was asked.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    pub(crate) running: bool,
    pub(crate) ended: Option<ExitStatus>,
    pub(crate) polls: usize,
    pub(crate) launched: Option<(Vec<String>, UserOptions)>,
    pub(crate) cleared: usize,
    pub(crate) loaded: Option<SpawnerState>,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    StartHangs,
    StartFails,
    NeverAnswers,
}

#[derive(Debug)]
pub(crate) struct Play {
    pub(crate) config: SpawnerConfig,
    pub(crate) fault: Fault,
    pub(crate) stage: Arc<Mutex<Stage>>,
}

#[async_trait]
impl Spawner for Play {
    fn config(&self) -> &SpawnerConfig {
        &self.config
    }
    async fn start(&mut self, launch: Launch) -> Result<Endpoint, SpawnError> {
        match self.fault {
            Fault::StartHangs => std::future::pending().await,
            Fault::StartFails => return Err(SpawnError::other("It cannot be started.")),
            Fault::None | Fault::NeverAnswers => {}
        }
        let mut stage = self.stage.lock().unwrap();
        stage.running = true;
        stage.launched = Some((launch.cmd.clone(), launch.ctx.options.clone()));
        Ok(Endpoint::Tcp {
            host: "there".into(),
            port: 1,
        })
    }
    async fn stop(&mut self, _: StopMode) -> Result<(), SpawnError> {
        self.stage.lock().unwrap().running = false;
        Ok(())
    }
    async fn poll(&mut self) -> Result<PollStatus, SpawnError> {
        let mut stage = self.stage.lock().unwrap();
        stage.polls += 1;
        Ok(match stage.ended {
            _ if stage.running => PollStatus::Running,
            ended => PollStatus::Exited(ended.unwrap_or(ExitStatus::Unknown)),
        })
    }
    fn get_state(&self) -> SpawnerState {
        if self.stage.lock().unwrap().running {
            SpawnerState::pack(1, &serde_json::json!({"pid": 7}))
        } else {
            SpawnerState::default()
        }
    }
    fn load_state(&mut self, state: &SpawnerState) -> Result<(), StateError> {
        self.stage.lock().unwrap().loaded = Some(state.clone());
        Ok(())
    }
    fn clear_state(&mut self) {
        self.stage.lock().unwrap().cleared += 1;
    }
}

#[derive(Debug)]
struct Answers(bool);

#[async_trait]
impl Probe for Answers {
    async fn answers(&self, _: &Endpoint, _: &str) -> Result<(), BoxError> {
        if self.0 { Ok(()) } else { Err("no".into()) }
    }
}

/// A server on the stage.
pub(crate) struct Show {
    pub(crate) server: ServerHandle,
    pub(crate) stage: Arc<Mutex<Stage>>,
    _tasks: JoinSet<()>,
}

impl Show {
    pub(crate) fn new(config: SpawnerConfig, fault: Fault) -> Self {
        let stage = Arc::new(Mutex::new(Stage::default()));
        let spawner = Play {
            config,
            fault,
            stage: Arc::clone(&stage),
        };
        let deps = Deps {
            probe: Arc::new(Answers(fault != Fault::NeverAnswers)),
            ..Deps::default()
        };
        let (server, task) = supervise(context().server, Box::new(spawner), deps);
        let mut tasks = JoinSet::new();
        tasks.spawn(task);
        Self {
            server,
            stage,
            _tasks: tasks,
        }
    }

    /// The process ends by itself.
    pub(crate) fn ends(&self, status: ExitStatus) {
        let mut stage = self.stage.lock().unwrap();
        (stage.running, stage.ended) = (false, Some(status));
    }

    /// How often the callbacks have run, from now on.
    pub(crate) fn count_callbacks(&self) -> Arc<Mutex<usize>> {
        let count = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&count);
        self.server.add_poll_callback(move |_| {
            *counted.lock().unwrap() += 1;
            async { Ok(()) }
        });
        count
    }
}

/// The defaults, with polls that come on the second.
pub(crate) fn on_the_second() -> SpawnerConfig {
    SpawnerConfig {
        poll_jitter: 0.0,
        ..SpawnerConfig::default()
    }
}

pub(crate) fn play(config: SpawnerConfig) -> Play {
    Play {
        config,
        fault: Fault::None,
        stage: Arc::default(),
    }
}

pub(crate) fn context() -> SpawnContext {
    let user = UserName::new("tee").unwrap();
    SpawnContext {
        server: ServerId::new(user, ServerName::default()),
        launch_id: LaunchId::random(),
        token: Secret::new("the-token"),
        options: UserOptions::default(),
        listen: Some(ListenOn::Tcp {
            ip: Some([127, 0, 0, 1].into()),
            port: 4321,
        }),
        hub: HubUrls {
            base_url: "/".into(),
            api_url: "http://127.0.0.1:8000/hub/api".into(),
            host: String::new(),
            public_url: None,
        },
        oauth: OauthClient {
            client_id: "jupyterhub-user-tee".into(),
            access_scopes: Vec::new(),
            allowed_scopes: Vec::new(),
        },
    }
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
