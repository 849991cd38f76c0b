//! `[spawner.docker]` of a configuration file, and how it becomes [`DockerSettings`].
//!
//! ```toml
//! [spawner.docker]
//! image = "quay.io/jupyter/minimal-notebook"
//! volumes = { "jupyter-{username}" = "/home/jovyan/work" }
//! cap_add = ["CHOWN"]
//! ```
//!
//! Names and meanings are DockerSpawner's where it has them. An unknown key is an error, and every
//! error names its key.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use spawner_core::SetupError;

use crate::account::SystemUser;
use crate::choice::{ChoiceError, ImageChoice};
use crate::image::ImageRef;
use crate::name::{NameTemplate, Prefix};
use crate::patch::Patch;
use crate::registry::{LoginTable, RegistryHost, RegistryLogin};
use crate::reuse::Reuse;
use crate::settings::{Capability, DockerSettings, Network};
use crate::volume::{RawMount, Volume};

/// The longest `stop_timeout`.
const STOP_TIMEOUT_MAX: f64 = 3600.0;
/// The longest `connect_timeout`.
const CONNECT_TIMEOUT_MAX: f64 = 60.0;
/// The longest `pull_timeout`.
const PULL_TIMEOUT_MAX: f64 = 86_400.0;

/// The keys as they are written; what is absent keeps the default of [`DockerSettings`].
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Table {
    image: Option<String>,
    allowed_images: Option<Value>,
    host: Option<String>,
    connect_timeout: Option<f64>,
    pull_policy: Option<String>,
    pull_timeout: Option<f64>,
    pull_stall_timeout: Option<f64>,
    pre_pull: Option<bool>,
    registries: BTreeMap<String, LoginTable>,
    docker_config: Option<PathBuf>,
    host_ip: Option<IpAddr>,
    port: Option<NonZeroU16>,
    network_name: Option<String>,
    use_internal_ip: Option<bool>,
    prefix: Option<String>,
    name_template: Option<String>,
    volumes: BTreeMap<String, String>,
    read_only_volumes: BTreeMap<String, String>,
    mounts: Vec<Value>,
    system_user: Option<Homes>,
    pids_limit: Option<u32>,
    cap_add: Vec<String>,
    stop_timeout: Option<f64>,
    remove: Option<bool>,
    reuse: Reuse,
    extra_create: Map<String, Value>,
    extra_host_config: Map<String, Value>,
}

/// `[spawner.docker.system_user]`; the empty table has the defaults.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Homes {
    host_home: Option<String>,
    image_home: Option<String>,
}

impl DockerSettings {
    /// Reads the table `[spawner.docker]`.
    pub fn from_table(table: &Map<String, Value>) -> Result<Self, SetupError> {
        let table: Table =
            serde_path_to_error::deserialize(Value::Object(table.clone())).map_err(|error| {
                SetupError {
                    key: Some(error.path().to_string()).filter(|path| path != "."),
                    message: error.inner().to_string(),
                }
            })?;
        let mut settings = Self::new(table.images()?);
        settings.volumes = table.all_volumes()?;
        if let Some(pids) = table.pids_limit {
            settings.pids_limit = NonZeroU32::new(pids);
        }
        settings.use_internal_ip = table.use_internal_ip;
        settings.network = optional(table.network_name.as_deref(), "network_name", Network::new)?;
        settings.prefix =
            optional(table.prefix.as_deref(), "prefix", Prefix::new)?.unwrap_or_default();
        let parse = |raw: &str| NameTemplate::new(raw, &settings.prefix);
        settings.name_template = optional(table.name_template.as_deref(), "name_template", parse)?;
        settings.system_user = table.system_user()?;
        for (at, mount) in table.mounts.iter().enumerate() {
            let mount = RawMount::new(mount.clone()).map_err(at_key(format!("mounts[{at}]")))?;
            settings.mounts.push(mount);
        }
        settings.host_ip = table.host_ip.unwrap_or(settings.host_ip);
        settings.remove = table.remove.unwrap_or(settings.remove);
        settings.port = table.port;
        settings.reuse = table.reuse;
        settings.patch = table.patch()?;
        for (at, raw) in table.cap_add.iter().enumerate() {
            let capability = Capability::new(raw).map_err(at_key(format!("cap_add[{at}]")))?;
            settings.cap_add.push(capability);
        }
        if let Some(seconds) = table.stop_timeout {
            if !(0.0..=STOP_TIMEOUT_MAX).contains(&seconds) {
                let message = format!("it must be 0 to {STOP_TIMEOUT_MAX} seconds");
                return Err(SetupError::key("stop_timeout", message));
            }
            settings.stop_timeout = Duration::from_secs_f64(seconds);
        }
        let pull = &mut settings.pull;
        pull.policy =
            optional(table.pull_policy.as_deref(), "pull_policy", str::parse)?.unwrap_or_default();
        pull.pre_pull = table.pre_pull.unwrap_or(pull.pre_pull);
        if pull.pre_pull && !pull.policy.pulls() {
            let message = "with this pull_policy nothing is pulled";
            return Err(SetupError::key("pre_pull", message));
        }
        for (key, seconds, limit, max) in [
            (
                "connect_timeout",
                table.connect_timeout,
                &mut settings.connect_timeout,
                CONNECT_TIMEOUT_MAX,
            ),
            (
                "pull_timeout",
                table.pull_timeout,
                &mut pull.timeout,
                PULL_TIMEOUT_MAX,
            ),
            (
                "pull_stall_timeout",
                table.pull_stall_timeout,
                &mut pull.stall_timeout,
                PULL_TIMEOUT_MAX,
            ),
        ] {
            let Some(seconds) = seconds else { continue };
            if !(0.1..=max).contains(&seconds) {
                let message = format!("it must be 0.1 to {max} seconds");
                return Err(SetupError::key(key, message));
            }
            *limit = Duration::from_secs_f64(seconds);
        }
        settings.docker_config = table.docker_config;
        settings.registries = logins(table.registries)?;
        if let Some(host) = table.host {
            let known = ["unix://", "tcp://", "http://", "https://"];
            if !known.iter().any(|scheme| host.starts_with(scheme)) {
                let message = "an engine is at unix:///path or tcp://host:port";
                return Err(SetupError::key("host", message));
            }
            settings.host = Some(host);
        }
        Ok(settings)
    }
}

