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
use spawner_core::{ServerId, escape_object_name};

use crate::name::is_object_name;

/// A text with `{username}` and `{servername}` in it, each escaped by
/// [`escape_object_name`]; the default server's name is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    UserName,
    ServerName,
}

/// One named volume or directory of the host inside every container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    kind: MountType,
    source: Template,
    target: Template,
    read_only: bool,
}

/// Why a volume cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    /// A placeholder that does not exist, or a brace that belongs to none.
    #[error("\"{0}\" holds a brace that is neither {{username}} nor {{servername}}")]
    Placeholder(String),
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

impl Template {
    fn new(text: &str) -> Result<Self, VolumeError> {
        let unknown = || VolumeError::Placeholder(text.to_owned());
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (field, after) = after.split_once('}').ok_or_else(unknown)?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(match field {
                "username" => Part::UserName,
                "servername" => Part::ServerName,
                _ => return Err(unknown()),
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        let stray = |part: &Part| matches!(part, Part::Text(text) if text.contains('}'));
        if parts.iter().any(stray) {
            return Err(unknown());
        }
        Ok(Self(parts))
    }

    fn fill(&self, username: &str, servername: &str) -> String {
        let text = |part| match part {
            &Part::UserName => username,
            &Part::ServerName => servername,
            Part::Text(text) => text.as_str(),
        };
        self.0.iter().map(text).collect()
    }

    fn expand(&self, server: &ServerId) -> String {
        self.fill(
            &escape_object_name(server.user.as_str()),
            &escape_object_name(server.server.as_str()),
        )
    }
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
        } else if starts_with_text(&from) && is_object_name(&from.fill("a", "a")) {
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

/// An escaped name can begin with a hyphen, which no volume's name may.
fn starts_with_text(template: &Template) -> bool {
    matches!(template.0.first(), Some(Part::Text(text)) if !text.is_empty())
}

/// An absolute path to something below the root, without detours.
fn is_path(text: &str) -> bool {
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
            assert_eq!(error, VolumeError::Placeholder(text.into()), "{text:?}");
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
