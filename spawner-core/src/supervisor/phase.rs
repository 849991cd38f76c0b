//! The life of a server as a pure function of its phase and what happens.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::endpoint::Endpoint;
use crate::outcome::Outcome;
use crate::status::StopMode;

/// Where a server is in its life.
///
/// ```
/// use spawner_core::{Denied, Event, Phase, StopMode};
///
/// let phase = Phase::default();
/// assert!(phase.is_stopped());
/// let stop = Event::Stop { mode: StopMode::Now };
/// assert_eq!(phase.clone().step(stop), Err(Denied::NotRunning));
/// let starting = phase.step(Event::Start)?;
/// assert_eq!(starting.endpoint(), None);
/// assert_eq!(starting.step(Event::Start), Err(Denied::AlreadyStarting));
/// # Ok::<(), Denied>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Nothing runs.
    Stopped {
        /// How the last run ended, if there was one since the daemon began.
        last: Option<Arc<Outcome>>,
    },
    /// The spawner is making it.
    Starting,
    /// It was made and does not answer yet.
    Waiting {
        /// Where it shall answer.
        endpoint: Endpoint,
    },
    /// It answers.
    Running {
        /// Where.
        endpoint: Endpoint,
    },
    /// It is being ended.
    Stopping {
        /// How.
        mode: StopMode,
    },
    /// Whether it runs cannot be told at the moment.
    Unknown {
        /// Since when.
        since: SystemTime,
    },
}

/// What can happen to a server.
///
/// Example: see [`Phase`](crate::Phase).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants it started.
    Start,
    /// The spawner made it; or one that was being started was found again.
    Launched {
        /// Where it will answer.
        endpoint: Endpoint,
    },
    /// Somebody else listens at its address: it was ended, and is made again at another one.
    AddressTaken,
    /// It answered for the first time.
    Ready,
    /// The spawner cannot tell whether it is there.
    Lost {
        /// When that was noticed.
        at: SystemTime,
    },
    /// The spawner found it again.
    Found {
        /// Where it is now.
        endpoint: Endpoint,
    },
    /// A server of an earlier process of the daemon is to be looked for.
    Recover {
        /// When.
        at: SystemTime,
    },
    /// It has to end: somebody wants it, or its start failed, or it ended by itself and what is
    /// left of it has to be cleared.
    Stop {
        /// How.
        mode: StopMode,
    },
    /// Nothing of it is left.
    Gone {
        /// How the run ended.
        outcome: Arc<Outcome>,
    },
}

/// Why a request does not fit the phase.
///
/// Example: see [`Phase`](crate::Phase).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Denied {
    /// A stop of nothing.
    #[error("the server is not running")]
    NotRunning,
    /// A start of what runs.
    #[error("the server is already running")]
    AlreadyRunning,
    /// A start during a start.
    #[error("the server is already being started")]
    AlreadyStarting,
    /// A start during a stop.
    #[error("the server is being stopped")]
    Stopping,
    /// A start while it is not known whether it runs.
    #[error("whether the server is running is being checked")]
    Checking,
    /// A start of what failed to start `consecutive_failure_limit` times in a row, or more often.
    #[error(
        "the server failed to start {failures} times in a row; it can be started again in {} s",
        whole_seconds(*.retry_after)
    )]
    FailsRepeatedly {
        /// How often.
        failures: u32,
        /// When a start is let through again.
        retry_after: Duration,
    },
    /// An event that only the owner task makes, out of its order.
    #[error("this cannot happen now")]
    OutOfOrder,
}

impl Phase {
    /// The phase after `event`. Pure; every pair of phase and event is a row of the test below.
    ///
    /// Example: see [`Phase`](crate::Phase).
    pub fn step(self, event: Event) -> Result<Self, Denied> {
        use StopMode::{Graceful, Now};
        match (self, event) {
            (Self::Stopped { .. }, Event::Start)
            | (Self::Starting | Self::Waiting { .. }, Event::AddressTaken) => Ok(Self::Starting),
            (Self::Starting | Self::Waiting { .. }, Event::Start) => Err(Denied::AlreadyStarting),
            (Self::Running { .. }, Event::Start) => Err(Denied::AlreadyRunning),
            (Self::Stopping { .. }, Event::Start) => Err(Denied::Stopping),
            (Self::Unknown { .. }, Event::Start) => Err(Denied::Checking),

            (Self::Starting | Self::Unknown { .. }, Event::Launched { endpoint }) => {
                Ok(Self::Waiting { endpoint })
            }
            (Self::Waiting { endpoint }, Event::Ready) => Ok(Self::Running { endpoint }),

            (Self::Running { .. }, Event::Lost { at })
            | (Self::Stopped { .. }, Event::Recover { at }) => Ok(Self::Unknown { since: at }),
            (same @ Self::Unknown { .. }, Event::Lost { .. }) => Ok(same),
            (Self::Running { .. } | Self::Unknown { .. }, Event::Found { endpoint }) => {
                Ok(Self::Running { endpoint })
            }

            (Self::Stopped { .. }, Event::Stop { .. }) => Err(Denied::NotRunning),
            // A stop at once is never softened by a later, gentler one.
            (Self::Stopping { mode: Now }, Event::Stop { mode: Graceful }) => {
                Ok(Self::Stopping { mode: Now })
            }
            (_, Event::Stop { mode }) => Ok(Self::Stopping { mode }),
            (Self::Stopping { .. }, Event::Gone { outcome }) => Ok(Self::Stopped {
                last: Some(outcome),
            }),

            (
                _,
                Event::Launched { .. }
                | Event::AddressTaken
                | Event::Ready
                | Event::Lost { .. }
                | Event::Found { .. }
                | Event::Recover { .. }
                | Event::Gone { .. },
            ) => Err(Denied::OutOfOrder),
        }
    }

