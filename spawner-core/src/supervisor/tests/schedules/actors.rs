//! Those who act on the world of a schedule: a spawner, books and a probe that do what the weather
//! says.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::plan::{Pause, Plan, PollScript, StartScript, StopScript, Trouble};
use super::world::{Life, World, Writing, endpoint_of, server_at, server_in, state_of};
use crate::supervisor::{Deps, Probe};
use crate::{
    BoxError, Endpoint, ExitStatus, Journal, Launch, LaunchId, ListenOn, Outcome, PollStatus,
    ServerId, SpawnContext, SpawnError, SpawnErrorKind, Spawner, SpawnerConfig, SpawnerState,
    StateError, StopMode,
};

#[derive(Debug)]
pub(crate) struct Puppet {
    world: Arc<World>,
    config: SpawnerConfig,
    hears: bool,
    knows_address: bool,
    pace: Pause,
    server: Option<usize>,
}

impl Puppet {
    pub(crate) fn new(plan: &Plan, world: &Arc<World>) -> Self {
        let config = SpawnerConfig {
            start_timeout: Duration::from_secs(5),
            http_timeout: Duration::from_secs(3),
            poll_interval: plan.poll_interval,
            // A number means one schedule, so nothing else is drawn.
            poll_jitter: 0.0,
            ..SpawnerConfig::default()
        };
        Self {
            world: Arc::clone(world),
            config,
            hears: plan.hears,
            knows_address: plan.knows_address,
            pace: plan.pace,
            server: None,
        }
    }

    /// Every call goes to the backend.
    async fn reach(&self) -> Result<(), SpawnError> {
        self.pace.pass().await;
        if self.world.facts().is_away() {
            let message = "The backend does not answer.";
            return Err(SpawnError::new(SpawnErrorKind::Unavailable, message));
        }
        Ok(())
    }

    fn status(&self) -> PollStatus {
        match self.server.map(|server| self.world.facts().life(server)) {
            Some(Life::Lives { .. }) => PollStatus::Running,
            Some(Life::Ended(status)) => PollStatus::Exited(status),
            Some(Life::Held) | None => PollStatus::Exited(ExitStatus::Unknown),
        }
    }

    fn end(&self, mode: StopMode) {
        if let Some(server) = self.server {
            self.world.kill(server, mode);
        }
    }
}

#[async_trait]
impl Spawner for Puppet {
    fn config(&self) -> &SpawnerConfig {
        &self.config
    }

    async fn listen_on(&mut self, _: &SpawnContext) -> Result<ListenOn, SpawnError> {
        Ok(ListenOn::Tcp { ip: None, port: 1 })
    }

    async fn start(&mut self, launch: Launch) -> Result<Endpoint, SpawnError> {
        let script = self.world.facts().weather.start.take();
        self.reach().await?;
        match script {
            Some(StartScript::FailsEarly) => return Err(SpawnError::other("No room.")),
            Some(StartScript::HangsEarly) => std::future::pending().await,
            Some(StartScript::HangsUntilCancelled) => {
                launch.cancelled().await;
                return Err(SpawnError::cancelled());
            }
            Some(StartScript::TakesMillis(millis)) => Pause::Millis(millis).pass().await,
            _ => {}
        }
        let server = self.world.facts().make(&launch.ctx.launch_id);
        self.server = Some(server);
        launch.checkpoint(&self.get_state()).await?;
        self.world.facts().let_go(server);
        self.pace.pass().await;
        match script {
            Some(StartScript::FailsLate) => return Err(SpawnError::other("No network.")),
            Some(StartScript::HangsLate) => std::future::pending().await,
            Some(StartScript::Dies) => self.world.exit(ExitStatus::Code(1), false),
            _ => {}
        }
        Ok(endpoint_of(server))
    }

    async fn stop(&mut self, mode: StopMode) -> Result<(), SpawnError> {
        let script = self.world.facts().weather.stop.take();
        self.reach().await?;
        let alive = |message| Err(SpawnError::new(SpawnErrorKind::StillAlive, message));
        match script {
            Some(StopScript::Fails) => return alive("It does not end."),
            Some(StopScript::EndsAndFails) => {
                self.end(mode);
                return alive("Whether it ended cannot be told.");
            }
            Some(StopScript::Hangs) => std::future::pending().await,
            Some(StopScript::TakesMillis(millis)) => Pause::Millis(millis).pass().await,
            None => {}
        }
        self.end(mode);
        Ok(())
    }

    async fn poll(&mut self) -> Result<PollStatus, SpawnError> {
        let script = {
            let mut facts = self.world.facts();
            facts.tally.polls += 1;
            match &mut facts.weather.poll {
                Some(PollScript::Fail(times)) if *times > 1 => {
                    *times -= 1;
                    Some(PollScript::Fail(*times))
                }
                _ => facts.weather.poll.take(),
            }
        };
        self.reach().await?;
        match script {
            Some(PollScript::Fail(_)) => Err(SpawnError::other("It cannot be told.")),
            Some(PollScript::Hang) => std::future::pending().await,
            None => Ok(self.status()),
        }
    }

