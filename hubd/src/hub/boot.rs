//! The order of starting.
//!
//! Nothing is created before the configuration was found good; the books are claimed before anything
//! else is touched; the address is bound before the servers are told where the hub is; and servers of
//! earlier times are looked for without waiting for any of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use spawner_core::{HubUrls, SpawnerFactory, error_chain};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;
use url::Url;

use super::books;
use super::builder::HubBuilder;
use super::control::Control;
use super::error::{HubError, Reason};
use super::running::Hub;
use super::spawner;
use crate::app::{About, App, Shutdown};
use crate::auth::authenticator::Authenticator;
use crate::auth::caller::Callers;
use crate::auth::cookies::HubCookies;
use crate::auth::directory::Directory;
use crate::auth::login::Gate;
use crate::auth::sightings::sightings;
use crate::auth::tokens::TokenDesk;
use crate::auth::xsrf::Xsrf;
use crate::config::{AuthKind, Config, HubTable};
use crate::http::router::router;
use crate::metrics::Metrics;
use crate::oauth::Provider;
use crate::pages::{PagesState, Templates};
use crate::proxy::{Proxy, ProxyOptions, TrustedProxies};
use crate::servers::{Limits, Routes, Servers, Setup};
use crate::services::{Culler, Ground, Services};
use crate::store::Store;
use crate::store::audit::{Action, Actor, Entry, Object};
use crate::tasks::{Tasks, bounded};

/// Events of the proxy that may wait for the hub.
const EVENTS: usize = 1024;
/// How long the first request waits for servers of earlier times to be found again. A process is
/// found in a millisecond; a backend that is away holds nobody up for longer than this.
const HEAD_START: Duration = Duration::from_millis(100);
/// How long the backend may take to say whether it is usable, before the hub goes on without knowing.
const PREFLIGHT_LIMIT: Duration = Duration::from_secs(2);
/// How often rows of expired tokens and logins are deleted.
const PURGE_EVERY: Duration = Duration::from_secs(600);

impl HubBuilder {
    /// Starts the hub: when this returns it listens, and servers of earlier times are being looked
    /// for. Requests are answered once [`Hub::run`] runs.
    pub async fn start(self) -> Result<Hub, HubError> {
        let began = Instant::now();
        let config = self.config;
        config.validate()?;
        let Some(kind) = config.auth.kind else {
            return Err(Reason::Internal("no authenticator is configured".to_owned()).into());
        };
        Directory::check(&config)?;
        let templates = Templates::new(config.hub.template_dir.as_deref())?;
        if !templates.overrides().is_empty() {
            let names = templates.overrides().join(", ");
            tracing::info!(templates = names, "templates of template_dir are in use");
        }

        let store = open_store(&config.hub).await?;
        let directory = Arc::new(Directory::new(&config, store.clone())?);
        let state_dir = config
            .hub
            .state_dir
            .canonicalize()
            .unwrap_or(config.hub.state_dir.clone());
        let factory = spawner::build(&config, &self.registry, &state_dir, store.instance_id())?;
        look_at_backend(&*factory).await;
        let authenticator = authenticator(&config, &store, self.pam_helper).await?;

        let address = config.hub.bind;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| Reason::Listen { address, source })?;
        let address = listener
            .local_addr()
            .map_err(|source| Reason::Listen { address, source })?;
        let control = Control::bind(&state_dir).map_err(|error| {
            let state_dir = state_dir.display();
            Reason::Internal(format!(
                "cannot make the control socket in {state_dir}: {error}"
            ))
        })?;

        let (tasks, metrics) = (Tasks::default(), Metrics::new(store.counters()));
        let base_url = config.hub.base_url.as_str();
        let routes = Arc::new(Routes::new(base_url));
        let services = Services::new(
            config.services.clone(),
            base_url,
            store.clone(),
            Arc::clone(&routes),
        );
        services.register().await?;
        let urls = urls(&config.hub, address);
        let servers = Servers::new(Setup {
            store: store.clone(),
            factory,
            tasks: tasks.clone(),
            metrics: metrics.clone(),
            routes: Arc::clone(&routes),
            urls: urls.clone(),
            token_scopes: scopes_of_servers(&directory),
            limits: limits(&config),
            named_servers_per_user: config.limits.named_servers_per_user as usize,
            on_end: self.on_end,
        });
        let url = own_url(&config.hub, address);
        books::started(&store, &config, &url).await?;
        make_named_users(&store, &directory).await?;
        make_named_groups(&store, &directory).await?;
        fit_tokens(&store, &directory).await?;

