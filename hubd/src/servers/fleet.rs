//! All servers, by id.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use spawner_core::{
    BoxError, Deps, HttpProbe, HubUrls, Outcome, Phase, ProgressLog, ServerHandle, ServerId,
    Spawner, SpawnerFactory, supervise,
};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::books::Books;
use super::limits::{Limits, Spot};
use super::reap::Search;
use super::routes::Routes;
use super::uses::Uses;
use crate::metrics::Metrics;
use crate::proxy::Snapshot;
use crate::store::Store;
use crate::store::audit::{Action, Actor, Entry, Object};
use crate::tasks::Tasks;

/// Runs each time a server is noticed to have ended by itself.
pub(crate) type EndCallback =
    Arc<dyn Fn(ServerId, Arc<Outcome>) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>;

/// What the servers need.
pub(crate) struct Setup {
    pub(crate) store: Store,
    pub(crate) factory: Arc<dyn SpawnerFactory>,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
    pub(crate) routes: Arc<Routes>,
    pub(crate) urls: HubUrls,
    /// The scopes of a server's own token.
    pub(crate) token_scopes: Vec<String>,
    pub(crate) limits: Limits,
    /// How many named servers a user may have; 0 turns them off.
    pub(crate) named_servers_per_user: usize,
    pub(crate) on_end: Vec<EndCallback>,
}

/// The servers. Clones share them.
#[derive(Clone)]
pub(crate) struct Servers {
    pub(super) inner: Arc<Inner>,
    /// Who acts through this handle.
    by: Arc<Who>,
}

/// Somebody, and perhaps their reason.
#[derive(Debug)]
struct Who {
    actor: Actor,
    reason: Option<String>,
}

pub(super) struct Inner {
    pub(super) store: Store,
    pub(super) factory: Arc<dyn SpawnerFactory>,
    pub(super) tasks: Tasks,
    pub(super) metrics: Metrics,
    pub(super) routes: Arc<Routes>,
    pub(super) urls: HubUrls,
    pub(super) limits: Limits,
    pub(super) named_servers_per_user: usize,
    pub(super) search: Search,
    pub(super) uses: Uses,
    books: Arc<Books>,
    on_end: Vec<EndCallback>,
    handles: Mutex<HashMap<ServerId, ServerHandle>>,
    /// Goes on by one whenever some server is somewhere else in its life.
    changes: watch::Sender<u64>,
}

/// Where a server is in its life, as a page or the API tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing runs.
    Stopped,
    /// It is being started (`pending: "spawn"`).
    Starting,
    /// It is routed to.
    Ready,
    /// It is being stopped (`pending: "stop"`).
    Stopping,
    /// Whether it runs is not known yet (`pending: "check"`).
    Checking,
}

/// What can be seen of a server without asking it.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    /// Where it is in its life.
    pub(crate) place: Place,
    /// The progress of its running or last start.
    pub(crate) progress: Option<ProgressLog>,
}

impl Servers {
    pub(crate) fn new(setup: Setup) -> Self {
        let books = Books::new(
            setup.store.clone(),
            Arc::clone(&setup.routes),
            setup.metrics.clone(),
            setup.token_scopes,
        );
        let inner = Inner {
            store: setup.store,
            factory: setup.factory,
            tasks: setup.tasks,
            metrics: setup.metrics,
            routes: setup.routes,
            urls: setup.urls,
            limits: setup.limits,
            named_servers_per_user: setup.named_servers_per_user,
            search: Search::default(),
            uses: Uses::default(),
            books: Arc::new(books),
            on_end: setup.on_end,
            handles: Mutex::default(),
            changes: watch::Sender::new(0),
        };
        Self {
            inner: Arc::new(inner),
            by: Arc::new(Who {
                actor: Actor::hub("hub"),
                reason: None,
            }),
        }
    }

    /// The servers, for what `actor` does: the audit log says so. Without it the hub itself acts.
    pub(crate) fn by(&self, actor: Actor) -> Self {
        self.by_and_why(actor, None)
    }

    /// As [`Servers::by`], with the reason.
    pub(crate) fn because(&self, actor: Actor, reason: String) -> Self {
        self.by_and_why(actor, Some(reason))
    }

