//! The route table, as numbered snapshots for whoever forwards requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use spawner_core::{Endpoint, ServerId};
use tokio::sync::watch;

use crate::proxy::{Route, Snapshot};

/// Which server is reached where. Each change publishes a snapshot with the next number.
#[derive(Debug)]
pub(crate) struct Routes {
    base_url: String,
    /// Those of services, which are there as long as the hub.
    fixed: Vec<Route>,
    endpoints: Mutex<BTreeMap<ServerId, Endpoint>>,
    snapshots: watch::Sender<Arc<Snapshot>>,
}

impl Routes {
    /// A table without servers, of a hub at `base_url` with these routes to services.
    pub(crate) fn new(base_url: &str, services: Vec<Route>) -> Self {
        let first = Snapshot {
            version: 0,
            routes: services.clone(),
        };
        let base_url = base_url.to_owned();
        Self {
            base_url,
            fixed: services,
            endpoints: Mutex::default(),
            snapshots: watch::Sender::new(Arc::new(first)),
        }
    }

    /// Routes to `server`, also in the place of an older address.
    pub(crate) fn add(&self, server: &ServerId, endpoint: &Endpoint) {
        self.change(|endpoints| {
            let old = endpoints.insert(server.clone(), endpoint.clone());
            old.as_ref() != Some(endpoint)
        });
    }

    /// Routes to `server` no longer.
    pub(crate) fn remove(&self, server: &ServerId) {
        self.change(|endpoints| endpoints.remove(server).is_some());
    }

    /// Where `server` is reached, if it is.
    pub(crate) fn get(&self, server: &ServerId) -> Option<Endpoint> {
        self.endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(server)
            .cloned()
    }

    /// The snapshots, beginning with the present one.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }

    /// All routes as they are now.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// Publishes the table anew, for whoever may have missed something.
    pub(super) fn publish(&self) {
        self.change(|_| true);
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<ServerId, Endpoint>) -> bool) {
        let mut endpoints = self
            .endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !change(&mut endpoints) {
            return;
        }
        let servers = endpoints
            .iter()
            .map(|(server, endpoint)| Route::new(&self.base_url, server.clone(), endpoint.clone()));
        let routes = self.fixed.iter().cloned().chain(servers).collect();
        // Published under the lock, or an older table could overtake a newer one.
        self.snapshots.send_modify(|snapshot| {
            *snapshot = Arc::new(Snapshot {
                version: snapshot.version + 1,
                routes,
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use spawner_core::UserName;

    use super::*;

    #[test]
    fn each_change_is_one_snapshot() {
        let routes = Routes::new("/", Vec::new());
        let snapshots = routes.subscribe();
        let alice = ServerId::default_of(UserName::new("alice").unwrap());
        let here = Endpoint::Tcp {
            host: "127.0.0.1".into(),
            port: 1,
        };
        let there = Endpoint::Unix {
            path: "/there".into(),
        };
        let seen = || {
            let snapshot = snapshots.borrow().clone();
            (snapshot.version, snapshot.routes.len())
        };
        assert_eq!(seen(), (0, 0));
        routes.add(&alice, &here);
        routes.add(&alice, &here);
        assert_eq!(seen(), (1, 1), "what changes nothing is not published");
        routes.add(&alice, &there);
        assert_eq!((seen(), routes.get(&alice)), ((2, 1), Some(there)));
        routes.remove(&alice);
        routes.remove(&alice);
        assert_eq!((seen(), routes.get(&alice)), ((3, 0), None));
    }
}
