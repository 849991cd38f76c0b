//! What a crash or lost books left in the world: taken up if the books were just being written, else
//! ended.
//!
//! ```text
//! books:  starting, no state yet   running, with state   (no row)   stopped
//! world:  run of that launch       run of that launch    run        run
//!         -> adopted               -> not among the      -> ended   -> ended
//!                                     finds
//! ```
//!
//! The backend only looks ([`SpawnerFactory::reap`]); what becomes of a find is decided here, once,
//! by [`decide`]. It is asked at boot and, when it cannot tell, again until it can: later on every
//! run has an owner task, which does not let go of it before it has ended. The one exception is a run
//! that nobody could read, see [`Servers::end_unread`].

use std::collections::HashSet;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use spawner_core::{
    Found, Known, LaunchId, Saved, ServerId, SpawnError, SpawnerState, error_chain,
};
use tokio::sync::watch;

use super::fleet::{Place, Servers};
use crate::store::{Server, Stage};
use crate::tasks::bounded;

/// How long a backend may take to list what is there, and to end one run.
const PATIENCE: Duration = Duration::from_mins(1);
/// The pause after a look that failed; it doubles up to the longest one.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(5);
/// How many runs are ended at once.
const ENDS_AT_ONCE: usize = 16;

/// What the first look is about.
#[derive(Debug)]
pub(super) struct Search {
    /// Servers whose rows say that a start was begun, and not how to find what it made. What they
    /// are is not known until the look has been successful.
    sought: watch::Sender<HashSet<ServerId>>,
    /// The runs that were begun while it lasts; none once it is over.
    pub(super) begun: watch::Sender<Option<HashSet<LaunchId>>>,
}

/// What is to become of a find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It goes to its owner task.
    Adopt,
    /// It is ended, for this reason.
    End(&'static str),
    /// It is somebody's already.
    Leave,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            sought: watch::Sender::default(),
            begun: watch::Sender::new(Some(HashSet::new())),
        }
    }
}

impl Search {
    /// Notes a run that is about to be begun, before anything of it is in the books or the world.
    pub(super) fn begun(&self, launch: &LaunchId) {
        self.begun.send_if_modified(|begun| match begun {
            Some(begun) => begun.insert(launch.clone()),
            None => false,
        });
    }

    /// Whether what the server is depends on the look.
    pub(super) fn is_for(&self, server: &ServerId) -> bool {
        self.sought.borrow().contains(server)
    }

    /// All servers that depend on it.
    pub(super) fn servers(&self) -> Vec<ServerId> {
        self.sought.borrow().iter().cloned().collect()
    }

    /// How many servers depend on it.
    pub(super) fn count(&self) -> usize {
        self.sought.borrow().len()
    }

    /// Waits until what the server is does not depend on it.
    pub(super) async fn is_over_for(&self, server: &ServerId) {
        let mut sought = self.sought.subscribe();
        // The sender lives in the same struct.
        let _ = sought.wait_for(|sought| !sought.contains(server)).await;
    }

    pub(super) fn add(&self, server: ServerId) {
        self.sought.send_modify(|sought| {
            sought.insert(server);
        });
    }

    fn settled(&self, server: &ServerId) {
        self.sought.send_if_modified(|sought| sought.remove(server));
    }

    fn was_begun(&self, launch: &LaunchId) -> bool {
        let begun = self.begun.borrow();
        begun.as_ref().is_some_and(|begun| begun.contains(launch))
    }

    fn finish(&self) {
        self.begun.send_replace(None);
    }
}

/// Whether a readable row says that a start was begun, and not how to find what it made: the hub ended between
/// two commits, or the second could not be written.
pub(super) fn is_cut_off(row: &Server) -> bool {
    matches!(row.stage, Stage::Starting | Stage::Stopping)
        && row.state.is_empty()
        && !row.is_unreadable()
}

