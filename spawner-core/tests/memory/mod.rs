//! A spawner of servers that are tasks of this process: no program, no file, nothing but memory.
//!
//! Its world is modelled on a container engine: a server is made under a number that is never given
//! again, keeps its exit status when it ends, and is there until it is removed.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test binary compiles it and uses a part"
)]

mod factory;
mod spawner;
mod world;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use spawner_core::conformance::{Backend, Behaviour, Probe, Recipe};
use spawner_core::{BackendSetup, ServerId, SpawnerFactory, UserOptions};

pub use factory::{MemoryFactory, setup};
pub use spawner::MemorySpawner;
pub use world::{Number, Tag, World};

/// A world with an honest spawner.
pub struct Memory {
    pub world: Arc<World>,
}

#[async_trait]
impl Backend for Memory {
    async fn set_up() -> Self {
        Self {
            world: Arc::default(),
        }
    }

    fn factory(&self) -> Arc<dyn SpawnerFactory> {
        let (world, setup) = (Arc::clone(&self.world), setup());
        Arc::new(MemoryFactory { world, setup })
    }

    fn factory_from(&self, change: &dyn Fn(&mut BackendSetup)) -> Option<Arc<dyn SpawnerFactory>> {
        let (world, mut setup) = (Arc::clone(&self.world), setup());
        change(&mut setup);
        Some(Arc::new(MemoryFactory { world, setup }))
    }

    async fn census(&self, server: &ServerId) -> Vec<String> {
        self.world.census(server)
    }

    fn behave(&self, behaviour: Behaviour, _: &Probe) -> Option<Recipe> {
        Some(Probe::new(["memory".to_owned()]).recipe(behaviour))
    }

    async fn sever(&self) -> bool {
        self.world.reachable(false);
        true
    }

    async fn mend(&self) {
        self.world.reachable(true);
    }

    fn knows_listeners(&self) -> bool {
        true
    }

    fn hostile(&self) -> Vec<UserOptions> {
        vec![UserOptions(
            [("size".to_owned(), json!("huge"))].into_iter().collect(),
        )]
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }
}
