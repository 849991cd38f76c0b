//! Using a stopped container again, with all that its user has installed in it.
//!
//! ```text
//! remove = false    the container stays when its server stops
//! reuse             never          every start makes a new one
//!                   if-unchanged   the old one goes on if it was made from the same image, command,
//!                                  mounts and settings; else a new one is made, volumes stay
//!                   always         the old one goes on as it is
//! ```
//!
//! The environment of a container cannot be changed, and each run has a token of its own: an old one
//! is worth nothing when its run is over. So a container that is meant to be used again gets its
//! environment as a file, written into it before each start, and a shell of its image reads that and
//! becomes the server. An image for it needs `/bin/sh`. That also keeps the token out of what the
//! engine shows of a container. With `remove = true`, the default, and with `reuse = "never"` nothing
//! of this is done.

use std::fmt::Write as _;

use bollard::models::ContainerCreateBody;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use spawner_core::Env;

use crate::identity::{CONFIG, Labels};
use crate::name::hex;
use crate::tar::Entry;

/// The program that stands before the server in a container that is used again.
const SHELL: [&str; 4] = ["/bin/sh", "-c", ". /.hubd/env && exec \"$@\"", "hubd"];
const FOLDER: &str = ".hubd/";
const FILE: &str = ".hubd/env";

/// Whether a stopped container is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reuse {
    /// Every start makes a new one.
    Never,
    /// If it was made from the same image and settings.
    #[default]
    IfUnchanged,
    /// As it is.
    Always,
}

/// What becomes of a container of an earlier run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is started again.
    Resumed,
    /// It is replaced, because it was made from something else.
    Outdated,
    /// It is replaced, as always.
    Replaced,
}

impl Reuse {
    /// What becomes of a container with these labels when one with the hash `wanted` is to run.
    pub(crate) fn fate(self, labels: &Labels, wanted: &str) -> Fate {
        match (self, labels.get(CONFIG)) {
            (Self::Never, _) | (_, None) => Fate::Replaced,
            (Self::Always, Some(_)) => Fate::Resumed,
            (Self::IfUnchanged, Some(made_from)) if made_from == wanted => Fate::Resumed,
            (Self::IfUnchanged, Some(_)) => Fate::Outdated,
        }
    }
}

/// Makes `body` one of a container that can be used again, and marks it with the hash of what it is
/// made from. Its environment is left to [`env_file`]; `entry_point` is the image's own, `image_id`
/// tells an image from a newer one of the same name.
pub(crate) fn make_reusable(
    body: &mut ContainerCreateBody,
    entry_point: &[String],
    command: &[String],
    image_id: &str,
) -> Result<(), serde_json::Error> {
    let program = body
        .entrypoint
        .take()
        .unwrap_or_else(|| entry_point.to_vec());
    let arguments = body.cmd.take().unwrap_or_else(|| command.to_vec());
    body.entrypoint = Some(SHELL.map(str::to_owned).to_vec());
    body.cmd = Some([program, arguments].concat());
    if let Some(env) = &mut body.env {
        env.retain(|variable| {
            let name = variable.split('=').next().unwrap_or_default();
            !is_shell_name(name)
        });
    }
    let labels = body.labels.take().unwrap_or_default();
    // Maps have no order of their own; those of a JSON value do.
    let described = serde_json::to_value(&*body)?.to_string();
    let hash = Sha256::new()
        .chain_update(image_id)
        .chain_update([0])
        .chain_update(described)
        .finalize();
    body.labels = Some(labels);
    body.labels
        .get_or_insert_default()
        .insert(CONFIG.to_owned(), hex(&hash[..16]));
    Ok(())
}

/// The environment of a run as an archive to be unpacked at a container's root. A shell cannot hold
/// every name; those that it cannot are part of the container.
pub(crate) fn env_file(env: &Env) -> Vec<u8> {
    let mut text = String::new();
    for (name, value) in env.iter().filter(|(name, _)| is_shell_name(name)) {
        let value = value.replace('\'', "'\\''");
        let _ = writeln!(text, "export {name}='{value}'");
    }
    // Everything in a container is its user's, whatever account that is.
    Entry::of_root(0o444).file_in(FOLDER, FILE, text.as_bytes())
}

fn is_shell_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn body(env: &[&str]) -> ContainerCreateBody {
        ContainerCreateBody {
            image: Some("lab".to_owned()),
            env: Some(env.iter().map(|text| (*text).to_owned()).collect()),
            labels: Some(Labels::from([("hubd.launch".to_owned(), env.concat())])),
            ..ContainerCreateBody::default()
        }
    }

    fn hash(mut body: ContainerCreateBody, image_id: &str) -> String {
        make_reusable(&mut body, &[], &["start".to_owned()], image_id).unwrap();
        body.labels.unwrap()[CONFIG].clone()
    }

    #[test]
    fn a_token_changes_nothing_and_an_image_does() {
        let one = hash(body(&["TOKEN=1", "odd-name=x"]), "a");
        assert_eq!(one, hash(body(&["TOKEN=2", "odd-name=x"]), "a"));
        assert_ne!(one, hash(body(&["TOKEN=1", "odd-name=y"]), "a"));
        assert_ne!(one, hash(body(&["TOKEN=1", "odd-name=x"]), "b"));
    }

    #[test]
    fn a_shell_stands_before_the_image_s_program() {
        let mut made = body(&["TOKEN=1"]);
        let words = |list: &[&str]| {
            list.iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        make_reusable(&mut made, &words(&["tini", "--"]), &words(&["start"]), "a").unwrap();
        assert_eq!(made.entrypoint.unwrap()[0], "/bin/sh");
        assert_eq!(made.cmd.unwrap(), ["tini", "--", "start"]);
        assert_eq!(made.env.unwrap(), [""; 0]);
    }

    #[test]
    fn fates() {
        let labels = Labels::from([(CONFIG.to_owned(), "a".to_owned())]);
        for (reuse, wanted, fate) in [
            (Reuse::Never, "a", Fate::Replaced),
            (Reuse::IfUnchanged, "a", Fate::Resumed),
            (Reuse::IfUnchanged, "b", Fate::Outdated),
            (Reuse::Always, "b", Fate::Resumed),
        ] {
            assert_eq!(reuse.fate(&labels, wanted), fate);
            assert_eq!(reuse.fate(&Labels::new(), wanted), Fate::Replaced);
        }
    }

    /// Read by a real shell from a real archive, since both have their own ideas of quoting.
    #[test]
    fn every_value_arrives() {
        let value = "it's \"$HOME\" `id` \\ ü\n two";
        let mut env = Env::default();
        env.set("AS_GIVEN", value);
        env.set("not-a-name", "x");
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("a.tar");
        std::fs::write(&archive, env_file(&env)).unwrap();
        let unpacked = Command::new("tar")
            .arg("-xf")
            .arg(&archive)
            .arg("-C")
            .arg(folder.path())
            .status();
        assert!(unpacked.unwrap().success());
        let said = Command::new("sh")
            .args(["-c", ". ./.hubd/env && printf %s \"$AS_GIVEN\""])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(said.stdout).unwrap(), value);
    }
}
