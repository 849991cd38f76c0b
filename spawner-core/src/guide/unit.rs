use async_trait::async_trait;
use engine::Engine;
use serde::{Deserialize, Serialize};
use spawner_core::{
    Endpoint, ExitStatus, Launch, LaunchId, PollStatus, SpawnError, Spawner, SpawnerConfig,
    SpawnerState, StateError, StopMode,
};

/// Runs a server as a unit of an engine.
#[derive(Debug)]
struct UnitSpawner {
    config: SpawnerConfig,
    engine: Engine,
    run: Option<Run>,
}

/// What is saved. A unit has the name of its launch, which no other will ever have.
#[derive(Debug, Serialize, Deserialize)]
struct Run {
    unit: LaunchId,
    endpoint: Endpoint,
}

#[async_trait]
impl Spawner for UnitSpawner {
    fn config(&self) -> &SpawnerConfig {
        &self.config
    }

    async fn start(&mut self, launch: Launch) -> Result<Endpoint, SpawnError> {
        let (unit, endpoint) = (launch.ctx.launch_id.clone(), launch.local_endpoint()?);
        let run = self.run.insert(Run { unit, endpoint });
        launch.checkpoint(&SpawnerState::pack(1, run)).await?;
        self.engine.run(&run.unit, &launch).await?;
        Ok(run.endpoint.clone())
    }

    async fn stop(&mut self, mode: StopMode) -> Result<(), SpawnError> {
        match &self.run {
            Some(run) => self.engine.remove(&run.unit, mode).await,
            None => Ok(()),
        }
    }

    async fn poll(&mut self) -> Result<PollStatus, SpawnError> {
        match &self.run {
            Some(run) => self.engine.status(&run.unit).await,
            None => Ok(PollStatus::Exited(ExitStatus::Unknown)),
        }
    }

    async fn endpoint(&mut self) -> Result<Option<Endpoint>, SpawnError> {
        Ok(self.run.as_ref().map(|run| run.endpoint.clone()))
    }

    fn get_state(&self) -> SpawnerState {
        let state = self.run.as_ref().map(|run| SpawnerState::pack(1, run));
        state.unwrap_or_default()
    }

    fn load_state(&mut self, state: &SpawnerState) -> Result<(), StateError> {
        self.run = state.unpack(1)?;
        Ok(())
    }

    fn clear_state(&mut self) {
        self.run = None;
    }
}
