//! Why an image could not be pulled, in words for whoever wanted it.
//!
//! An engine hands on what a registry said as text, before the first line of progress with a status
//! of its own choice (404 for what may be private, 500 for most else), after it without any. So the
//! text is read for what it is about; what is not recognised is shown as it is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use spawner_core::{SpawnError, SpawnErrorKind};

use crate::error::{EngineError, sentence};
use crate::image::ImageRef;
use crate::registry::{LoginError, RegistryHost, Sent};

/// A pull that led to no image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PullFailure {
    /// The engine itself is away or does not make sense.
    #[error("the engine cannot be asked to pull")]
    Engine(#[source] EngineError),
    /// What the engine says of the registry.
    #[error("the engine says: {message}")]
    Said {
        /// Of the answer; `None` in the middle of one.
        status: Option<u16>,
        message: String,
    },
    /// The answer broke off.
    #[error("the answer broke off")]
    Lost(#[source] bollard::errors::Error),
    /// It took too long as a whole.
    #[error("it took longer than {} s", .0.as_secs_f64())]
    TooSlow(Duration),
    /// Nothing happened for too long.
    #[error("there was no progress for {} s", .0.as_secs_f64())]
    Stalled(Duration),
    /// The engine was done, and has no such image.
    #[error("the pull ended, and the image is not there")]
    Incomplete,
    /// What to log in with cannot be read.
    #[error("there is nothing to log in with")]
    Login(#[source] LoginError),
}

/// What a registry's answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Denied,
    /// Registries do not tell strangers what is private.
    MissingOrPrivate,
    Missing,
    RateLimit,
    Certificate,
    Unreachable,
    DiskFull,
    Platform,
    Other,
}

/// Sorted by what must be asked first: "pull access denied" is also "denied".
const WORDS: &[(Cause, &[&str])] = &[
    (
        Cause::RateLimit,
        &["toomanyrequests", "too many requests", "rate limit"],
    ),
    (
        Cause::DiskFull,
        &["no space left on device", "disk quota exceeded"],
    ),
    (
        Cause::Platform,
        &[
            "no matching manifest for",
            "does not match the specified platform",
        ],
    ),
    (
        Cause::MissingOrPrivate,
        &["repository does not exist or may require"],
    ),
    (
        Cause::Denied,
        &[
            "unauthorized",
            "authentication required",
            "no basic auth credentials",
            "denied",
            "incorrect username or password",
            "401 ",
            "403 ",
        ],
    ),
    (
        Cause::Missing,
        &[
            "manifest unknown",
            "manifest for",
            "not found",
            "name unknown",
        ],
    ),
    (Cause::Certificate, &["x509:", "certificate"]),
    (
        Cause::Unreachable,
        &[
            "no such host",
            "connection refused",
            "connection reset",
            "network is unreachable",
            "no route to host",
            "i/o timeout",
            "tls handshake timeout",
            "deadline exceeded",
            "client.timeout",
            "server misbehaving",
            "gave http response to https client",
            "proxyconnect",
            "eof",
        ],
    ),
];

impl Cause {
    fn of(status: Option<u16>, message: &str) -> Self {
        let message = message.to_ascii_lowercase();
        let about = |words: &[&str]| words.iter().any(|word| message.contains(word));
        let said = WORDS.iter().find(|(_, words)| about(words));
        match (said, status) {
            (Some((cause, _)), _) => *cause,
            (None, Some(401 | 403)) => Self::Denied,
            (None, Some(404)) => Self::Missing,
            (None, Some(429)) => Self::RateLimit,
            (None, _) => Self::Other,
        }
    }
}

impl PullFailure {
    /// The error for one of those who waited for it. `sent` is what the registry was shown.
    pub(crate) fn explain(self: &Arc<Self>, image: &ImageRef, sent: &Sent) -> SpawnError {
        let registry = image.registry();
        let (kind, message) = match &**self {
            Self::Engine(error) => {
                let (kind, message) = error.explain(&format!("pull \"{image}\""));
                return SpawnError::new(kind, message).with_source(Arc::clone(self));
            }
            Self::Said { status, message } => {
                said(Cause::of(*status, message), message, image, &registry, sent)
            }
            Self::Lost(_) => (
                SpawnErrorKind::Unavailable,
                format!(
                    "The connection to the Docker Engine broke while it pulled \"{image}\". Try \
                     again; what it has already is kept."
                ),
            ),
            Self::TooSlow(limit) => (
                SpawnErrorKind::Timeout,
                format!(
                    "Pulling \"{image}\" took longer than {} s (pull_timeout). Trying again goes on \
                     with the layers that are there.",
                    limit.as_secs_f64()
                ),
            ),
            Self::Stalled(limit) => (
                SpawnErrorKind::Timeout,
                format!(
                    "Pulling \"{image}\" from {registry} stood still for {} s \
                     (pull_stall_timeout).",
                    limit.as_secs_f64()
                ),
            ),
            Self::Incomplete => (
                SpawnErrorKind::Other,
                format!(
                    "The Docker Engine ended the pull of \"{image}\" and does not have it. An admin \
                     can try by hand: docker pull {image}"
                ),
            ),
            Self::Login(error) => (SpawnErrorKind::Other, error.to_string()),
        };
        SpawnError::new(kind, message).with_source(Arc::clone(self))
    }
}

fn said(
    cause: Cause,
    message: &str,
    image: &ImageRef,
    registry: &RegistryHost,
    sent: &Sent,
) -> (SpawnErrorKind, String) {
    let hint = Hint { registry, sent };
    match cause {
        Cause::Denied => (
            SpawnErrorKind::Other,
            format!("The registry {registry} does not let this hub pull \"{image}\"{hint}"),
        ),
        Cause::MissingOrPrivate => (
            SpawnErrorKind::NotFound,
            format!(
                "The registry {registry} has no image \"{image}\", or this hub may not see it{hint}"
            ),
        ),
        Cause::Missing => (
            SpawnErrorKind::NotFound,
            format!("The registry {registry} has no image \"{image}\". Check its name and tag."),
        ),
        Cause::RateLimit => (
            SpawnErrorKind::Unavailable,
            format!(
                "The registry {registry} allows no more pulls for now, so \"{image}\" has to wait. \
                 Try again later; with an account more may be allowed."
            ),
        ),
        Cause::Certificate => (
            SpawnErrorKind::Other,
            format!(
                "The Docker Engine does not trust the certificate of {registry}, so it did not pull \
                 \"{image}\". An admin can put the registry's authority into \
                 /etc/docker/certs.d/{registry}."
            ),
        ),
        Cause::Unreachable => (
            SpawnErrorKind::Unavailable,
            format!(
                "The Docker Engine cannot reach the registry {registry} to pull \"{image}\". An admin \
                 can check the network of the engine's host, or load the image by hand."
            ),
        ),
        Cause::DiskFull => (
            SpawnErrorKind::Unavailable,
            format!(
                "The disk of the Docker Engine is full, so \"{image}\" was not pulled. An admin can \
                 make room; `docker system df` shows what takes it."
            ),
        ),
        Cause::Platform => (
            SpawnErrorKind::NotFound,
            format!("There is no \"{image}\" for the processor of this host."),
        ),
        Cause::Other => (
            SpawnErrorKind::Other,
            format!(
                "The Docker Engine could not pull \"{image}\": {}",
                sentence(message)
            ),
        ),
    }
}

/// What an admin can do about a registry that refuses.
struct Hint<'a> {
    registry: &'a RegistryHost,
    sent: &'a Sent,
}

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registry = self.registry;
        match self.sent {
            Sent::Nothing => write!(
                f,
                ": no user name and password were sent. An admin can add them to the configuration \
                 as [spawner.docker.registries.\"{registry}\"]."
            ),
            Sent::Unreadable(why) => write!(
                f,
                ": no user name and password were sent, because {why}. An admin can mend that, or \
                 add them to the configuration as [spawner.docker.registries.\"{registry}\"]."
            ),
            Sent::Credentials(credentials) => {
                let origin = credentials.origin();
                write!(
                    f,
                    " with the credentials of {origin}. An admin can check them."
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Credentials;

    fn explain(status: Option<u16>, message: &str, sent: &Sent) -> SpawnError {
        let message = message.to_owned();
        let image = ImageRef::new("registry.example:5000/team/lab:1").unwrap();
        Arc::new(PullFailure::Said { status, message }).explain(&image, sent)
    }

    /// As Engine 20.10 words them.
    #[test]
    fn what_engines_say_is_understood() {
        for (status, said, kind, part) in [
            (
                Some(500),
                "Get \"https://registry.example:5000/v2/\": dial tcp: lookup registry.example: no such host",
                SpawnErrorKind::Unavailable,
                "cannot reach the registry registry.example:5000",
            ),
            (
                Some(500),
                "Get \"https://registry.example:5000/v2/\": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
                SpawnErrorKind::Unavailable,
                "cannot reach the registry",
            ),
            (
                Some(500),
                "Get \"https://registry.example:5000/v2/\": x509: certificate signed by unknown authority",
                SpawnErrorKind::Other,
                "/etc/docker/certs.d/registry.example:5000",
            ),
            (
                Some(500),
                "Get \"https://registry.example:5000/v2/team/lab/manifests/1\": unauthorized: access to the requested resource is not authorized",
                SpawnErrorKind::Other,
                "does not let this hub pull",
            ),
            (
                Some(404),
                "pull access denied for team/lab, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
                SpawnErrorKind::NotFound,
                "or this hub may not see it: no user name",
            ),
            (
                Some(404),
                "manifest for registry.example:5000/team/lab:1 not found: manifest unknown: manifest unknown",
                SpawnErrorKind::NotFound,
                "Check its name and tag.",
            ),
            (
                Some(429),
                "toomanyrequests: You have reached your pull rate limit.",
                SpawnErrorKind::Unavailable,
                "no more pulls for now",
            ),
            (
                None,
                "failed to register layer: Error processing tar file(exit status 1): write /x: no space left on device",
                SpawnErrorKind::Unavailable,
                "is full",
            ),
            (
                Some(500),
                "no matching manifest for linux/amd64 in the manifest list entries",
                SpawnErrorKind::NotFound,
                "for the processor of this host",
            ),
            (
                Some(403),
                "",
                SpawnErrorKind::Other,
                "does not let this hub",
            ),
            (Some(404), "", SpawnErrorKind::NotFound, "has no image"),
            (
                Some(500),
                "flux capacitor\nsecond line",
                SpawnErrorKind::Other,
                "could not pull \"registry.example:5000/team/lab:1\": flux capacitor.",
            ),
        ] {
            let error = explain(status, said, &Sent::Nothing);
            assert_eq!(error.kind(), kind, "{said}: {error}");
            assert!(error.to_string().contains(part), "{said}: {error}");
        }
    }

    #[test]
    fn a_refusal_says_what_was_sent() {
        let nothing = explain(Some(401), "unauthorized", &Sent::Nothing).to_string();
        let table = "[spawner.docker.registries.\"registry.example:5000\"]";
        assert!(
            nothing.contains("no user name and password were sent"),
            "{nothing}"
        );
        assert!(nothing.contains(table), "{nothing}");
        let sent = Sent::Credentials(Credentials::password("hub", "hunter2", "config.json"));
        let refused = explain(Some(401), "unauthorized", &sent).to_string();
        assert!(
            refused.contains("with the credentials of config.json"),
            "{refused}"
        );
        assert!(!refused.contains("hunter2"), "{refused}");
        let unreadable = Sent::Unreadable("config.json is not JSON".into());
        let refused = explain(Some(401), "unauthorized", &unreadable).to_string();
        assert!(
            refused.contains("because config.json is not JSON"),
            "{refused}"
        );
    }
}
