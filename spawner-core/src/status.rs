//! What a spawner says of its server, and how a server is asked to end.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;

use serde::{Deserialize, Serialize};

/// The answer of [`Spawner::poll`](crate::Spawner::poll).
///
/// The seed folds three answers into `None`-or-integer; here "cannot tell" is an `Err` of the poll
/// and never one of these, so a backend that is briefly away cannot look like a dead server.
///
/// Example: see [`ExitStatus`](crate::ExitStatus).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollStatus {
    /// It is there, or still being started.
    Running,
    /// It is not there: it ended, or was never started.
    Exited(ExitStatus),
}

/// How a server ended.
///
/// ```
/// use spawner_core::{ExitStatus, PollStatus};
///
/// let polled = PollStatus::Exited(ExitStatus::Signal(9));
/// let PollStatus::Exited(status) = polled else { panic!("it runs") };
/// assert_eq!((status.as_i32(), status.to_string().as_str()), (-9, "signal 9"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitStatus {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// The kernel ended it because it reached its memory limit.
    OutOfMemory,
    /// It is gone and nothing says how: never started, or not our child.
    Unknown,
}

/// How a server is asked to end.
///
/// Example: see [`ExitStatus`](crate::ExitStatus).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopMode {
    /// Politely first, with the spawner's own timeouts.
    Graceful,
    /// At once, as far as the backend can (the seed's `now=True`).
    Now,
}

impl ExitStatus {
    /// The seed's integer: `n` for an exit code, `-n` for a signal (`-9` for out of memory), `0`
    /// when unknown.
    ///
    /// Example: see [`ExitStatus`](crate::ExitStatus).
    pub fn as_i32(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => -signal,
            Self::OutOfMemory => -9,
            Self::Unknown => 0,
        }
    }
}

/// What a process of this host ended with.
///
/// ```
/// use spawner_core::ExitStatus;
///
/// let status = std::process::Command::new("false").status()?;
/// assert_eq!(ExitStatus::from(status), ExitStatus::Code(1));
/// # Ok::<(), std::io::Error>(())
/// ```
impl From<std::process::ExitStatus> for ExitStatus {
    fn from(status: std::process::ExitStatus) -> Self {
        let signal = status.signal().map_or(Self::Unknown, Self::Signal);
        status.code().map_or(signal, Self::Code)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::Unknown => f.write_str("an unknown exit status"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_the_seeds() {
        assert_eq!(ExitStatus::Code(3).as_i32(), 3);
        assert_eq!(ExitStatus::Signal(15).as_i32(), -15);
        assert_eq!(ExitStatus::OutOfMemory.as_i32(), -9);
        assert_eq!(ExitStatus::Unknown.as_i32(), 0);
    }
}
