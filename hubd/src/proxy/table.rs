//! Routes: numbered snapshots from the hub, compiled into a table that is only ever replaced.
//!
//! ```text
//! hub: watch::Sender<Arc<Snapshot>> ---> Routes: one atomic look per request, "is there a newer one?"
//!                                          |  yes: compile it, keep what has not changed
//!                                          v
//!                                        Table: "user/alice" -> Target { route, pool, meter }
//! ```
//!
//! - A snapshot that was sent is obeyed by the very next request: the table is brought up to date
//!   by whoever looks first, not by a task that may come later.
//! - A target whose route is unchanged lives on with its connections. A removed one gets no new
//!   requests; what is open on it goes on until the server itself ends it.
//! - A lookup is at most three probes of a hash map, and takes no lock across an await.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use spawner_core::{Endpoint, ServerId};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::activity::{Meter, Meters};
use super::connect::Pool;
use super::path::{BasePath, Named};

/// All routes at one moment. Plain data: it also crosses a process boundary.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// Which snapshot this is; each is greater than the one before.
    pub(crate) version: u64,
    /// Every server that can be reached.
    pub(crate) routes: Vec<Route>,
}

/// Where the requests below one prefix go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Route {
    /// The percent-decoded path of the server, base URL included, with both outer slashes:
    /// `/user/a@b/`, `/jhub/user/alice/proj/`.
    pub(crate) prefix: String,
    /// Whose activity it is; none for a service of the hub, whose use is not counted.
    pub(crate) server: Option<ServerId>,
    /// Where the server listens, as seen from here.
    pub(crate) endpoint: Endpoint,
}

impl Route {
    /// The route of `server` below `base_url`.
    pub(crate) fn new(base_url: &str, server: ServerId, endpoint: Endpoint) -> Self {
        let base = base_url.trim_end_matches('/');
        let mut prefix = format!("{base}/user/{}/", server.user);
        if !server.server.is_default() {
            prefix.push_str(server.server.as_str());
            prefix.push('/');
        }
        Self {
            prefix,
            server: Some(server),
            endpoint,
        }
    }

    /// The route of a service, which is below `prefix`.
    pub(crate) fn of_service(prefix: String, endpoint: Endpoint) -> Self {
        Self {
            prefix,
            server: None,
            endpoint,
        }
    }
}

/// A route with what belongs to it at run time.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) route: Route,
    pub(super) pool: Arc<Pool>,
    pub(super) meter: Arc<Meter>,
    /// When the hub was last told that this server refuses connections.
    reported: Mutex<Option<Instant>>,
}

/// One report of a refusing server a second is enough for the hub to look after it.
const REPORT_GAP: Duration = Duration::from_secs(1);

impl Target {
    /// Whether it is time to tell the hub (again) that this server refuses connections.
    pub(super) fn may_report(&self) -> bool {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let may = reported.is_none_or(|last| last.elapsed() >= REPORT_GAP);
        if may {
            *reported = Some(Instant::now());
        }
        may
    }
}

/// The live table and the feed it follows.
pub(super) struct Routes {
    base: BasePath,
    live: RwLock<Live>,
    meters: Meters,
    tasks: TaskTracker,
}

struct Live {
    feed: watch::Receiver<Arc<Snapshot>>,
    table: HashMap<Box<str>, Arc<Target>>,
}

impl Routes {
    pub(super) fn new(
        base: BasePath,
        mut feed: watch::Receiver<Arc<Snapshot>>,
        tasks: TaskTracker,
    ) -> Self {
        feed.mark_changed();
        Self {
            base,
            live: RwLock::new(Live {
                feed,
                table: HashMap::new(),
            }),
            meters: Meters::default(),
            tasks,
        }
    }

    pub(super) fn base(&self) -> &BasePath {
        &self.base
    }

    pub(super) fn meters(&self) -> &Meters {
        &self.meters
    }

    /// The longest route that is a prefix of the path, and where the path's raw text of it ends.
    pub(super) fn find(&self, named: &Named<'_>) -> Option<(Arc<Target>, usize)> {
        self.follow();
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        named
            .candidates()
            .find_map(|(key, raw_end)| Some((Arc::clone(live.table.get(key)?), raw_end)))
    }

    /// Closes what has been idle for too long, in every pool.
    pub(super) fn reap(&self) {
        self.follow();
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        for target in live.table.values() {
            target.pool.reap();
        }
    }

    /// Replaces the table if there is a newer snapshot.
    fn follow(&self) {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        // An error means the hub's end is gone; its last word still counts.
        let is_stale = live
            .feed
            .has_changed()
            .unwrap_or_else(|_| live.feed.borrow().has_changed());
        drop(live);
        if !is_stale {
            return;
        }
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        let snapshot = Arc::clone(&live.feed.borrow_and_update());
        live.table = self.compile(&snapshot, &live.table);
        debug!(
            version = snapshot.version,
            routes = live.table.len(),
            "route table replaced"
        );
    }

    fn compile(
        &self,
        snapshot: &Snapshot,
        old: &HashMap<Box<str>, Arc<Target>>,
    ) -> HashMap<Box<str>, Arc<Target>> {
        let mut table = HashMap::with_capacity(snapshot.routes.len());
        for route in &snapshot.routes {
            let Some(key) = self.base.key_of(&route.prefix) else {
                warn!(prefix = ?route.prefix, "route can never be reached");
                continue;
            };
            let target = match old.get(key) {
                Some(target) if target.route == *route => Arc::clone(target),
                _ => Arc::new(self.target(route.clone())),
            };
            table.insert(key.into(), target);
        }
        table
    }

