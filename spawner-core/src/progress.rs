//! The progress of a start: a log that every viewer reads from its beginning.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// A start that reports without end is cut here; later steps are dropped, the ending is not.
const MAX_EVENTS: usize = 1000;
/// What a spawner may report at most: only the hub says ready.
const MAX_PERCENT: u8 = 99;

/// The events of one start. Clones share one log.
///
/// ```
/// use spawner_core::{ProgressEvent, ProgressLog};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let log = ProgressLog::new();
/// log.report(40, "Fetching the image");
/// log.ready();
/// let mut viewer = log.read();
/// assert!(matches!(viewer.next().await, Some(ProgressEvent::Step { percent: 40, .. })));
/// assert_eq!(viewer.next().await, Some(ProgressEvent::Ready));
/// assert_eq!(viewer.next().await, None);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ProgressLog {
    events: Arc<Mutex<Vec<ProgressEvent>>>,
    /// Counts the events; changes wake the readers.
    count: watch::Sender<usize>,
}

/// One thing that happened during a start.
///
/// Example: see [`ProgressLog`](crate::ProgressLog).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgressEvent {
    /// A step on the way.
    Step {
        /// 0 to 99; never less than before.
        percent: u8,
        /// One sentence, plain text.
        message: String,
    },
    /// The server answers. Nothing follows.
    Ready,
    /// The start ended otherwise. Nothing follows.
    Failed {
        /// Why, in one sentence.
        message: String,
    },
}

/// Reads a [`ProgressLog`] from its first event to its last.
///
/// Example: see [`ProgressLog`](crate::ProgressLog).
#[derive(Debug)]
pub struct ProgressReader {
    log: ProgressLog,
    changed: watch::Receiver<usize>,
    next: usize,
}

impl ProgressLog {
    /// An empty one.
    ///
    /// Example: see [`ProgressLog`](crate::ProgressLog).
    pub fn new() -> Self {
        Self {
            events: Arc::default(),
            count: watch::Sender::new(0),
        }
    }

    /// Adds a step. A percentage below an earlier one is raised to it, one above 99 lowered.
    ///
    /// Example: see [`ProgressLog`](crate::ProgressLog).
    pub fn report(&self, percent: u8, message: impl Into<String>) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let floor = match events.last() {
            None => 0,
            Some(ProgressEvent::Step { percent, .. }) => *percent,
            Some(_) => return,
        };
        if events.len() >= MAX_EVENTS {
            return;
        }
        let percent = percent.min(MAX_PERCENT).max(floor);
        events.push(ProgressEvent::Step {
            percent,
            message: message.into(),
        });
        self.count.send_replace(events.len());
    }

    /// Ends the log: the server answers.
    ///
    /// Example: see [`ProgressLog`](crate::ProgressLog).
    pub fn ready(&self) {
        self.end(ProgressEvent::Ready);
    }

    /// Ends the log: the start failed or was cancelled.
    ///
    /// Example: see [`ProgressLog`](crate::ProgressLog).
    pub fn failed(&self, message: impl Into<String>) {
        self.end(ProgressEvent::Failed {
            message: message.into(),
        });
    }

    fn end(&self, event: ProgressEvent) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if !events.last().is_some_and(ProgressEvent::is_last) {
            events.push(event);
            self.count.send_replace(events.len());
        }
    }

    /// A reader that begins with the first event.
    ///
    /// Example: see [`ProgressLog`](crate::ProgressLog).
    pub fn read(&self) -> ProgressReader {
        ProgressReader {
            log: self.clone(),
            changed: self.count.subscribe(),
            next: 0,
        }
    }

    /// What has happened so far.
    ///
    /// Example: see [`ProgressLog`](crate::ProgressLog).
    pub fn events(&self) -> Vec<ProgressEvent> {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Default for ProgressLog {
    fn default() -> Self {
        Self::new()
    }
}

impl ProgressEvent {
    /// Whether nothing follows it.
    ///
    /// Example: see [`ProgressLog`](crate::ProgressLog).
    pub fn is_last(&self) -> bool {
        !matches!(self, Self::Step { .. })
    }
}

impl ProgressReader {
    /// The next event, as soon as there is one; `None` after the last. Cancel-safe.
    ///
    /// Example: see [`ProgressLog`](crate::ProgressLog).
    pub async fn next(&mut self) -> Option<ProgressEvent> {
        loop {
            {
                let events = self
                    .log
                    .events
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                if let Some(event) = events.get(self.next) {
                    self.next += 1;
                    return Some(event.clone());
                }
                if events.last().is_some_and(ProgressEvent::is_last) {
                    return None;
                }
            }
            // The reader holds the log and with it the sender, so this cannot fail.
            self.changed.changed().await.ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(percent: u8, message: &str) -> ProgressEvent {
        ProgressEvent::Step {
            percent,
            message: message.into(),
        }
    }

    #[test]
    fn percentages_never_fall_and_never_say_ready() {
        let log = ProgressLog::new();
        log.report(30, "a");
        log.report(10, "b");
        log.report(100, "c");
        assert_eq!(log.events(), [step(30, "a"), step(30, "b"), step(99, "c")]);
    }

    #[test]
    fn nothing_follows_the_end() {
        let log = ProgressLog::new();
        log.failed("no");
        log.report(1, "late");
        log.ready();
        assert_eq!(
            log.events(),
            [ProgressEvent::Failed {
                message: "no".into()
            }]
        );
    }

    #[test]
    fn a_start_that_chatters_is_cut() {
        let log = ProgressLog::new();
        for _ in 0..2 * MAX_EVENTS {
            log.report(1, "again");
        }
        log.ready();
        assert_eq!(log.events().len(), MAX_EVENTS + 1);
        assert_eq!(log.events().last(), Some(&ProgressEvent::Ready));
    }

    #[tokio::test]
    async fn late_readers_see_everything() {
        let log = ProgressLog::new();
        log.report(1, "first");
        let mut early = log.read();
        assert_eq!(early.next().await, Some(step(1, "first")));
        let (second, ()) = tokio::join!(early.next(), async { log.report(2, "second") });
        assert_eq!(second, Some(step(2, "second")));
        log.ready();
        let mut late = log.read();
        for expected in [step(1, "first"), step(2, "second"), ProgressEvent::Ready] {
            assert_eq!(late.next().await, Some(expected));
        }
        assert_eq!(late.next().await, None);
    }
}
