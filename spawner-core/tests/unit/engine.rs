//! An engine that runs units, in memory: a number of the world for each name.

#![allow(
    clippy::unused_async,
    reason = "a client waits for answers, and this stands in for one"
)]

use std::sync::Arc;
use std::time::Duration;

use spawner_core::{
    BackendSetup, Endpoint, ExitStatus, Known, Launch, LaunchId, PollStatus, SetupError,
    SpawnError, StopMode,
};

use crate::memory::{MemorySpawner, Number, World};

/// How long a unit has to end politely.
const POLITE: Duration = Duration::from_millis(50);

/// A client of the engine.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    world: Arc<World>,
    setup: BackendSetup,
}

impl Engine {
    pub(crate) fn connect(setup: &BackendSetup) -> Result<Self, SetupError> {
        if setup.instance.is_empty() {
            return Err(SetupError::new(
                "units cannot be told from another daemon's",
            ));
        }
        Ok(Self::of(Arc::default(), setup))
    }

    pub(crate) fn of(world: Arc<World>, setup: &BackendSetup) -> Self {
        let setup = setup.clone();
        Self { world, setup }
    }

    /// Makes the unit, with its labels.
    pub(crate) async fn run(&self, unit: &LaunchId, launch: &Launch) -> Result<(), SpawnError> {
        self.world.reach()?;
        let program = MemorySpawner::program(launch)?;
        let maker = MemorySpawner::new(&launch.ctx.server, &self.world, &self.setup);
        let mut tag = maker.tag(launch, &program);
        tag.launch_id = Some(unit.clone());
        self.world.run(self.world.reserve(), tag, program);
        tokio::task::yield_now().await;
        Ok(())
    }

    pub(crate) async fn status(&self, unit: &LaunchId) -> Result<PollStatus, SpawnError> {
        self.world.reach()?;
        let gone = PollStatus::Exited(ExitStatus::Unknown);
        let number = self.number(unit);
        Ok(number.map_or(gone, |number| self.world.status(number)))
    }

    /// Ends the unit with all that is in it, and removes it.
    pub(crate) async fn remove(&self, unit: &LaunchId, mode: StopMode) -> Result<(), SpawnError> {
        self.world.reach()?;
        let Some(number) = self.number(unit) else {
            return Ok(());
        };
        if mode == StopMode::Graceful {
            self.world.ask(number);
            let _ = tokio::time::timeout(POLITE, self.world.ended(number)).await;
        }
        self.world.remove_tree(number).await;
        Ok(())
    }

    /// The units of a daemon, and where they were told to listen.
    pub(crate) async fn list(&self, instance: &str) -> Result<Vec<(Known, Endpoint)>, SpawnError> {
        self.world.reach()?;
        let runs = self.world.runs().into_iter();
        let units = runs.filter_map(|(_, tag)| {
            let launch_id = tag.launch_id.filter(|_| tag.instance == instance)?;
            let server = tag.whose;
            Some((Known { server, launch_id }, tag.endpoint?))
        });
        Ok(units.collect())
    }

    fn number(&self, unit: &LaunchId) -> Option<Number> {
        let mut runs = self.world.runs().into_iter();
        let named = runs.find(|(_, tag)| tag.launch_id.as_ref() == Some(unit));
        named.map(|(number, _)| number)
    }
}
