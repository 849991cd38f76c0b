//! The provider over an empty store: what the contract says of its two steps.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;
use http::header::COOKIE;
use jiff::Timestamp;
use spawner_core::{LaunchId, Secret, ServerName, UserName, UserOptions};

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

struct Bench {
    store: Store,
    provider: Provider,
    callers: Callers,
}

/// A hub where tee's server runs, `root` is an admin and `eve` nobody in particular.
async fn bench() -> Bench {
    let store = Store::open_in_memory().unwrap();
    let config = "[auth]\nkind = \"dummy\"\nallow_all = true\nadmin_users = [\"root\"]\n";
    let directory = Arc::new(Directory::new(&Config::parse(config, "test").unwrap()).unwrap());
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
    let Step::Back(url) = step else {
        panic!("{step:?}")
    };
    let (path, query) = url.split_once('?').unwrap();
    assert_eq!(path, REDIRECT);
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
    assert_eq!(bench.authorize("eve", &query()), Step::Forbidden);
    let Step::Ask { server, .. } = bench.authorize("root", &query()) else {
        panic!("not asked")
    };
    assert_eq!(server.user.as_str(), "tee");
    // Once granted, they are not asked again.
    bench
        .provider
        .exchange(form(&bench.code("root")))
        .await
        .unwrap();
    assert!(parameters(&bench.authorize("root", &query())).contains_key("code"));
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