        let (events, seen_by_proxy) = mpsc::channel(EVENTS);
        let by_header = config.auth.kind == Some(AuthKind::Header);
        let options = ProxyOptions {
            trusted_proxies: TrustedProxies::new(config.hub.trusted_proxies.clone()),
            identity_header: by_header.then(|| config.auth.header.name.clone()),
            ..ProxyOptions::default()
        };
        let proxy = Proxy::new(
            config.hub.base_url.as_str(),
            routes.subscribe(),
            events,
            options,
        );
        let (seen, log) = sightings();
        tasks.spawn_until_stop("sightings", log.write(store.clone()));
        tasks.spawn_until_stop("proxy events", servers.clone().follow(seen_by_proxy));
        tasks.spawn_until_stop("purge", purge(store.clone()));
        tasks.spawn_until_stop(
            "audit retention",
            books::prune(store.clone(), config.audit.clone()),
        );
        let recovering = Instant::now();
        servers.recover(HEAD_START).await;
        let culler = Culler::new(
            config.culler.clone(),
            Arc::clone(&directory),
            store.clone(),
            servers.clone(),
        );
        tasks.spawn_until_stop("culler", culler.clone().run());
        services.start(Ground {
            store: store.clone(),
            directory: Arc::clone(&directory),
            urls,
            instance: format!("{}-services", store.instance_id()),
            log_dir: state_dir.join("services"),
        });
        metrics.booted(began.elapsed(), recovering.elapsed());

        let app = Arc::new(App {
            callers: Callers::new(store.clone(), Arc::clone(&directory), seen),
            gate: Gate::new(
                store.clone(),
                Arc::clone(&directory),
                authenticator,
                metrics.clone(),
            ),
            tokens: TokenDesk::new(store.clone(), Arc::clone(&directory)),
            xsrf: Xsrf::new(store.signing_key().as_bytes()),
            cookies: HubCookies::new(config.hub.base_url.as_str()),
            oauth: Provider::new(store.clone(), Arc::clone(&directory)),
            store,
            directory,
            servers,
            services,
            culler,
            metrics,
            base_url: config.hub.base_url.as_str().to_owned(),
            slow_spawn_timeout: config.limits.slow_spawn_timeout,
            slow_stop_timeout: config.limits.slow_stop_timeout,
            about: About {
                spawner: config.spawner.kind.clone(),
                authenticator: kind.as_str().to_owned(),
            },
            shutdown: Shutdown::default(),
        });
        tasks.spawn_until_stop("refused logins", books::tell_refused(Arc::clone(&app)));
        let pages = PagesState::new(Arc::clone(&app), Arc::new(templates))
            .map_err(|error| Reason::Internal(error.to_string()))?;
        let login_link = self.login_link_for.map(|user| {
            let secret = app.gate.issue_link(user);
            format!(
                "{}{}",
                origin(address),
                pages.links.login_link(secret.expose())
            )
        });
        Ok(Hub {
            router: router(Arc::clone(&app), pages),
            app,
            proxy,
            listener,
            control,
            tasks,
            url,
            login_link,
            grace: config.hub.shutdown_grace,
            cleanup_servers: config.hub.cleanup_servers,
        })
    }
}

/// Says so if the backend is not usable. It may come back; until then starts fail with the same
/// sentence, and nothing is forgotten.
async fn look_at_backend(factory: &dyn SpawnerFactory) {
    match bounded(PREFLIGHT_LIMIT, factory.preflight()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let error = error_chain(&error);
            tracing::error!(error, "the spawner is not usable at the moment");
        }
        Err(error) => {
            tracing::error!(%error, "the spawner's backend does not answer at the moment");
        }
    }
}

async fn open_store(hub: &HubTable) -> Result<Store, HubError> {
    let state_dir = hub.state_dir.clone();
    let opened = tokio::task::spawn_blocking(move || Store::open(&state_dir)).await;
    Ok(opened.map_err(|error| Reason::Internal(error.to_string()))??)
}

