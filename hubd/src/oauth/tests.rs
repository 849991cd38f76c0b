//! The provider over an empty store: what the contract says of its two steps.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;
use http::header::COOKIE;
use jiff::Timestamp;
use spawner_core::{LaunchId, Secret, ServerId, ServerName, UserName, UserOptions};

use super::*;
use crate::auth::caller::{Caller, Callers};
use crate::auth::directory::Directory;
use crate::auth::sightings::sightings;
use crate::config::Config;
use crate::store::{Digest, NewClient, NewLaunch, NewSession, Store};

const CLIENT: &str = "jupyterhub-user-tee";
const REDIRECT: &str = "/user/tee/oauth_callback";
const SECRET: &str = "the-servers-token";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// `tee` may use both services.
const CONFIG: &str = r#"
auth = { kind = "dummy", allow_all = true, admin_users = ["root"] }
[[service]]
name = "whoami"
api_token = "token-of-whoami"
url = "http://127.0.0.1:1"
[[service]]
name = "outside"
api_token = "token-of-outside"
oauth_redirect_uri = "https://outside.example.org/back"
oauth_no_confirm = true
[[role]]
name = "people"
scopes = ["access:services"]
users = ["tee"]
"#;

struct Bench {
    store: Store,
    provider: Provider,
    callers: Callers,
}

/// A hub where tee's server runs, `root` is an admin and `eve` nobody in particular.
async fn bench() -> Bench {
    let store = Store::open_in_memory().unwrap();
    let directory =
        Arc::new(Directory::new(&Config::parse(CONFIG, "test").unwrap(), store.clone()).unwrap());
    let now = Timestamp::now();
    let names = ["tee", "root", "eve"]
        .map(|name| UserName::new(name).unwrap())
        .to_vec();
    for user in store.users().create(names, false, now).await.unwrap() {
        let session = NewSession {
            hash: Digest::of(&format!("cookie-of-{}", user.name)),
            user: user.id,
            password_hash: None,
            session_id: format!("session-of-{}", user.name),
            expires_at: Timestamp::MAX,
        };
        store.sessions().create(session, now).await.unwrap();
    }
    let tee = store
        .users()
        .by_name(&UserName::new("tee").unwrap())
        .unwrap();
    let row = store
        .servers()
        .ensure(tee.id, ServerName::default_server(), None)
        .await
        .unwrap();
    let secret = Digest::of(SECRET);
    let launch = NewLaunch {
        launch_id: LaunchId::random(),
        token: secret,
        token_scopes: Vec::new(),
        token_note: String::new(),
        client: NewClient {
            client_id: CLIENT.into(),
            secret,
            redirect_uri: REDIRECT.into(),
            allowed_scopes: Vec::new(),
        },
        options: UserOptions::default(),
    };
    store
        .servers()
        .begin_launch(row.id, launch, now)
        .await
        .unwrap();
    let service = |name: &str, redirect_uri: &str| {
        let client = NewClient {
            client_id: format!("service-{name}"),
            secret: Digest::of(&format!("token-of-{name}")),
            redirect_uri: redirect_uri.into(),
            allowed_scopes: Vec::new(),
        };
        (name.to_owned(), client)
    };
    let services = vec![
        service("whoami", "/services/whoami/oauth_callback"),
        service("outside", "https://outside.example.org/back"),
        service("gone", "/services/gone/oauth_callback"),
    ];
    store.clients().set_of_services(services).await.unwrap();
    let callers = Callers::new(store.clone(), Arc::clone(&directory), sightings().0);
    Bench {
        provider: Provider::new(store.clone(), directory),
        store,
        callers,
    }
}

fn query() -> AuthorizeQuery {
    AuthorizeQuery {
        client_id: Some(CLIENT.into()),
        redirect_uri: Some(REDIRECT.into()),
        response_type: Some("code".into()),
        scope: None,
        state: Some("st&te".into()),
        code_challenge: Some(CHALLENGE.into()),
        code_challenge_method: Some("S256".into()),
    }
}

