//! How a run ended, with all that a user needs to understand it.

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::ids::LaunchId;
use crate::status::ExitStatus;

/// How a run ended.
///
/// ```
/// use spawner_core::{Ending, Outcome};
///
/// fn words(outcome: &Outcome) -> String {
///     match &outcome.ending {
///         Ending::Stopped => "it was stopped".to_owned(),
///         Ending::Exited(ended) => format!("it ended by itself: {}", ended.status),
///         Ending::Failed(failure) => format!("{} ({})", failure.message, failure.phase),
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which run.
    pub launch_id: LaunchId,
    /// When it was over.
    pub at: SystemTime,
    /// What ended it.
    pub ending: Ending,
}

/// What ended a run.
///
/// Example: see [`Outcome`](crate::Outcome).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It was asked to stop, also during its start.
    Stopped,
    /// It ended by itself after it had been ready.
    Exited(Ended),
    /// It never became ready.
    Failed(Failure),
}

/// An end that nobody asked for.
///
/// Example: see [`Outcome`](crate::Outcome).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// The last lines it printed, oldest first; empty when the backend has none.
    pub log_tail: Vec<String>,
}

/// A start that led nowhere.
///
/// Example: see [`Outcome`](crate::Outcome).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// How far it came.
    pub phase: StartPhase,
    /// The sentence for the user.
    pub message: String,
    /// Whether the request itself was at fault, so that trying again unchanged is pointless.
    pub refused: bool,
    /// How the server ended, if it had begun to run and is known to have ended by itself.
    pub status: Option<ExitStatus>,
    /// The last lines it printed, oldest first.
    pub log_tail: Vec<String>,
}

/// The steps of a start.
///
/// Example: see [`Outcome`](crate::Outcome).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartPhase {
    /// Options, address, environment: before anything of the run exists; bounded by
    /// `prepare_timeout`.
    Preparing,
    /// The pre-spawn hook runs; bounded by `hook_timeout`.
    Hooks,
    /// The spawner is making the process or container; bounded by `start_timeout`.
    Launching,
    /// It runs and does not answer yet; bounded by `http_timeout`.
    Waiting,
}

impl StartPhase {
    /// The phase as one word, as it stands in messages and logs.
    ///
    /// Example: see [`Outcome`](crate::Outcome).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Hooks => "hooks",
            Self::Launching => "launching",
            Self::Waiting => "waiting",
        }
    }
}

impl fmt::Display for StartPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Outcome {
    /// The exit status, if there is one to tell.
    ///
    /// Example: see [`Outcome`](crate::Outcome).
    pub fn status(&self) -> Option<ExitStatus> {
        match &self.ending {
            Ending::Stopped => None,
            Ending::Exited(ended) => Some(ended.status),
            Ending::Failed(failure) => failure.status,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outcomes are saved: what was written stays readable.
    #[test]
    fn phases_are_saved_by_their_words() {
        for (phase, word) in [
            (StartPhase::Preparing, "preparing"),
            (StartPhase::Hooks, "hooks"),
            (StartPhase::Launching, "launching"),
            (StartPhase::Waiting, "waiting"),
        ] {
            assert_eq!(phase.as_str(), word);
            assert_eq!(serde_json::to_value(phase).unwrap(), word);
            assert_eq!(
                serde_json::from_value::<StartPhase>(word.into()).unwrap(),
                phase
            );
        }
    }
}
