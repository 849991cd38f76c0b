//! The conformance kit against containers of the machine's own Docker Engine. Without one it is
//! skipped, aloud; where `CI` is set that is a failure.

#[path = "world/forward.rs"]
mod forward;
#[path = "world/image.rs"]
mod image;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bollard::Docker;
use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};
use forward::Forwarder;
use image::{File, Image, Shared};
use serde_json::{Value, json};
use spawner_core::conformance::{Backend, Behaviour, Probe, Recipe};
use spawner_core::{ServerId, SpawnerConfig, SpawnerFactory, UserOptions};
use spawner_docker::{DockerFactory, DockerSettings};

static PROBE: Shared = Shared::new();

/// A hub of its own behind a socket that can be cut.
struct Place {
    docker: Docker,
    image: Arc<Image>,
    forwarder: Option<Forwarder>,
    instance: String,
}

#[async_trait]
impl Backend for Place {
    async fn set_up() -> Self {
        let Some(image) = PROBE.open(this_binary, None).await else {
            // The checks have no word for a machine without an engine; the line was said.
            std::process::exit(0);
        };
        Self {
            docker: image::connect().await.unwrap(),
            image,
            forwarder: Forwarder::open(),
            instance: format!("kit-{}-{}", std::process::id(), image::count()),
        }
    }

    fn factory(&self) -> Arc<dyn SpawnerFactory> {
        let mut table = json!({
            "image": self.image.name,
            "prefix": format!("k{}", self.instance.trim_start_matches("kit-")),
            "stop_timeout": 1,
            "network_name": "bridge",
            "allowed_images": {"Probe": self.image.name, "Absent": "hubd-test-absent:1"},
        });
        if let Some(forwarder) = &self.forwarder {
            table["host"] = json!(forwarder.host());
        }
        let settings = DockerSettings::from_table(table.as_object().unwrap()).unwrap();
        let config = SpawnerConfig::default();
        Arc::new(DockerFactory::new(config, settings, self.instance.clone()))
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
        if let Some(forwarder) = &self.forwarder {
            forwarder.sever().await;
        }
        self.forwarder.is_some()
    }

    async fn mend(&self) {
        if let Some(forwarder) = &self.forwarder {
            forwarder.mend();
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

impl Place {
    async fn containers(&self) -> Vec<ContainerSummary> {
        let label = vec![format!("hubd.instance={}", self.instance)];
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&HashMap::from([("label", label)]))
            .build();
        self.docker.list_containers(Some(options)).await.unwrap()
    }
}

fn options(image: &Value) -> UserOptions {
    serde_json::from_value(json!({"image": image})).unwrap()
}

/// The test binary, which is the server of the checks, with the libraries that it needs.
fn this_binary() -> Result<Vec<File>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    image::with_libraries(&program, "probe")
}

spawner_core::conformance_tests!(Place);
