//! A hub without a network: the API over a store in memory and servers that do what a test scripts.

mod ask;
mod world;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use spawner_core::{HubUrls, LaunchId, Secret, ServerId, ServerName, UserName, UserOptions};

pub(super) use self::ask::{Ask, Reply, Streamed};
pub(super) use self::world::{Script, World};
use crate::app::{About, App, Shutdown};
use crate::auth::authenticator::Authenticator;
use crate::auth::caller::Callers;
use crate::auth::cookies::HubCookies;
use crate::auth::directory::Directory;
use crate::auth::login::Gate;
use crate::auth::sightings::sightings;
use crate::auth::tokens::TokenDesk;
use crate::auth::xsrf::{Browser, Xsrf};
use crate::config::{AuthKind, Config, CullerTable, GroupTable, RoleTable, ServiceTable};
use crate::metrics::Metrics;
use crate::oauth::Provider;
use crate::scopes::ScopeName;
use crate::servers::{Begun, Limits, Place, Routes, Servers, Setup, Waiting};
use crate::services::{Culler, Services};
use crate::store::audit::{AuditQuery, Record};
use crate::store::{Digest, NewClient, NewLaunch, NewToken, Owner, Store, TokenKind, User};
use crate::tasks::Tasks;

/// The users admin (who is one), alice (of the group staff) and bob; the services culler, which may
/// cull, and tester, which holds every scope and no admin flag. Each has the token "token-of-NAME".
pub(super) struct Hub {
    pub(super) app: Arc<App>,
    pub(super) world: Arc<World>,
    pub(super) tasks: Tasks,
    router: Router,
}

fn server_id(text: &str) -> ServerId {
    let (user, server) = text.split_once(':').unwrap_or((text, ""));
    ServerId::new(user.parse().unwrap(), server.parse().unwrap())
}

/// The token that a user begins with.
pub(super) fn token_of(name: &str) -> String {
    format!("token-of-{name}")
}

/// The password of every user.
pub(super) const PASSWORD: &str = "correct horse";

/// A token that a test made.
pub(super) struct Made {
    pub(super) id: String,
    pub(super) text: String,
}

/// A browser that is logged in.
pub(super) struct Login {
    pub(super) session_id: String,
    pub(super) xsrf: String,
    cookies: String,
}

impl Hub {
    /// One that waits for starts and stops as long as they take.
    pub(super) async fn new() -> Self {
        Self::with_patience(Duration::from_secs(60)).await
    }

    /// One that waits for none.
    pub(super) async fn impatient() -> Self {
        Self::with_patience(Duration::ZERO).await
    }

    async fn with_patience(patience: Duration) -> Self {
        let store = Store::open_in_memory().unwrap();
        let directory = Arc::new(Directory::new(&config(), store.clone()).unwrap());
        let (world, tasks) = (Arc::new(World::new()), Tasks::default());
        let metrics = Metrics::new(store.counters());
        let to_servers = Arc::new(Routes::new("/"));
        let token_scopes = directory.roles().server_token_scopes();
        let servers = Servers::new(Setup {
            store: store.clone(),
            factory: Arc::new(world::factory(Arc::clone(&world))),
            tasks: tasks.clone(),
            metrics: metrics.clone(),
            routes: Arc::clone(&to_servers),
            urls: HubUrls {
                base_url: "/".to_owned(),
                api_url: "http://hub.test:8000/hub/api".to_owned(),
                host: String::new(),
                public_url: None,
            },
            token_scopes: token_scopes.iter().map(ToString::to_string).collect(),
            limits: Limits::new(2, 3),
            named_servers_per_user: 1,
            on_end: Vec::new(),
        });
        // Nobody writes down who was seen.
        let (seen, _) = sightings();
        let services = Services::new(config().services, "/", store.clone(), to_servers);
        let culler = Culler::new(
            CullerTable::default(),
            Arc::clone(&directory),
            store.clone(),
            servers.clone(),
        );
        let app = Arc::new(App {
            services,
            culler,
            callers: Callers::new(store.clone(), Arc::clone(&directory), seen),
            gate: Gate::new(
                store.clone(),
                Arc::clone(&directory),
                Authenticator::dummy(Some(Secret::new(PASSWORD))),
                metrics.clone(),
            ),
            tokens: TokenDesk::new(store.clone(), Arc::clone(&directory)),
            xsrf: Xsrf::new(&[7; 32]),
            cookies: HubCookies::new("/"),
            oauth: Provider::new(store.clone(), Arc::clone(&directory)),
            base_url: "/".to_owned(),
            slow_spawn_timeout: patience,
            slow_stop_timeout: patience,
            about: About {
                spawner: "scripted".to_owned(),
                authenticator: "dummy".to_owned(),
            },
            shutdown: Shutdown::default(),
            store,
            directory,
            servers,
            metrics,
        });
        let router = Router::new()
            .nest("/hub/api", super::router())
            .route("/hub/api/", super::api_root());
        let hub = Self {
            router: router.with_state(Arc::clone(&app)),
            app,
            world,
            tasks,
        };
        hub.populate().await;
        hub
    }

