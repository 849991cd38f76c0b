//! When servers were last used, by a clock that cannot be set.
//!
//! What the books say of that (`last_activity`) is for people and for programs: it is a time of day,
//! and whoever sets the clock by a week makes every server look a week idle, or makes what happens
//! from then on look older than what happened before. So whoever wants to end a server asks here.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use spawner_core::ServerId;
use tokio::time::Instant;

/// The last use of each server since the hub began.
#[derive(Debug, Default)]
pub(super) struct Uses(Mutex<HashMap<ServerId, Use>>);

#[derive(Debug, Clone, Copy)]
struct Use {
    at: Instant,
    /// What the server last said of itself.
    reported: Option<Timestamp>,
}

impl Uses {
    /// The server is being used.
    pub(super) fn used(&self, server: &ServerId) {
        self.note(server, |last| Use {
            at: Instant::now(),
            reported: last.and_then(|last| last.reported),
        });
    }

    /// The server says that it was last used at `at`. Servers say so again and again: only a moment
    /// that is another one than the last time is a use, whichever of both is earlier.
    pub(super) fn reported(&self, server: &ServerId, at: Timestamp) {
        self.note(server, |last| {
            let same = last.filter(|last| last.reported == Some(at));
            same.unwrap_or(Use {
                at: Instant::now(),
                reported: Some(at),
            })
        });
    }

    /// When it was last used; nothing if that was before the hub began.
    pub(super) fn last(&self, server: &ServerId) -> Option<Instant> {
        let uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uses.get(server).map(|last| last.at)
    }

    /// The server is no more.
    pub(super) fn forget(&self, server: &ServerId) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uses.remove(server);
    }

    fn note(&self, server: &ServerId, next: impl FnOnce(Option<Use>) -> Use) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = next(uses.get(server).copied());
        uses.insert(server.clone(), next);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use spawner_core::UserName;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_report_counts_when_it_says_something_new() {
        let uses = Uses::default();
        let alice = ServerId::default_of(UserName::new("alice").unwrap());
        assert_eq!(uses.last(&alice), None);
        let began = Instant::now();
        let seconds = |number| Timestamp::from_second(number).unwrap();
        // At second 10 and 20 nothing new; at 30 the clock was set back, and at 40 the proxy saw it.
        for (report, last) in [
            (Some(5), 0),
            (Some(5), 0),
            (Some(5), 0),
            (Some(1), 30),
            (None, 40),
        ] {
            match report {
                Some(report) => uses.reported(&alice, seconds(report)),
                None => uses.used(&alice),
            }
            let at = uses.last(&alice).unwrap();
            assert_eq!(at - began, Duration::from_secs(last));
            tokio::time::advance(Duration::from_secs(10)).await;
        }
        uses.reported(&alice, seconds(1));
        assert_eq!(uses.last(&alice).unwrap() - began, Duration::from_secs(40));
        uses.forget(&alice);
        assert_eq!(uses.last(&alice), None);
    }
}
