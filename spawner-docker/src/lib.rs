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
//!
//! # `[spawner.docker]`
//!
//! The shared limits (`mem_limit`, `cpu_limit` and their guarantees) stand in `[spawner]`.
//!
//! | key | default | |
//! |---|---|---|
//! | `image` | | what runs when nobody chooses; required unless there is a list |
//! | `allowed_images` | none | a list, a table of names and images, or `"*"`; without it there is no choice |
//! | `host` | `DOCKER_HOST` | where the engine is |
//! | `connect_timeout` | 0.9 | seconds that the engine has to answer at all before a start |
//! | `pull_policy` | `ifnotpresent` | when an image is pulled: `always`, `ifnotpresent`, `never`, `skip` (not even looked for) |
//! | `pull_timeout` | 1800 | seconds that a pull may take as a whole, beside `start_timeout` |
//! | `pull_stall_timeout` | 120 | seconds that it may go without any progress |
//! | `pre_pull` | false | pull every configured image when the hub starts, in the background |
//! | `registries` | none | a table for each registry: `username` with `password` or `password_file`, or `identity_token` |
//! | `docker_config` | docker's own | the `config.json` whose logins are used for the other registries |
//! | `network_name` | one of the hub's own | the network of the servers; on the hub's own they cannot reach each other |
//! | `use_internal_ip` | on named networks | reach servers at their containers' addresses and publish no port |
//! | `host_ip`, `port` | `127.0.0.1`, 8888 | where a server's port is published, and which it is inside. Published on `0.0.0.0`, every container can reach it |
//! | `prefix`, `name_template` | `jupyter`, `{prefix}-{username}` | names of containers; what they are stands in their labels |
//! | `volumes`, `read_only_volumes` | none | a named volume or a directory, and where it is inside; with `{username}` and `{servername}` |
//! | `mounts` | none | mounts in the words of the engine's API |
//! | `system_user` | none | run as the user's account of this host, in its home: `host_home`, `image_home` |
//! | `pids_limit`, `cap_add` | 512, none | processes and threads, 0 for any number; capabilities that are kept |
//! | `stop_timeout` | 10 | seconds to end in when asked politely |
//! | `remove` | true | remove a container when its server has stopped |
//! | `reuse` | `if-unchanged` | what becomes of one that was kept: `never`, `if-unchanged`, `always` |
//! | `extra_create`, `extra_host_config` | none | the body of the create request and its `HostConfig`, merged last |
//!
//! Refused when the configuration is read, with the key: an unknown key, a wrong type, an image that is
//! no reference, a template with an unknown field, a relative or climbing path, two volumes at one place, a
//! capability that there is not, `pre_pull` where nothing is pulled, and in `extra_create` and
//! `extra_host_config` whatever the engine's API does not have. Refused at a start, before the engine
//! hears of it: an image that is not allowed, a limit that the engine cannot enforce, an account with
//! uid 0, and arguments and variables with a NUL in them.
//!
//! # The network
//!
//! Without `network_name` the hub makes the bridge `hubd-INSTANCE` when it first needs it, labelled with
//! `hubd.instance`. It stays when the hub ends: servers outlive the hub, and firewall rules may name its
//! address range, which a new network need not get again. `hubd doctor` names it, and the command that
//! removes it from a host that has no hub any more.
//!
//! # Whose files
//!
//! A named volume that is new gets the owner of the directory of the image that it covers; where the
//! image has none it would be root's, and is given to the container's user before the server starts
//! (the top of it, once). A directory of the host must be there and keeps its owner.
//!
//! # Containers that are used again
//!
//! Each run of a server has a token of its own, and the environment of a container cannot be changed.
//! With `remove = false`, unless `reuse = "never"`, a container therefore gets its environment as a
//! file before each start, which a shell reads that then becomes the server: the image needs
//! `/bin/sh`, and the token is not among what `docker inspect` shows. Whether a container is the same
//! is told by a hash of the image's id, the command, the mounts and all settings, but not of the
//! environment, which is fresh in any case.

mod account;
mod choice;
mod client;
mod container;
mod create;
mod doctor;
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
mod owner;
mod patch;
mod pull;
mod registry;
mod reuse;
mod settings;
mod spawner;
mod start;
mod table;
mod tar;
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
