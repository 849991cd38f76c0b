//! Single-user servers as Docker containers.
//!
//! ```text
//! [spawner.docker] --> DockerSettings --> DockerFactory ---create--> DockerSpawner (one a server)
//!                                              '--- one client of one engine ---'
//! ```
//!
//! [`register`] adds the kind `docker` to a registry; a program of its own can build a
//! [`DockerFactory`] from [`DockerSettings`] instead:
//!
//! ```
//! use spawner_core::SpawnerConfig;
//! use spawner_docker::{DockerFactory, DockerSettings, ImageRef};
//!
//! let image = ImageRef::new("quay.io/jupyter/minimal-notebook")?;
//! let factory = DockerFactory::new(
//!     SpawnerConfig::default(),
//!     DockerSettings::from(image),
//!     "my-hub".to_owned(),
//! );
//! # drop(factory);
//! # Ok::<_, spawner_docker::ImageRefError>(())
//! ```
//!
//! Images must be on the engine: nothing is pulled. The engine is the one that `DOCKER_HOST` names,
//! or the local one.

mod choice;
mod client;
mod container;
mod create;
mod error;
mod events;
mod factory;
mod identity;
mod image;
mod limits;
mod log;
mod name;
mod ours;
mod settings;
mod spawner;
mod table;
mod volume;

pub use choice::{ChoiceError, ImageChoice};
pub use factory::{DockerFactory, register};
pub use image::{ImageRef, ImageRefError};
pub use name::{Prefix, PrefixError};
pub use settings::{Capability, CapabilityError, DockerSettings, Network, NetworkError};
pub use spawner::DockerSpawner;
pub use volume::{Volume, VolumeError};