    fn target(&self, route: Route) -> Target {
        Target {
            pool: Arc::new(Pool::new(route.endpoint.clone(), self.tasks.clone())),
            meter: match &route.server {
                Some(server) => self.meters.of(server),
                None => Arc::default(),
            },
            route,
            reported: Mutex::default(),
        }
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use spawner_core::{ServerName, UserName};

    use super::super::path::Place;
    use super::*;

    fn route(user: &str, server: &str, port: u16) -> Route {
        let server = ServerId::new(
            UserName::new(user).unwrap(),
            ServerName::new(server).unwrap(),
        );
        let host = "127.0.0.1".to_owned();
        Route::new("/", server, Endpoint::Tcp { host, port })
    }

    fn snapshot(version: u64, routes: &[Route]) -> Arc<Snapshot> {
        let routes = routes.to_vec();
        Arc::new(Snapshot { version, routes })
    }

    fn routes(feed: &watch::Sender<Arc<Snapshot>>) -> Routes {
        Routes::new(BasePath::new("/"), feed.subscribe(), TaskTracker::new())
    }

    fn find(routes: &Routes, path: &str) -> Option<Arc<Target>> {
        match routes.base().locate(path).unwrap() {
            Place::Named(named) => routes.find(&named).map(|(target, _)| target),
            _ => None,
        }
    }

    fn found(routes: &Routes, path: &str) -> Option<String> {
        find(routes, path)?
            .route
            .server
            .as_ref()
            .map(ToString::to_string)
    }

    #[test]
    fn the_longest_prefix_of_whole_segments_wins() {
        let list = [
            route("al", "", 1),
            route("alice", "", 2),
            route("alice", "proj", 3),
            route("a@b+c", "", 4),
        ];
        let (feed, _) = watch::channel(snapshot(1, &list));
        let routes = routes(&feed);
        for (path, expected) in [
            ("/user/al", Some("al")),
            ("/user/al/ice", Some("al")),
            ("/user/ali/", None),
            ("/user/alice", Some("alice")),
            ("/user/alicex/", None),
            ("/user/alice/projx/", Some("alice")),
            ("/user/alice/proj", Some("alice:proj")),
            ("/user/alice/proj/lab", Some("alice:proj")),
            ("/user/alice/pr%6fj/lab", Some("alice:proj")),
            ("/user/a%40b%2Bc/lab", Some("a@b+c")),
            ("/user/Alice/", None),
            ("/user/bob/", None),
            ("/user/", None),
        ] {
            assert_eq!(found(&routes, path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn the_next_lookup_obeys_a_new_snapshot() {
        let (feed, _) = watch::channel(snapshot(1, &[]));
        let routes = routes(&feed);
        assert!(find(&routes, "/user/al/").is_none());
        feed.send_replace(snapshot(2, &[route("al", "", 1), route("bob", "", 2)]));
        let first = find(&routes, "/user/al/").unwrap();
        // Unchanged routes keep their connections, changed ones do not.
        feed.send_replace(snapshot(3, &[route("al", "", 1), route("bob", "", 3)]));
        assert!(Arc::ptr_eq(&first, &find(&routes, "/user/al/").unwrap()));
        feed.send_replace(snapshot(4, &[route("al", "", 4)]));
        let moved = find(&routes, "/user/al/").unwrap();
        assert!(!Arc::ptr_eq(&first, &moved));
        assert!(Arc::ptr_eq(&first.meter, &moved.meter));
        assert!(find(&routes, "/user/bob/").is_none());
    }

    #[test]
    fn the_last_snapshot_counts_after_the_hub_is_gone() {
        let (feed, _) = watch::channel(snapshot(1, &[]));
        let routes = routes(&feed);
        feed.send_replace(snapshot(2, &[route("al", "", 1)]));
        drop(feed);
        assert!(find(&routes, "/user/al/").is_some());
        assert!(find(&routes, "/user/al/").is_some());
    }

    #[test]
    fn a_route_knows_its_prefix() {
        for (base, user, server, expected) in [
            ("/", "alice", "", "/user/alice/"),
            ("/jhub/", "a@b", "", "/jhub/user/a@b/"),
            ("/jhub", "alice", "proj", "/jhub/user/alice/proj/"),
        ] {
            let server = route(user, server, 1).server.unwrap();
            let path = "/run/s".into();
            let route = Route::new(base, server, Endpoint::Unix { path });
            assert_eq!(route.prefix, expected);
            let json = serde_json::to_string(&route).unwrap();
            assert_eq!(serde_json::from_str::<Route>(&json).unwrap(), route);
        }
    }

    #[test]
    fn a_service_has_a_route_and_no_activity() {
        let (host, port) = ("127.0.0.1".to_owned(), 1);
        let endpoint = Endpoint::Tcp { host, port };
        let route = Route::of_service("/services/a@b/".into(), endpoint);
        let (feed, _) = watch::channel(snapshot(1, &[route]));
        let routes = routes(&feed);
        for path in ["/services/a@b", "/services/a%40b/", "/services/a@b/c/d"] {
            find(&routes, path).unwrap().meter.touch();
        }
        assert!(find(&routes, "/services/").is_none());
        assert!(find(&routes, "/user/a@b/").is_none());
        assert_eq!(routes.meters().take(), []);
    }

    #[test]
    fn a_refusing_server_is_reported_once_a_second() {
        let (feed, _) = watch::channel(snapshot(1, &[route("al", "", 1)]));
        let target = find(&routes(&feed), "/user/al/").unwrap();
        assert!(target.may_report());
        assert!(!target.may_report());
    }
}
