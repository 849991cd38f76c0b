//! What of the host a container sees: named volumes and directories, by template.
//!
//! ```text
//! volumes           "jupyter-{username}" = "/home/jovyan/work"    a named volume, made when missing
//!                   "/srv/homes/{username}" = "/home/jovyan"      a directory, which must exist
//! read_only_volumes "/srv/data" = "/data"
//! ```
//!
//! Sources come from configuration only. A placeholder stands for an escaped name, so nothing that a
//! user is called can leave a path or make two users' volumes one.

use bollard::models::{Mount, MountType};
use serde_json::Value;
use spawner_core::ServerId;

use crate::name::is_object_name;
use crate::patch::unknown_name;
use crate::template::{Template, TemplateError, check_all, expand_all};

/// One named volume or directory of the host inside every container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    kind: MountType,
    source: Template,
    target: Template,
    read_only: bool,
}

/// A mount in the words of the engine's API, with placeholders in its texts: what [`Volume`] has no
/// words for (memory as a file system, a volume's driver, how mounts propagate).
#[derive(Debug, Clone, PartialEq)]
pub struct RawMount(Value);

/// Why a raw mount cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MountError {
    /// A placeholder that does not exist.
    #[error(transparent)]
    Placeholder(#[from] TemplateError),
    /// A name that the API does not have.
    #[error("the engine's API has no \"{0}\" in a mount")]
    Unknown(String),
    /// A value that the API does not take.
    #[error("the engine's API does not take it: {0}")]
    Type(String),
    /// A mount at no place.
    #[error("a mount needs a Target: an absolute path below /, without ..")]
    Target,
}

/// Why a volume cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    /// A placeholder that does not exist.
    #[error(transparent)]
    Placeholder(#[from] TemplateError),
    /// A source that is neither a name nor a directory.
    #[error(
        "\"{0}\" is no volume: write a name (a letter or digit, then letters, digits and . _ -) or \
         an absolute path below /"
    )]
    Source(String),
    /// A place inside the container that is none.
    #[error("\"{0}\" is no place in a container: write an absolute path below /, without ..")]
    Target(String),
}

impl Volume {
    /// A volume or directory `source` of the host, seen as `target` in the container.
    pub fn new(source: &str, target: &str, read_only: bool) -> Result<Self, VolumeError> {
        let from = Template::new(source)?;
        let to = Template::new(target)?;
        // Checked as it would be for a name of nothing but a letter: what a placeholder stands for
        // adds no slash, no dot and no brace.
        let kind = if is_path(&from.fill("a", "a")) {
            MountType::BIND
        // An escaped name can begin with a hyphen, which no volume's name may.
        } else if from.starts_with_text() && is_object_name(&from.fill("a", "a")) {
            MountType::VOLUME
        } else {
            return Err(VolumeError::Source(source.to_owned()));
        };
        if !is_path(&to.fill("a", "a")) {
            return Err(VolumeError::Target(target.to_owned()));
        }
        Ok(Self {
            kind,
            source: from,
            target: to,
            read_only,
        })
    }

    /// Whether both would sit on the same place in a container.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.target == other.target
    }

    /// Where a named volume that can be written sits; nothing for what the host had before.
    pub(crate) fn written(&self, server: &ServerId) -> Option<String> {
        let own = self.kind == MountType::VOLUME && !self.read_only;
        own.then(|| self.target.expand(server))
    }

    /// The mount of one server. As a mount, and not as a "bind", a directory that is missing is an
    /// error instead of an empty one that belongs to root.
    pub(crate) fn mount(&self, server: &ServerId) -> Mount {
        Mount {
            typ: Some(self.kind),
            source: Some(self.source.expand(server)),
            target: Some(self.target.expand(server)),
            read_only: Some(self.read_only),
            ..Mount::default()
        }
    }
}

impl RawMount {
    /// Takes a mount such as `{Type = "tmpfs", Target = "/scratch"}`.
    pub fn new(value: Value) -> Result<Self, MountError> {
        check_all(&value)?;
        let asked: Mount = serde_json::from_value(value.clone())
            .map_err(|error| MountError::Type(error.to_string()))?;
        if !asked.target.as_deref().is_some_and(is_path) {
            return Err(MountError::Target);
        }
        let read = serde_json::to_value(asked).map_err(|e| MountError::Type(e.to_string()))?;
        match unknown_name(&value, &read) {
            Some(name) => Err(MountError::Unknown(name)),
            None => Ok(Self(value)),
        }
    }

