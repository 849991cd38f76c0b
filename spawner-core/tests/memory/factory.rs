//! Where the spawners come from, and who looks for what was lost.

use std::sync::Arc;

use async_trait::async_trait;
use spawner_core::{BackendSetup, Found, Known, ServerId, SpawnError, Spawner, SpawnerFactory};

use super::spawner::MemorySpawner;
use super::world::World;

pub struct MemoryFactory {
    pub world: Arc<World>,
    pub setup: BackendSetup,
}

impl MemoryFactory {
    /// The spawner of one server, by its own type.
    pub fn spawner(&self, server: &ServerId) -> MemorySpawner {
        MemorySpawner::new(server, &self.world, &self.setup)
    }
}

#[async_trait]
impl SpawnerFactory for MemoryFactory {
    fn create(&self, server: &ServerId) -> Box<dyn Spawner> {
        Box::new(self.spawner(server))
    }

    async fn reap(&self, known: &[Known]) -> Result<Vec<Found>, SpawnError> {
        self.world.reach()?;
        let mut found = Vec::new();
        for (number, tag) in self.world.runs() {
            let Some(launch_id) = tag.launch_id else {
                continue;
            };
            let run = Known {
                server: tag.whose,
                launch_id,
            };
            if tag.instance == self.setup.instance && !known.contains(&run) {
                found.push(run.found(MemorySpawner::saved(Some(number))));
            }
        }
        Ok(found)
    }
}

/// A setup with nothing in it.
pub fn setup() -> BackendSetup {
    BackendSetup {
        config: spawner_core::SpawnerConfig::default(),
        settings: serde_json::Map::new(),
        state_dir: std::path::PathBuf::new(),
        instance: "memory".to_owned(),
    }
}