    /// Where the server answers, while it does.
    ///
    /// Example: see [`Phase`](crate::Phase).
    pub fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::Running { endpoint } => Some(endpoint),
            _ => None,
        }
    }

    /// Whether nothing runs.
    ///
    /// Example: see [`Phase`](crate::Phase).
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped { .. })
    }
}

impl Denied {
    /// After how long the same request may be granted, where that is known.
    ///
    /// Example: see [`Phase`](crate::Phase).
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::FailsRepeatedly { retry_after, .. } => Some(retry_after),
            _ => None,
        }
    }
}

/// Rounded up: whoever comes back after so many seconds is not too early.
fn whole_seconds(pause: Duration) -> u64 {
    pause
        .as_millis()
        .div_ceil(1000)
        .try_into()
        .unwrap_or(u64::MAX)
}

impl Default for Phase {
    fn default() -> Self {
        Self::Stopped { last: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LaunchId;
    use crate::outcome::Ending;
    use StopMode::{Graceful, Now};

    const THEN: SystemTime = SystemTime::UNIX_EPOCH;

    fn endpoint(port: u16) -> Endpoint {
        Endpoint::Tcp {
            host: "h".into(),
            port,
        }
    }

    fn outcome() -> Arc<Outcome> {
        static ONE: std::sync::LazyLock<Arc<Outcome>> = std::sync::LazyLock::new(|| {
            let launch_id = LaunchId::random();
            Arc::new(Outcome {
                launch_id,
                at: THEN,
                ending: Ending::Stopped,
            })
        });
        ONE.clone()
    }

    /// The whole table: a row for each phase, a column for each event.
    #[test]
    fn every_pair_of_phase_and_event() {
        let events = [
            Event::Start,
            Event::Launched {
                endpoint: endpoint(2),
            },
            Event::AddressTaken,
            Event::Ready,
            Event::Lost { at: THEN },
            Event::Found {
                endpoint: endpoint(3),
            },
            Event::Recover { at: THEN },
            Event::Stop { mode: Graceful },
            Event::Stop { mode: Now },
            Event::Gone { outcome: outcome() },
        ];
        let stopped = || Phase::Stopped { last: None };
        let ended = || {
            Ok(Phase::Stopped {
                last: Some(outcome()),
            })
        };
        let waiting = |port| Phase::Waiting {
            endpoint: endpoint(port),
        };
        let running = |port| Phase::Running {
            endpoint: endpoint(port),
        };
        let stopping = |mode| Phase::Stopping { mode };
        let unknown = || Phase::Unknown { since: THEN };
        let never = Err(Denied::OutOfOrder);
        let (softly, hard) = (Ok(stopping(Graceful)), Ok(stopping(Now)));

        #[rustfmt::skip]
        let table = [
            // phase, then after: Start, Launched, AddressTaken, Ready, Lost, Found, Recover, Stop, Stop now, Gone
            (stopped(), [Ok(Phase::Starting), never.clone(), never.clone(), never.clone(), never.clone(), never.clone(), Ok(unknown()), Err(Denied::NotRunning), Err(Denied::NotRunning), never.clone()]),
            (Phase::Starting, [Err(Denied::AlreadyStarting), Ok(waiting(2)), Ok(Phase::Starting), never.clone(), never.clone(), never.clone(), never.clone(), softly.clone(), hard.clone(), never.clone()]),
            (waiting(1), [Err(Denied::AlreadyStarting), never.clone(), Ok(Phase::Starting), Ok(running(1)), never.clone(), never.clone(), never.clone(), softly.clone(), hard.clone(), never.clone()]),
            (running(1), [Err(Denied::AlreadyRunning), never.clone(), never.clone(), never.clone(), Ok(unknown()), Ok(running(3)), never.clone(), softly.clone(), hard.clone(), never.clone()]),
            (stopping(Graceful), [Err(Denied::Stopping), never.clone(), never.clone(), never.clone(), never.clone(), never.clone(), never.clone(), softly, hard.clone(), ended()]),
            (stopping(Now), [Err(Denied::Stopping), never.clone(), never.clone(), never.clone(), never.clone(), never.clone(), never.clone(), hard.clone(), hard.clone(), ended()]),
            (unknown(), [Err(Denied::Checking), Ok(waiting(2)), never.clone(), never.clone(), Ok(unknown()), Ok(running(3)), never.clone(), Ok(stopping(Graceful)), hard, never]),
        ];
        for (phase, row) in table {
            for (event, expected) in events.clone().into_iter().zip(row) {
                assert_eq!(
                    phase.clone().step(event.clone()),
                    expected,
                    "{phase:?} + {event:?}"
                );
            }
        }
    }
}
