//! Docker's own config.json: what `docker login` left.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use spawner_core::Secret;
use tokio::io::AsyncReadExt as _;

use super::helper::{Helper, HelperError, Stored};
use super::host::RegistryHost;

/// The largest file that is read.
const SIZE_MAX: u64 = 1 << 20;

/// Docker's folder of one account.
#[derive(Debug, Clone)]
pub(crate) struct DockerConfig {
    file: PathBuf,
}

/// What is read of the file. Unknown keys are docker's business.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Contents {
    auths: BTreeMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    /// Base64 of `user:password`.
    auth: Option<String>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
}

/// Why the file is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DockerConfigError {
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    #[error("{} is larger than {SIZE_MAX} bytes", .0.display())]
    TooLarge(PathBuf),
    /// Without the parser's words, which may hold what it stumbled over.
    #[error("{} is not what docker writes", .0.display())]
    Garbled(PathBuf),
    #[error("the entry for {registry} in {} is not what docker writes", .file.display())]
    Entry {
        file: PathBuf,
        registry: RegistryHost,
    },
    #[error(transparent)]
    Helper(#[from] HelperError),
}

impl DockerConfig {
    /// The file in `folder`, or where `DOCKER_CONFIG` or the home directory say. Touches nothing.
    pub(crate) fn new(folder: Option<PathBuf>) -> Option<Self> {
        let from_environment = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let folder = folder
            .or_else(|| from_environment("DOCKER_CONFIG").map(PathBuf::from))
            .or_else(|| from_environment("HOME").map(|home| Path::new(&home).join(".docker")))?;
        Some(Self {
            file: folder.join("config.json"),
        })
    }

    /// Where it is.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// What it has for a registry. A file that is not there has nothing.
    pub(crate) async fn find(
        &self,
        registry: &RegistryHost,
    ) -> Result<Option<Stored>, DockerConfigError> {
        let Some(contents) = self.read().await? else {
            return Ok(None);
        };
        let is_it = |key: &str| RegistryHost::of_config_key(key).as_ref() == Some(registry);
        let own = contents.cred_helpers.iter().find(|(key, _)| is_it(key));
        let helper = own.map(|(_, name)| name).or(contents.creds_store.as_ref());
        if let Some(name) = helper.filter(|name| !name.is_empty())
            && let Some(found) = Helper::new(name)?.get(registry).await?
        {
            return Ok(Some(found));
        }
        // The exact key first: a file can have several spellings of one registry.
        let exact = contents.auths.get_key_value(registry.address());
        let entry = exact.or_else(|| contents.auths.iter().find(|(key, _)| is_it(key)));
        let Some((_, entry)) = entry else {
            return Ok(None);
        };
        entry.stored().map_err(|()| DockerConfigError::Entry {
            file: self.file.clone(),
            registry: registry.clone(),
        })
    }

    async fn read(&self) -> Result<Option<Contents>, DockerConfigError> {
        let unreadable = |error| DockerConfigError::Read(self.file.clone(), error);
        let file = match tokio::fs::File::open(&self.file).await {
            Err(error) if is_absent(&error) => return Ok(None),
            file => file.map_err(unreadable)?,
        };
        let mut text = Vec::new();
        let size = file.take(SIZE_MAX + 1).read_to_end(&mut text).await;
        if size.map_err(unreadable)? as u64 > SIZE_MAX {
            return Err(DockerConfigError::TooLarge(self.file.clone()));
        }
        let contents = serde_json::from_slice(&text);
        contents
            .map(Some)
            .map_err(|_| DockerConfigError::Garbled(self.file.clone()))
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

impl Entry {
    /// What it holds; nothing if a credential store holds it instead.
    fn stored(&self) -> Result<Option<Stored>, ()> {
        if let Some(token) = &self.identitytoken
            && !token.expose().is_empty()
        {
            return Ok(Some(Stored::Token(token.clone())));
        }
        if let Some(auth) = self.auth.as_deref().filter(|auth| !auth.is_empty()) {
            let decoded = STANDARD.decode(auth.trim()).map_err(drop)?;
            let text = String::from_utf8(decoded).map_err(drop)?;
            let (username, password) = text.split_once(':').ok_or(())?;
            return Ok(Some(Stored::Password {
                username: username.to_owned(),
                password: Secret::new(password.trim_end_matches('\0')),
            }));
        }
        Ok(match (&self.username, &self.password) {
            (Some(username), Some(password)) => Some(Stored::Password {
                username: username.clone(),
                password: password.clone(),
            }),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    async fn find(contents: &Value, registry: &str) -> Result<Option<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), contents.to_string()).unwrap();
        let config = DockerConfig::new(Some(folder.path().into())).unwrap();
        let found = config.find(&RegistryHost::new(registry).unwrap()).await;
        let show = |stored| match stored {
            Stored::Password { username, password } => format!("{username}/{}", password.expose()),
            Stored::Token(token) => format!("token {}", token.expose()),
        };
        found
            .map(|found| found.map(show))
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn what_docker_login_left_is_found() {
        let auth = |text: &str| json!({"auth": STANDARD.encode(text)});
        let contents = json!({
            "auths": {
                "https://index.docker.io/v1/": auth("hub:a:b\0"),
                "quay.io": {"auth": "", "identitytoken": "t1"},
                "https://registry.example:5000/v2/": {"username": "u", "password": "p"},
                "empty.example": {},
                "damaged.example": {"auth": "!!!"},
                "nocolon.example": auth("x"),
            },
            "HttpHeaders": {"User-Agent": "x"},
        });
        for (registry, expected) in [
            ("docker.io", Ok(Some("hub/a:b"))),
            ("quay.io", Ok(Some("token t1"))),
            ("registry.example:5000", Ok(Some("u/p"))),
            ("empty.example", Ok(None)),
            ("other.example", Ok(None)),
        ] {
            let found = find(&contents, registry).await;
            assert_eq!(found, expected.map(|f: Option<&str>| f.map(str::to_owned)));
        }
        for registry in ["damaged.example", "nocolon.example"] {
            let error = find(&contents, registry).await.unwrap_err();
            assert!(error.contains(registry), "{error}");
        }
    }

    #[tokio::test]
    async fn what_is_not_docker_s_is_an_error_without_its_contents() {
        let error = find(&json!({"auths": "hunter2"}), "quay.io")
            .await
            .unwrap_err();
        assert!(error.contains("is not what docker writes"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        let helper = json!({"credHelpers": {"quay.io": "../x"}});
        let error = find(&helper, "quay.io").await.unwrap_err();
        assert!(error.contains("\"../x\""), "{error}");
    }

    #[tokio::test]
    async fn no_file_has_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let config = DockerConfig::new(Some(folder.path().join("none"))).unwrap();
        let found = config.find(&RegistryHost::hub()).await.unwrap();
        assert!(found.is_none());
    }
}
