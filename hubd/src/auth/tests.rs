//! What somebody holds, and what is left of it after they were shut out: at once, by every way in.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use spawner_core::{Secret, UserName};

use super::accounts::Accounts;
use super::authenticator::{Authenticator, Proven};
use super::caller::Callers;
use super::directory::Directory;
use super::login::{Gate, LoginError, SignupError};
use super::sightings::sightings;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::scopes::{ScopeName, Target};
use crate::store::audit::{Actor, Means};
use crate::store::{Digest, NewToken, Owner, Store, StoreError, TokenKind, User};

const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const PASSWORD: &str = "correct horse";

struct Hub {
    store: Store,
    accounts: Accounts,
    callers: Callers,
    gate: Gate,
    directory: Arc<Directory>,
}

/// The cookie of a login and tokens of three kinds, by the headers that carry them.
struct Held {
    cookie: HeaderMap,
    session_id: String,
    api: HeaderMap,
    oauth: HeaderMap,
    server: HeaderMap,
}

impl Hub {
    fn new(auth: &str) -> Self {
        let config = Config::parse(&format!("[auth]\n{auth}\n"), "test").unwrap();
        let store = Store::open_in_memory().unwrap();
        let directory = Arc::new(Directory::new(&config, store.clone()).unwrap());
        let authenticator = Authenticator::new(&config, &store, None).unwrap();
        let metrics = Metrics::new(store.counters());
        let gate = Gate::new(
            store.clone(),
            Arc::clone(&directory),
            authenticator,
            metrics,
        );
        Self {
            accounts: Accounts::new(store.clone(), Arc::clone(&directory)),
            callers: Callers::new(store.clone(), Arc::clone(&directory), sightings().0),
            gate,
            store,
            directory,
        }
    }

    fn user(&self, who: &str) -> Arc<User> {
        self.store.users().by_name(&name(who)).unwrap()
    }

    async fn log_in(&self, who: &str, password: &str) -> Result<(), LoginError> {
        let login = self.gate.log_in(who, Secret::new(password), IP).await;
        login.map(drop)
    }

    /// Everything that somebody can hold.
    async fn everything(&self, who: &str) -> Held {
        let login = self
            .gate
            .log_in(who, Secret::new(PASSWORD), IP)
            .await
            .unwrap();
        let cookie = format!("jupyterhub-hub-login={}", login.cookie.expose());
        let token = async |kind, text: &str| {
            let token = token(login.user.id, kind, text);
            self.store
                .tokens()
                .create(token, Timestamp::now())
                .await
                .unwrap();
            header(AUTHORIZATION, &format!("token {text}"))
        };
        Held {
            cookie: header(COOKIE, &cookie),
            session_id: login.session_id.clone(),
            api: token(TokenKind::Api, "an-api-token").await,
            oauth: token(TokenKind::Oauth, "an-oauth-token").await,
            server: token(TokenKind::Server, "a-server-token").await,
        }
    }

    /// Which of the four open the hub: cookie, API token, OAuth token, server token.
    fn open(&self, held: &Held) -> [bool; 4] {
        [&held.cookie, &held.api, &held.oauth, &held.server].map(|headers| {
            let caller = self.callers.identify(headers);
            caller.is_ok_and(|caller| caller.is_some())
        })
    }

    /// Whether a code that was issued in that login can still be exchanged.
    async fn can_exchange(&self, who: &User, held: &Held) -> bool {
        let token = NewToken {
            session_id: Some(held.session_id.clone()),
            ..token(who.id, TokenKind::Oauth, "exchanged")
        };
        let made = self.store.tokens().create_granted(token, Timestamp::now());
        made.await.is_ok()
    }
}

fn root() -> Actor {
    Actor::command(0, "root")
}