    /// The mount of one server.
    pub(crate) fn mount(&self, server: &ServerId) -> Result<Mount, serde_json::Error> {
        let mut value = self.0.clone();
        expand_all(&mut value, server);
        serde_json::from_value(value)
    }
}

/// An absolute path to something below the root, without detours.
pub(crate) fn is_path(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(|below| {
        let below = below.strip_suffix('/').unwrap_or(below);
        !below.contains(char::is_control)
            && below
                .split('/')
                .all(|part| !matches!(part, "" | "." | ".."))
    })
}

#[cfg(test)]
mod tests {
    use spawner_core::{ServerName, UserName};

    use super::*;

    fn mount(source: &str, target: &str, user: &str, named: &str) -> (MountType, String, String) {
        let server = ServerId::new(
            UserName::new(user).unwrap(),
            ServerName::new(named).unwrap(),
        );
        let mount = Volume::new(source, target, false).unwrap().mount(&server);
        (
            mount.typ.unwrap(),
            mount.source.unwrap(),
            mount.target.unwrap(),
        )
    }

    #[test]
    fn placeholders_are_escaped_names() {
        assert_eq!(
            mount("home-{username}", "/home/{username}", "a_b", ""),
            (MountType::VOLUME, "home-a-5fb".into(), "/home/a-5fb".into())
        );
        assert_eq!(
            mount("/srv/{username}/{servername}x", "/w", "a.b", "proj"),
            (MountType::BIND, "/srv/a-2eb/projx".into(), "/w".into())
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_at_load() {
        for source in [
            "",
            "/",
            "//",
            "/..",
            "/srv/../etc",
            "/srv//x",
            "./x",
            "../x",
            "x/y",
            "-x",
            "a b",
            "x:y",
            "{username}",
            "/a\nb",
        ] {
            let error = Volume::new(source, "/w", false).unwrap_err();
            assert_eq!(error, VolumeError::Source(source.into()), "{source:?}");
        }
        for target in ["", "w", "/", "/w/..", "/./w", "w/{username}"] {
            let error = Volume::new("x", target, false).unwrap_err();
            assert_eq!(error, VolumeError::Target(target.into()), "{target:?}");
        }
        for text in [
            "/{user}",
            "/{username",
            "/username}",
            "/{}",
            "/{{username}}",
            "/{username}}",
        ] {
            let error = Volume::new(text, "/w", false).unwrap_err();
            assert_eq!(
                error,
                VolumeError::Placeholder(TemplateError(text.into())),
                "{text:?}"
            );
        }
    }

    #[test]
    fn raw_mounts() {
        use serde_json::json;
        let server = ServerId::default_of(UserName::new("a_b").unwrap());
        let mount = RawMount::new(json!({
            "Type": "volume", "Source": "x-{username}", "Target": "/w",
            "VolumeOptions": {"DriverConfig": {"Name": "nfs", "Options": {"o": "{username}"}}},
        }));
        let mount = serde_json::to_value(mount.unwrap().mount(&server).unwrap()).unwrap();
        assert_eq!(mount["Source"], "x-a-5fb");
        let driver = &mount["VolumeOptions"]["DriverConfig"];
        assert_eq!(driver["Options"]["o"], "a-5fb");
        for (value, expected) in [
            (json!({"Type": "tmpfs"}), "Target"),
            (json!({"Type": "tmpfs", "Target": "/w", "size": 5}), "size"),
            (json!({"Type": "magic", "Target": "/w"}), "magic"),
            (json!({"Type": "tmpfs", "Target": "/{who}"}), "{who}"),
            (json!("/w"), "struct Mount"),
        ] {
            let error = RawMount::new(value.clone()).unwrap_err().to_string();
            assert!(error.contains(expected), "{value}: {error}");
        }
    }

    #[test]
    fn the_sentence_shows_the_placeholders() {
        let error = Volume::new("/{user}", "/w", false).unwrap_err().to_string();
        assert!(
            error.ends_with("neither {username} nor {servername}"),
            "{error}"
        );
    }
}