fn form(code: &str) -> TokenForm {
    TokenForm {
        grant_type: Some("authorization_code".into()),
        client_id: Some(CLIENT.into()),
        client_secret: Some(Secret::new(SECRET)),
        code: Some(Secret::new(code)),
        redirect_uri: Some(REDIRECT.into()),
        code_verifier: Some(Secret::new(VERIFIER)),
    }
}

/// The parameters that a redirect carries back.
fn parameters(step: &Step) -> HashMap<String, String> {
    parameters_to(REDIRECT, step)
}

fn parameters_to(redirect: &str, step: &Step) -> HashMap<String, String> {
    let Step::Back(url) = step else {
        panic!("{step:?}")
    };
    let (path, query) = url.split_once('?').unwrap();
    assert_eq!(path, redirect);
    url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

impl Bench {
    fn visitor(&self, name: &str) -> Caller {
        let mut headers = HeaderMap::new();
        let cookie = format!("jupyterhub-hub-login=cookie-of-{name}");
        headers.insert(COOKIE, cookie.parse().unwrap());
        self.callers
            .by_cookie(&headers, Timestamp::now())
            .unwrap()
            .unwrap()
    }
    fn authorize(&self, who: &str, query: &AuthorizeQuery) -> Step {
        self.provider
            .authorize(query, &self.visitor(who), Consent::NotAsked)
    }
    fn code(&self, who: &str) -> String {
        let step = self
            .provider
            .authorize(&query(), &self.visitor(who), Consent::Given);
        parameters(&step).remove("code").unwrap()
    }
}

#[tokio::test]
async fn an_owner_gets_a_code_and_a_token_that_opens_the_server() {
    let bench = bench().await;
    let step = bench.authorize("tee", &query());
    let back = parameters(&step);
    assert_eq!(back["state"], "st&te");
    let reply = bench.provider.exchange(form(&back["code"])).await.unwrap();
    assert_eq!(
        reply.scopes,
        [
            "access:servers!server=tee/",
            "read:users:name!user",
            "read:users:groups!user"
        ]
    );
    assert_eq!(reply.expires_in, 1_209_600);
    let mut headers = HeaderMap::new();
    let bearer = format!("token {}", reply.access_token.expose());
    headers.insert(http::header::AUTHORIZATION, bearer.parse().unwrap());
    let visitor = bench.callers.identify(&headers).unwrap().unwrap();
    assert_eq!(visitor.session_id(), Some("session-of-tee"));
    assert_eq!(
        visitor.rights.texts(),
        [
            "access:servers!server=tee/",
            "read:users:groups!user=tee",
            "read:users:name!user=tee"
        ]
    );
}

#[tokio::test]
async fn who_asks_wrongly_is_not_redirected() {
    let bench = bench().await;
    for query in [
        AuthorizeQuery {
            client_id: None,
            ..query()
        },
        AuthorizeQuery {
            client_id: Some("jupyterhub-user-eve".into()),
            ..query()
        },
        AuthorizeQuery {
            redirect_uri: Some("/user/eve/oauth_callback".into()),
            ..query()
        },
        AuthorizeQuery {
            redirect_uri: Some("//evil/oauth_callback".into()),
            ..query()
        },
        AuthorizeQuery {
            redirect_uri: Some(format!("{REDIRECT}/")),
            ..query()
        },
        AuthorizeQuery {
            redirect_uri: Some(format!("{REDIRECT}#x")),
            ..query()
        },
    ] {
        assert!(matches!(bench.authorize("tee", &query), Step::Invalid(_)));
    }
}

#[tokio::test]
async fn other_mistakes_go_back_to_the_server() {
    let bench = bench().await;
    for (query, error) in [
        (
            AuthorizeQuery {
                response_type: None,
                ..query()
            },
            "invalid_request",
        ),
        (
            AuthorizeQuery {
                response_type: Some("token".into()),
                ..query()
            },
            "unsupported_response_type",
        ),
        (
            AuthorizeQuery {
                scope: Some("admin:users".into()),
                ..query()
            },
            "invalid_scope",
        ),
        (
            AuthorizeQuery {
                code_challenge_method: Some("S1".into()),
                ..query()
            },
            "invalid_request",
        ),
    ] {
        let back = parameters(&bench.authorize("tee", &query));
        assert_eq!(
            (back["error"].as_str(), back["state"].as_str()),
            (error, "st&te")
        );
    }
    let plain = AuthorizeQuery {
        redirect_uri: None,
        scope: Some("identify access:servers!server=tee/".into()),
        state: None,
        ..query()
    };
    let back = parameters(&bench.authorize("tee", &plain));
    assert!(back.contains_key("code") && !back.contains_key("state"));
}

#[tokio::test]
async fn others_are_asked_or_turned_away() {
    let bench = bench().await;
    assert!(matches!(
        bench.authorize("eve", &query()),
        Step::Forbidden(_)
    ));
    let Step::Ask { asker, .. } = bench.authorize("root", &query()) else {
        panic!("not asked")
    };
    assert_eq!(
        asker,
        Asker::Server("tee".parse().map(ServerId::default_of).unwrap())
    );
    // Once granted, they are not asked again.
    bench
        .provider
        .exchange(form(&bench.code("root")))
        .await
        .unwrap();
    assert!(parameters(&bench.authorize("root", &query())).contains_key("code"));
}

#[tokio::test]
async fn a_service_signs_in_whoever_may_use_it() {
    const CALLBACK: &str = "/services/whoami/oauth_callback";
    let bench = bench().await;
    let ask = |name: &str, redirect: Option<&str>| AuthorizeQuery {
        client_id: Some(format!("service-{name}")),
        redirect_uri: redirect.map(str::to_owned),
        ..query()
    };
    let whoami = || ask("whoami", None);
    let asker = Asker::Service("whoami".into());
    assert_eq!(
        bench.authorize("eve", &whoami()),
        Step::Forbidden(asker.clone())
    );
    let step = bench.authorize("tee", &whoami());
    let Step::Ask {
        asker: asks,
        scopes,
    } = step
    else {
        panic!("{step:?}")
    };
    assert_eq!(
        (asks, scopes[0].as_str()),
        (asker, "access:services!service=whoami")
    );
    // Only where it is registered, and only as long as it is configured.
    for query in [
        ask("whoami", Some("/services/outside/oauth_callback")),
        ask("whoami", Some("https://outside.example.org/back")),
        ask("gone", None),
    ] {
        assert!(matches!(bench.authorize("tee", &query), Step::Invalid(_)));
    }

    let consent = Consent::Given;
    let visitor = bench.visitor("tee");
    let step = bench.provider.authorize(&whoami(), &visitor, consent);
    let exchange = |name: &str, code: &str, secret: &str| {
        let form = TokenForm {
            client_id: Some(format!("service-{name}")),
            client_secret: Some(Secret::new(secret)),
            redirect_uri: None,
            ..form(code)
        };
        bench.provider.exchange(form)
    };
    let code = parameters_to(CALLBACK, &step)["code"].clone();
    let wrong = exchange("whoami", &code, "token-of-outside").await;
    assert!(matches!(wrong, Err(ExchangeError::Client)));
    let reply = exchange("whoami", &code, "token-of-whoami").await.unwrap();
    let headers = [(
        "authorization",
        format!("token {}", reply.access_token.expose()),
    )];
    let headers: HeaderMap = headers
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .into_iter()
        .collect();
    let caller = bench.callers.identify(&headers).unwrap().unwrap();
    assert_eq!(
        caller.rights.texts(),
        [
            "access:services!service=whoami",
            "read:users:groups!user=tee",
            "read:users:name!user=tee",
        ]
    );
    // Once granted, they are not asked again.
    assert!(parameters_to(CALLBACK, &bench.authorize("tee", &whoami())).contains_key("code"));

    // One that the people who run the hub vouch for, on another host.
    let Step::Away(to) = bench.authorize("tee", &ask("outside", None)) else {
        panic!("not sent away")
    };
    assert!(
        to.starts_with("https://outside.example.org/back?code="),
        "{to}"
    );
}

#[tokio::test]
async fn a_token_request_has_to_be_right() {
    let bench = bench().await;
    let code = bench.code("tee");
    let error = async |form: TokenForm| match bench.provider.exchange(form).await {
        Err(ExchangeError::Bad { error, .. }) => error,
        Err(ExchangeError::Client) => "invalid_client",
        other => panic!("{other:?}"),
    };
    for (form, expected) in [
        (
            TokenForm {
                grant_type: None,
                ..form(&code)
            },
            "invalid_request",
        ),
        (
            TokenForm {
                grant_type: Some("password".into()),
                ..form(&code)
            },
            "unsupported_grant_type",
        ),
        (
            TokenForm {
                client_secret: None,
                ..form(&code)
            },
            "invalid_client",
        ),
        (
            TokenForm {
                client_secret: Some(Secret::new("wrong")),
                ..form(&code)
            },
            "invalid_client",
        ),
        (
            TokenForm {
                client_id: Some("nobody".into()),
                ..form(&code)
            },
            "invalid_client",
        ),
        (
            TokenForm {
                code: None,
                ..form(&code)
            },
            "invalid_request",
        ),
        (
            TokenForm {
                code: Some(Secret::new("unknown")),
                ..form(&code)
            },
            "invalid_grant",
        ),
        (
            TokenForm {
                redirect_uri: Some("/elsewhere".into()),
                ..form(&code)
            },
            "invalid_request",
        ),
        (
            TokenForm {
                code_verifier: None,
                ..form(&code)
            },
            "invalid_request",
        ),
        (
            TokenForm {
                code_verifier: Some(Secret::new("wrong")),
                ..form(&code)
            },
            "invalid_grant",
        ),
    ] {
        assert_eq!(error(form).await, expected);
    }
    // None of these used the code up, and an absent redirect address is allowed.
    let fine = TokenForm {
        redirect_uri: None,
        ..form(&code)
    };
    let reply = bench.provider.exchange(fine).await.unwrap();
    let token = Digest::of(reply.access_token.expose());
    assert!(
        bench
            .store
            .tokens()
            .find(&token, Timestamp::now())
            .is_some()
    );
    // Presented again, it takes the token of its first use with it.
    assert_eq!(error(form(&code)).await, "invalid_grant");
    assert!(
        bench
            .store
            .tokens()
            .find(&token, Timestamp::now())
            .is_none()
    );
}

#[tokio::test]
async fn pkce_is_optional() {
    let bench = bench().await;
    let without = AuthorizeQuery {
        code_challenge: None,
        code_challenge_method: None,
        ..query()
    };
    let back = parameters(&bench.authorize("tee", &without));
    let form = TokenForm {
        code_verifier: None,
        ..form(&back["code"])
    };
    assert!(bench.provider.exchange(form).await.is_ok());
}

/// A code is no longer worth more than the login in which it was issued.
#[tokio::test]
async fn a_code_ends_with_the_login_that_it_came_from() {
    for deed in ["logout", "block", "password", "delete"] {
        let bench = bench().await;
        let code = bench.code("tee");
        let tee = bench.visitor("tee");
        let (user, users) = (tee.user().unwrap(), bench.store.users());
        match deed {
            "logout" => {
                let session = tee.session_id().unwrap();
                bench.store.sessions().log_out(user.id, session).await
            }
            "block" => users.set_blocked(user.id, true).await.map(drop),
            "password" => users.change_password(user.id, None).await.map(drop),
            _ => {
                let server = bench.store.servers().of(user.id)[0].id;
                let now = Timestamp::now();
                let servers = bench.store.servers();
                servers.mark_stopped(server, None, now).await.unwrap();
                users.delete(user.id).await
            }
        }
        .unwrap();
        let late = bench.provider.exchange(form(&code)).await;
        let refused = late.map(drop).unwrap_err();
        assert!(
            matches!(refused, ExchangeError::Bad { .. } | ExchangeError::Client),
            "{deed}: {refused}"
        );
        let owner = crate::store::Owner::User(user.id);
        let tokens = bench.store.tokens().of(&owner, Timestamp::now());
        let kinds = tokens.iter().map(|token| token.kind);
        let granted = kinds.filter(|kind| *kind == crate::store::TokenKind::Oauth);
        assert_eq!(granted.count(), 0, "{deed}");
    }
}
