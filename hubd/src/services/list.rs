//! The services: those of the configuration, and those that were made through the API.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Map, Value};
use spawner_core::Secret;
use tokio::sync::oneshot;

use super::keeper::{Ground, Keeper};
use super::left_over;
use crate::config::{ServiceTable, ServiceUrl};
use crate::proxy::Route;
use crate::random::new_token;
use crate::servers::Routes;
use crate::store::audit::Entry;
use crate::store::{self, Digest, NewClient, Store, StoreError};
use crate::tasks::Tasks;

/// How long the services may take to end when the hub stops.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The services. Clones share them.
#[derive(Clone)]
pub(crate) struct Services(Arc<Inner>);

struct Inner {
    /// Those of the configuration. The others are in the books.
    configured: Vec<Arc<Service>>,
    store: Store,
    routes: Arc<Routes>,
    base_url: String,
    /// Their own: they have to be gone before the hub is, whatever its grace.
    tasks: Tasks,
}

/// One service of the configuration.
pub(super) struct Service {
    pub(super) table: ServiceTable,
    /// Its first process; 0 while none runs.
    pub(super) pid: AtomicU32,
}

/// How a service runs and where it is found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shown {
    pub(crate) name: String,
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

impl Services {
    /// The services of a configuration and of the books. Nothing is started or routed to yet.
    pub(crate) fn new(
        tables: Vec<ServiceTable>,
        base_url: &str,
        store: Store,
        routes: Arc<Routes>,
    ) -> Self {
        let service = |table| {
            Arc::new(Service {
                table,
                pid: AtomicU32::new(0),
            })
        };
        Self(Arc::new(Inner {
            configured: tables.into_iter().map(service).collect(),
            store,
            routes,
            base_url: base_url.to_owned(),
            tasks: Tasks::default(),
        }))
    }

    /// All services: those of the configuration in its order, then the others by name.
    pub(crate) fn all(&self) -> Vec<Shown> {
        let base_url = &self.0.base_url;
        let configured = self.0.configured.iter();
        let configured = configured.map(|service| service.shown(base_url));
        let made = self.made().into_iter();
        configured
            .chain(made.map(|table| shown(&table, 0, base_url)))
            .collect()
    }

    /// The service of that name.
    pub(crate) fn find(&self, name: &str) -> Option<Shown> {
        let base_url = &self.0.base_url;
        let mut configured = self.0.configured.iter();
        if let Some(service) = configured.find(|service| service.table.name == name) {
            return Some(service.shown(base_url));
        }
        let made = self.0.store.services().find(name)?;
        Some(shown(&table_of(&made), 0, base_url))
    }

    /// Prepares for the services: ends those of the books that the configuration leaves no room for,
    /// makes those that people can sign in to known as OAuth clients, and routes to those that have an
    /// address. One that is no longer there loses all that it was issued.
    pub(crate) async fn register(&self) -> Result<(), StoreError> {
        let Inner {
            configured,
            store,
            base_url,
            ..
        } = &*self.0;
        for made in store.services().all() {
            let mut tables = configured.iter().map(|service| &service.table);
            if let Some(what) = tables.find_map(|table| taken(table, &made)) {
                let service = &made.name;
                tracing::warn!(
                    service,
                    "a service that was made through the API is deleted: {what}"
                );
                store.services().delete(service).await?;
            }
        }
        let of_configured = configured.iter().filter_map(|service| {
            let table = &service.table;
            // Nobody knows the secret of a service that is given its token when it starts.
            let secret = match &table.api_token {
                Some(token) => Digest::of(token.expose()),
                None => Digest::of(new_token().expose()),
            };
            Some((table.name.clone(), client(table, base_url, secret)?))
        });
        let made = store.services().all();
        let of_made = made.iter().filter_map(|made| {
            let client = client(&table_of(made), base_url, made.token)?;
            Some((made.name.clone(), client))
        });
        let clients = of_configured.chain(of_made).collect();
        store.clients().set_of_services(clients).await?;
        self.route();
        Ok(())
    }