    fn by_and_why(&self, actor: Actor, reason: Option<String>) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            by: Arc::new(Who { actor, reason }),
        }
    }

    /// What the audit log is to say of an act.
    pub(super) fn entry(&self, action: Action) -> Entry {
        let Who { actor, reason } = &*self.by;
        Entry::new(actor.clone(), action).with_some("reason", reason.as_ref())
    }

    /// What the audit log is to say of an act on a server.
    pub(super) fn entry_on(&self, action: Action, server: &ServerId) -> Entry {
        let row = self.inner.store.servers().find(server);
        let object = Object::server(row.map(|row| row.id), server);
        let entry = self.entry(action).on(object);
        match self.inner.store.users().by_name(&server.user) {
            Some(user) => entry.concerning(&user),
            None => entry,
        }
    }

    /// A spawner of its own for questions that need no running server: the form, its check.
    pub(crate) fn spawner(&self, server: &ServerId) -> Box<dyn Spawner> {
        self.inner.factory.create(server)
    }

    /// What can be seen of a server.
    pub(crate) fn look(&self, server: &ServerId) -> Sight {
        let sight = match self.existing(server) {
            None => Sight {
                place: if self.inner.search.is_for(server) {
                    Place::Checking
                } else {
                    Place::Stopped
                },
                progress: None,
            },
            Some(handle) => Sight {
                place: self.place(server, &handle.phase()),
                progress: handle.progress(),
            },
        };
        if sight.place == Place::Stopped && self.in_line(server).is_some() {
            // The progress there may be is of an earlier start.
            return Sight {
                place: Place::Starting,
                progress: None,
            };
        }
        sight
    }

    /// The start of a server that has not begun: it is in line, or about to leave it.
    pub(crate) fn in_line(&self, server: &ServerId) -> Option<Spot> {
        self.inner.limits.spot(server)
    }

    /// How many starts are in line.
    pub(crate) fn waiting(&self) -> usize {
        self.inner.limits.waiting()
    }

    /// How many named servers a user may have; 0 turns them off.
    pub(crate) fn named_servers_per_user(&self) -> usize {
        self.inner.named_servers_per_user
    }

    /// The address of the hub's API, as servers are told it.
    pub(crate) fn api_url(&self) -> &str {
        &self.inner.urls.api_url
    }

    /// The signal that the hub is stopping.
    pub(crate) fn stop_signal(&self) -> &CancellationToken {
        self.inner.tasks.stop_signal()
    }

    /// The public prefix of a server's URLs.
    pub(crate) fn prefix(&self, server: &ServerId) -> String {
        spawner_core::service_prefix(&self.inner.urls.base_url, server)
    }

    /// Where requests are forwarded to.
    pub(crate) fn routes(&self) -> Arc<Snapshot> {
        self.inner.routes.snapshot()
    }

    /// Hands all routes to the proxy anew.
    pub(crate) fn publish_routes(&self) {
        self.inner.routes.publish();
    }

    /// `scheme://host:port` under which servers reach the hub.
    pub(crate) fn hub_origin(&self) -> String {
        let urls = &self.inner.urls;
        let path = format!("{}hub/api", urls.base_url);
        let origin = urls.api_url.strip_suffix(&path);
        origin.unwrap_or(&urls.api_url).to_owned()
    }

    /// Waits until a server is in another place than `from`, at most `patience`.
    pub(crate) async fn changed(
        &self,
        server: &ServerId,
        from: Place,
        patience: Duration,
    ) -> Place {
        let changed = async {
            if let Some(mut spot) = self.in_line(server) {
                if from != Place::Starting {
                    return;
                }
                spot.begins().await;
            }
            if from == Place::Checking {
                self.inner.search.is_over_for(server).await;
            }
            if let Some(handle) = self.existing(server) {
                let mut phases = handle.watch();
                let other = phases.wait_for(|phase| self.place(server, phase) != from);
                let _ = other.await;
            }
        };
        let _ = tokio::time::timeout(patience, changed).await;
        self.look(server).place
    }

    /// Changes whenever some server is somewhere else in its life, or gone: what was seen of any is
    /// to be looked at again.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Says that something has changed, for what no phase tells.
    pub(super) fn tell_change(&self) {
        self.inner.changes.send_modify(|count| *count += 1);
    }

    /// Forgets a server that is stopped; called when its row is deleted.
    pub(crate) fn forget(&self, server: &ServerId) {
        let mut handles = self
            .inner
            .handles
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if handles
            .get(server)
            .is_some_and(|handle| handle.phase().is_stopped())
        {
            handles.remove(server);
            self.inner.uses.forget(server);
        }
        drop(handles);
        self.tell_change();
    }

    /// Somebody uses the server now, or wants it to be kept.
    pub(crate) fn used(&self, server: &ServerId) {
        self.inner.uses.used(server);
    }

    /// The server says of itself when it was last used.
    pub(crate) fn reported(&self, server: &ServerId, at: Timestamp) {
        self.inner.uses.reported(server, at);
    }

    /// When it was last used, by a clock that cannot be set; nothing if that was before the hub began.
    pub(crate) fn last_use(&self, server: &ServerId) -> Option<Instant> {
        self.inner.uses.last(server)
    }

    /// The servers that are routed to.
    pub(crate) fn ready(&self) -> Vec<ServerId> {
        let active = self.with_owner().into_iter();
        active
            .filter(|server| self.look(server).place == Place::Ready)
            .collect()
    }

    fn place(&self, server: &ServerId, phase: &Phase) -> Place {
        match phase {
            Phase::Stopped { .. } => Place::Stopped,
            Phase::Starting | Phase::Waiting { .. } => Place::Starting,
            Phase::Running { .. } => Place::Ready,
            Phase::Stopping { .. } => Place::Stopping,
            // A running server whose backend does not answer stays in use.
            Phase::Unknown { .. } if self.inner.routes.get(server).is_some() => Place::Ready,
            Phase::Unknown { .. } => Place::Checking,
        }
    }

    pub(super) fn existing(&self, server: &ServerId) -> Option<ServerHandle> {
        let handles = self
            .inner
            .handles
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        handles.get(server).cloned()
    }

    /// The handle of a server, with an owner task behind it.
    pub(super) fn handle(&self, server: &ServerId) -> ServerHandle {
        let mut handles = self
            .inner
            .handles
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let handle = handles
            .entry(server.clone())
            .or_insert_with(|| self.supervised(server));
        handle.clone()
    }

    fn supervised(&self, server: &ServerId) -> ServerHandle {
        let deps = Deps {
            journal: Arc::clone(&self.inner.books) as _,
            probe: Arc::new(HttpProbe),
        };
        let spawner = self.inner.factory.create(server);
        let (handle, owner) = supervise(server.clone(), spawner, deps);
        for callback in &self.inner.on_end {
            let (callback, server) = (Arc::clone(callback), server.clone());
            handle.add_poll_callback(move |outcome| callback(server.clone(), outcome));
        }
        // Its server outlives the hub, so the task is simply dropped when the hub ends.
        let (mut phases, changes) = (handle.watch(), self.inner.changes.clone());
        let tell = async move {
            while phases.changed().await.is_ok() {
                changes.send_modify(|count| *count += 1);
            }
        };
        self.inner.tasks.spawn_until_stop("server", async move {
            tokio::join!(owner, tell);
        });
        handle
    }

    /// How many servers are not stopped, or may not be; starts in line count.
    pub(super) fn active(&self) -> usize {
        self.inner.search.count() + self.with_owner().len()
    }

    /// The ids of all servers that are not stopped, or may not be.
    pub(super) fn all_active(&self) -> Vec<ServerId> {
        let mut active: Vec<_> = self.with_owner().into_iter().collect();
        active.extend(self.inner.search.servers());
        active
    }

    /// The servers that are not stopped, as their owner tasks say, or about to be started.
    fn with_owner(&self) -> HashSet<ServerId> {
        let mut found = self.inner.limits.ahead();
        let handles = self
            .inner
            .handles
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let active = handles
            .iter()
            .filter(|(_, handle)| !handle.phase().is_stopped());
        found.extend(active.map(|(server, _)| server.clone()));
        found
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers")
            .field("active", &self.active())
            .finish()
    }
}
