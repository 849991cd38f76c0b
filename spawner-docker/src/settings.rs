//! What a DockerSpawner is configured with.
//!
//! Fields are of types that cannot hold nonsense, so a factory built from them has nothing left to
//! refuse. How the table `[spawner.docker]` becomes one is in [`table`](crate::table).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use crate::account::SystemUser;
use crate::choice::ImageChoice;
use crate::image::ImageRef;
use crate::name::{NameTemplate, Prefix, is_object_name};
use crate::patch::Patch;
use crate::pull::PullSettings;
use crate::registry::{RegistryHost, RegistryLogin};
use crate::reuse::Reuse;
use crate::volume::{RawMount, Volume};

/// The settings of a [`DockerFactory`](crate::DockerFactory); `DockerSettings::new(images)` has the
/// defaults.
#[derive(Debug, Clone)]
pub struct DockerSettings {
    /// Which images servers run and users may choose.
    pub images: ImageChoice,
    /// Where the engine is: `unix:///path` or `tcp://host:port`. Without it `DOCKER_HOST` says so,
    /// or else it is the local socket.
    pub host: Option<String>,
    /// How long the engine may take to answer at all before a start; one that takes longer fails it.
    /// Default 0.9 s.
    pub connect_timeout: Duration,
    /// When and how images are pulled.
    pub pull: PullSettings,
    /// What the hub logs in to registries with.
    pub registries: BTreeMap<RegistryHost, RegistryLogin>,
    /// The folder of docker's own `config.json`, which is asked for registries that are not among
    /// those. Without it `DOCKER_CONFIG` says so, or else it is `.docker` in the hub's home.
    pub docker_config: Option<PathBuf>,
    /// The address of the engine's host on which a server's port is published. Default `127.0.0.1`.
    pub host_ip: IpAddr,
    /// The port that servers listen on inside their containers. Without it the shared `port`
    /// counts, or else it is 8888.
    pub port: Option<NonZeroU16>,
    /// The network that containers join. Without it: a bridge of the hub's own, made when it is
    /// missing, on which containers cannot reach each other.
    pub network: Option<Network>,
    /// Reach servers at their containers' own addresses and publish no port. Without it: yes on a
    /// network that is named here, no on the default bridge and on the hub's own.
    pub use_internal_ip: Option<bool>,
    /// What container names start with. Default `jupyter`.
    pub prefix: Prefix,
    /// What container names are made of. Without it `{prefix}-{username}`, and
    /// `{prefix}-{username}--{servername}` for named servers.
    pub name_template: Option<NameTemplate>,
    /// Volumes and directories inside every container.
    pub volumes: Vec<Volume>,
    /// Mounts in the words of the engine's API, beside the volumes.
    pub mounts: Vec<RawMount>,
    /// Run servers as accounts of the host, in their homes.
    pub system_user: Option<SystemUser>,
    /// How many processes and threads a container may have; `None` is no limit. Default 512. The
    /// other limits are the shared ones of [`SpawnerConfig`](spawner_core::SpawnerConfig).
    pub pids_limit: Option<NonZeroU32>,
    /// Capabilities that a container keeps; all others are dropped.
    pub cap_add: Vec<Capability>,
    /// How long a server has to end when it is asked politely. Default 10 s.
    pub stop_timeout: Duration,
    /// Remove a container when its server has stopped. Without it the stopped container stays, with
    /// its log, until the next start uses or replaces it. Default true.
    pub remove: bool,
    /// What becomes of a container that has stayed.
    pub reuse: Reuse,
    /// Raw settings in the words of the engine's API, merged over everything above.
    pub patch: Patch,
}

/// The name of a network that containers can join. The namespaces of the host and of other
/// containers are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network(String);

/// A Linux capability by the engine's name for it, such as `NET_BIND_SERVICE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability(String);

/// Why a text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// A mode of the engine's that is not a network.
    #[error("servers need a network of their own: host, none and default are not offered")]
    Mode,
    /// Not a name.
    #[error("a network is named by a letter or digit, then letters, digits and . _ -")]
    Name,
}

