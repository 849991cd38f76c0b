//! The tutorial's second exercise: users choose the image of their server, out of the stacks of the
//! Jupyter project.
//!
//! Run it on a machine with a Docker Engine. The easiest version takes images that are there already,
//! so fetch one or two, and make yourself an account:
//!
//! ```text
//! docker pull quay.io/jupyter/minimal-notebook
//! cargo run -p hubd -- user add --config examples/configs/docker.toml NAME
//! cargo run -p hubd-examples --example docker_images
//! ```
//!
//! The form is the spawner's own, made from the allowed images, and so is the check of what comes
//! back: an image that is not in the list does not run, whatever a request says.

use std::sync::Arc;

use hubd::{Hub, HubError};
use spawner_core::{BackendSetup, SetupError, SpawnerFactory};
use spawner_docker::{DockerFactory, DockerSettings, ImageChoice, ImageRef};

/// The candidates of the exercise, by the names that users see.
const STACKS: [(&str, &str); 5] = [
    ("Minimal", "quay.io/jupyter/minimal-notebook"),
    ("SciPy", "quay.io/jupyter/scipy-notebook"),
    ("R", "quay.io/jupyter/r-notebook"),
    ("Data science", "quay.io/jupyter/datascience-notebook"),
    ("PySpark", "quay.io/jupyter/pyspark-notebook"),
];

/// Everything but the images is as in the example of a configuration.
const CONFIG: &str = include_str!("configs/docker.toml");

/// DockerSpawners whose users choose among the stacks; the first one runs when they do not.
fn stacks(setup: BackendSetup) -> Result<Arc<dyn SpawnerFactory>, SetupError> {
    let named = STACKS
        .iter()
        .map(|(name, image)| Ok(((*name).to_owned(), ImageRef::new(image)?)))
        .collect::<Result<_, spawner_docker::ImageRefError>>()
        .map_err(|error| SetupError::new(error.to_string()))?;
    let images =
        ImageChoice::among(None, named).map_err(|error| SetupError::new(error.to_string()))?;
    let settings = DockerSettings {
        images,
        ..DockerSettings::from_table(&setup.settings)?
    };
    let factory = DockerFactory::new(setup.config, settings, setup.instance);
    Ok(Arc::new(factory))
}

#[tokio::main]
async fn main() -> Result<(), HubError> {
    let hub = Hub::builder()
        .config_toml(CONFIG, "examples/configs/docker.toml")?
        .spawner("docker", stacks)
        .start()
        .await?;
    println!("log in at {}; Ctrl-C ends it", hub.url());
    hub.run(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
        .await;
    Ok(())
}
