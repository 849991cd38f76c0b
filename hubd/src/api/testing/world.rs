//! Servers that do what a test scripts.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::json;
use spawner_core::{
    Endpoint, ExitStatus, Launch, OptionsError, PollStatus, ServerId, SpawnError, SpawnErrorKind,
    Spawner, SpawnerConfig, SpawnerFactory, SpawnerState, StopMode, UserOptions,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// What the next start, or stop, does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Script {
    /// It works at once.
    Works,
    /// It works when the test lets it.
    Waits,
    /// It prints something and ends before it answers.
    Exits,
    /// The same, when the test lets it.
    WaitsAndExits,
    /// The program that was asked for is not there.
    NotFound,
    /// It is not allowed.
    Refused,
    /// It works and ends when the test lets it.
    StopWaits,
    /// It works and the stop fails.
    StopFails,
    /// Nobody can tell whether it runs until the test lets them.
    Lost,
}

/// What the servers of a test have in common.
#[derive(Debug)]
pub(in crate::api) struct World {
    script: Mutex<Script>,
    released: Semaphore,
    alive: Mutex<usize>,
    last_token: Mutex<String>,
    last_options: Mutex<UserOptions>,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            script: Mutex::new(Script::Works),
            released: Semaphore::new(0),
            alive: Mutex::default(),
            last_token: Mutex::default(),
            last_options: Mutex::default(),
        }
    }

    pub(in crate::api) fn play(&self, script: Script) {
        *self.script.lock().unwrap() = script;
    }

    /// Lets one step that waits go on.
    pub(in crate::api) fn release(&self) {
        self.released.add_permits(1);
    }

    /// Whether any server runs.
    pub(in crate::api) fn is_alive(&self) -> bool {
        *self.alive.lock().unwrap() > 0
    }

    /// The own token of the server that was started last.
    pub(in crate::api) fn server_token(&self) -> String {
        self.last_token.lock().unwrap().clone()
    }

    /// The options of the last start.
    pub(in crate::api) fn options(&self) -> serde_json::Value {
        serde_json::to_value(&*self.last_options.lock().unwrap()).unwrap()
    }

    fn script(&self) -> Script {
        *self.script.lock().unwrap()
    }
}

pub(super) fn factory(world: Arc<World>) -> impl SpawnerFactory {
    move |_: &ServerId| Scripted {
        world: Arc::clone(&world),
        config: SpawnerConfig::default(),
        status: PollStatus::Exited(ExitStatus::Unknown),
        answering: JoinSet::new(),
    }
}

#[derive(Debug)]
struct Scripted {
    world: Arc<World>,
    config: SpawnerConfig,
    status: PollStatus,
    answering: JoinSet<()>,
}

#[async_trait]
impl Spawner for Scripted {
    fn config(&self) -> &SpawnerConfig {
        &self.config
    }

    fn check_options(&self, options: &UserOptions) -> Result<(), OptionsError> {
        match options.get("size") {
            Some(size) if *size != json!("small") => {
                Err(OptionsError::field("size", "there is no such size"))
            }
            _ => Ok(()),
        }
    }

    async fn start(&mut self, launch: Launch) -> Result<Endpoint, SpawnError> {
        launch.report(42, "<b>scripted</b>");
        *self.world.last_token.lock().unwrap() = launch.ctx.token.expose().to_owned();
        *self.world.last_options.lock().unwrap() = launch.ctx.options.clone();
        let script = self.world.script();
        if let Script::Waits | Script::WaitsAndExits = script {
            self.world.released.acquire().await.unwrap().forget();
        }
        let refuse = |kind, message: &str| Err(SpawnError::new(kind, message));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        match script {
            Script::NotFound => {
                return refuse(SpawnErrorKind::NotFound, "There is no program \"lab\".");
            }
            Script::Refused => return refuse(SpawnErrorKind::Refused, "There is no room for you."),
            Script::Exits | Script::WaitsAndExits => {
                self.status = PollStatus::Exited(ExitStatus::Code(1));
            }
            _ => {
                self.status = PollStatus::Running;
                *self.world.alive.lock().unwrap() += 1;
                self.answering.spawn(answer(listener));
            }
        }
        let host = "127.0.0.1".to_owned();
        Ok(Endpoint::Tcp { host, port })
    }

    async fn stop(&mut self, _: StopMode) -> Result<(), SpawnError> {
        match self.world.script() {
            Script::StopWaits => self.world.released.acquire().await.unwrap().forget(),
            Script::StopFails => {
                return Err(SpawnError::other("The server cannot be ended."));
            }
            _ => {}
        }
        if self.status == PollStatus::Running {
            *self.world.alive.lock().unwrap() -= 1;
        }
        self.status = PollStatus::Exited(ExitStatus::Unknown);
        self.answering.shutdown().await;
        Ok(())
    }

    async fn poll(&mut self) -> Result<PollStatus, SpawnError> {
        if self.world.script() == Script::Lost {
            self.world.released.acquire().await.unwrap().forget();
        }
        Ok(self.status)
    }

    async fn exited(&mut self) -> ExitStatus {
        match self.status {
            PollStatus::Exited(status) => status,
            PollStatus::Running => std::future::pending().await,
        }
    }

    fn get_state(&self) -> SpawnerState {
        match self.status {
            PollStatus::Running => SpawnerState::pack(1, &json!({ "pid": 7 })),
            PollStatus::Exited(_) => SpawnerState::default(),
        }
    }

    async fn log_tail(&self, _: usize) -> Vec<String> {
        vec!["starting".to_owned(), "boom".to_owned(), String::new()]
    }
}

/// Says yes to every request.
async fn answer(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let _ = say_yes(&mut stream).await;
    }
}

async fn say_yes(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let yes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    stream.write_all(yes).await
}
