//! Starts and stops that did not happen, as answers of the API.

use http::StatusCode;
use spawner_core::{Ending, Failure, Outcome, ServerId, SpawnErrorKind, error_chain};

use super::error::{ApiError, sentence};
use crate::servers::{StartRefused, StopRefused};

/// How much of the last line that a server printed is repeated, in characters.
const LINE_MAX: usize = 300;
/// The span in which a client that was too many shall try again, in seconds (JupyterHub's).
const RETRY_AFTER: std::ops::RangeInclusive<u64> = 30..=60;

/// The answer to a start that was begun and led nowhere.
pub(super) fn failed_start(server: &ServerId, outcome: &Outcome) -> ApiError {
    let status = match &outcome.ending {
        Ending::Failed(failure) if failure.refused => StatusCode::BAD_REQUEST,
        // Somebody wanted it so; nothing is broken.
        Ending::Stopped => StatusCode::CONFLICT,
        Ending::Failed(_) | Ending::Exited(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    ApiError::new(status, format!("{server}: {}", cause(outcome)))
}

/// Why a run ended, for its user: what happened, in which phase, with which exit code, and the last
/// thing that the server printed.
pub(super) fn cause(outcome: &Outcome) -> String {
    match &outcome.ending {
        Ending::Stopped => "The start was cancelled.".to_owned(),
        Ending::Exited(ended) => {
            let mut text = format!("The server ended by itself: {}.", ended.status);
            add_last_line(&mut text, &ended.log_tail);
            text
        }
        Ending::Failed(failure) => failed(failure),
    }
}

fn failed(failure: &Failure) -> String {
    let Failure { phase, message, .. } = failure;
    let status = failure.status.map(|status| status.to_string());
    let status = status.filter(|status| !message.contains(status));
    let status = status.map_or_else(String::new, |status| format!(", {status}"));
    let mut text = format!("{} (phase {phase}{status})", sentence(message));
    add_last_line(&mut text, &failure.log_tail);
    text
}

fn add_last_line(text: &mut String, log: &[String]) {
    let mut lines = log.iter().rev().map(|line| plain(line));
    if let Some(line) = lines.find(|line| !line.is_empty()) {
        text.push_str(" Last output: ");
        text.push_str(&line);
    }
}

/// A line of a log without the escape sequences and control characters that terminals act on.
fn plain(line: &str) -> String {
    let mut pieces = line.split("\x1b[");
    let first = pieces.next().unwrap_or_default();
    // Of a piece behind an escape everything up to its final letter is the sequence.
    let others = pieces.map(|piece| {
        let end = piece.find(|c: char| ('@'..='~').contains(&c));
        end.map_or("", |end| &piece[end + 1..])
    });
    let text = std::iter::once(first).chain(others).flat_map(str::chars);
    let text: String = text.filter(|c| !c.is_control()).take(LINE_MAX).collect();
    text.trim().to_owned()
}

/// The answer to a start that was not begun.
pub(super) fn refused_start(error: StartRefused) -> ApiError {
    match error {
        // Clients compare these sentences: they end without a full stop.
        StartRefused::Running(_) | StartRefused::Stopping(_) | StartRefused::Checking(_) => {
            ApiError::bad_request(error.to_string())
        }
        StartRefused::Options(_) | StartRefused::NamedServers(_) | StartRefused::HidesPage(_) => {
            ApiError::bad_request(sentence(&error))
        }
        StartRefused::Busy => {
            let pause = rand::random_range(RETRY_AFTER);
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, sentence(&error)).retry_after(pause)
        }
        StartRefused::FailsRepeatedly { retry_after, .. } => {
            let pause = retry_after.as_secs() + 1;
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, sentence(&error)).retry_after(pause)
        }
        StartRefused::Full(_) => ApiError::new(StatusCode::TOO_MANY_REQUESTS, sentence(&error)),
        StartRefused::Store(error) => error.into(),
        StartRefused::ShuttingDown => {
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, sentence(&error))
        }
    }
}

