//! Who is being used: what the proxy tells the hub.
//!
//! ```text
//! bytes, frames, replies --> Meter (one atomic per server) --> every few seconds: Event::Activity
//! connection refused ------------------------------------------------------> Event::Refused
//! ```
//!
//! A meter belongs to a server, not to one version of the route table: it survives every swap, and
//! an open WebSocket goes on moving it after its route is gone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use spawner_core::{Endpoint, ServerId};

/// What the hub hears from the proxy. Plain data: it also crosses a process boundary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// Somebody used this server; the latest moment since the last such event.
    Activity {
        /// Which server.
        server: ServerId,
        /// When it was last used.
        at: Timestamp,
    },
    /// Nobody listens at this endpoint, or connecting took too long: poll the server now.
    /// At most one a second for each route.
    Refused {
        /// Which server.
        server: ServerId,
        /// Where it should have been, so that news of an earlier run can be told apart.
        endpoint: Endpoint,
    },
}

/// When a server was last used, since it was last asked.
#[derive(Debug, Default)]
pub(super) struct Meter(AtomicI64);

/// Nothing happened. The microsecond of the epoch itself is lost, which is long ago.
const NOTHING: i64 = 0;

impl Meter {
    /// The server is being used now.
    pub(super) fn touch(&self) {
        self.0
            .store(Timestamp::now().as_microsecond(), Ordering::Relaxed);
    }

    /// When it was last used since the last call, if it was.
    fn take(&self) -> Option<Timestamp> {
        // The plain load first: idle servers cost no write to shared memory.
        if self.0.load(Ordering::Relaxed) == NOTHING {
            return None;
        }
        Timestamp::from_microsecond(self.0.swap(NOTHING, Ordering::Relaxed)).ok()
    }
}

/// The meters of all servers that have a route or an open connection.
#[derive(Debug, Default)]
pub(super) struct Meters(Mutex<HashMap<ServerId, Arc<Meter>>>);

impl Meters {
    /// The one meter of `server`.
    pub(super) fn of(&self, server: &ServerId) -> Arc<Meter> {
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(meters.entry(server.clone()).or_default())
    }

    /// One event for each server that was used since the last call. Meters that nobody holds any
    /// more are forgotten, after they were read.
    pub(super) fn take(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        meters.retain(|server, meter| {
            let held = Arc::strong_count(meter) > 1;
            if let Some(at) = meter.take() {
                let server = server.clone();
                events.push(Event::Activity { server, at });
            }
            held
        });
        events
    }
}

#[cfg(test)]
mod tests {
    use spawner_core::UserName;

    use super::*;

    fn server(name: &str) -> ServerId {
        ServerId::default_of(UserName::new(name).unwrap())
    }

    fn names(events: &[Event]) -> Vec<String> {
        let mut names: Vec<String> = events
            .iter()
            .map(|event| match event {
                Event::Activity { server, .. } => server.to_string(),
                Event::Refused { .. } => unreachable!("meters only tell of activity"),
            })
            .collect();
        names.sort();
        names
    }

    #[test]
    fn each_use_is_told_once_and_many_as_one() {
        let meters = Meters::default();
        let (alice, bob) = (meters.of(&server("alice")), meters.of(&server("bob")));
        assert_eq!(meters.take(), []);
        alice.touch();
        alice.touch();
        bob.touch();
        assert_eq!(names(&meters.take()), ["alice", "bob"]);
        assert_eq!(meters.take(), []);
        meters.of(&server("alice")).touch();
        assert_eq!(names(&meters.take()), ["alice"]);
    }

    #[test]
    fn a_meter_lives_as_long_as_somebody_holds_it_and_is_read_before_it_goes() {
        let meters = Meters::default();
        let alice = meters.of(&server("alice"));
        alice.touch();
        drop(alice);
        assert_eq!(names(&meters.take()), ["alice"]);
        assert!(meters.0.lock().unwrap().is_empty());
    }

    #[test]
    fn events_are_plain_data() {
        let event = Event::Refused {
            server: server("alice"),
            endpoint: Endpoint::Unix {
                path: "/run/a".into(),
            },
        };
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
    }
}
