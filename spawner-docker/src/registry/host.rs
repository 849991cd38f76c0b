//! Which registry an image is of.

use std::fmt;

use crate::image::is_registry;

/// The one that an image without a registry is of.
const HUB: &str = "docker.io";
/// What engines, `docker login` and credential helpers call that one.
const HUB_ADDRESS: &str = "https://index.docker.io/v1/";

/// A registry by host and port, such as `quay.io` or `localhost:5000`. Docker Hub is `docker.io`,
/// whichever of its names was given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryHost(String);

/// Why a text is no registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a registry is a host name in lower case, with a port if needed, such as quay.io, \
     localhost:5000 or docker.io"
)]
pub struct RegistryHostError;

impl RegistryHost {
    /// Takes a registry as it stands before an image's path.
    pub fn new(raw: &str) -> Result<Self, RegistryHostError> {
        let named = raw == "localhost" || raw.contains(['.', ':']);
        if named && is_registry(raw) {
            Ok(Self::known(raw))
        } else {
            Err(RegistryHostError)
        }
    }

    /// Docker Hub.
    pub(crate) fn hub() -> Self {
        Self(HUB.to_owned())
    }

    /// One that was checked already.
    pub(crate) fn known(raw: &str) -> Self {
        match raw {
            "index.docker.io" | "registry-1.docker.io" => Self::hub(),
            raw => Self(raw.to_owned()),
        }
    }

    /// The key of an entry in docker's config.json, which may be a URL.
    pub(crate) fn of_config_key(key: &str) -> Option<Self> {
        let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
        Self::new(rest.split('/').next()?).ok()
    }

    /// The host, with a port if it has one.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What engines and credential helpers call it.
    pub(crate) fn address(&self) -> &str {
        if self.0 == HUB { HUB_ADDRESS } else { &self.0 }
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_registry_has_one_name() {
        for raw in ["docker.io", "index.docker.io", "registry-1.docker.io"] {
            assert_eq!(RegistryHost::new(raw), Ok(RegistryHost::hub()));
        }
        for raw in ["quay.io", "localhost", "localhost:5000", "192.0.2.1:80"] {
            assert_eq!(RegistryHost::new(raw).unwrap().address(), raw);
        }
        for raw in [
            "",
            "quay",
            "https://quay.io",
            "quay.io/",
            "Quay.io",
            "a.b:0",
        ] {
            assert_eq!(RegistryHost::new(raw), Err(RegistryHostError), "{raw:?}");
        }
    }

    #[test]
    fn keys_of_config_files_may_be_urls() {
        for (key, expected) in [
            ("https://index.docker.io/v1/", Some("docker.io")),
            ("quay.io", Some("quay.io")),
            (
                "https://registry.example:5000/v2/",
                Some("registry.example:5000"),
            ),
            ("http://localhost:5000", Some("localhost:5000")),
            ("", None),
            ("https://", None),
        ] {
            let found = RegistryHost::of_config_key(key);
            assert_eq!(found.as_ref().map(RegistryHost::as_str), expected, "{key}");
        }
    }
}