    /// Makes a service that runs elsewhere: it is in the books and routed to when this returns. `table`
    /// has a token, and no command.
    pub(crate) async fn create(
        &self,
        table: &ServiceTable,
        roles: Vec<String>,
        entry: Entry,
    ) -> Result<(), StoreError> {
        let token = table.api_token.as_ref().map(Secret::expose);
        let token = token.ok_or_else(|| StoreError::Internal("a service has no token".into()))?;
        let token = Digest::of(token);
        let made = store::Service {
            name: table.name.clone(),
            token,
            admin: table.admin,
            roles,
            url: table.url.as_ref().map(|url| url.text.clone()),
            client_id: table.client_id(),
            redirect_uri: table.oauth_redirect_uri.clone(),
            no_confirm: table.oauth_no_confirm,
            display: table.display,
            info: table.info.clone(),
        };
        let mut configured = self.0.configured.iter();
        if let Some(what) = configured.find_map(|service| taken(&service.table, &made)) {
            return Err(StoreError::Conflict(what));
        }
        let client = client(table, &self.0.base_url, token);
        let store = self.0.store.noting(entry);
        self.change(async move { store.services().create(made, client).await.map(drop) })
            .await
    }

    /// Deletes a service that was made through the API, with all that it was given and issued.
    pub(crate) async fn delete(&self, name: &str, entry: Entry) -> Result<(), StoreError> {
        let (store, name) = (self.0.store.noting(entry), name.to_owned());
        self.change(async move { store.services().delete(&name).await })
            .await
    }

    /// Changes the books and then the routes, also if nobody waits for it any more.
    async fn change(
        &self,
        change: impl Future<Output = Result<(), StoreError>> + Send + 'static,
    ) -> Result<(), StoreError> {
        let (services, (sender, done)) = (self.clone(), oneshot::channel());
        self.0.tasks.spawn("change of a service", async move {
            let changed = change.await;
            services.route();
            let _ = sender.send(changed);
        });
        done.await
            .map_err(|_| StoreError::Internal("the change of a service panicked".to_owned()))?
    }

    fn route(&self) {
        let Inner {
            configured,
            base_url,
            routes,
            ..
        } = &*self.0;
        routes.set_services(|| {
            let made = self.made();
            let tables = configured.iter().map(|service| &service.table);
            tables
                .chain(&made)
                .filter_map(|table| {
                    let endpoint = table.url.as_ref()?.endpoint.clone();
                    Some(Route::of_service(table.prefix(base_url), endpoint))
                })
                .collect()
        });
    }

    fn made(&self) -> Vec<ServiceTable> {
        let made = self.0.store.services().all();
        made.iter().map(|made| table_of(made)).collect()
    }

