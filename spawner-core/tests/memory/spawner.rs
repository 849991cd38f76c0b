//! The spawner: keeps every rule.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use spawner_core::conformance::{Behaviour, Program};
use spawner_core::{
    BackendSetup, Endpoint, ExitStatus, Launch, ListenOn, OptionsError, PollStatus, ServerId,
    SpawnError, SpawnErrorKind, Spawner, SpawnerConfig, SpawnerState, StateError, StopMode,
    UserOptions,
};

use super::world::{Number, Tag, World};

/// How long a server has to end politely.
const POLITE: Duration = Duration::from_millis(50);
/// The layout of [`Saved`].
const VERSION: u32 = 1;

#[derive(Debug)]
pub struct MemorySpawner {
    pub config: SpawnerConfig,
    pub instance: String,
    pub server: ServerId,
    pub world: Arc<World>,
    pub number: Option<Number>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    number: Number,
}

impl MemorySpawner {
    pub fn new(server: &ServerId, world: &Arc<World>, setup: &BackendSetup) -> Self {
        Self {
            config: setup.config.clone(),
            instance: setup.instance.clone(),
            server: server.clone(),
            world: Arc::clone(world),
            number: None,
        }
    }

    /// What is saved of the server `number`.
    pub fn saved(number: Option<Number>) -> SpawnerState {
        number.map_or_else(SpawnerState::default, |number| {
            SpawnerState::pack(VERSION, &Saved { number })
        })
    }

    /// What is to be written on the server of a launch.
    pub fn tag(&self, launch: &Launch, program: &Program) -> Tag {
        Tag {
            whose: self.server.clone(),
            instance: self.instance.clone(),
            launch_id: Some(launch.ctx.launch_id.clone()),
            endpoint: launch.ctx.listen.as_ref().map(ListenOn::local_endpoint),
            listens: !matches!(program.behaviour, Behaviour::Silent | Behaviour::Exit(_)),
        }
    }

    /// What a launch runs, if that is there and can be given what it is to be given.
    pub fn program(launch: &Launch) -> Result<Program, SpawnError> {
        let impossible = launch.args.iter().any(|arg| arg.contains('\0'))
            || launch.env.iter().any(|(name, value)| {
                name.is_empty() || name.contains(['=', '\0']) || value.contains('\0')
            });
        if impossible {
            let message = "No program can be given such arguments or environment.";
            return Err(SpawnError::new(SpawnErrorKind::Refused, message));
        }
        let command = launch.cmd.iter().chain(&launch.args).cloned().collect();
        let env = launch.env.iter();
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Program::read(command, env.collect())
            .filter(|program| program.behaviour != Behaviour::Missing)
            .ok_or_else(|| SpawnError::new(SpawnErrorKind::NotFound, "There is no such program."))
    }
}

#[async_trait]
impl Spawner for MemorySpawner {
    fn config(&self) -> &SpawnerConfig {
        &self.config
    }

    async fn start(&mut self, launch: Launch) -> Result<Endpoint, SpawnError> {
        self.world.reach()?;
        let program = Self::program(&launch)?;
        let listen = launch.ctx.listen.as_ref();
        let listen =
            listen.ok_or_else(|| SpawnError::other("There is no address to listen on."))?;
        // Known to us, and saved, before it exists.
        let number = self.world.reserve();
        self.number = Some(number);
        launch.report(20, "A number was drawn");
        launch.checkpoint(&self.get_state()).await?;
        self.world.run(number, self.tag(&launch, &program), program);
        tokio::task::yield_now().await;
        launch.report(40, "The server was made");
        Ok(listen.local_endpoint())
    }

    async fn stop(&mut self, mode: StopMode) -> Result<(), SpawnError> {
        self.world.reach()?;
        let Some(number) = self.number else {
            return Ok(());
        };
        if mode == StopMode::Graceful {
            self.world.ask(number);
            let _ = tokio::time::timeout(POLITE, self.world.ended(number)).await;
        }
        self.world.remove_tree(number).await;
        Ok(())
    }

    async fn poll(&mut self) -> Result<PollStatus, SpawnError> {
        self.world.reach()?;
        let never = PollStatus::Exited(ExitStatus::Unknown);
        Ok(self
            .number
            .map_or(never, |number| self.world.status(number)))
    }

    async fn exited(&mut self) -> ExitStatus {
        match self.number {
            Some(number) => self.world.ended(number).await,
            None => std::future::pending().await,
        }
    }

    async fn endpoint(&mut self) -> Result<Option<Endpoint>, SpawnError> {
        self.world.reach()?;
        let tag = self.number.and_then(|number| self.world.tag(number));
        Ok(tag.and_then(|tag| tag.endpoint))
    }

    async fn check_listener(&mut self, endpoint: &Endpoint) -> Result<(), SpawnError> {
        self.world.reach()?;
        let tag = self.number.and_then(|number| self.world.tag(number));
        if tag.is_some_and(|tag| tag.listens && tag.endpoint.as_ref() == Some(endpoint)) {
            return Ok(());
        }
        let message = "Somebody else listens at the address of the server.";
        Err(SpawnError::new(SpawnErrorKind::AddressTaken, message))
    }

    fn get_state(&self) -> SpawnerState {
        Self::saved(self.number)
    }

    fn load_state(&mut self, state: &SpawnerState) -> Result<(), StateError> {
        let saved = state.unpack::<Saved>(VERSION)?;
        self.number = saved.map(|saved| saved.number);
        Ok(())
    }

    fn clear_state(&mut self) {
        self.number = None;
    }

    fn check_options(&self, options: &UserOptions) -> Result<(), OptionsError> {
        match options.text("size")? {
            None | Some("small" | "large") => Ok(()),
            Some(_) => Err(OptionsError::field("size", "\"size\" is small or large")),
        }
    }

    async fn log_tail(&self, lines: usize) -> Vec<String> {
        (1..=lines.min(5)).map(|n| format!("line {n}")).collect()
    }
}
