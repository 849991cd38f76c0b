//! How long a start and each of its phases may take, so that nothing is pending for ever.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::SpawnerConfig;
use crate::error::{SpawnError, SpawnErrorKind};
use crate::outcome::StartPhase;

/// How long `check_listener` may take.
const LISTENER_LIMIT: Duration = Duration::from_secs(5);
/// How long the journal may take to write one entry of a start.
const BOOKS_LIMIT: Duration = Duration::from_secs(30);
/// What "for ever" is cut to, where the clock would overflow.
const FAR: Duration = Duration::from_secs(365 * 86_400);

/// The bounds of one start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    prepare: Duration,
    hook: Duration,
    start: Duration,
    http: Duration,
    total: Duration,
    end: Instant,
}

/// The bound of one step: its own, or what is left of the whole.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) phase: StartPhase,
    pub(super) at: Instant,
    sentence: String,
}

impl Budget {
    /// The budget of a start that begins now.
    pub(super) fn new(config: &SpawnerConfig) -> Self {
        let (prepare, hook) = (config.prepare_timeout, config.hook_timeout);
        let (start, http) = (config.start_timeout, config.http_timeout);
        let sum = [prepare, hook, start, http]
            .into_iter()
            .fold(Duration::ZERO, Duration::saturating_add);
        let total = config.total_timeout.unwrap_or(sum);
        Self {
            prepare,
            hook,
            start,
            http,
            total,
            end: from_now(total),
        }
    }

    /// The budget of a start that an earlier process of the daemon began, and that only has to
    /// answer yet.
    pub(super) fn of_waiting(config: &SpawnerConfig) -> Self {
        let total = config
            .http_timeout
            .saturating_add(LISTENER_LIMIT + BOOKS_LIMIT);
        Self {
            total,
            end: from_now(total),
            ..Self::new(config)
        }
    }

    /// Moves the end by what did not count.
    pub(super) fn add(&mut self, extra: Duration) {
        self.end += extra.min(FAR);
    }

    /// The bound of a phase that begins now.
    pub(super) fn phase(&self, phase: StartPhase) -> Limit {
        let (own, seconds): (Duration, fn(f64) -> String) = match phase {
            StartPhase::Preparing => (self.prepare, |s| {
                format!("The start could not be prepared within {s} s (prepare_timeout).")
            }),
            StartPhase::Hooks => (self.hook, |s| {
                format!("The pre-spawn hook did not end within {s} s (hook_timeout).")
            }),
            StartPhase::Launching => (self.start, |s| {
                format!("The server was not started within {s} s (start_timeout).")
            }),
            StartPhase::Waiting => (self.http, |s| {
                format!("The server did not answer within {s} s (http_timeout).")
            }),
        };
        self.limit(phase, own, seconds)
    }

    /// The bound of asking who listens, which begins now.
    pub(super) fn listener(&self) -> Limit {
        self.limit(StartPhase::Waiting, LISTENER_LIMIT, |s| {
            format!("Who listens at the server's address could not be told within {s} s.")
        })
    }

    /// The bound of an entry in the books, which begins now.
    pub(super) fn books(&self, phase: StartPhase) -> Limit {
        self.limit(phase, BOOKS_LIMIT, |s| {
            format!("The hub could not save its state within {s} s.")
        })
    }

    fn limit(&self, phase: StartPhase, own: Duration, sentence: fn(f64) -> String) -> Limit {
        let at = from_now(own);
        if at <= self.end {
            let sentence = sentence(own.as_secs_f64());
            return Limit {
                phase,
                at,
                sentence,
            };
        }
        let total = self.total.as_secs_f64();
        Limit {
            phase,
            at: self.end,
            sentence: format!("The whole start took longer than {total} s (total_timeout)."),
        }
    }
}

impl Limit {
    /// The error of a step that took longer.
    pub(super) fn passed(self) -> SpawnError {
        SpawnError::new(SpawnErrorKind::Timeout, self.sentence)
    }
}

fn from_now(pause: Duration) -> Instant {
    Instant::now() + pause.min(FAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_nearer_bound_holds_and_is_named() {
        let seconds = Duration::from_secs;
        let config = SpawnerConfig {
            total_timeout: Some(seconds(40)),
            ..SpawnerConfig::default()
        };
        let budget = Budget::new(&config);
        let began = Instant::now();
        let limit = budget.phase(StartPhase::Preparing);
        assert_eq!(limit.at - began, seconds(30));
        assert!(limit.passed().to_string().contains("prepare_timeout"));
        let limit = budget.phase(StartPhase::Launching);
        assert_eq!(limit.at - began, seconds(40));
        assert!(limit.passed().to_string().contains("total_timeout"));
        tokio::time::advance(seconds(38)).await;
        assert_eq!(budget.listener().at - began, seconds(40));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_total_the_phases_add_up() {
        let config = SpawnerConfig::default();
        let budget = Budget::new(&config);
        assert_eq!(budget.total, Duration::from_secs(30 + 30 + 60 + 30));
        let endless = SpawnerConfig {
            start_timeout: Duration::MAX,
            ..config
        };
        let limit = Budget::new(&endless).phase(StartPhase::Launching);
        assert!(limit.at > Instant::now());
    }
}
