//! What is sent to a registry, and where that came from.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use http::HeaderValue;
use serde_json::json;
use spawner_core::{Secret, error_chain};

use super::docker_config::DockerConfig;
use super::helper::Stored;
use super::host::RegistryHost;
use super::login::{PasswordSource, RegistryLogin};

/// The longest password file.
const PASSWORD_MAX: usize = 64 << 10;
/// A secret that is shorter is not looked for in other people's words: it would be found in any.
const REDACT_MIN: usize = 4;

/// What this hub knows of all registries.
#[derive(Debug)]
pub(crate) struct Registries {
    configured: BTreeMap<RegistryHost, RegistryLogin>,
    docker: Option<DockerConfig>,
}

/// What a registry is shown.
#[derive(Debug, Clone)]
pub(crate) enum Sent {
    /// Nothing is known of this registry.
    Nothing,
    /// Nothing, because docker's own file is of no use; most images need none.
    Unreadable(String),
    /// These.
    Credentials(Credentials),
}

/// A login, ready to be sent.
#[derive(Clone)]
pub(crate) struct Credentials {
    secret: Secret,
    origin: String,
    header: HeaderValue,
}

/// A configured login that cannot be used. The sentence is for the user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    #[error("The hub cannot read the password for {registry} ({}). An admin can mend that.", .file.display())]
    File {
        registry: RegistryHost,
        file: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Registries {
    /// The configured logins, and docker's own file in `docker_config`, or where the environment
    /// says it is.
    pub(crate) fn new(
        configured: BTreeMap<RegistryHost, RegistryLogin>,
        docker_config: Option<PathBuf>,
    ) -> Self {
        Self {
            configured,
            docker: DockerConfig::new(docker_config),
        }
    }

    /// What to show a registry.
    pub(crate) async fn credentials(&self, registry: &RegistryHost) -> Result<Sent, LoginError> {
        if let Some(login) = self.configured.get(registry) {
            let origin = format!("[spawner.docker.registries.\"{registry}\"]");
            let stored = configured(registry, login).await?;
            return Ok(Sent::Credentials(Credentials::new(
                registry, stored, origin,
            )));
        }
        let Some(docker) = &self.docker else {
            return Ok(Sent::Nothing);
        };
        Ok(match docker.find(registry).await {
            Ok(None) => Sent::Nothing,
            Ok(Some(stored)) => {
                let origin = docker.file().display().to_string();
                Sent::Credentials(Credentials::new(registry, stored, origin))
            }
            Err(error) => Sent::Unreadable(error_chain(&error)),
        })
    }
}

async fn configured(registry: &RegistryHost, login: &RegistryLogin) -> Result<Stored, LoginError> {
    let (username, password) = match login {
        RegistryLogin::IdentityToken(token) => return Ok(Stored::Token(token.clone())),
        RegistryLogin::Password { username, password } => (username.clone(), password),
    };
    let password = match password {
        PasswordSource::Text(password) => password.clone(),
        PasswordSource::File(file) => {
            let text = tokio::fs::read_to_string(file).await.and_then(|text| {
                if (1..=PASSWORD_MAX).contains(&text.trim_end_matches(['\r', '\n']).len()) {
                    Ok(text)
                } else {
                    Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "it is empty or far too long",
                    ))
                }
            });
            let text = text.map_err(|source| LoginError::File {
                registry: registry.clone(),
                file: file.clone(),
                source,
            })?;
            Secret::new(text.trim_end_matches(['\r', '\n']))
        }
    };
    Ok(Stored::Password { username, password })
}

impl Sent {
    /// For the log.
    pub(crate) fn origin(&self) -> &str {
        match self {
            Self::Nothing | Self::Unreadable(_) => "none",
            Self::Credentials(credentials) => credentials.origin(),
        }
    }

