//! The culler at work: it looks, decides, and has servers stopped.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use spawner_core::{LaunchId, ServerId, StopMode, error_chain};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::decide::{Facts, Limits, Reason, Verdict, decide};
use super::span::span;
use super::watch::Watch;
use crate::auth::directory::Directory;
use crate::config::CullerTable;
use crate::servers::{Servers, Stopped};
use crate::store::audit::Actor;
use crate::store::{ServerRowId, Store, StoreError};

/// How long a round waits for the servers that it ends. What takes longer goes on by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends servers that nobody uses. Clones share what was seen.
#[derive(Debug, Clone)]
pub(crate) struct Culler {
    table: Arc<CullerTable>,
    directory: Arc<Directory>,
    store: Store,
    servers: Servers,
    watch: Arc<Mutex<Watch>>,
}

/// What the user of a server is to know of its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// Nothing before this time is over.
    Quiet(Duration),
    /// That it comes.
    Ends(Countdown),
}

/// How long a server has left, for its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Countdown {
    /// Until then, if nobody uses it.
    pub(crate) left: Duration,
    /// The same as a person says it.
    pub(crate) words: String,
    /// Whether [`Culler::extend`] puts it off.
    pub(crate) can_extend: bool,
}

impl Culler {
    pub(crate) fn new(
        table: CullerTable,
        directory: Arc<Directory>,
        store: Store,
        servers: Servers,
    ) -> Self {
        Self {
            table: Arc::new(table),
            directory,
            store,
            servers,
            watch: Arc::default(),
        }
    }

    /// Looks again and again, for as long as the hub runs; returns at once if that is turned off.
    pub(crate) async fn run(self) {
        if !self.table.enabled {
            return;
        }
        let mut every = interval(self.table.every);
        // Rounds that were missed while the machine slept are not made up for.
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            self.round().await;
        }
    }

    /// What the user of a server is to know of its end; `None` if it does not come by the culler.
    pub(crate) fn outlook(&self, server: &ServerId) -> Option<Outlook> {
        if !self.table.enabled {
            return None;
        }
        let (_, launch) = self.run_of(server)?;
        let (left, can_extend) = match self.verdict(server, &launch, Instant::now()) {
            Verdict::Spare => return None,
            Verdict::Keep { left, can_extend } => (left, can_extend),
            // The next round ends it, unless it is put off.
            Verdict::Cull(reason) => (Duration::ZERO, matches!(reason, Reason::Idle(_))),
        };
        let quiet = left.saturating_sub(self.table.warning);
        if !quiet.is_zero() {
            return Some(Outlook::Quiet(quiet));
        }
        Some(Outlook::Ends(Countdown {
            left,
            words: span(left),
            can_extend,
        }))
    }

    /// Its user wants a server to be kept: as if it was used now.
    pub(crate) fn extend(&self, server: &ServerId) {
        self.servers.used(server);
    }

    async fn round(&self) {
        let ready = self.servers.ready();
        let runs = ready.into_iter().filter_map(|server| {
            let (row, launch) = self.run_of(&server)?;
            Some((server, row, launch))
        });
        let runs: Vec<_> = runs.collect();
        let now = Instant::now();
        let seen: Vec<_> = runs
            .iter()
            .map(|(server, _, launch)| (server.clone(), launch.clone()))
            .collect();
        self.watch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .look(&seen, now);
        let ends = runs.iter().filter_map(|(server, row, launch)| {
            match self.verdict(server, launch, now) {
                Verdict::Cull(reason) => Some(self.end(server, *row, reason)),
                Verdict::Spare | Verdict::Keep { .. } => None,
            }
        });
        join_all(ends).await;
    }

    /// Ends one server. The reason is in the books before, so that its user learns it whatever
    /// happens in between.
    async fn end(&self, server: &ServerId, row: ServerRowId, reason: Reason) {
        let reason = reason.to_string();
        if let Err(error) = self.note(row, &reason).await {
            let error = error_chain(&error);
            tracing::warn!(%server, error, "server is not culled, because that cannot be recorded");
            return;
        }
        let remove = self.table.remove_named_servers && !server.server.is_default();
        let servers = self.servers.because(Actor::hub("culler"), reason);
        let stopped = if remove {
            servers.stop_and_remove(server, PATIENCE).await
        } else {
            servers.stop(server, StopMode::Graceful, PATIENCE).await
        };
        match stopped {
            Ok(Stopped::Done) => {}
            Ok(Stopped::Pending) => tracing::warn!(%server, "culled server is slow to stop"),
            Err(error) => {
                let error = error_chain(&error);
                tracing::warn!(%server, error, "culled server does not stop");
            }
        }
    }

    async fn note(&self, row: ServerRowId, reason: &str) -> Result<(), StoreError> {
        let servers = self.store.servers();
        servers.set_stop_reason(row, reason.to_owned()).await
    }

    fn verdict(&self, server: &ServerId, launch: &LaunchId, now: Instant) -> Verdict {
        let last_use = self.servers.last_use(server);
        let (age, idle) = {
            let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
            watch.age_and_idle(server, launch, last_use, now)
        };
        let limits = Limits {
            timeout: self.table.timeout,
            max_age: self.table.max_age,
        };
        let is_spared = self.is_spared(server);
        decide(
            limits,
            Facts {
                idle,
                age,
                is_spared,
            },
        )
    }

    fn is_spared(&self, server: &ServerId) -> bool {
        let in_group = |group: &String| self.directory.is_member(&server.user, group);
        self.table.except_users.contains(&server.user)
            || self.table.except_groups.iter().any(in_group)
    }

    /// The run of a server that is in the books, if one is.
    fn run_of(&self, server: &ServerId) -> Option<(ServerRowId, LaunchId)> {
        let row = self.store.servers().find(server)?;
        Some((row.id, row.launch_id.clone()?))
    }
}