    async fn exited(&mut self) -> ExitStatus {
        if !self.hears || self.server.is_none() {
            std::future::pending::<()>().await;
        }
        loop {
            let ended = self.world.ended.notified();
            if let PollStatus::Exited(status) = self.status() {
                return status;
            }
            ended.await;
        }
    }

    async fn endpoint(&mut self) -> Result<Option<Endpoint>, SpawnError> {
        self.reach().await?;
        Ok(self.server.filter(|_| self.knows_address).map(endpoint_of))
    }

    async fn check_listener(&mut self, _: &Endpoint) -> Result<(), SpawnError> {
        self.pace.pass().await;
        let mut facts = self.world.facts();
        if facts.weather.taken > 0 {
            facts.weather.taken -= 1;
            facts.tally.addresses_taken += 1;
            let message = "Somebody else listens there.";
            return Err(SpawnError::new(SpawnErrorKind::AddressTaken, message));
        }
        Ok(())
    }

    fn get_state(&self) -> SpawnerState {
        state_of(self.server)
    }

    fn load_state(&mut self, state: &SpawnerState) -> Result<(), StateError> {
        self.server = server_in(state);
        Ok(())
    }

    fn clear_state(&mut self) {
        if self.status() == PollStatus::Running {
            let rule = "the state of a server was cleared that lives";
            self.world.facts().broke(rule);
        }
        self.server = None;
    }
}

#[derive(Debug)]
struct Books {
    world: Arc<World>,
    pace: Pause,
}

impl Books {
    async fn write(&self, launch: &LaunchId, writing: Writing<'_>) -> Result<(), BoxError> {
        self.pace.pass().await;
        let entry = writing.entry();
        let trouble = {
            let mut facts = self.world.facts();
            let trouble = facts.weather.journal.take_if(|(which, _)| *which == entry);
            trouble.map(|(_, trouble)| trouble)
        };
        if let Some(Trouble::SlowThenWritten(millis)) = trouble {
            Pause::Millis(millis).pass().await;
        }
        if trouble != Some(Trouble::Lost) {
            self.world.facts().write(launch, writing);
        }
        if matches!(trouble, Some(Trouble::Lost | Trouble::WrittenAndRefused)) {
            let mut facts = self.world.facts();
            facts.note(|| format!("the books refuse {entry:?}"));
            facts.tally.refused_by_journal += 1;
            facts.fate(launch).refused = true;
            return Err("disk full".into());
        }
        if let Some(Trouble::WrittenThenSlow(millis)) = trouble {
            Pause::Millis(millis).pass().await;
        }
        self.pace.pass().await;
        Ok(())
    }
}

#[async_trait]
impl Journal for Books {
    async fn starting(&self, ctx: &SpawnContext) -> Result<(), BoxError> {
        self.write(&ctx.launch_id, Writing::Starting).await
    }
    async fn checkpoint(
        &self,
        _: &ServerId,
        launch: &LaunchId,
        state: &SpawnerState,
    ) -> Result<(), BoxError> {
        self.write(launch, Writing::Checkpoint(state)).await
    }
    async fn ready(
        &self,
        _: &ServerId,
        launch: &LaunchId,
        endpoint: &Endpoint,
        state: &SpawnerState,
    ) -> Result<(), BoxError> {
        self.write(launch, Writing::Ready(endpoint, state)).await
    }
    async fn stopping(&self, _: &ServerId, launch: &LaunchId) -> Result<(), BoxError> {
        self.write(launch, Writing::Stopping).await?;
        self.world.facts().stop_booked(launch);
        Ok(())
    }
    async fn stopped(&self, _: &ServerId, launch: &LaunchId, _: &Outcome) -> Result<(), BoxError> {
        self.write(launch, Writing::Stopped).await
    }
}

/// Answers when the server that has the address lives long enough.
#[derive(Debug)]
struct Visitor {
    world: Arc<World>,
    pace: Pause,
}

#[async_trait]
impl Probe for Visitor {
    async fn answers(&self, endpoint: &Endpoint, _: &str) -> Result<(), BoxError> {
        self.pace.pass().await;
        let facts = self.world.facts();
        match facts.life(server_at(endpoint)) {
            Life::Lives { since } if Instant::now() >= since + facts.weather.silent => Ok(()),
            _ => Err("nobody answers".into()),
        }
    }
}

/// What an owner task in this world needs.
pub(crate) fn deps(plan: &Plan, world: &Arc<World>) -> Deps {
    let (world, pace) = (Arc::clone(world), plan.pace);
    Deps {
        journal: Arc::new(Books {
            world: Arc::clone(&world),
            pace,
        }),
        probe: Arc::new(Visitor { world, pace }),
    }
}