impl Table {
    fn images(&self) -> Result<ImageChoice, SetupError> {
        let image = optional(self.image.as_deref(), "image", ImageRef::new)?;
        let named = match &self.allowed_images {
            None => Vec::new(),
            Some(Value::String(star)) if star == "*" => {
                return image.map(ImageChoice::anything).ok_or_else(no_image);
            }
            Some(Value::Array(list)) => list
                .iter()
                .enumerate()
                .map(|(at, value)| allowed(format!("allowed_images[{at}]"), None, value))
                .collect::<Result<_, _>>()?,
            Some(Value::Object(map)) => map
                .iter()
                .map(|(name, value)| allowed(format!("allowed_images.{name}"), Some(name), value))
                .collect::<Result<_, _>>()?,
            Some(_) => {
                let message = "write a list of images, a table of names and images, or \"*\" to \
                               allow every image";
                return Err(SetupError::key("allowed_images", message));
            }
        };
        if named.is_empty() {
            return image.map(ImageChoice::fixed).ok_or_else(no_image);
        }
        ImageChoice::among(image, named).map_err(|error| {
            let key = match error {
                ChoiceError::NoImage | ChoiceError::DefaultNotAllowed(_) => "image",
                ChoiceError::Name => "allowed_images",
            };
            SetupError::key(key, error.to_string())
        })
    }

    fn system_user(&self) -> Result<Option<SystemUser>, SetupError> {
        let Some(homes) = &self.system_user else {
            return Ok(None);
        };
        let host_home = homes.host_home.as_deref();
        // Each for itself, so that an error is at its own key.
        let image_home = "/home/{username}";
        SystemUser::new(host_home, image_home).map_err(at_key("system_user.host_home"))?;
        let image_home = homes.image_home.as_deref().unwrap_or(image_home);
        let mode = SystemUser::new(host_home, image_home);
        mode.map(Some).map_err(at_key("system_user.image_home"))
    }

    fn patch(&self) -> Result<Patch, SetupError> {
        let (create, host) = (self.extra_create.clone(), self.extra_host_config.clone());
        // Each for itself first, so that an error is at its own key.
        Patch::new(create.clone(), Map::new()).map_err(at_key("extra_create"))?;
        Patch::new(create, host).map_err(at_key("extra_host_config"))
    }

    fn all_volumes(&self) -> Result<Vec<Volume>, SetupError> {
        let mut volumes: Vec<Volume> = Vec::new();
        for (table, entries, read_only) in [
            ("volumes", &self.volumes, false),
            ("read_only_volumes", &self.read_only_volumes, true),
        ] {
            for (source, target) in entries {
                let key = || format!("{table}.{source}");
                let volume = Volume::new(source, target, read_only).map_err(at_key(key()))?;
                if volumes.iter().any(|other| other.covers(&volume)) {
                    let message = format!("there is a volume at \"{target}\" already");
                    return Err(SetupError::key(key(), message));
                }
                volumes.push(volume);
            }
        }
        Ok(volumes)
    }
}

