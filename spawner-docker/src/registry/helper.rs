//! Credential helpers: programs that keep passwords for docker.
//!
//! `docker-credential-NAME get` reads the registry from its standard input and writes JSON. They are
//! found on the `PATH` and run with the hub's environment, as docker would run them.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use spawner_core::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use super::host::RegistryHost;

/// How long one may take: some ask a service elsewhere.
const LIMIT: Duration = Duration::from_secs(15);
/// How much of its answer is read.
const ANSWER_MAX: u64 = 64 << 10;
/// The user name that says that the secret is a token.
const TOKEN: &str = "<token>";
/// What helpers say of a registry that they know nothing of.
const UNKNOWN: &str = "credentials not found";

/// A helper by the name that stands in config.json.
#[derive(Debug)]
pub(crate) struct Helper {
    name: String,
    program: OsString,
}

/// What was stored for a registry.
#[derive(Debug)]
pub(crate) enum Stored {
    Password { username: String, password: Secret },
    Token(Secret),
}

/// Why a helper gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HelperError {
    #[error("{0:?} is no name of a credential helper")]
    Name(String),
    #[error("the credential helper docker-credential-{0} cannot be run")]
    Run(String, #[source] io::Error),
    #[error("the credential helper docker-credential-{0} did not answer within {limit} s", limit = LIMIT.as_secs())]
    TooSlow(String),
    #[error("the credential helper docker-credential-{0} failed")]
    Failed(String),
    /// Without its words, which hold the secret.
    #[error("the answer of the credential helper docker-credential-{0} makes no sense")]
    Garbled(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: Secret,
}

impl Helper {
    /// Takes a name from config.json.
    pub(crate) fn new(name: &str) -> Result<Self, HelperError> {
        let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.is_empty() || !name.bytes().all(known) {
            return Err(HelperError::Name(name.to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            program: format!("docker-credential-{name}").into(),
        })
    }

    /// What it has for a registry.
    pub(crate) async fn get(&self, registry: &RegistryHost) -> Result<Option<Stored>, HelperError> {
        let (succeeded, said) = timeout(LIMIT, self.ask(registry))
            .await
            .map_err(|_elapsed| HelperError::TooSlow(self.name.clone()))?
            .map_err(|error| HelperError::Run(self.name.clone(), error))?;
        if !succeeded {
            let said = String::from_utf8_lossy(&said);
            if said.contains(UNKNOWN) {
                return Ok(None);
            }
            return Err(HelperError::Failed(self.name.clone()));
        }
        let answer: Answer =
            serde_json::from_slice(&said).map_err(|_| HelperError::Garbled(self.name.clone()))?;
        Ok(Some(if answer.username == TOKEN {
            Stored::Token(answer.secret)
        } else {
            Stored::Password {
                username: answer.username,
                password: answer.secret,
            }
        }))
    }

    /// Whether it succeeded, and what it said.
    async fn ask(&self, registry: &RegistryHost) -> io::Result<(bool, Vec<u8>)> {
        let mut child = Command::new(&self.program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        if let Some(mut stdin) = stdin {
            let question = format!("{}\n", registry.address());
            // One that does not read is still heard.
            let _ = stdin.write_all(question.as_bytes()).await;
        }
        let mut said = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(ANSWER_MAX).read_to_end(&mut said).await?;
        }
        Ok((child.wait().await?.success(), said))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A helper that is this script; the folder goes with it.
    fn helper(script: &str) -> (tempfile::TempDir, Helper) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("helper");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&program, mode).unwrap();
        let helper = Helper {
            name: "test".into(),
            program: program.into(),
        };
        (folder, helper)
    }

    async fn ask(script: &str) -> Result<Option<Stored>, HelperError> {
        let (_folder, helper) = helper(script);
        helper.get(&RegistryHost::hub()).await
    }

    #[tokio::test]
    async fn a_helper_is_asked_as_docker_asks_it() {
        let script = r#"read url; printf '{"ServerURL":"%s","Username":"%s %s","Secret":"s"}' "$url" "$1" "$url""#;
        let Ok(Some(Stored::Password { username, password })) = ask(script).await else {
            panic!("no password")
        };
        assert_eq!(username, "get https://index.docker.io/v1/");
        assert_eq!(password.expose(), "s");
        let token = r#"cat >&2; echo '{"Username":"<token>","Secret":"t"}'"#;
        assert!(matches!(ask(token).await, Ok(Some(Stored::Token(_)))));
    }

    #[tokio::test]
    async fn a_helper_that_gives_nothing_says_why() {
        let unknown = "echo credentials not found in native keychain; exit 1";
        assert!(matches!(ask(unknown).await, Ok(None)));
        assert!(matches!(ask("exit 3").await, Err(HelperError::Failed(_))));
        let error = ask("echo hunter2").await.unwrap_err();
        assert!(matches!(error, HelperError::Garbled(_)));
        assert!(!format!("{error:?} {error}").contains("hunter2"));
        let absent = Helper::new("nowhere-to-be-found").unwrap();
        let error = absent.get(&RegistryHost::hub()).await.unwrap_err();
        assert!(matches!(error, HelperError::Run(..)), "{error}");
    }

    #[test]
    fn names_stay_names() {
        for name in ["", "../x", "a b", "x/y", "x;y"] {
            assert!(
                matches!(Helper::new(name), Err(HelperError::Name(_))),
                "{name:?}"
            );
        }
    }
}
