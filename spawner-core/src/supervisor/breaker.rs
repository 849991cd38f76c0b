//! Starts that fail again and again are not tried for a while.
//!
//! ```text
//!            limit failures in a row              the pause is over
//!   closed ----------------------------> open ----------------------> one start is let through
//!     ^ ^                                  ^                              |            |
//!     | +-------- success -----------------|------------------------------+            |
//!     |                                    +---------- fails: a longer pause ----------+
//!     +-- success at any time
//! ```
//!
//! A start that was refused or cancelled says nothing about the server and changes nothing.

use std::time::Duration;

use tokio::time::Instant;

use super::phase::Denied;

/// The pause after the failure that opens the breaker; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(300);

/// The breaker of one server. Pure: told what happens and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Breaker {
    /// Starts that failed since the last one that succeeded.
    failures: u32,
    /// When the next start is let through.
    until: Option<Instant>,
}

impl Breaker {
    /// Whether a start is let through, with `consecutive_failure_limit` as `limit` (0: always).
    pub(super) fn admit(self, limit: u32, now: Instant) -> Result<(), Denied> {
        match self.until {
            Some(until) if limit > 0 && self.failures >= limit && now < until => {
                Err(Denied::FailsRepeatedly {
                    failures: self.failures,
                    retry_after: until - now,
                })
            }
            _ => Ok(()),
        }
    }

    /// A start failed.
    pub(super) fn failed(self, limit: u32, now: Instant) -> Self {
        let failures = self.failures.saturating_add(1);
        let until = (limit > 0 && failures >= limit).then(|| {
            let doublings = (failures - limit).min(16);
            now + (FIRST_PAUSE * 2_u32.pow(doublings)).min(LAST_PAUSE)
        });
        Self { failures, until }
    }

    /// A start succeeded.
    pub(super) fn succeeded() -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens at a second, and for how long starts are denied after it.
    #[test]
    fn the_table() {
        enum Start {
            Fails,
            Works,
        }
        use Start::{Fails, Works};
        type Row = (u64, Start, u64);
        let begin = Instant::now();
        let at = |second| begin + Duration::from_secs(second);
        // limit, then: second, start, seconds denied after it
        #[rustfmt::skip]
        let table: [(u32, &[Row]); 4] = [
            (0, &[(0, Fails, 0), (1, Fails, 0), (2, Fails, 0)]),
            (1, &[(0, Fails, 30), (30, Fails, 60), (90, Works, 0), (91, Fails, 30)]),
            (3, &[(0, Fails, 0), (1, Fails, 0), (2, Works, 0), (3, Fails, 0), (4, Fails, 0), (5, Fails, 30),
                  (40, Fails, 60), (100, Fails, 120), (300, Fails, 240), (600, Fails, 300), (1000, Fails, 300),
                  (1300, Works, 0), (1301, Fails, 0)]),
            (u32::MAX, &[(0, Fails, 0), (1, Fails, 0)]),
        ];
        for (limit, rows) in table {
            let mut breaker = Breaker::default();
            for (second, start, denied) in rows {
                assert_eq!(
                    breaker.admit(limit, at(*second)),
                    Ok(()),
                    "{limit} {second}"
                );
                breaker = match start {
                    Fails => breaker.failed(limit, at(*second)),
                    Works => Breaker::succeeded(),
                };
                let answer = breaker.admit(limit, at(*second));
                let wait = match answer {
                    Ok(()) => 0,
                    Err(Denied::FailsRepeatedly { retry_after, .. }) => retry_after.as_secs(),
                    Err(other) => panic!("{other:?}"),
                };
                assert_eq!(wait, *denied, "limit {limit}, second {second}");
                assert_eq!(breaker.admit(limit, at(second + denied)), Ok(()));
                assert_eq!(breaker.admit(0, at(*second)), Ok(()), "0 is off");
            }
        }
    }

    #[test]
    fn the_sentence_says_why_and_until_when() {
        let now = Instant::now();
        let breaker = Breaker::default().failed(2, now).failed(2, now);
        let denied = breaker
            .admit(2, now + Duration::from_millis(500))
            .unwrap_err();
        assert_eq!(
            denied.to_string(),
            "the server failed to start 2 times in a row; it can be started again in 30 s"
        );
    }
}