/// What is to become of a run of `launch`, by what the books say of its server now.
///
/// `sought` is whether no owner task has the row's run, `begun` whether this process of the hub began
/// the run, perhaps while the backend was looking.
fn decide(launch: &LaunchId, row: Option<&Server>, sought: bool, begun: bool) -> Verdict {
    let row = match row {
        _ if begun => return Verdict::Leave,
        None => return Verdict::End("its server is not in the books"),
        Some(row) if row.stage == Stage::Stopped => {
            return Verdict::End("its server is stopped in the books");
        }
        Some(row) => row,
    };
    match &row.launch_id {
        Some(current) if current != launch => {
            Verdict::End("its server has had another start since")
        }
        Some(_) if sought => Verdict::Adopt,
        // An owner task has it, or the row cannot be read and this may be its run.
        Some(_) | None => Verdict::Leave,
    }
}

impl Servers {
    /// Looks for what is ours in the world and not in the books until that has been done once.
    pub(super) async fn reap(&self) {
        let mut pause = PAUSE;
        while let Err(error) = self.look_once().await {
            let error = error_chain(&error);
            tracing::warn!(
                error,
                ?pause,
                "not done with what an earlier hub left; asking again"
            );
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        self.inner.search.finish();
    }

    /// One look, and what follows from it. An error means that some of it has to be done again.
    async fn look_once(&self) -> Result<(), SpawnError> {
        let known = self.inner.store.servers().not_stopped().into_iter();
        let known = known.filter(|(server, _)| !self.inner.search.is_for(server));
        let known = known.filter_map(|(server, row)| {
            let launch_id = row.launch_id.clone()?;
            Some(Known { server, launch_id })
        });
        let found = self.found(&known.collect::<Vec<_>>()).await?;
        let mut to_end = Vec::new();
        for found in found {
            let (server, launch) = (&found.server, &found.launch_id);
            let row = self.inner.store.servers().find(server);
            let (search, row) = (&self.inner.search, row.as_deref());
            match decide(launch, row, search.is_for(server), search.was_begun(launch)) {
                Verdict::Adopt => {
                    tracing::info!(%server, %launch, "taking up a server whose start was cut off");
                    self.take_up(&found).await;
                }
                Verdict::End(reason) => to_end.push((found, reason)),
                Verdict::Leave => tracing::debug!(%server, %launch, "this run is in good hands"),
            }
        }
        // Of the others nothing is there. Their owner tasks wind them down.
        for server in self.inner.search.servers() {
            self.resume(&server, None).await;
        }
        let mut ends = Vec::with_capacity(to_end.len());
        for (found, reason) in to_end {
            ends.push(self.end(found, reason));
        }
        let ended = stream::iter(ends).buffer_unordered(ENDS_AT_ONCE);
        let ended: Vec<_> = ended.collect().await;
        ended.into_iter().collect()
    }

    async fn found(&self, known: &[Known]) -> Result<Vec<Found>, SpawnError> {
        let look = bounded(PATIENCE, self.inner.factory.reap(known)).await;
        look.map_err(|none| {
            SpawnError::other("The backend did not list what is there.").with_source(none)
        })?
    }

    async fn take_up(&self, found: &Found) {
        self.resume(&found.server, Some(found.state.clone())).await;
    }

    /// Hands the run of a row that was sought to its owner task, with what was found of it.
    async fn resume(&self, server: &ServerId, state: Option<SpawnerState>) {
        // A stop may have been asked for meanwhile; the row says so.
        if let Some(row) = self.inner.store.servers().find(server)
            && let Some(launch_id) = row.launch_id.clone()
        {
            let adopted = state.is_some();
            let mut saved = Saved::new(launch_id, state.unwrap_or_default(), self.prefix(server));
            saved.stopping = row.stage == Stage::Stopping;
            if self.handle(server).recover(saved).await.is_ok() && adopted {
                self.inner.metrics.adopted_servers.inc();
            }
        }
        self.inner.search.settled(server);
    }

    /// Ends a find. Its token and OAuth client are gone from the books already, or never were there.
    async fn end(&self, found: Found, reason: &'static str) -> Result<(), SpawnError> {
        let (server, launch) = (&found.server, &found.launch_id);
        let ended = bounded(PATIENCE, found.end(&*self.inner.factory)).await;
        let ended = ended.unwrap_or_else(|none| {
            Err(SpawnError::other("The backend did not end it.").with_source(none))
        });
        match &ended {
            Ok(()) => {
                self.inner.metrics.reaped_servers.inc();
                tracing::warn!(%server, %launch, reason, "ended what an earlier hub left running");
            }
            Err(error) => {
                let error = error_chain(error);
                tracing::error!(%server, %launch, reason, error, "cannot end what an earlier hub left");
            }
        }
        ended
    }

    /// Ends the run of a row that could not be read, after somebody has stopped it: the owner task
    /// could only forget it. One look; what it misses is for the next hub.
    pub(super) async fn end_unread(&self, server: &ServerId, launch: &LaunchId) {
        match self.found(&[]).await {
            Ok(found) => {
                let is_it = |found: &Found| found.server == *server && found.launch_id == *launch;
                for found in found.into_iter().filter(is_it) {
                    let _ = self
                        .end(found, "it was stopped and could not be read")
                        .await;
                }
            }
            Err(error) => {
                let error = error_chain(&error);
                tracing::warn!(%server, error, "cannot tell whether anything is left of it");
            }
        }
    }

    /// Waits until a server is in another place than `Checking`.
    pub(super) async fn checked(&self, server: &ServerId) -> Place {
        self.changed(server, Place::Checking, Duration::MAX).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::row;
    use super::Verdict::{Adopt, Leave};
    use super::*;

    #[test]
    fn a_find_is_adopted_or_ended_and_never_both() {
        let (ours, other) = (LaunchId::random(), LaunchId::random());
        let with = |stage, launch: Option<&LaunchId>| Some(row(stage, launch));
        let ended = |verdict| matches!(verdict, Verdict::End(_));
        let end = Verdict::End("");
        // What the books say; what becomes of the run if an owner task has the row's run; and if that
        // is sought.
        for (row, owned, sought) in [
            (None, end, end),
            (with(Stage::Stopped, None), end, end),
            (with(Stage::Starting, Some(&ours)), Leave, Adopt),
            (with(Stage::Running, Some(&ours)), Leave, Adopt),
            (with(Stage::Stopping, Some(&ours)), Leave, Adopt),
            (with(Stage::Starting, Some(&other)), end, end),
            (with(Stage::Running, Some(&other)), end, end),
            (with(Stage::Stopping, Some(&other)), end, end),
            (with(Stage::Running, None), Leave, Leave),
        ] {
            let row = row.as_ref();
            for (is_sought, expected) in [(false, owned), (true, sought)] {
                let verdict = decide(&ours, row, is_sought, false);
                let same = verdict == expected || ended(verdict) && ended(expected);
                assert!(same, "{row:?}, sought {is_sought}: {verdict:?}");
                // What this hub began is never touched, whatever the books say by now.
                assert_eq!(decide(&ours, row, is_sought, true), Leave, "{row:?}");
            }
        }
    }

    #[test]
    fn only_a_start_without_a_state_is_cut_off() {
        let launch = LaunchId::random();
        for (stage, expected) in [
            (Stage::Stopped, false),
            (Stage::Starting, true),
            (Stage::Running, false),
            (Stage::Stopping, true),
        ] {
            let mut row = row(stage, Some(&launch));
            assert_eq!(is_cut_off(&row), expected, "{stage:?}");
            row.state.data.insert("pid".into(), 7.into());
            assert!(!is_cut_off(&row), "{stage:?}");
        }
    }
}
