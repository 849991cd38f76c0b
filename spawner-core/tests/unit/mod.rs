//! The spawner of the documentation's front page and guide, over an engine in memory: what authors are
//! told to write keeps every rule.

mod engine;

use spawner_core::conformance::{Backend, Behaviour, Probe, Recipe};

use crate::memory::{World, setup};

include!("../../src/guide/unit.rs");
include!("../../src/guide/units.rs");

/// A world with units in it.
pub(crate) struct Documented {
    world: Arc<World>,
}

impl Documented {
    fn units(&self, setup: BackendSetup) -> Arc<dyn SpawnerFactory> {
        let engine = Engine::of(Arc::clone(&self.world), &setup);
        Arc::new(Units { setup, engine })
    }
}

#[async_trait]
impl Backend for Documented {
    async fn set_up() -> Self {
        Self {
            world: Arc::default(),
        }
    }

    fn factory(&self) -> Arc<dyn SpawnerFactory> {
        self.units(setup())
    }

    fn factory_from(&self, change: &dyn Fn(&mut BackendSetup)) -> Option<Arc<dyn SpawnerFactory>> {
        let mut setup = setup();
        change(&mut setup);
        Some(self.units(setup))
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
}

#[test]
fn it_is_built_from_a_setup() {
    assert!(build(setup()).is_ok());
    let mut nameless = setup();
    nameless.instance.clear();
    assert!(build(nameless).is_err());
}
