//! A hub of its own for each test: the pages over an empty store, browsers that visit them, and a
//! spawner that does as it is told.

mod browser;
mod puppet;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::request::Builder;
use jiff::Timestamp;
use spawner_core::{
    Endpoint, ExitStatus, HubUrls, Secret, ServerId, ServerName, SpawnerConfig, SpawnerFactory,
    UserName,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

pub(crate) use self::browser::{Browser, Reply};
use self::puppet::Puppet;
pub(crate) use self::puppet::{Act, FormAct, Script};
use super::render::Templates;
use super::state::PagesState;
use crate::app::{About, App, AppState, Shutdown};
use crate::auth::accounts::Accounts;
use crate::auth::authenticator::Authenticator;
use crate::auth::caller::Callers;
use crate::auth::cookies::HubCookies;
use crate::auth::directory::Directory;
use crate::auth::login::Gate;
use crate::auth::sightings::sightings;
use crate::auth::tokens::TokenDesk;
use crate::auth::xsrf::Xsrf;
use crate::config::{AuthKind, Config};
use crate::metrics::Metrics;
use crate::oauth::Provider;
use crate::proxy::{ClientInfo, Scheme};
use crate::servers::{Limits, Place, Routes, Servers, Setup, Waiting};
use crate::services::{Culler, Services};
use crate::store::audit::{Actor, AuditQuery, Record};
use crate::store::{Digest, NewToken, Owner, Store, TokenKind};
use crate::tasks::Tasks;

/// The password of everybody.
pub(crate) const PASSWORD: &str = "open sesame";
/// The hub's own host, as browsers see it.
pub(crate) const HOST: &str = "ours:8000";

const CONFIG: &str = r#"
auth = { kind = "dummy", allow_all = true, admin_users = ["root"], blocked_users = ["mallory"] }
[[role]]
name = "helper"
scopes = ["servers!user=alice", "access:servers!user=alice"]
users = ["helper"]
[[role]]
name = "guest"
scopes = ["access:servers!user=alice"]
users = ["guest"]
[[role]]
name = "grading"
scopes = ["read:servers"]
groups = ["graders"]
[[role]]
name = "tutoring"
scopes = ["admin-ui", "list:users!group=red", "list:groups!group=red", "groups!group=red", "read:users:groups!group=red"]
users = ["tutor"]
[[role]]
name = "registering"
scopes = ["admin-ui", "list:users", "admin:users"]
users = ["registrar"]
[[group]]
name = "staff"
users = ["zelda"]
"#;

const PASSWORDS: &str = r#"
auth = { kind = "password", admin_users = ["root"], password = { allow_signup = true } }
"#;

/// A hub.
pub(crate) struct Site {
    pub(crate) app: AppState,
    pub(crate) script: Arc<Mutex<Script>>,
    ended: watch::Sender<Option<ExitStatus>>,
    router: Router,
    _server: JoinSet<()>,
}

impl Site {
    /// A hub at `/`.
    pub(crate) async fn new() -> Self {
        Self::at("/").await
    }

    /// A hub with this base URL.
    pub(crate) async fn at(base_url: &str) -> Self {
        Self::of(CONFIG, base_url).await
    }

    /// A hub that keeps passwords itself and takes sign-ups; `root` is an admin with [`PASSWORD`].
    pub(crate) async fn with_passwords() -> Self {
        let site = Self::of(PASSWORDS, "/").await;
        let app = &site.app;
        let accounts = Accounts::new(app.store.clone(), Arc::clone(&app.directory));
        let (by, root) = (Actor::hub("test"), UserName::new("root").unwrap());
        let added = accounts.add(&by, &root, false, Secret::new(PASSWORD));
        added.await.unwrap();
        site
    }

    async fn of(config: &str, base_url: &str) -> Self {
        let config = Config::parse(config, "test").unwrap();
        let mut server = JoinSet::new();
        let endpoint = answer_everything(&mut server).await;
        let script = Arc::new(Mutex::new(Script::default()));
        let ended = watch::Sender::new(None);
        let puppets = {
            let (script, ended) = (Arc::clone(&script), ended.clone());
            move |_: &ServerId| Puppet {
                config: SpawnerConfig::default(),
                script: Arc::clone(&script),
                endpoint: endpoint.clone(),
                ended: ended.clone(),
            }
        };
        let app = app(&config, base_url, Arc::new(puppets));
        let templates = Arc::new(Templates::new(None).unwrap());
        let state = PagesState::new(Arc::clone(&app), templates).unwrap();
        let router = Router::new()
            .nest(
                &format!("{base_url}hub/api"),
                super::authorize_routes(state.clone()),
            )
            .nest(&format!("{base_url}hub/"), super::router(state));
        Self {
            app,
            script,
            ended,
            router,
            _server: server,
        }
    }

    /// A browser without cookies.
    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser {
            site: self,
            jar: BTreeMap::new(),
        }
    }

    /// A browser in which `user` has logged in.
    pub(crate) async fn logged_in(&self, user: &str) -> Browser<'_> {
        let mut browser = self.browser();
        let reply = browser.log_in(user, PASSWORD).await;
        assert_eq!(reply.status, 302, "{}", reply.body);
        browser
    }

    /// Sends a request and nothing else.
    pub(crate) async fn send(&self, request: Builder, body: impl Into<Body>) -> Reply {
        let mut request = request.body(body.into()).unwrap();
        if request.extensions().get::<ClientInfo>().is_none() {
            request.extensions_mut().insert(client(Scheme::Http));
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body.into()).unwrap(),
        }
    }

    /// Sends a request whose answer does not end, and gives its body to be read piece by piece.
    pub(crate) async fn listen(&self, request: Builder) -> Body {
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(client(Scheme::Http));
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        response.into_body()
    }

    /// What the audit log says by or about somebody, the latest first: who, what, to what and with
    /// which outcome.
    pub(crate) async fn audit(&self, name: &str) -> Vec<String> {
        let query = AuditQuery {
            name: Some(name.to_owned()),
            limit: 100,
            ..AuditQuery::default()
        };
        let records = self.app.store.audit().list(query).await.unwrap();
        let line = |record: &Record| {
            let (who, what) = (record.who(), record.what());
            format!("{who} {} {what} {}", record.action, record.outcome)
        };
        records.iter().map(line).collect()
    }

    /// Changes what the spawners do.
    pub(crate) fn direct(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    /// The options of every start so far.
    pub(crate) fn started(&self) -> Vec<serde_json::Value> {
        let script = self.script.lock().unwrap();
        let json = |options| serde_json::to_value(options).unwrap();
        script.started.iter().map(json).collect()
    }

    /// Ends what runs, unasked.
    pub(crate) fn end(&self, status: ExitStatus) {
        self.ended.send_replace(Some(status));
    }

    /// Starts a server and waits until it is ready.
    pub(crate) async fn start(&self, user: &str, server: &str) {
        let id = id(user, server);
        let owner = self.app.store.users().by_name(&id.user).unwrap();
        let patience = Duration::from_secs(60);
        let begun = (self.app.servers).start(&owner, &id, None, Waiting::InLine, patience);
        begun.await.unwrap();
        assert_eq!(self.app.servers.look(&id).place, Place::Ready);
    }

    /// Gives the default server of `owner` a token of `visitor`, as the OAuth provider does; says
    /// which one it is.
    pub(crate) async fn grant(&self, visitor: &str, owner: &str) -> String {
        let visitor: UserName = visitor.parse().unwrap();
        let visitor = self.app.store.users().by_name(&visitor).unwrap();
        let token = NewToken {
            hash: Digest::of(&format!("granted to {owner} by {}", visitor.name)),
            kind: TokenKind::Oauth,
            owner: Owner::User(visitor.id),
            server: None,
            client_id: Some(format!("jupyterhub-user-{owner}")),
            scopes: vec![format!("access:servers!server={owner}/")],
            note: String::new(),
            expires_at: None,
            session_id: None,
        };
        let token = self.app.store.tokens().create(token, Timestamp::now());
        token.await.unwrap().id.to_string()
    }

    /// Waits until a server is somewhere else.
    pub(crate) async fn leaves(&self, user: &str, from: Place) -> Place {
        let patience = Duration::from_secs(60);
        let servers = &self.app.servers;
        servers.changed(&id(user, ""), from, patience).await
    }
}

