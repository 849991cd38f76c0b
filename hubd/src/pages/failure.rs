//! A server that did not start, or ended by itself, in words for its user.

use jiff::Timestamp;
use nix::sys::signal::Signal;
use serde::Serialize;
use spawner_core::{Ending, ExitStatus, Outcome, StartPhase};

/// How many of the last log lines a page shows.
const LOG_LINES: usize = 100;
/// How much of one log line a page shows, in characters.
const LOG_LINE_CHARS: usize = 1000;

/// Why a server is not there. Which of it a page tells is the template's choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    phase: FailedPhase,
    cause: String,
    exit: Option<String>,
    log: Vec<String>,
    at: Option<String>,
}

/// What was going on when it failed. The templates have the words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FailedPhase {
    /// Before anything ran: options, limits, files, image.
    Preparing,
    /// While the administrator's own preparation ran.
    Hooks,
    /// The spawner started it and had no address for it yet.
    Starting,
    /// It had an address and did not answer there.
    Connecting,
    /// It was ready and ended by itself.
    Running,
    /// It was asked to stop and did not.
    Stopping,
}

impl Failure {
    /// A failure in `phase`. `cause` is one sentence for the user, without secrets.
    pub(crate) fn new(phase: FailedPhase, cause: impl Into<String>) -> Self {
        Self {
            phase,
            cause: cause.into(),
            exit: None,
            log: Vec::new(),
            at: None,
        }
    }

    /// What a page tells of a run that is over; nothing when it ended as somebody wanted. A server
    /// that exits with code 0 was shut down from inside, as JupyterLab's menu does it.
    pub(crate) fn of(outcome: &Outcome) -> Option<Self> {
        let (failure, exit, log) = match &outcome.ending {
            Ending::Stopped => return None,
            Ending::Exited(ended) if ended.status == ExitStatus::Code(0) => return None,
            Ending::Exited(ended) => {
                let cause = "It ended while nobody had asked it to.";
                let failure = Self::new(FailedPhase::Running, cause);
                (failure, Some(ended.status), &ended.log_tail)
            }
            Ending::Failed(failed) => {
                let phase = match failed.phase {
                    StartPhase::Preparing => FailedPhase::Preparing,
                    StartPhase::Hooks => FailedPhase::Hooks,
                    StartPhase::Launching => FailedPhase::Starting,
                    StartPhase::Waiting => FailedPhase::Connecting,
                };
                (
                    Self::new(phase, &failed.message),
                    failed.status,
                    &failed.log_tail,
                )
            }
        };
        let failure = match exit {
            Some(exit) => failure.with_exit(exit),
            None => failure,
        };
        let failure = failure.with_log(log);
        Some(match Timestamp::try_from(outcome.at) {
            Ok(at) => failure.with_time(at),
            Err(_) => failure,
        })
    }

    /// Adds how the program ended.
    #[must_use]
    pub(crate) fn with_exit(mut self, exit: ExitStatus) -> Self {
        self.exit = Some(exit_words(exit));
        self
    }

    /// Adds the end of the server's log: at most the last 100 lines, each without terminal colours
    /// and cut to 1000 characters.
    #[must_use]
    pub(crate) fn with_log<L: AsRef<str>>(mut self, lines: &[L]) -> Self {
        let first = lines.len().saturating_sub(LOG_LINES);
        self.log = lines[first..]
            .iter()
            .map(|line| plain(line.as_ref()))
            .collect();
        self
    }

    /// Adds when it happened.
    #[must_use]
    pub(crate) fn with_time(mut self, at: Timestamp) -> Self {
        self.at = Some(at.strftime("%Y-%m-%d %H:%M UTC").to_string());
        self
    }
}

/// A log line as a page can show it: without the escape sequences that colour a terminal, and
/// without control characters other than the tab.
fn plain(line: &str) -> String {
    let mut clean = String::with_capacity(line.len().min(LOG_LINE_CHARS));
    let mut characters = line.chars();
    let mut length = 0;
    while let Some(character) = characters.next() {
        if length == LOG_LINE_CHARS {
            clean.push('…');
            break;
        }
        if character == '\x1b' {
            skip_escape_sequence(&mut characters);
        } else if character == '\t' || !character.is_control() {
            clean.push(character);
            length += 1;
        }
    }
    clean
}

/// Consumes the rest of an escape sequence: `[`, parameters, one letter; or a single character.
fn skip_escape_sequence(characters: &mut std::str::Chars<'_>) {
    if characters.next() == Some('[') {
        for character in characters.by_ref() {
            if ('\x40'..='\x7e').contains(&character) {
                break;
            }
        }
    }
}