    /// Ends what an earlier hub has left running, then starts those that the hub is to start, and
    /// keeps them running until [`stop`](Self::stop). Returns at once.
    pub(crate) fn start(&self, ground: Ground) {
        let (services, ground) = (self.clone(), Arc::new(ground));
        let tasks = &self.0.tasks;
        tasks.spawn_until_stop("services", async move {
            left_over::end(&ground.instance).await;
            let tasks = &services.0.tasks;
            for service in &services.0.configured {
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

impl Service {
    fn shown(&self, base_url: &str) -> Shown {
        shown(&self.table, self.pid.load(Ordering::Relaxed), base_url)
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

fn shown(table: &ServiceTable, pid: u32, base_url: &str) -> Shown {
    let url = table.url.as_ref();
    Shown {
        name: table.name.clone(),
        url: url.map(|url| url.text.clone()).unwrap_or_default(),
        prefix: url.map(|_| table.prefix(base_url)).unwrap_or_default(),
        command: table.command.clone(),
        pid,
        info: table.info.clone(),
        display: table.display,
    }
}

/// A service of the books, as the configuration would have it.
fn table_of(made: &store::Service) -> ServiceTable {
    let url = made.url.as_deref().map(ServiceUrl::parse);
    if let Some(Err(error)) = &url {
        let service = &made.name;
        tracing::error!(service, error, "the address of a service cannot be read");
    }
    ServiceTable {
        name: made.name.clone(),
        url: url.and_then(Result::ok),
        oauth_client_id: Some(made.client_id.clone()),
        oauth_redirect_uri: made.redirect_uri.clone(),
        oauth_no_confirm: made.no_confirm,
        display: made.display,
        admin: made.admin,
        info: made.info.clone(),
        ..ServiceTable::default()
    }
}

/// Why `other` cannot be beside a service of the configuration, if so.
fn taken(table: &ServiceTable, other: &store::Service) -> Option<&'static str> {
    let token = table.api_token.as_ref();
    if table.name == other.name {
        Some("the configuration has a service of that name")
    } else if table.client_id() == other.client_id {
        Some("the configuration has a service with that client id")
    } else if token.is_some_and(|token| other.token.matches(token.expose())) {
        Some("the configuration has a service with that token")
    } else {
        None
    }
}

/// Names only: the tables hold secrets.
impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.configured.iter().map(|service| &service.table.name);
        f.debug_list().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::audit::{Action, Actor, Object};
    use crate::store::{NewToken, Owner, TokenKind};

    fn table(name: &str, token: &str) -> ServiceTable {
        ServiceTable {
            name: name.to_owned(),
            api_token: Some(Secret::new(token)),
            url: Some(ServiceUrl::parse("http://127.0.0.1:1").unwrap()),
            ..ServiceTable::default()
        }
    }

    fn entry() -> Entry {
        Entry::new(Actor::hub("test"), Action::ServiceCreate).on(Object::hub())
    }

    fn services(store: &Store, tables: Vec<ServiceTable>) -> (Services, Arc<Routes>) {
        let routes = Arc::new(Routes::new("/"));
        let services = Services::new(tables, "/", store.clone(), Arc::clone(&routes));
        (services, routes)
    }

    #[tokio::test]
    async fn what_was_made_stays_when_the_hub_starts_again() {
        let store = Store::open_in_memory().unwrap();
        let (before, _) = services(&store, Vec::new());
        let mut made = table("made", "token-of-made");
        made.info.insert("room".to_owned(), 7.into());
        made.oauth_redirect_uri = Some("/elsewhere".to_owned());
        made.display = false;
        before.create(&made, Vec::new(), entry()).await.unwrap();

        let (after, table_of_routes) = services(&store, vec![table("configured", "token-of-it")]);
        after.register().await.unwrap();
        assert_eq!(after.find("made"), before.find("made"));
        assert_eq!(after.find("made").unwrap().info, made.info);
        let names: Vec<_> = after.all().into_iter().map(|shown| shown.name).collect();
        assert_eq!(names, ["configured", "made"]);
        let snapshot = table_of_routes.subscribe().borrow().clone();
        let prefixes = snapshot.routes.iter().map(|route| route.prefix.as_str());
        let prefixes: Vec<_> = prefixes.collect();
        assert_eq!(prefixes, ["/services/configured/", "/services/made/"]);
        let client = store.clients().find("service-made").unwrap();
        assert_eq!(client.redirect_uri, "/elsewhere");
        assert!(client.secret.matches("token-of-made"));
    }

    /// Whoever made one of that name must not hold anything of the configuration's.
    #[tokio::test]
    async fn the_configuration_comes_first() {
        let by_name = table("made", "token-of-another");
        let by_client = ServiceTable {
            oauth_client_id: Some("service-made".to_owned()),
            ..table("other", "token-of-another")
        };
        let by_token = table("other", "token-of-made");
        for configured in [by_name, by_client, by_token] {
            let store = Store::open_in_memory().unwrap();
            let (before, _) = services(&store, Vec::new());
            let made = table("made", "token-of-made");
            before.create(&made, Vec::new(), entry()).await.unwrap();
            let issued = NewToken {
                hash: Digest::of("issued"),
                kind: TokenKind::Api,
                owner: Owner::Service("made".to_owned()),
                server: None,
                client_id: None,
                scopes: Vec::new(),
                note: String::new(),
                expires_at: None,
                session_id: None,
            };
            let now = jiff::Timestamp::now();
            store.tokens().create(issued, now).await.unwrap();

            let (after, _) = services(&store, vec![configured.clone()]);
            after.register().await.unwrap();
            assert!(store.services().all().is_empty());
            assert_eq!(after.all().len(), 1);
            assert_eq!(store.tokens().find(&Digest::of("issued"), now), None);
            let client = store.clients().find(&configured.client_id()).unwrap();
            assert!(
                client
                    .secret
                    .matches(configured.api_token.unwrap().expose())
            );
            let again = after.create(&made, Vec::new(), entry()).await;
            assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
        }
    }
}