/// The answer to a stop that did not come about.
pub(super) fn refused_stop(of: &impl std::fmt::Display, error: StopRefused) -> ApiError {
    match error {
        StopRefused::Failed(error) => {
            tracing::error!(of = %of, error = error_chain(&error), "a stop failed");
            let status = match error.kind() {
                SpawnErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            ApiError::new(status, format!("{of}: {}", sentence(&error)))
        }
        StopRefused::Store(error) => error.into(),
        StopRefused::ShuttingDown => {
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, sentence(&error))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use std::time::SystemTime;

    use axum::response::IntoResponse as _;
    use spawner_core::{Ended, ExitStatus, LaunchId, OptionsError, StartPhase, UserName};

    use super::*;

    fn outcome(ending: Ending) -> Outcome {
        Outcome {
            launch_id: LaunchId::random(),
            at: SystemTime::UNIX_EPOCH,
            ending,
        }
    }

    fn failure(message: &str, status: Option<ExitStatus>, log: &[&str]) -> Failure {
        Failure {
            phase: StartPhase::Waiting,
            message: message.into(),
            refused: false,
            status,
            log_tail: log.iter().map(|&line| line.to_owned()).collect(),
        }
    }

    fn alice() -> ServerId {
        ServerId::default_of(UserName::new("alice").unwrap())
    }

    #[test]
    fn a_failure_names_phase_exit_code_and_last_line() {
        let one = Some(ExitStatus::Code(1));
        for (failure, text) in [
            (
                failure(
                    "The server ended before it answered: exit code 1.",
                    one,
                    &["starting", "\x1b[31mboom\x1b[0m", "  "],
                ),
                "The server ended before it answered: exit code 1. (phase waiting) Last output: boom",
            ),
            (
                failure("It did not answer", one, &[]),
                "It did not answer. (phase waiting, exit code 1)",
            ),
            (
                failure("It did not answer.", None, &["a\x1b[", "\x1b[1;31"]),
                "It did not answer. (phase waiting) Last output: a",
            ),
        ] {
            assert_eq!(cause(&outcome(Ending::Failed(failure))), text);
        }
        let ended = Ended {
            status: ExitStatus::Signal(9),
            log_tail: vec!["x".repeat(1000)],
        };
        let text = cause(&outcome(Ending::Exited(ended)));
        assert!(text.starts_with("The server ended by itself: signal 9. Last output: xxx"));
        assert!(text.len() < 400);
    }

    #[test]
    fn a_failed_start_has_a_status() {
        let refused = Failure {
            refused: true,
            ..failure("There is no image \"x\".", None, &[])
        };
        for (ending, status) in [
            (Ending::Failed(failure("No.", None, &[])), 500),
            (Ending::Failed(refused), 400),
            (Ending::Stopped, 409),
        ] {
            let answer = failed_start(&alice(), &outcome(ending)).into_response();
            assert_eq!(answer.status().as_u16(), status);
        }
    }

    #[test]
    fn a_refused_start_has_a_status() {
        let options = || OptionsError::new("no such size");
        let failing = StartRefused::FailsRepeatedly {
            server: alice(),
            failures: 3,
            retry_after: Duration::from_secs(30),
        };
        for (refused, status, retry) in [
            (StartRefused::Running(alice()), 400, false),
            (StartRefused::Stopping(alice()), 400, false),
            (StartRefused::Checking(alice()), 400, false),
            (StartRefused::Options(options()), 400, false),
            (StartRefused::NamedServers(0), 400, false),
            (StartRefused::Busy, 429, true),
            (failing, 503, true),
            (StartRefused::Full(3), 429, false),
            (StartRefused::ShuttingDown, 503, false),
        ] {
            let answer = refused_start(refused).into_response();
            assert_eq!(answer.status().as_u16(), status);
            assert_eq!(answer.headers().contains_key("retry-after"), retry);
        }
    }
}