/// Who asks, as the proxy would tell.
pub(crate) fn client(scheme: Scheme) -> ClientInfo {
    ClientInfo {
        ip: IpAddr::from([10, 0, 0, 1]),
        scheme,
        host: HOST.to_owned(),
        identity: None,
    }
}

pub(crate) fn id(user: &str, server: &str) -> ServerId {
    ServerId::new(
        UserName::new(user).unwrap(),
        ServerName::new(server).unwrap(),
    )
}

fn app(config: &Config, base_url: &str, factory: Arc<dyn SpawnerFactory>) -> AppState {
    let store = Store::open_in_memory().unwrap();
    let directory = Arc::new(Directory::new(config, store.clone()).unwrap());
    let metrics = Metrics::new(store.counters());
    let routes = Arc::new(Routes::new(base_url));
    let authenticator = match config.auth.kind {
        Some(AuthKind::Dummy) => Authenticator::dummy(Some(Secret::new(PASSWORD))),
        _ => Authenticator::new(config, &store, None).unwrap(),
    };
    let servers = Servers::new(Setup {
        store: store.clone(),
        factory,
        tasks: Tasks::default(),
        metrics: metrics.clone(),
        routes: Arc::clone(&routes),
        urls: HubUrls {
            base_url: base_url.to_owned(),
            api_url: format!("http://127.0.0.1:1{base_url}hub/api"),
            host: String::new(),
            public_url: None,
        },
        token_scopes: Vec::new(),
        limits: Limits::new(0, 0),
        named_servers_per_user: 2,
        on_end: Vec::new(),
    });
    let services = Services::new(
        config.services.clone(),
        base_url,
        store.clone(),
        Arc::clone(&routes),
    );
    let culler = Culler::new(
        config.culler.clone(),
        Arc::clone(&directory),
        store.clone(),
        servers.clone(),
    );
    Arc::new(App {
        services,
        culler,
        callers: Callers::new(store.clone(), Arc::clone(&directory), sightings().0),
        gate: Gate::new(
            store.clone(),
            Arc::clone(&directory),
            authenticator,
            metrics.clone(),
        ),
        tokens: TokenDesk::new(store.clone(), Arc::clone(&directory)),
        xsrf: Xsrf::new(store.signing_key().as_bytes()),
        cookies: HubCookies::new(base_url),
        servers,
        oauth: Provider::new(store.clone(), Arc::clone(&directory)),
        metrics,
        base_url: base_url.to_owned(),
        slow_spawn_timeout: Duration::from_secs(10),
        slow_stop_timeout: Duration::from_secs(10),
        about: About {
            spawner: config.spawner.kind.clone(),
            authenticator: config.auth.kind.unwrap().as_str().to_owned(),
        },
        shutdown: Shutdown::default(),
        store,
        directory,
    })
}

/// A server that is always up.
async fn answer_everything(tasks: &mut JoinSet<()>) -> Endpoint {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // The request of a probe comes in one piece.
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await;
        }
    });
    let host = "127.0.0.1".to_owned();
    Endpoint::Tcp { host, port }
}