    async fn populate(&self) {
        for (name, admin) in [("admin", true), ("alice", false), ("bob", false)] {
            let users = self.app.store.users();
            let made = users.create(vec![name.parse().unwrap()], admin, Timestamp::now());
            let owner = Owner::User(made.await.unwrap()[0].id);
            self.keep(owner, TokenKind::Api, &["inherit"], token_of(name))
                .await;
        }
    }

    pub(super) fn user(&self, name: &str) -> Arc<User> {
        let name: UserName = name.parse().unwrap();
        self.app.store.users().by_name(&name).unwrap()
    }

    /// What the audit log says by or about somebody, the latest first: who, what and to what, without
    /// the kinds of things.
    pub(super) async fn audit(&self, name: &str) -> Vec<String> {
        let query = AuditQuery {
            name: Some(name.to_owned()),
            limit: 100,
            ..AuditQuery::default()
        };
        let records = self.app.store.audit().list(query).await.unwrap();
        let line = |record: &Record| {
            let (by, on) = (&record.actor_name, &record.object_name);
            format!("{by} {} {on}", record.action)
        };
        records.iter().map(line).collect()
    }

    /// A token that holds these scopes, and no admin flag.
    pub(super) async fn role_token(&self, scopes: &[&str]) -> String {
        let owner = Owner::Service("tester".to_owned());
        let text = format!("token-for-{}", scopes.join("+"));
        self.keep(owner, TokenKind::Api, scopes, text).await.text
    }

    /// One more token of a user.
    pub(super) async fn new_token(&self, user: &str, kind: TokenKind, scopes: &[&str]) -> Made {
        let text = format!("another-of-{user}-{}", rand::random::<u64>());
        let owner = Owner::User(self.user(user).id);
        self.keep(owner, kind, scopes, text).await
    }

    /// The token that a visitor of their own running server gets.
    pub(super) async fn visitor_token(&self, user: &str, session_id: &str) -> Made {
        let text = format!("visitor-{user}-{}", rand::random::<u64>());
        let row = NewToken {
            client_id: Some(format!("jupyterhub-user-{user}")),
            session_id: Some(session_id.to_owned()),
            ..row(
                Owner::User(self.user(user).id),
                TokenKind::Oauth,
                &[],
                &text,
            )
        };
        self.create(row, text).await
    }

    async fn keep(&self, owner: Owner, kind: TokenKind, scopes: &[&str], text: String) -> Made {
        self.create(row(owner, kind, scopes, &text), text).await
    }

    async fn create(&self, row: NewToken, text: String) -> Made {
        let token = self.app.store.tokens().create(row, Timestamp::now());
        let id = token.await.unwrap().id.to_string();
        Made { id, text }
    }

    /// Starts a server (`alice`, or `alice:proj`) and waits until it answers.
    pub(super) async fn start(&self, server: &str) {
        let id = server_id(server);
        let user = self.user(id.user.as_str());
        let patience = Duration::from_secs(60);
        let servers = &self.app.servers;
        let begun = servers
            .start(&user, &id, None, Waiting::Never, patience)
            .await;
        assert!(matches!(begun, Ok(Begun::Ready)), "{begun:?}");
    }

    /// Begins a start of the default server of a user, as far as `script` lets it go.
    pub(super) async fn begin(&self, user: &str, script: Script) {
        self.world.play(script);
        let reply = self.post(&format!("/users/{user}/server")).admin().send();
        assert_eq!(reply.await.status, StatusCode::ACCEPTED);
        self.settled(user, Place::Stopped).await;
    }