fn exit_words(exit: ExitStatus) -> String {
    match exit {
        ExitStatus::Code(code) => format!("exit code {code}"),
        ExitStatus::Signal(number) => match Signal::try_from(number) {
            Ok(signal) => format!("signal {number} ({})", signal.as_str()),
            Err(_) => format!("signal {number}"),
        },
        ExitStatus::OutOfMemory => {
            "ended by the system because it reached its memory limit".to_owned()
        }
        ExitStatus::Unknown => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use spawner_core::{Ended, LaunchId};

    use super::*;

    fn outcome(ending: Ending) -> Outcome {
        Outcome {
            launch_id: LaunchId::random(),
            at: SystemTime::UNIX_EPOCH + Duration::from_hours(24),
            ending,
        }
    }

    #[test]
    fn a_failed_start_tells_all_that_is_known() {
        for (phase, shown) in [
            (StartPhase::Preparing, "preparing"),
            (StartPhase::Hooks, "hooks"),
            (StartPhase::Launching, "starting"),
            (StartPhase::Waiting, "connecting"),
        ] {
            let failure = Failure::of(&outcome(Ending::Failed(spawner_core::Failure {
                phase,
                message: "It did not work.".into(),
                refused: false,
                status: Some(ExitStatus::Code(1)),
                log_tail: vec!["no module".into()],
            })));
            let expected = serde_json::json!({
                "phase": shown, "cause": "It did not work.", "exit": "exit code 1",
                "log": ["no module"], "at": "1970-01-02 00:00 UTC",
            });
            assert_eq!(json(&failure.unwrap()), expected);
        }
    }

    #[test]
    fn only_an_end_that_nobody_wanted_is_a_failure() {
        let exited = |status| {
            let log_tail = Vec::new();
            Failure::of(&outcome(Ending::Exited(Ended { status, log_tail })))
        };
        assert_eq!(Failure::of(&outcome(Ending::Stopped)), None);
        assert_eq!(exited(ExitStatus::Code(0)), None);
        let killed = json(&exited(ExitStatus::Signal(9)).unwrap());
        assert_eq!(killed["phase"], "running");
        assert_eq!(killed["exit"], "signal 9 (SIGKILL)");
    }

    fn json(failure: &Failure) -> serde_json::Value {
        serde_json::to_value(failure).unwrap()
    }

    #[test]
    fn ends_are_words() {
        for (exit, words) in [
            (ExitStatus::Code(127), "exit code 127"),
            (ExitStatus::Signal(9), "signal 9 (SIGKILL)"),
            (ExitStatus::Signal(64), "signal 64"),
            (
                ExitStatus::OutOfMemory,
                "ended by the system because it reached its memory limit",
            ),
            (ExitStatus::Unknown, "unknown"),
        ] {
            assert_eq!(exit_words(exit), words);
        }
    }

    #[test]
    fn a_failure_needs_no_details() {
        let expected = serde_json::json!({
            "phase": "connecting", "cause": "It did not answer.", "exit": null, "log": [],
            "at": null,
        });
        let failure = Failure::new(FailedPhase::Connecting, "It did not answer.");
        assert_eq!(json(&failure), expected);
    }

    #[test]
    fn times_are_minutes_in_utc() {
        let at: Timestamp = "2026-03-01T12:34:56.789Z".parse().unwrap();
        let failure = Failure::new(FailedPhase::Running, "It ended.").with_time(at);
        assert_eq!(json(&failure)["at"], "2026-03-01 12:34 UTC");
    }

    #[test]
    fn log_lines_are_plain_text() {
        for (line, shown) in [
            ("\x1b[31mred\x1b[0m and\tplain\r", "red and\tplain"),
            ("a\0b\x07c\x1b", "abc"),
            ("\x1b(B<b>", "B<b>"),
            ("\x1b[12;", ""),
        ] {
            assert_eq!(plain(line), shown, "{line:?}");
        }
        let long = plain(&"x".repeat(3000));
        assert_eq!(long.chars().count(), LOG_LINE_CHARS + 1);
        assert_eq!(plain(&"x".repeat(LOG_LINE_CHARS)).len(), LOG_LINE_CHARS);
    }

    #[test]
    fn the_log_keeps_its_end() {
        let lines: Vec<String> = (0..250).map(|number| number.to_string()).collect();
        let failure = Failure::new(FailedPhase::Starting, "It ended.").with_log(&lines);
        assert_eq!(failure.log.len(), LOG_LINES);
        assert_eq!(failure.log.last().unwrap(), "249");
    }
}
