//! Does the spawner keep the contract? Each check says so by its name.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use spawner_core::conformance::{Backend, processes_with};
use spawner_core::{BackendSetup, LaunchId, ServerId, SpawnerConfig, SpawnerFactory};

/// Tells the servers of one check from those of the others.
struct Marked {
    place: String,
}

impl Marked {
    fn setup(&self) -> BackendSetup {
        let mut config = SpawnerConfig::default();
        let place = self.place.as_str().into();
        config.environment.insert("PLACE".into(), place);
        BackendSetup {
            config,
            // Short, for the servers that do not listen to reason.
            settings: [("term_timeout".to_owned(), 0.05.into())]
                .into_iter()
                .collect(),
            state_dir: PathBuf::new(),
            instance: self.place.clone(),
        }
    }
}

#[async_trait]
impl Backend for Marked {
    async fn set_up() -> Self {
        let place = LaunchId::random().to_string();
        Self { place }
    }

    fn factory(&self) -> Arc<dyn SpawnerFactory> {
        custom_spawner::build(self.setup()).expect("the settings are right")
    }

    fn factory_from(&self, change: &dyn Fn(&mut BackendSetup)) -> Option<Arc<dyn SpawnerFactory>> {
        let mut setup = self.setup();
        change(&mut setup);
        custom_spawner::build(setup).ok()
    }

    async fn census(&self, server: &ServerId) -> Vec<String> {
        processes_with(&[("PLACE", &self.place)], server)
    }
}

spawner_core::conformance_tests!(Marked);
