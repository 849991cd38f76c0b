//! Ends, heard: one event stream of the engine for all containers of a hub.
//!
//! ```text
//!  listen(id) --> Heard <-- die, oom, destroy, start
//!                   '------ a list after each connect: what is not running any more
//! ```
//!
//! The stream is opened when the first listener comes and is opened again, for ever, when it ends.
//! Each time the engine is asked first for what there is and then for all that happened since, so
//! nothing is missed in between. What is heard is a reason to look, and what is known of a container
//! that is gone by then.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::models::EventMessage;
use futures_util::StreamExt as _;
use spawner_core::ExitStatus;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::Engine;
use crate::container::{ContainerId, exit_status};
use crate::error::EngineError;

/// How long apart attempts to hear the engine are. The books have to agree soon after it is back.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(2);
/// How far back the first stream reaches. More than two clocks differ; what is heard twice does no
/// harm.
const SLACK: Duration = Duration::from_secs(60);

/// What was heard of one container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The kernel ended a process in it for want of memory.
    oom: bool,
    /// How it ended, if that was said.
    pub(crate) ended: Option<ExitStatus>,
}

/// The listeners of one hub and the stream that they share.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    listeners: Arc<Listeners>,
    stream: Mutex<JoinSet<()>>,
}

#[derive(Debug, Default)]
struct Listeners(Mutex<HashMap<ContainerId, watch::Sender<Heard>>>);

impl Ends {
    /// Everything that is heard of a container from now on. Look at it after this, and then each
    /// time that something is heard.
    pub(crate) fn listen(
        &self,
        engine: &Arc<Engine>,
        instance: &str,
        id: &ContainerId,
    ) -> watch::Receiver<Heard> {
        let heard = self.listeners.add(id);
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        // Only a runtime that was shut down ends it.
        while stream.try_join_next().is_some() {}
        if stream.is_empty() {
            let (listeners, engine) = (Arc::clone(&self.listeners), Arc::clone(engine));
            stream.spawn(follow(engine, instance.to_owned(), listeners));
        }
        heard
    }
}

impl Listeners {
    fn add(&self, id: &ContainerId) -> watch::Receiver<Heard> {
        let mut listeners = self.lock();
        listeners.retain(|_, heard| heard.receiver_count() > 0);
        listeners.entry(id.clone()).or_default().subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ContainerId, watch::Sender<Heard>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the one whom an event concerns.
    fn tell(&self, event: &EventMessage) {
        let Some(actor) = &event.actor else { return };
        let Some(id) = actor.id.as_deref().and_then(ContainerId::new) else {
            return;
        };
        let listeners = self.lock();
        let Some(listener) = listeners.get(&id) else {
            return;
        };
        let code = || {
            let code = actor.attributes.as_ref()?.get("exitCode")?;
            code.parse::<i64>().ok()
        };
        listener.send_modify(|heard| match event.action.as_deref() {
            Some("oom") => heard.oom = true,
            Some("die") => {
                heard.ended =
                    Some(code().map_or(ExitStatus::Unknown, |code| exit_status(code, heard.oom)));
            }
            Some("destroy") => {
                heard.ended.get_or_insert(ExitStatus::Unknown);
            }
            Some("start") => *heard = Heard::default(),
            _ => {}
        });
    }

    /// Tells everybody whose container is not among those that run.
    fn reconcile(&self, running: &HashSet<ContainerId>) {
        for (id, listener) in &*self.lock() {
            if !running.contains(id) {
                listener.send_modify(|_| {});
            }
        }
    }
}

/// Follows the engine's events until it is dropped.
async fn follow(engine: Arc<Engine>, instance: String, listeners: Arc<Listeners>) {
    let began = SystemTime::now() - SLACK;
    let since = began.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut since = i64::try_from(since.as_nanos()).unwrap_or_default();
    let mut pause = RETRY_FIRST;
    loop {
        let before = since;
        match connected(&engine, &instance, &listeners, &mut since).await {
            Ok(()) => tracing::debug!("the engine's events ended"),
            Err(error) => {
                let error = spawner_core::error_chain(&error);
                tracing::debug!(error, "cannot hear the engine");
            }
        }
        pause = if since == before {
            RETRY_LAST.min(2 * pause)
        } else {
            RETRY_FIRST
        };
        sleep(pause).await;
    }
}

/// One connection, until it ends; `since` is the time of the last event, in nanoseconds.
async fn connected(
    engine: &Engine,
    instance: &str,
    listeners: &Listeners,
    since: &mut i64,
) -> Result<(), EngineError> {
    let running = engine
        .list_all(instance)
        .await?
        .into_iter()
        .filter(|found| found.runs)
        .map(|found| found.id)
        .collect();
    listeners.reconcile(&running);
    let mut events = std::pin::pin!(engine.events(instance, *since).await?);
    while let Some(event) = events.next().await {
        let event = event?;
        if let Some(at) = event.time_nano {
            *since = (*since).max(at);
        }
        listeners.tell(&event);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(digit: char) -> ContainerId {
        ContainerId::new(&digit.to_string().repeat(64)).unwrap()
    }

    fn tell(listeners: &Listeners, id: &ContainerId, action: &str, code: &str) {
        let event = json!({
            "Type": "container", "Action": action, "timeNano": 7,
            "Actor": {"ID": id.as_str(), "Attributes": {"exitCode": code}},
        });
        listeners.tell(&serde_json::from_value(event).unwrap());
    }

    #[test]
    fn ends_are_told_with_their_reason() {
        for (actions, expected) in [
            (&["die"][..], Some(ExitStatus::Signal(9))),
            (&["oom", "die", "destroy"], Some(ExitStatus::OutOfMemory)),
            (&["destroy"], Some(ExitStatus::Unknown)),
            (&["oom"], None),
            (&["die", "start"], None),
        ] {
            let listeners = Listeners::default();
            let mut heard = listeners.add(&id('a'));
            for action in actions {
                tell(&listeners, &id('b'), action, "1");
                assert!(!heard.has_changed().unwrap());
                tell(&listeners, &id('a'), action, "137");
                assert!(heard.has_changed().unwrap());
                heard.borrow_and_update();
            }
            assert_eq!(heard.borrow().ended, expected, "{actions:?}");
        }
    }

    #[test]
    fn a_reconnect_makes_those_look_that_do_not_run() {
        let listeners = Listeners::default();
        let (here, gone) = (listeners.add(&id('a')), listeners.add(&id('b')));
        listeners.reconcile(&HashSet::from([id('a')]));
        assert!(!here.has_changed().unwrap());
        assert!(gone.has_changed().unwrap());
    }

    #[test]
    fn nobody_is_remembered_who_does_not_listen() {
        let listeners = Listeners::default();
        drop(listeners.add(&id('a')));
        let _second = listeners.add(&id('b'));
        assert_eq!(listeners.lock().len(), 1);
    }
}
