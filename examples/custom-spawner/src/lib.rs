//! A spawner crate as somebody outside of hubd writes it; the page `spawner_core::guide` leads
//! through it.
//!
//! Each server is a process of this host, found again by a mark in its environment. To start it in
//! a way of your own (in a sandbox, behind `nice`, with a log file), change the command in `start`.
//!
//! `cargo run -p custom-spawner` is a hub that runs it, `cargo test -p custom-spawner` holds it to the
//! contract.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use spawner_core::{
    BackendSetup, Endpoint, ExitStatus, Found, Known, Launch, PollStatus, ServerId, SetupError,
    SpawnError, Spawner, SpawnerConfig, SpawnerFactory, SpawnerState, StateError, StopMode,
};
use spawner_local::MarkedRun;

/// The backend's own table of the configuration file, `[spawner.marked]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// How long a server may take to end after SIGTERM, in seconds.
    term_timeout: f32,
}

/// What all spawners of one daemon share.
#[derive(Debug)]
struct Shared {
    setup: BackendSetup,
    term_timeout: Duration,
}

/// Makes the spawners, and finds what a crash left.
struct Factory(Arc<Shared>);

/// One server.
#[derive(Debug)]
struct MarkedSpawner {
    shared: Arc<Shared>,
    run: Option<MarkedRun>,
}

/// Builds the backend from its configuration.
pub fn build(setup: BackendSetup) -> Result<Arc<dyn SpawnerFactory>, SetupError> {
    let seconds = setup.settings::<Settings>()?.term_timeout;
    let term_timeout = Duration::try_from_secs_f32(seconds)
        .map_err(|error| SetupError::key("term_timeout", error.to_string()))?;
    Ok(Arc::new(Factory(Arc::new(Shared {
        setup,
        term_timeout,
    }))))
}

#[async_trait]
impl SpawnerFactory for Factory {
    fn create(&self, _: &ServerId) -> Box<dyn Spawner> {
        let (shared, run) = (Arc::clone(&self.0), None);
        Box::new(MarkedSpawner { shared, run })
    }

    async fn reap(&self, known: &[Known]) -> Result<Vec<Found>, SpawnError> {
        let mut runs = MarkedRun::all(&self.0.setup.instance).await?;
        runs.retain(|run| !known.contains(&run.known()));
        let found = |run: MarkedRun| run.known().found(SpawnerState::pack(1, &run));
        Ok(runs.into_iter().map(found).collect())
    }
}

#[async_trait]
impl Spawner for MarkedSpawner {
    fn config(&self) -> &SpawnerConfig {
        &self.shared.setup.config
    }

    async fn start(&mut self, launch: Launch) -> Result<Endpoint, SpawnError> {
        // Kept and saved before it exists: wherever this is dropped, `stop` finds it.
        let run = MarkedRun::new(&launch, &self.shared.setup.instance)?;
        let run = self.run.insert(run);
        launch.checkpoint(&SpawnerState::pack(1, run)).await?;
        run.spawn(launch.command()?)?;
        launch.local_endpoint()
    }

    async fn stop(&mut self, mode: StopMode) -> Result<(), SpawnError> {
        match &mut self.run {
            Some(run) => run.stop(mode, self.shared.term_timeout).await,
            None => Ok(()),
        }
    }

    async fn poll(&mut self) -> Result<PollStatus, SpawnError> {
        match &mut self.run {
            Some(run) => run.poll().await,
            None => Ok(PollStatus::Exited(ExitStatus::Unknown)),
        }
    }

    async fn endpoint(&mut self) -> Result<Option<Endpoint>, SpawnError> {
        Ok(self.run.as_ref().map(|run| run.endpoint().clone()))
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
