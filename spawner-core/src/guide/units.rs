use std::sync::Arc;

use spawner_core::{BackendSetup, Found, Known, ServerId, SetupError, SpawnerFactory};

/// Makes the spawners of one daemon, and finds what a crash left.
struct Units {
    setup: BackendSetup,
    engine: Engine,
}

#[async_trait]
impl SpawnerFactory for Units {
    fn create(&self, _: &ServerId) -> Box<dyn Spawner> {
        Box::new(UnitSpawner {
            config: self.setup.config.clone(),
            engine: self.engine.clone(),
            run: None,
        })
    }

    async fn reap(&self, known: &[Known]) -> Result<Vec<Found>, SpawnError> {
        let mut units = self.engine.list(&self.setup.instance).await?;
        units.retain(|(unit, _)| !known.contains(unit));
        let found = units.into_iter().map(|(known, endpoint)| {
            let unit = known.launch_id.clone();
            known.found(SpawnerState::pack(1, &Run { unit, endpoint }))
        });
        Ok(found.collect())
    }
}

/// Builds the backend from its configuration.
fn build(setup: BackendSetup) -> Result<Arc<dyn SpawnerFactory>, SetupError> {
    let engine = Engine::connect(&setup)?;
    Ok(Arc::new(Units { setup, engine }))
}