/// The users whom the configuration names exist from the start, so that they can be given tokens
/// and show up in lists.
async fn make_named_users(store: &Store, directory: &Directory) -> Result<(), HubError> {
    let unknown = |name: &&_| store.users().by_name(name).is_none();
    let names: Vec<_> = directory.named_users().filter(unknown).cloned().collect();
    if !names.is_empty() {
        let store = store.noting(by_configuration(Action::UserCreate));
        store.users().create(names, false, Timestamp::now()).await?;
    }
    Ok(())
}

/// What the audit log is to say of what the configuration makes.
fn by_configuration(action: Action) -> Entry {
    Entry::new(Actor::hub("configuration"), action)
}

/// Groups that the configuration gives something to exist from the start, so that nobody else can be
/// the first to make one of that name and fill it.
async fn make_named_groups(store: &Store, directory: &Directory) -> Result<(), HubError> {
    let groups = directory.groups();
    for name in groups.hidden() {
        tracing::warn!(group = name, "the configuration hides a group of the API");
    }
    let named = directory.groups_with_rights().into_iter();
    let unknown = named.filter(|name| groups.find(name).is_none());
    let unknown: Vec<String> = unknown.map(str::to_owned).collect();
    if !unknown.is_empty() {
        let store = store.noting(by_configuration(Action::GroupCreate));
        store.groups().create(unknown, Vec::new()).await?;
    }
    Ok(())
}

/// Makes the tokens of earlier times fit the configuration of now.
async fn fit_tokens(store: &Store, directory: &Directory) -> Result<(), HubError> {
    let services = directory.services().names();
    let gone = store.tokens().keep_services(services).await?;
    if gone > 0 {
        // Of services that are no longer there.
        let entry = by_configuration(Action::TokenRevoke).on(Object::hub());
        store.note(entry.with("count", gone)).await?;
    }
    if let Some(max) = directory.token_max_age() {
        let shortened = store.tokens().shorten(max).await?;
        if shortened > 0 {
            tracing::info!(
                count = shortened,
                "tokens that lived too long are shortened"
            );
        }
    }
    Ok(())
}

/// The authenticator, if it can do its work: a hub that nobody could log in to does not start.
async fn authenticator(
    config: &Config,
    store: &Store,
    pam_helper: Option<PathBuf>,
) -> Result<Authenticator, HubError> {
    let authenticator = Authenticator::new(config, store, pam_helper)
        .map_err(|error| Reason::Internal(error.to_string()))?;
    if let Authenticator::Pam(pam) = &authenticator {
        if !rustix::process::geteuid().is_root() {
            let message = "hubd does not run as root, so PAM may let nobody in but its own account";
            tracing::warn!("{message}");
        }
        let probed = pam.probe().await;
        probed.map_err(|error| Reason::Internal(format!("PAM cannot be used: {error}")))?;
    }
    Ok(authenticator)
}

fn limits(config: &Config) -> Limits {
    Limits::new(
        config.limits.concurrent_spawns as usize,
        config.limits.active_servers as usize,
    )
}

fn scopes_of_servers(directory: &Directory) -> Vec<String> {
    directory
        .roles()
        .server_token_scopes()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Where the hub is, as servers and their visitors see it.
pub(super) fn urls(hub: &HubTable, address: SocketAddr) -> HubUrls {
    let trim = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
    let reached_at = hub
        .connect_url
        .as_ref()
        .map_or_else(|| origin(address), origin_of);
    HubUrls {
        base_url: hub.base_url.as_str().to_owned(),
        api_url: format!("{reached_at}{}hub/api", hub.base_url.as_str()),
        host: String::new(),
        public_url: hub.public_url.as_ref().map(trim),
    }
}

/// `scheme://host:port` of this hub for programs on this host.
fn origin(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The address that a person opens.
pub(super) fn own_url(hub: &HubTable, address: SocketAddr) -> String {
    let origin = hub
        .public_url
        .as_ref()
        .map_or_else(|| origin(address), origin_of);
    format!("{origin}{}", hub.base_url.as_str())
}

/// Deletes rows that mean nothing any more, now and then.
async fn purge(store: Store) {
    let mut every = tokio::time::interval(PURGE_EVERY);
    loop {
        every.tick().await;
        let now = Timestamp::now();
        let purged = store.tokens().purge_expired(now).await;
        let purged = purged.and(store.sessions().purge_expired(now).await);
        if let Err(error) = purged {
            tracing::warn!(%error, "cannot delete what has expired");
        }
    }
}
