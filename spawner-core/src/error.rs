//! What goes wrong in a spawner: a sentence for the user, a cause for the log.

use std::error::Error;

use crate::state::StateError;
use crate::status::ExitStatus;

/// Any error, as the cause of another one.
///
/// Example: see [`SpawnError`](crate::SpawnError).
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// An error of a spawner. `Display` is one sentence that the user can act on; the cause chain is
/// for the log.
///
/// ```
/// use spawner_core::{BoxError, SpawnError, SpawnErrorKind, error_chain};
///
/// fn image_error(cause: BoxError) -> SpawnError {
///     SpawnError::new(SpawnErrorKind::NotFound, "There is no image \"lab\".").with_source(cause)
/// }
/// let error = image_error("manifest unknown".into());
/// assert_eq!(error.to_string(), "There is no image \"lab\".");
/// assert_eq!(error_chain(&error), "There is no image \"lab\".: manifest unknown");
/// assert_eq!(SpawnError::other("It broke.").kind(), SpawnErrorKind::Other);
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SpawnError {
    kind: SpawnErrorKind,
    message: String,
    #[source]
    source: Option<BoxError>,
}

/// What sort of error it is, for whoever has to decide what to do next.
///
/// Example: see [`SpawnError`](crate::SpawnError).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpawnErrorKind {
    /// The request is not allowed or makes no sense; asking again changes nothing.
    Refused,
    /// The program, image or account that was asked for does not exist.
    NotFound,
    /// The backend is away or overloaded; asking again may help.
    Unavailable,
    /// It took longer than it may.
    Timeout,
    /// The server ended while it was being started.
    Exited(ExitStatus),
    /// Somebody else listens where the server was told to; another address may help.
    AddressTaken,
    /// A stop was carried out and the server is still there.
    StillAlive,
    /// The start was cancelled.
    Cancelled,
    /// Anything else.
    Other,
}

impl SpawnError {
    /// An error of `kind` with the sentence that the user reads.
    ///
    /// Example: see [`SpawnError`](crate::SpawnError).
    pub fn new(kind: SpawnErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// An error of kind [`SpawnErrorKind::Other`].
    ///
    /// Example: see [`SpawnError`](crate::SpawnError).
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(SpawnErrorKind::Other, message)
    }

    /// Keeps the cause for the log.
    ///
    /// Example: see [`SpawnError`](crate::SpawnError).
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What sort of error it is.
    ///
    /// Example: see [`SpawnError`](crate::SpawnError).
    pub fn kind(&self) -> SpawnErrorKind {
        self.kind
    }

    /// The error that a cancelled start returns.
    ///
    /// Example: see [`SpawnError`](crate::SpawnError).
    pub fn cancelled() -> Self {
        Self::new(SpawnErrorKind::Cancelled, "The start was cancelled.")
    }
}

impl From<StateError> for SpawnError {
    fn from(error: StateError) -> Self {
        Self::other("What was saved of this server cannot be read.").with_source(error)
    }
}

/// An error and all its causes on one line, for the log.
///
/// Example: see [`SpawnError`](crate::SpawnError).
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_readers() {
        let error = SpawnError::new(SpawnErrorKind::NotFound, "There is no program \"x\".")
            .with_source(std::io::Error::from_raw_os_error(2));
        assert_eq!(error.to_string(), "There is no program \"x\".");
        assert!(
            error_chain(&error).contains("No such file"),
            "{}",
            error_chain(&error)
        );
    }
}
