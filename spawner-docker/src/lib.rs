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
//! An image that the engine does not have is pulled at the first start that needs it, with its
//! progress shown to whoever waits; [`PullSettings`] says when and how long. With
//! `allowed_images = "*"` that means every image that the hub's logins can see. The engine is the one
//! that `DOCKER_HOST` names, or the local one.

mod account;
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
mod network;
mod ours;
mod patch;
mod pull;
mod registry;
mod reuse;
mod settings;
mod spawner;
mod start;
mod table;
mod template;
mod volume;

pub use account::{HomeError, SystemUser};
pub use choice::{ChoiceError, ImageChoice};
pub use factory::{DockerFactory, register};
pub use image::{ImageRef, ImageRefError};
pub use name::{NameTemplate, NameTemplateError, Prefix, PrefixError};
pub use patch::{Overrides, Patch, PatchError};
pub use pull::{PullPolicy, PullPolicyError, PullSettings};
pub use registry::{PasswordSource, RegistryHost, RegistryHostError, RegistryLogin};
pub use reuse::Reuse;
pub use settings::{Capability, CapabilityError, DockerSettings, Network, NetworkError};
pub use spawner::DockerSpawner;
pub use template::TemplateError;
pub use volume::{MountError, RawMount, Volume, VolumeError};