fn name(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn header(name: http::HeaderName, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
}

fn token(owner: crate::store::UserId, kind: TokenKind, text: &str) -> NewToken {
    NewToken {
        hash: Digest::of(text),
        kind,
        owner: Owner::User(owner),
        server: None,
        client_id: None,
        scopes: vec!["inherit".to_owned()],
        note: String::new(),
        expires_at: None,
        session_id: None,
    }
}

#[tokio::test]
async fn what_is_taken_away_is_gone_at_once_by_every_way_in() {
    for (deed, left) in [
        // The server of somebody who has a new password goes on.
        ("password", [false, false, false, true]),
        ("block", [false; 4]),
        ("delete", [false; 4]),
    ] {
        let hub = Hub::new("kind = 'password'\nallowed_users = ['ann']");
        let password = Secret::new(PASSWORD);
        hub.accounts
            .add(&root(), &name("ann"), false, password)
            .await
            .unwrap();
        let held = hub.everything("ann").await;
        assert_eq!(hub.open(&held), [true; 4], "{deed}");
        // A login whose password was found right, and which is not finished.
        let pending = hub
            .gate
            .prove("ann", Secret::new(PASSWORD), IP)
            .await
            .unwrap();
        assert!(hub.can_exchange(&pending, &held).await, "{deed}");
        match deed {
            "password" => {
                let new = Secret::new("another horse");
                hub.accounts
                    .set_password(&root(), &name("ann"), new)
                    .await
                    .unwrap();
            }
            "block" => drop(
                hub.accounts
                    .set_blocked(&root(), &name("ann"), true)
                    .await
                    .unwrap(),
            ),
            _ => drop(hub.accounts.delete(root(), &name("ann")).await.unwrap()),
        }
        assert_eq!(hub.open(&held), left, "{deed}");
        assert!(!hub.can_exchange(&pending, &held).await, "{deed}");
        let late = hub.gate.begin_session(pending, Means::Password, IP).await;
        assert!(matches!(late, Err(LoginError::Wrong)), "{deed}: {late:?}");
        assert!(hub.log_in("ann", PASSWORD).await.is_err(), "{deed}");
        if deed == "block" {
            hub.accounts
                .set_blocked(&root(), &name("ann"), false)
                .await
                .unwrap();
            assert_eq!(hub.open(&held)[..3], [false; 3], "what is gone stays gone");
            hub.log_in("ann", PASSWORD).await.unwrap();
        }
    }
}

#[tokio::test]
async fn who_is_no_admin_any_more_has_no_right_left_by_any_way_in() {
    let hub = Hub::new("kind = 'password'\nallow_all = true");
    let password = Secret::new(PASSWORD);
    hub.accounts
        .add(&root(), &name("root"), true, password)
        .await
        .unwrap();
    let held = hub.everything("root").await;
    let rules = || {
        [&held.cookie, &held.api].map(|headers| {
            let caller = hub.callers.identify(headers).unwrap().unwrap();
            let everybody = caller
                .rights
                .allows(ScopeName::AdminUsers, Target::Everything);
            everybody.is_yes()
        })
    };
    assert_eq!(rules(), [true; 2]);
    let root = hub.user("root");
    hub.store.users().set_admin(root.id, false).await.unwrap();
    assert_eq!(rules(), [false; 2]);
    assert_eq!(hub.open(&held), [true; 4]);
}

#[tokio::test]
async fn who_is_denied_is_denied_before_anything_allows() {
    let rules = "allowed_users = ['ann']\nallowed_groups = ['staff']\nblocked_users = ['eve']";
    let hub = Hub::new(&format!("kind = 'dummy'\nadmin_users = ['root']\n{rules}"));
    let enter = async |who: &str, groups: Option<&[&str]>| {
        let groups = groups.map(|groups| groups.iter().map(|&g| g.to_owned()).collect());
        let name = name(who);
        let identity = None;
        let proven = Proven {
            name,
            groups,
            identity,
        };
        hub.gate.enter(&proven, IP).await.is_ok()
    };
    for (who, groups, may) in [
        ("ann", None, true),
        ("root", None, true),
        ("bob", None, false),
        ("bob", Some(&["staff", "users"][..]), true),
        ("bob", Some(&["users"][..]), false),
        ("eve", Some(&["staff"][..]), false),
        ("eve", None, false),
    ] {
        assert_eq!(enter(who, groups).await, may, "{who} {groups:?}");
    }
    let ann = hub.user("ann");
    hub.store.users().set_blocked(ann.id, true).await.unwrap();
    assert!(!enter("ann", Some(&["staff"])).await);
    assert!(hub.directory.is_blocked(&hub.user("ann")));
    for (from_file, blocked) in [("ann", true), ("ann", false)] {
        hub.accounts
            .set_blocked(&root(), &name(from_file), blocked)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_shared_password_opens_one_door_each() {
    let admin = "a whole sentence that only admins know";
    let hub = Hub::new(&format!(
        "kind = 'shared-password'\nallow_all = true\nadmin_users = ['root']\n\
         [auth.shared-password]\nuser_password = '{PASSWORD}'\nadmin_password = '{admin}'"
    ));
    for (who, password, right) in [
        ("ann", PASSWORD, true),
        (" ANN", PASSWORD, true),
        ("ann", admin, false),
        ("root", admin, true),
        ("root", PASSWORD, false),
        ("Root", PASSWORD, false),
        ("ann", "", false),
    ] {
        let entered = hub.log_in(who, password).await;
        assert_eq!(entered.is_ok(), right, "{who} {entered:?}");
    }
}

#[tokio::test]
async fn who_signs_up_waits_for_an_admin() {
    let closed = Hub::new("kind = 'password'\nallow_all = true");
    let refused = closed.gate.sign_up("ann", Secret::new(PASSWORD), IP).await;
    assert!(matches!(refused, Err(SignupError::NotOffered)));

    let hub =
        Hub::new("kind = 'password'\n[auth.password]\nallow_signup = true\nminimum_length = 10");
    let ask =
        async |who: &str, password: &str| hub.gate.sign_up(who, Secret::new(password), IP).await;
    assert!(matches!(ask("..", PASSWORD).await, Err(SignupError::Name)));
    let short = ask("ann", "123456789").await;
    assert!(matches!(short, Err(SignupError::Password(_))), "{short:?}");
    ask(" Ann", PASSWORD).await.unwrap();
    // A second one is answered alike and changes nothing.
    ask("ann", "of somebody else").await.unwrap();
    assert_eq!(hub.store.users().count(), 0);
    let waiting = hub.log_in("ann", PASSWORD).await;
    assert!(matches!(waiting, Err(LoginError::Waiting)), "{waiting:?}");
    let wrong = hub.log_in("ann", "of somebody else").await;
    assert!(matches!(wrong, Err(LoginError::Wrong)), "{wrong:?}");

    hub.accounts.approve(root(), &name("ann")).await.unwrap();
    hub.log_in("ann", PASSWORD).await.unwrap();
    assert!(!hub.user("ann").admin);
    let ann = hub.user("ann");
    let login = hub.gate.change_password(
        &ann,
        Secret::new(PASSWORD),
        Secret::new("another horse"),
        IP,
    );
    login.await.unwrap();
    assert!(hub.log_in("ann", PASSWORD).await.is_err());
    let gone = hub.accounts.approve(root(), &name("ann")).await;
    assert_eq!(gone.unwrap_err().to_string(), "nobody has signed up as ann");
    let conflict = hub.store.signups().decline(name("ann")).await;
    assert!(matches!(conflict, Err(StoreError::NotFound(_))));
}

#[tokio::test(start_paused = true)]
async fn sign_ups_from_one_place_are_slowed_down() {
    let hub = Hub::new("kind = 'password'\n[auth.password]\nallow_signup = true");
    let mut slowed = false;
    for number in 0..60 {
        let who = format!("user{number}");
        let asked = hub.gate.sign_up(&who, Secret::new(PASSWORD), IP).await;
        slowed |= matches!(asked, Err(SignupError::TooEarly(_)));
    }
    assert!(slowed);
    assert!(hub.store.signups().list().len() < 60);
}
