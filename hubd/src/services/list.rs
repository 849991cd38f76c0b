//! The services of the configuration.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::keeper::{Ground, Keeper};
use super::left_over;
use crate::auth::directory::Directory;
use crate::config::ServiceTable;
use crate::proxy::Route;
use crate::random::new_token;
use crate::store::{Digest, NewClient, Store, StoreError};
use crate::tasks::Tasks;

/// How long the services may take to end when the hub stops.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The services. Clones share them.
#[derive(Clone)]
pub(crate) struct Services(Arc<Inner>);

struct Inner {
    list: Vec<Arc<Service>>,
    directory: Arc<Directory>,
    base_url: String,
    /// Their own: they have to be gone before the hub is, whatever its grace.
    tasks: Tasks,
}

/// One service.
pub(super) struct Service {
    pub(super) table: ServiceTable,
    /// Its first process; 0 while none runs.
    pub(super) pid: AtomicU32,
}

/// A service as the API shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServiceModel {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) admin: bool,
    pub(crate) roles: Vec<String>,
    /// Where it listens; empty for one without an address.
    pub(crate) url: String,
    /// Where it is reached through the hub; empty for one without an address.
    pub(crate) prefix: String,
    /// Empty for one that the hub does not start.
    pub(crate) command: Vec<String>,
    /// 0 while the hub runs no process of it.
    pub(crate) pid: u32,
    pub(crate) info: Map<String, Value>,
    /// Whether people are shown a link to it.
    pub(crate) display: bool,
}

/// The routes to the services that have an address.
pub(crate) fn routes(services: &[ServiceTable], base_url: &str) -> Vec<Route> {
    let routed = services.iter().filter_map(|service| {
        let endpoint = service.url.as_ref()?.endpoint.clone();
        Some(Route::of_service(service.prefix(base_url), endpoint))
    });
    routed.collect()
}

impl Services {
    /// The services of a configuration. Nothing is started yet.
    pub(crate) fn new(
        tables: Vec<ServiceTable>,
        base_url: &str,
        directory: Arc<Directory>,
    ) -> Self {
        let service = |table| {
            Arc::new(Service {
                table,
                pid: AtomicU32::new(0),
            })
        };
        Self(Arc::new(Inner {
            list: tables.into_iter().map(service).collect(),
            directory,
            base_url: base_url.to_owned(),
            tasks: Tasks::default(),
        }))
    }

    /// All services, in the order of the configuration.
    pub(crate) fn models(&self) -> Vec<ServiceModel> {
        let Inner {
            directory,
            base_url,
            ..
        } = &*self.0;
        let model = |service: &Arc<Service>| {
            let table = &service.table;
            let roles = directory.roles().names_of_service(&table.name, table.admin);
            let url = table.url.as_ref();
            ServiceModel {
                kind: "service",
                name: table.name.clone(),
                admin: table.admin,
                roles: roles.into_iter().map(str::to_owned).collect(),
                url: url.map(|url| url.text.clone()).unwrap_or_default(),
                prefix: url.map(|_| table.prefix(base_url)).unwrap_or_default(),
                command: table.command.clone(),
                pid: service.pid.load(Ordering::Relaxed),
                info: Map::new(),
                display: table.display,
            }
        };
        self.0.list.iter().map(model).collect()
    }

    /// Makes the services that people can sign in to known as OAuth clients. One that is not
    /// configured any more loses all that it was issued.
    pub(crate) async fn register(&self, store: &Store) -> Result<(), StoreError> {
        let clients = self.0.list.iter().filter_map(|service| {
            let table = &service.table;
            // Nobody knows the secret of a service that is given its token when it starts.
            let secret = match &table.api_token {
                Some(token) => Digest::of(token.expose()),
                None => Digest::of(new_token().expose()),
            };
            let client = client(table, &self.0.base_url, secret)?;
            Some((table.name.clone(), client))
        });
        store.clients().set_of_services(clients.collect()).await
    }

    /// Ends what an earlier hub has left running, then starts those that the hub is to start, and
    /// keeps them running until [`stop`](Self::stop). Returns at once.
    pub(crate) fn start(&self, ground: Ground) {
        let (services, ground) = (self.clone(), Arc::new(ground));
        let tasks = &self.0.tasks;
        tasks.spawn_until_stop("services", async move {
            left_over::end(&ground.instance).await;
            let tasks = &services.0.tasks;
            for service in &services.0.list {
                if service.table.is_managed() {
                    let keeper = Keeper::new(Arc::clone(service), Arc::clone(&ground));
                    let stop = tasks.stop_signal().clone();
                    tasks.spawn("service", async move { keeper.keep(stop).await });
                }
            }
        });
    }

    /// Ends all that were started, and returns when they are gone.
    pub(crate) async fn stop(&self) {
        let left = self.0.tasks.stop(STOP_LIMIT).await;
        if left > 0 {
            tracing::warn!(
                left,
                "services did not end in time; the next start of the hub ends them"
            );
        }
    }
}

/// A service as an OAuth client, if people can sign in to it.
pub(super) fn client(table: &ServiceTable, base_url: &str, secret: Digest) -> Option<NewClient> {
    Some(NewClient {
        client_id: table.client_id(),
        secret,
        redirect_uri: table.redirect_uri(base_url)?,
        allowed_scopes: Vec::new(),
    })
}

/// Names only: the tables hold secrets.
impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.list.iter().map(|service| &service.table.name);
        f.debug_list().entries(names).finish()
    }
}
