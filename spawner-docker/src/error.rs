//! What goes wrong between us and an engine.
//!
//! Only one answer says that something is not there: 404. Everything else (no connection, no answer,
//! 500, an answer that cannot be read) means that we cannot tell, and nothing is given up for it.

use std::error::Error;
use std::io;
use std::time::Duration;

use spawner_core::{SpawnError, SpawnErrorKind};

/// How much of an engine's own words is shown.
const MESSAGE_MAX: usize = 300;

/// A call to an engine that led to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// Nobody is there, or nobody who lets us in.
    #[error("no connection to {host}")]
    Unreachable {
        host: String,
        #[source]
        source: bollard::errors::Error,
    },
    /// No answer in time; what was asked for may still happen.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// An answer that is not what was asked for.
    #[error("the answer was {status}: {message}")]
    Refused { status: u16, message: String },
    /// An answer that makes no sense.
    #[error("the answer makes no sense")]
    Garbled(#[source] Box<dyn Error + Send + Sync>),
}

impl EngineError {
    /// Sorts an error of the client library; `host` is where the engine should be.
    pub(crate) fn new(error: bollard::errors::Error, host: &str, limit: Duration) -> Self {
        use bollard::errors::Error as E;
        match error {
            E::DockerResponseServerError {
                status_code,
                message,
            } => Self::Refused {
                status: status_code,
                message,
            },
            E::RequestTimeoutError => Self::Timeout(limit),
            source @ (E::HyperLegacyError { .. }
            | E::HyperResponseError { .. }
            | E::IOError { .. }
            | E::SocketNotFoundError(_)
            | E::UnsupportedURISchemeError { .. }
            | E::NoHomePathError
            | E::CertPathError { .. }) => Self::Unreachable {
                host: host.to_owned(),
                source,
            },
            other => Self::Garbled(other.into()),
        }
    }

    /// Whether the engine says that what was asked about does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether the engine says that something else is in the way: a name that is taken, a container
    /// that is not in the state for it.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: 409, .. })
    }

    /// The error for whoever wanted something of a server; `doing` says what could not be done
    /// ("create the container").
    pub(crate) fn doing(self, doing: &str) -> SpawnError {
        let (kind, message) = self.explain(doing);
        SpawnError::new(kind, message).with_source(self)
    }

    /// The kind and the sentence of that error.
    pub(crate) fn explain(&self, doing: &str) -> (SpawnErrorKind, String) {
        match self {
            Self::Unreachable { host, source } if is_denied(source) => (
                SpawnErrorKind::Unavailable,
                format!(
                    "This hub may not use the Docker Engine at {host}. An admin can add the hub's \
                     account to the group \"docker\"."
                ),
            ),
            Self::Unreachable {
                host,
                source: bollard::errors::Error::UnsupportedURISchemeError { .. },
            } => (
                SpawnErrorKind::Refused,
                format!(
                    "\"{host}\" is no address of a Docker Engine. An admin can set DOCKER_HOST to \
                     unix:///path or tcp://host:port."
                ),
            ),
            Self::Unreachable { host, .. } => (
                SpawnErrorKind::Unavailable,
                format!(
                    "The Docker Engine at {host} cannot be reached. An admin can check that it \
                     runs."
                ),
            ),
            Self::Timeout(limit) => (
                SpawnErrorKind::Unavailable,
                format!(
                    "The Docker Engine did not {doing} within {} seconds. It may be overloaded; \
                     try again in a moment.",
                    limit.as_secs_f64()
                ),
            ),
            Self::Refused { status, message } => (
                match status {
                    404 => SpawnErrorKind::NotFound,
                    503 => SpawnErrorKind::Unavailable,
                    _ => SpawnErrorKind::Other,
                },
                format!("The Docker Engine could not {doing}: {}", sentence(message)),
            ),
            Self::Garbled(_) => (
                SpawnErrorKind::Other,
                format!(
                    "What answered in place of the Docker Engine could not {doing}: its answer \
                     makes no sense. An admin can check DOCKER_HOST."
                ),
            ),
        }
    }
}

/// The engine's words as the end of a sentence: one line, cut, with a full stop.
pub(crate) fn sentence(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return "it gave no reason.".to_owned();
    }
    let mut short: String = line
        .chars()
        .filter(|c| !c.is_control())
        .take(MESSAGE_MAX)
        .collect();
    if short.len() < line.len() {
        short.push_str("...");
    } else if !short.ends_with('.') {
        short.push('.');
    }
    short
}

fn is_denied(error: &bollard::errors::Error) -> bool {
    let denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    // The library's own wrapper stands for its contents, and is not their cause.
    if let bollard::errors::Error::IOError { err } = error {
        return denied(err);
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref().is_some_and(denied) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use bollard::errors::Error as E;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn refused(status_code: u16, message: &str) -> EngineError {
        let message = message.to_owned();
        let error = E::DockerResponseServerError {
            status_code,
            message,
        };
        EngineError::new(error, "unix:///s", LIMIT)
    }

    #[test]
    fn only_404_is_gone() {
        assert!(refused(404, "No such container").is_not_found());
        for status in [400, 401, 403, 409, 500, 503] {
            assert!(!refused(status, "").is_not_found());
        }
        assert!(!EngineError::new(E::RequestTimeoutError, "h", LIMIT).is_not_found());
    }

    #[test]
    fn each_has_a_sentence() {
        let denied = E::IOError {
            err: io::Error::from(io::ErrorKind::PermissionDenied),
        };
        let unsupported = E::UnsupportedURISchemeError {
            uri: "ssh://h".into(),
        };
        for (error, kind, part) in [
            (
                EngineError::new(E::SocketNotFoundError("/s".into()), "unix:///s", LIMIT),
                SpawnErrorKind::Unavailable,
                "unix:///s cannot be reached",
            ),
            (
                EngineError::new(denied, "unix:///s", LIMIT),
                SpawnErrorKind::Unavailable,
                "group \"docker\"",
            ),
            (
                EngineError::new(unsupported, "ssh://h", LIMIT),
                SpawnErrorKind::Refused,
                "\"ssh://h\" is no address",
            ),
            (
                EngineError::new(E::RequestTimeoutError, "h", LIMIT),
                SpawnErrorKind::Unavailable,
                "did not start it within 10 seconds",
            ),
            (
                refused(500, "driver failed\nlong story"),
                SpawnErrorKind::Other,
                "could not start it: driver failed.",
            ),
            (
                refused(404, ""),
                SpawnErrorKind::NotFound,
                "it gave no reason.",
            ),
            (
                EngineError::new(E::APIVersionParseError {}, "h", LIMIT),
                SpawnErrorKind::Other,
                "makes no sense",
            ),
        ] {
            let error = error.doing("start it");
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(part), "{error}");
            assert!(error.source().is_some());
        }
    }

    #[test]
    fn long_words_are_cut() {
        let cut = sentence(&"ä".repeat(1000));
        assert!(cut.chars().count() < 310 && cut.ends_with("..."));
    }
}
