//! A place for the conformance kit on the machine's own Docker Engine. Without one it is skipped,
//! aloud; where `CI` is set that is a failure.

#[path = "../world/image.rs"]
mod image;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bollard::Docker;
use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};
use image::{File, Image, Shared};
use serde_json::{Value, json};
use spawner_core::conformance::{Backend, Behaviour, Probe, Recipe};
use spawner_core::{BackendSetup, ServerId, SpawnerConfig, SpawnerFactory, UserOptions};
use spawner_docker::{DockerFactory, DockerSettings};

static PROBE: Shared = Shared::new();

/// A socket in front of the engine's.
#[async_trait]
pub(crate) trait Front: Sized + Send + Sync + 'static {
    /// `None` if the engine is not at a socket of this host.
    fn open() -> Option<Self>;

    /// As a configuration names it.
    fn host(&self) -> String;

    /// Cuts whoever is behind it off.
    async fn sever(&self);

    /// Undoes that.
    fn mend(&self);
}

/// A hub of its own behind a front.
pub(crate) struct Place<F> {
    docker: Docker,
    image: Arc<Image>,
    front: Option<F>,
    instance: String,
}

#[async_trait]
impl<F: Front> Backend for Place<F> {
    async fn set_up() -> Self {
        let Some(image) = PROBE.open(this_binary, None).await else {
            // The checks have no word for a machine without an engine; the line was said.
            std::process::exit(0);
        };
        Self {
            docker: image::connect().await.unwrap(),
            image,
            front: F::open(),
            instance: format!("kit-{}-{}", std::process::id(), image::count()),
        }
    }

    fn factory(&self) -> Arc<dyn SpawnerFactory> {
        factory_of(self.setup())
    }

    fn factory_from(&self, change: &dyn Fn(&mut BackendSetup)) -> Option<Arc<dyn SpawnerFactory>> {
        let mut setup = self.setup();
        change(&mut setup);
        Some(factory_of(setup))
    }

    async fn census(&self, server: &ServerId) -> Vec<String> {
        let is = |found: &ContainerSummary, label: &str, value: &str| {
            let labels = found.labels.as_ref();
            labels.is_some_and(|labels| labels.get(label).is_some_and(|found| found == value))
        };
        let mut found = self.containers().await;
        found.retain(|found| {
            is(found, "hubd.user", server.user.as_str())
                && is(found, "hubd.server", server.server.as_str())
        });
        let line = |found: ContainerSummary| {
            let status = found.status.unwrap_or_default();
            format!("container {:?}: {status}", found.names.unwrap_or_default())
        };
        found.into_iter().map(line).collect()
    }

    fn behave(&self, behaviour: Behaviour, probe: &Probe) -> Option<Recipe> {
        if behaviour == Behaviour::Missing {
            // A program that is not in its image ends with 127, like any other that fails early.
            return Some(Recipe {
                options: options(&json!("Absent")),
                ..Recipe::default()
            });
        }
        let mut command = probe.command().to_vec();
        "/probe".clone_into(&mut command[0]);
        Some(Probe::new(command).recipe(behaviour))
    }

    async fn sever(&self) -> bool {
        if let Some(front) = &self.front {
            front.sever().await;
        }
        self.front.is_some()
    }

    async fn mend(&self) {
        if let Some(front) = &self.front {
            front.mend();
        }
    }

    fn hostile(&self) -> Vec<UserOptions> {
        [
            json!("../../containers/x"),
            json!("nobody/allowed:this"),
            json!(["Probe"]),
            json!(7),
        ]
        .iter()
        .map(options)
        .collect()
    }

    async fn tear_down(&self) {
        for found in self.containers().await {
            let options = RemoveContainerOptionsBuilder::default().force(true).v(true);
            let id = found.id.unwrap_or_default();
            let _ = self
                .docker
                .remove_container(&id, Some(options.build()))
                .await;
        }
    }
}

impl<F: Front> Place<F> {
    fn setup(&self) -> BackendSetup {
        let mut table = json!({
            "image": self.image.name,
            "prefix": format!("k{}", self.instance.trim_start_matches("kit-")),
            "stop_timeout": 1,
            "network_name": "bridge",
            "allowed_images": {"Probe": self.image.name, "Absent": "hubd-test-absent:1"},
        });
        if let Some(front) = &self.front {
            table["host"] = json!(front.host());
        }
        BackendSetup {
            config: SpawnerConfig::default(),
            settings: table.as_object().unwrap().clone(),
            // A DockerSpawner keeps nothing there.
            state_dir: PathBuf::new(),
            instance: self.instance.clone(),
        }
    }

    async fn containers(&self) -> Vec<ContainerSummary> {
        let label = vec![format!("hubd.instance={}", self.instance)];
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&HashMap::from([("label", label)]))
            .build();
        self.docker.list_containers(Some(options)).await.unwrap()
    }
}

fn factory_of(setup: BackendSetup) -> Arc<dyn SpawnerFactory> {
    let settings = DockerSettings::from_table(&setup.settings).unwrap();
    Arc::new(DockerFactory::new(setup.config, settings, setup.instance))
}

fn options(image: &Value) -> UserOptions {
    serde_json::from_value(json!({"image": image})).unwrap()
}

/// The test binary, which is the server of the checks, with the libraries that it needs.
fn this_binary() -> Result<Vec<File>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    image::with_libraries(&program, "probe")
}