    /// The header `X-Registry-Auth`.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        match self {
            Self::Nothing | Self::Unreadable(_) => None,
            Self::Credentials(credentials) => Some(credentials.header.clone()),
        }
    }

    /// Somebody else's words without the secret, should they repeat it.
    pub(crate) fn redact(&self, words: &str) -> String {
        match self {
            Self::Credentials(Credentials { secret, .. })
                if secret.expose().len() >= REDACT_MIN =>
            {
                words.replace(secret.expose(), "***")
            }
            _ => words.to_owned(),
        }
    }
}

impl Credentials {
    fn new(registry: &RegistryHost, stored: Stored, origin: String) -> Self {
        let serveraddress = registry.address();
        let (body, secret) = match stored {
            Stored::Password { username, password } => (
                json!({
                    "username": username,
                    "password": password.expose(),
                    "serveraddress": serveraddress,
                }),
                password,
            ),
            Stored::Token(token) => (
                json!({"identitytoken": token.expose(), "serveraddress": serveraddress}),
                token,
            ),
        };
        // The alphabet for URLs: an engine that meets a `+` or `/` here goes on without credentials
        // and without a word. The client library would send those.
        let mut header = HeaderValue::try_from(URL_SAFE.encode(body.to_string()))
            .expect("base64 is a header's text");
        header.set_sensitive(true);
        Self {
            secret,
            origin,
            header,
        }
    }

    /// Where they come from, for people.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// For tests of what is made of them.
    #[cfg(test)]
    pub(crate) fn password(username: &str, password: &str, origin: &str) -> Self {
        let stored = Stored::Password {
            username: username.to_owned(),
            password: Secret::new(password),
        };
        Self::new(&RegistryHost::hub(), stored, origin.to_owned())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn sent(header: Option<HeaderValue>) -> Value {
        let header = header.unwrap();
        assert!(header.is_sensitive());
        serde_json::from_slice(&URL_SAFE.decode(header.as_bytes()).unwrap()).unwrap()
    }

    fn registries(login: RegistryLogin, folder: &std::path::Path) -> Registries {
        let host = RegistryHost::new("quay.io").unwrap();
        Registries::new(BTreeMap::from([(host, login)]), Some(folder.into()))
    }

    #[tokio::test]
    async fn configured_logins_come_first_and_are_read_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let config = r#"{"auths": {"quay.io": {"identitytoken": "docker's"},
                                    "docker.io": {"identitytoken": "hub's"}}}"#;
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let file = folder.path().join("password");
        let login = RegistryLogin::Password {
            username: "u".into(),
            password: PasswordSource::File(file.clone()),
        };
        let registries = registries(login, folder.path());
        let quay = RegistryHost::new("quay.io").unwrap();

        let error = registries.credentials(&quay).await.unwrap_err();
        assert!(error.to_string().contains("quay.io"), "{error}");
        // Every character that base64 has trouble with, at each of its three places.
        for password in ["one?", "two~>?", "three ÿÿÿ>?~"] {
            std::fs::write(&file, format!("{password}\n")).unwrap();
            let found = registries.credentials(&quay).await.unwrap();
            let body = sent(found.header());
            assert_eq!(body["password"], password);
            assert_eq!(body["serveraddress"], "quay.io");
            assert_eq!(found.redact(&format!("bad {password}!")), "bad ***!");
            assert!(!format!("{found:?}").contains(password));
        }
        let hub = registries.credentials(&RegistryHost::hub()).await.unwrap();
        let body = sent(hub.header());
        assert_eq!(body["identitytoken"], "hub's");
        assert_eq!(body["serveraddress"], "https://index.docker.io/v1/");
    }

    #[tokio::test]
    async fn docker_s_file_is_no_condition() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), "hunter2").unwrap();
        let token = RegistryLogin::IdentityToken(Secret::new("t"));
        let registries = registries(token, folder.path());
        let found = registries.credentials(&RegistryHost::hub()).await.unwrap();
        assert!(found.header().is_none());
        let Sent::Unreadable(why) = found else {
            panic!("it was read")
        };
        assert!(
            why.contains("config.json") && !why.contains("hunter2"),
            "{why}"
        );
    }
}