    /// Waits until a server is in another place than `from`.
    pub(super) async fn settled(&self, server: &str, from: Place) {
        let id = server_id(server);
        let patience = Duration::from_secs(60);
        while self.app.servers.look(&id).place == from {
            self.app.servers.changed(&id, from, patience).await;
            tokio::task::yield_now().await;
        }
    }

    /// A new process of the hub, to which the books say that the default server of a user was
    /// being started; until it is being looked for.
    pub(super) async fn recover(&self, user: &str) {
        let (user, now) = (self.user(user), Timestamp::now());
        let servers = self.app.store.servers();
        let row = servers.ensure(user.id, ServerName::default_server(), None);
        let row = row.await.unwrap();
        let launch = NewLaunch {
            launch_id: LaunchId::random(),
            token: Digest::of("a server's"),
            token_scopes: Vec::new(),
            token_note: String::new(),
            client: NewClient {
                client_id: "a client".to_owned(),
                secret: Digest::of("a server's"),
                redirect_uri: String::new(),
                allowed_scopes: Vec::new(),
            },
            options: UserOptions::default(),
        };
        servers.begin_launch(row.id, launch, now).await.unwrap();
        self.app.servers.recover(Duration::ZERO).await;
        self.settled(user.name.as_str(), Place::Stopped).await;
    }

    /// A browser in which a user logged in.
    pub(super) async fn log_in(&self, name: &str) -> Login {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let login = self.app.gate.log_in(name, Secret::new(PASSWORD), ip);
        let login = login.await.unwrap();
        let (cookie, session_id) = (login.cookie.expose(), login.session_id);
        let xsrf = self.app.xsrf.token(&Browser::LoggedIn {
            user: &login.user.name,
            session: &session_id,
        });
        Login {
            cookies: format!("jupyterhub-hub-login={cookie}; _xsrf={xsrf}"),
            session_id,
            xsrf,
        }
    }

    pub(super) fn request(&self, method: &str, path: &str) -> Ask {
        Ask::new(self.router.clone(), method, path)
    }

    pub(super) fn get(&self, path: &str) -> Ask {
        self.request("GET", path)
    }

    pub(super) fn post(&self, path: &str) -> Ask {
        self.request("POST", path)
    }

    pub(super) fn delete(&self, path: &str) -> Ask {
        self.request("DELETE", path)
    }
}

impl Login {
    /// What the browser sends.
    pub(super) fn headers(&self) -> HeaderMap {
        let cookies = HeaderValue::from_str(&self.cookies).unwrap();
        HeaderMap::from_iter([(COOKIE, cookies)])
    }
}

fn row(owner: Owner, kind: TokenKind, scopes: &[&str], text: &str) -> NewToken {
    NewToken {
        hash: Digest::of(text),
        kind,
        owner,
        server: None,
        client_id: None,
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        note: String::new(),
        expires_at: None,
        session_id: None,
    }
}

fn config() -> Config {
    let mut config = Config::default();
    config.auth.kind = Some(AuthKind::Dummy);
    config.auth.allow_all = true;
    let service = |name: &str| ServiceTable {
        name: name.to_owned(),
        api_token: Some(Secret::new(format!("token-of-{name}"))),
        display: true,
        ..ServiceTable::default()
    };
    let role = |name: &str, scopes: Vec<&str>, service: &str| RoleTable {
        name: name.to_owned(),
        scopes: scopes.into_iter().map(str::to_owned).collect(),
        users: Vec::new(),
        groups: Vec::new(),
        services: vec![service.to_owned()],
    };
    let every = ScopeName::ALL.iter().filter(|name| !name.is_metascope());
    let cull = vec![
        "list:users",
        "read:users:activity",
        "read:servers",
        "delete:servers",
    ];
    config.services = vec![service("culler"), service("tester")];
    config.roles = vec![
        role("cull-idle", cull, "culler"),
        role(
            "everything",
            every.map(|name| name.as_str()).collect(),
            "tester",
        ),
    ];
    config.roles.push(RoleTable {
        name: "grading".to_owned(),
        scopes: vec!["list:users".to_owned()],
        users: Vec::new(),
        groups: vec!["graders".to_owned()],
        services: Vec::new(),
    });
    config.groups = vec![GroupTable {
        name: "staff".to_owned(),
        users: vec!["alice".parse().unwrap()],
    }];
    config
}