/// Why a text is no capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a capability is written like NET_BIND_SERVICE, one by one; ALL is not offered")]
pub struct CapabilityError;

impl DockerSettings {
    /// The defaults, with these images.
    pub fn new(images: ImageChoice) -> Self {
        Self {
            images,
            host: None,
            connect_timeout: Duration::from_millis(900),
            pull: PullSettings::default(),
            registries: BTreeMap::new(),
            docker_config: None,
            host_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: None,
            network: None,
            use_internal_ip: None,
            prefix: Prefix::default(),
            name_template: None,
            volumes: Vec::new(),
            mounts: Vec::new(),
            system_user: None,
            pids_limit: NonZeroU32::new(512),
            cap_add: Vec::new(),
            stop_timeout: Duration::from_secs(10),
            remove: true,
            reuse: Reuse::default(),
            patch: Patch::default(),
        }
    }

    /// Whether servers are reached at their containers' own addresses.
    pub(crate) fn is_internal(&self) -> bool {
        let of_others = |network: &Network| network.as_str() != Network::BRIDGE;
        self.use_internal_ip
            .unwrap_or_else(|| self.network.as_ref().is_some_and(of_others))
    }

    /// What container names are made of.
    pub(crate) fn names(&self) -> NameTemplate {
        self.name_template
            .clone()
            .unwrap_or_else(|| NameTemplate::of_prefix(&self.prefix))
    }

    /// Whether stopped containers are used again.
    pub(crate) fn reuses(&self) -> bool {
        !self.remove && self.reuse != Reuse::Never
    }
}

impl From<ImageRef> for DockerSettings {
    /// The defaults, with one image and no choice.
    fn from(image: ImageRef) -> Self {
        Self::new(ImageChoice::fixed(image))
    }
}

impl Network {
    /// The engine's default bridge.
    const BRIDGE: &str = "bridge";

    /// Takes a network's name.
    pub fn new(raw: &str) -> Result<Self, NetworkError> {
        if matches!(raw, "host" | "none" | "default") {
            return Err(NetworkError::Mode);
        }
        if !is_object_name(raw) {
            return Err(NetworkError::Name);
        }
        Ok(Self(raw.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Capability {
    /// Takes a capability's name, with or without `CAP_` before it.
    pub fn new(raw: &str) -> Result<Self, CapabilityError> {
        let name = raw.strip_prefix("CAP_").unwrap_or(raw);
        let known = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        if name == "ALL" || name.is_empty() || !name.bytes().all(known) {
            return Err(CapabilityError);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name, without `CAP_`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_no_namespaces() {
        assert_eq!(Network::new("hub-net").unwrap().as_str(), "hub-net");
        assert_eq!(Network::new("host"), Err(NetworkError::Mode));
        assert_eq!(Network::new("none"), Err(NetworkError::Mode));
        for raw in ["", "container:abc", "a/b", "../x", "a b"] {
            assert_eq!(Network::new(raw), Err(NetworkError::Name), "{raw:?}");
        }
    }

    #[test]
    fn own_networks_are_reached_from_inside() {
        let mut settings = DockerSettings::from(ImageRef::new("lab").unwrap());
        assert!(!settings.is_internal());
        settings.network = Some(Network::new("bridge").unwrap());
        assert!(!settings.is_internal());
        settings.network = Some(Network::new("hub-net").unwrap());
        assert!(settings.is_internal());
        settings.use_internal_ip = Some(false);
        assert!(!settings.is_internal());
    }

    #[test]
    fn capabilities_are_named_one_by_one() {
        assert_eq!(Capability::new("CAP_CHOWN"), Capability::new("CHOWN"));
        for raw in ["", "ALL", "CAP_ALL", "CAP_", "chown", "A B"] {
            assert_eq!(Capability::new(raw), Err(CapabilityError), "{raw:?}");
        }
    }
}
