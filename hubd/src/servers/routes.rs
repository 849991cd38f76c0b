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
    table: Mutex<Table>,
    snapshots: watch::Sender<Arc<Snapshot>>,
}

#[derive(Debug, Default)]
struct Table {
    services: Vec<Route>,
    servers: BTreeMap<ServerId, Endpoint>,
}

impl Routes {
    /// An empty table, of a hub at `base_url`.
    pub(crate) fn new(base_url: &str) -> Self {
        let first = Snapshot {
            version: 0,
            routes: Vec::new(),
        };
        Self {
            base_url: base_url.to_owned(),
            table: Mutex::default(),
            snapshots: watch::Sender::new(Arc::new(first)),
        }
    }

    /// Makes these the routes to services. `all` is asked while nobody else changes the table, so that
    /// of two changes at once the later answer stays.
    pub(crate) fn set_services(&self, all: impl FnOnce() -> Vec<Route>) {
        self.change(|table| {
            let old = std::mem::replace(&mut table.services, all());
            old != table.services
        });
    }

    /// Routes to `server`, also in the place of an older address.
    pub(crate) fn add(&self, server: &ServerId, endpoint: &Endpoint) {
        self.change(|table| {
            let old = table.servers.insert(server.clone(), endpoint.clone());
            old.as_ref() != Some(endpoint)
        });
    }

    /// Routes to `server` no longer.
    pub(crate) fn remove(&self, server: &ServerId) {
        self.change(|table| table.servers.remove(server).is_some());
    }

    /// Where `server` is reached, if it is.
    pub(crate) fn get(&self, server: &ServerId) -> Option<Endpoint> {
        let table = self.table.lock();
        let table = table.unwrap_or_else(PoisonError::into_inner);
        table.servers.get(server).cloned()
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

    fn change(&self, change: impl FnOnce(&mut Table) -> bool) {
        let table = self.table.lock();
        let mut table = table.unwrap_or_else(PoisonError::into_inner);
        if !change(&mut table) {
            return;
        }
        let servers = table.servers.iter();
        let servers = servers
            .map(|(server, endpoint)| Route::new(&self.base_url, server.clone(), endpoint.clone()));
        let routes = table.services.iter().cloned().chain(servers).collect();
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
        let routes = Routes::new("/");
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
        let services = || vec![Route::of_service("/services/x/".into(), here.clone())];
        routes.set_services(services);
        routes.set_services(services);
        routes.add(&alice, &here);
        assert_eq!(seen(), (5, 2));
        routes.set_services(Vec::new);
        assert_eq!(seen(), (6, 1), "of the server");
    }
}