fn no_image() -> SetupError {
    SetupError::key(
        "image",
        "say which image servers run, such as image = \"quay.io/jupyter/minimal-notebook\"",
    )
}

/// One entry of `allowed_images`; in a list an image is its own name.
fn allowed(
    key: String,
    name: Option<&str>,
    value: &Value,
) -> Result<(String, ImageRef), SetupError> {
    let Some(text) = value.as_str() else {
        return Err(SetupError::key(key, "an image is a text"));
    };
    if text == "*" {
        let message = "\"*\" allows every image and stands alone: allowed_images = \"*\"";
        return Err(SetupError::key(key, message));
    }
    let image = ImageRef::new(text).map_err(at_key(key))?;
    Ok((name.unwrap_or(text).to_owned(), image))
}

fn logins(
    tables: BTreeMap<String, LoginTable>,
) -> Result<BTreeMap<RegistryHost, RegistryLogin>, SetupError> {
    let mut logins = BTreeMap::new();
    for (name, table) in tables {
        let key = format!("registries.{name}");
        let host = RegistryHost::new(&name).map_err(at_key(&key))?;
        if logins.insert(host, table.login(&key)?).is_some() {
            return Err(SetupError::key(
                key,
                "this registry is there by another name as well",
            ));
        }
    }
    Ok(logins)
}

fn optional<T, E: fmt::Display>(
    raw: Option<&str>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, SetupError> {
    raw.map(parse).transpose().map_err(at_key(key))
}

fn at_key<E: fmt::Display>(key: impl Into<String>) -> impl FnOnce(E) -> SetupError {
    move |error| SetupError::key(key, error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use spawner_core::UserOptions;

    use super::*;
    use crate::pull::{PullPolicy, PullSettings};

    fn read(table: Value) -> Result<DockerSettings, SetupError> {
        let Value::Object(table) = table else {
            panic!("not a table")
        };
        DockerSettings::from_table(&table)
    }

    #[test]
    fn one_image_is_enough() {
        let settings = read(json!({"image": "lab"})).unwrap();
        assert_eq!(settings.images.default_image().as_str(), "lab");
        assert_eq!(settings.host_ip.to_string(), "127.0.0.1");
        assert_eq!(settings.pids_limit, NonZeroU32::new(512));
        assert!(settings.remove && settings.volumes.is_empty());
    }

    #[test]
    fn every_key() {
        let settings = read(json!({
            "image": "r:2",
            "allowed_images": {"R": "r:2", "Plain": "p:1"},
            "host": "unix:///run/engine.sock",
            "host_ip": "::1",
            "port": 9999,
            "network_name": "hub-net",
            "use_internal_ip": false,
            "prefix": "lab",
            "name_template": "{prefix}-{username}",
            "mounts": [{"Type": "tmpfs", "Target": "/scratch"}],
            "system_user": {},
            "volumes": {"home-{username}": "/home/jovyan/work"},
            "read_only_volumes": {"/srv/data": "/data"},
            "pids_limit": 0,
            "cap_add": ["CHOWN"],
            "stop_timeout": 2.5,
            "remove": false,
            "connect_timeout": 3,
            "pull_policy": "Always",
            "pull_timeout": 600,
            "pull_stall_timeout": 30.5,
            "pre_pull": true,
            "docker_config": "/etc/hubd/docker",
            "registries": {"quay.io": {"username": "u", "password": "p"}},
            "reuse": "always",
            "extra_create": {"Hostname": "lab"},
            "extra_host_config": {"ShmSize": 1 << 30},
        }))
        .unwrap();
        let options: UserOptions = serde_json::from_value(json!({"image": "Plain"})).unwrap();
        assert_eq!(settings.images.resolve(&options).unwrap().as_str(), "p:1");
        assert_eq!(settings.volumes.len(), 2);
        assert_eq!(settings.pids_limit, None);
        assert_eq!(settings.stop_timeout, Duration::from_millis(2500));
        assert_eq!(settings.connect_timeout, Duration::from_secs(3));
        let pull = PullSettings {
            policy: PullPolicy::Always,
            timeout: Duration::from_mins(10),
            stall_timeout: Duration::from_millis(30_500),
            pre_pull: true,
        };
        assert_eq!(settings.pull, pull);
        assert_eq!(settings.registries.len(), 1);
    }

    #[test]
    fn each_error_names_its_key() {
        for (table, key) in [
            (json!({}), "image"),
            (json!({"image": ""}), "image"),
            (json!({"image": "X"}), "image"),
            (json!({"image": ["x"]}), "image"),
            (json!({"allowed_images": []}), "image"),
            (json!({"allowed_images": "*"}), "image"),
            (json!({"image": "y", "allowed_images": ["x"]}), "image"),
            (
                json!({"image": "x", "allowed_images": "x"}),
                "allowed_images",
            ),
            (
                json!({"image": "x", "allowed_images": ["x", "*"]}),
                "allowed_images[1]",
            ),
            (json!({"allowed_images": ["x", 5]}), "allowed_images[1]"),
            (json!({"allowed_images": {"a": "B"}}), "allowed_images.a"),
            (json!({"allowed_images": {"": "b"}}), "allowed_images"),
            (json!({"image": "x", "imgae": "y"}), "imgae"),
            (json!({"image": "x", "host": "/run/docker.sock"}), "host"),
            (json!({"image": "x", "host_ip": "localhost"}), "host_ip"),
            (json!({"image": "x", "port": 0}), "port"),
            (json!({"image": "x", "port": 70000}), "port"),
            (
                json!({"image": "x", "network_name": "host"}),
                "network_name",
            ),
            (json!({"image": "x", "prefix": "-"}), "prefix"),
            (
                json!({"image": "x", "name_template": "lab"}),
                "name_template",
            ),
            (
                json!({"image": "x", "mounts": [{"Type": "tmpfs"}]}),
                "mounts[0]",
            ),
            (
                json!({"image": "x", "system_user": {"host_home": "x"}}),
                "system_user.host_home",
            ),
            (
                json!({"image": "x", "system_user": {"image_home": "x"}}),
                "system_user.image_home",
            ),
            (
                json!({"image": "x", "system_user": {"home": "/x"}}),
                "system_user.home",
            ),
            (json!({"image": "x", "volumes": {"v": "w"}}), "volumes.v"),
            (
                json!({"image": "x", "volumes": {"v": {"bind": "/w"}}}),
                "volumes.v",
            ),
            (
                json!({"image": "x", "volumes": {"v": "/w"}, "read_only_volumes": {"r": "/w"}}),
                "read_only_volumes.r",
            ),
            (
                json!({"image": "x", "volumes": {"v-{who}": "/w"}}),
                "volumes.v-{who}",
            ),
            (json!({"image": "x", "mem_limit": "1G"}), "mem_limit"),
            (json!({"image": "x", "pids_limit": -1}), "pids_limit"),
            (
                json!({"image": "x", "cap_add": ["CHOWN", "ALL"]}),
                "cap_add[1]",
            ),
            (json!({"image": "x", "stop_timeout": -1}), "stop_timeout"),
            (json!({"image": "x", "remove": "yes"}), "remove"),
            (
                json!({"image": "x", "connect_timeout": 0}),
                "connect_timeout",
            ),
            (
                json!({"image": "x", "pull_policy": "missing"}),
                "pull_policy",
            ),
            (json!({"image": "x", "pull_timeout": 0}), "pull_timeout"),
            (
                json!({"image": "x", "pull_stall_timeout": 1e9}),
                "pull_stall_timeout",
            ),
            (
                json!({"image": "x", "pre_pull": true, "pull_policy": "never"}),
                "pre_pull",
            ),
            (
                json!({"image": "x", "registries": {"Quay.io": {}}}),
                "registries.Quay.io",
            ),
            (
                json!({"image": "x", "registries": {"quay.io": {"username": "u"}}}),
                "registries.quay.io.password",
            ),
            (
                json!({"image": "x", "registries": {"quay.io": {"user": "u"}}}),
                "registries.quay.io.user",
            ),
            (
                json!({"image": "x", "registries": {
                    "docker.io": {"identity_token": "t"}, "index.docker.io": {"identity_token": "t"},
                }}),
                "registries.index.docker.io",
            ),
            (json!({"image": "x", "reuse": "sometimes"}), "reuse"),
            (
                json!({"image": "x", "extra_create": {"hostname": "h"}}),
                "extra_create",
            ),
            (
                json!({"image": "x", "extra_host_config": {"Memory": "1G"}}),
                "extra_host_config",
            ),
        ] {
            let error = read(table.clone()).unwrap_err();
            assert_eq!(error.key.as_deref(), Some(key), "{table}: {error}");
        }
    }
}
