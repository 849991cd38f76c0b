//! The OAuth provider, asked by a test in the place of a server whose credentials it knows.

use http::{Method, StatusCode};
use hub_tests::browser::Browser;
use hub_tests::http::Reply;
use hub_tests::hub::TestHub;
use hub_tests::setup::PASSWORD;
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded::Serializer;

/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The running server of `tee`, and tee's browser, logged in.
struct Client {
    hub: TestHub,
    browser: Browser,
    secret: String,
}

impl Client {
    async fn new() -> Self {
        let hub = TestHub::start().await;
        hub.admin().create(&["tee", "ann"]).await;
        hub.admin().start("tee").await;
        let mut browser = hub.browser();
        let told = browser
            .fetch(Method::GET, "/user/tee/env", None)
            .await
            .json();
        let secret = told["JUPYTERHUB_API_TOKEN"].as_str().unwrap().to_owned();
        browser.log_in("/hub/home", "tee", PASSWORD).await;
        Self {
            hub,
            browser,
            secret,
        }
    }

    /// The authorize request as a server makes it, with some fields set or (by "") left out.
    fn authorize(changes: &[(&str, &str)]) -> String {
        let usual = [
            ("client_id", "jupyterhub-user-tee"),
            ("redirect_uri", "/user/tee/oauth_callback"),
            ("response_type", "code"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("state", "st"),
        ];
        format!("/hub/api/oauth2/authorize?{}", with(&usual, changes))
    }

    /// A code for the authorize request with these changes.
    async fn code(&mut self, changes: &[(&str, &str)]) -> String {
        let page = self.browser.look(&Self::authorize(changes)).await;
        let location = page
            .reply
            .location()
            .unwrap_or_else(|| panic!("{}", page.reply.text()));
        let url = page.url.join(location).unwrap();
        assert_eq!(url.path(), "/user/tee/oauth_callback");
        query(&url, "code").unwrap_or_else(|| panic!("{url}"))
    }

    /// Changes a code for a token, with some fields set or (by "") left out.
    async fn token(&self, code: &str, changes: &[(&str, &str)]) -> Reply {
        let usual = [
            ("client_id", "jupyterhub-user-tee"),
            ("client_secret", self.secret.as_str()),
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", "/user/tee/oauth_callback"),
            ("code_verifier", VERIFIER),
        ];
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let api = self.hub.api(None);
        api.send(
            Method::POST,
            "/hub/api/oauth2/token",
            &form,
            with(&usual, changes),
        )
        .await
    }
}

fn with(usual: &[(&str, &str)], changes: &[(&str, &str)]) -> String {
    let kept = usual
        .iter()
        .filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    let set = changes.iter().filter(|(_, value)| !value.is_empty());
    Serializer::new(String::new())
        .extend_pairs(kept.chain(set))
        .finish()
}

fn query(url: &Url, name: &str) -> Option<String> {
    url.query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn a_visitor_s_token_says_who_they_are_and_what_they_may() {
    let mut client = Client::new().await;
    let code = client.code(&[]).await;
    let reply = client.token(&code, &[]).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert_eq!(reply.header("cache-control"), "no-store");
    let granted = reply.json();
    assert_eq!(
        (&granted["token_type"], granted["expires_in"].is_u64()),
        (&json!("Bearer"), true)
    );
    let visitor = client.hub.api(granted["access_token"].as_str());
    let model = visitor.get("/user").await.json();
    assert_eq!(
        (&model["name"], &model["kind"]),
        (&json!("tee"), &json!("user"))
    );
    let scopes = model["scopes"].as_array().unwrap();
    assert!(
        scopes.contains(&json!("access:servers!server=tee/")),
        "{scopes:?}"
    );
    assert!(
        scopes
            .iter()
            .all(|scope| scope != "self" && scope != "inherit"),
        "{scopes:?}"
    );
    let session = client.browser.cookie("jupyterhub-session-id", "/");
    assert_eq!(model["session_id"].as_str(), session.as_deref());
    assert_eq!(
        visitor.delete("/users/tee/server").await.status,
        StatusCode::FORBIDDEN
    );

    client.browser.get("/hub/logout").await;
    let status = visitor.get("/user").await.status;
    assert_eq!(
        status,
        StatusCode::FORBIDDEN,
        "a logout takes it back; never 401 or 404"
    );
}

#[tokio::test]
async fn a_stop_takes_the_visitors_tokens_back() {
    let mut client = Client::new().await;
    let code = client.code(&[]).await;
    let granted = client.token(&code, &[]).await.json();
    let visitor = client.hub.api(granted["access_token"].as_str());
    assert_eq!(visitor.get("/user").await.status, StatusCode::OK);
    client.hub.admin().stop("tee").await;
    assert_eq!(visitor.get("/user").await.status, StatusCode::FORBIDDEN);
}

/// The tokens of a run end with it, also when nobody was there to see it end.
#[tokio::test]
async fn no_token_outlives_a_server_that_ended_while_the_hub_was_down() {
    let mut client = Client::new().await;
    let code = client.code(&[]).await;
    let granted = client.token(&code, &[]).await.json();
    let hub = &mut client.hub;
    let visitor = hub.api(granted["access_token"].as_str());
    let own = hub.api(Some(&client.secret));
    let program = hub.admin().token_for("tee").await;
    for token in [&visitor, &own, &program] {
        assert_eq!(token.get("/user").await.status, StatusCode::OK);
    }

    hub.kill().await;
    hub_tests::processes::end_all(hub.folder());
    hub.start_again().await;
    hub.admin().until_stopped("tee").await;

    for token in [&visitor, &own] {
        assert_eq!(token.get("/user").await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(program.get("/user").await.status, StatusCode::OK);
    let left = hub.admin().get("/users/tee/tokens").await.json();
    let left = left["api_tokens"].as_array().expect("a list");
    assert_eq!(left.len(), 1, "the one that is no server's: {left:?}");
}

/// Nothing waits for a clock: what was taken away is gone when the answer is there.
#[tokio::test]
async fn logout_block_and_deletion_end_what_was_granted_and_what_could_be() {
    for deed in ["logout", "block", "delete"] {
        let mut client = Client::new().await;
        let code = client.code(&[]).await;
        let granted = client.token(&code, &[]).await.json();
        let visitor = client.hub.api(granted["access_token"].as_str());
        let program = client.hub.admin().token_for("tee").await;
        let late = client.code(&[]).await;
        for token in [&visitor, &program] {
            assert_eq!(token.get("/user").await.status, StatusCode::OK, "{deed}");
        }
        let admin = client.hub.admin();
        let done = match deed {
            "logout" => client.browser.look("/hub/logout").await.reply,
            "block" => admin.call(Method::PUT, "/users/tee/block", None).await,
            _ => admin.delete("/users/tee").await,
        };
        assert!(done.status.as_u16() < 400, "{deed}: {}", done.text());
        assert_eq!(
            visitor.get("/user").await.status,
            StatusCode::FORBIDDEN,
            "{deed}"
        );
        let home = client.browser.look("/hub/home").await;
        assert_eq!(home.status(), 302, "{deed}");
        let refused = client.token(&late, &[]).await;
        let error = refused.json()["error"].clone();
        assert!(
            error == "invalid_grant" || error == "invalid_client",
            "{deed}: {error}"
        );
        let own = program.get("/user").await.status;
        if deed == "logout" {
            assert_eq!(error, "invalid_grant");
            assert_eq!(
                own,
                StatusCode::OK,
                "a token of one's own is no part of a login"
            );
        } else {
            assert_eq!(own, StatusCode::FORBIDDEN, "{deed}");
            client.hub.until_no_server_is_left().await;
        }
        if deed == "block" {
            let mut again = client.hub.browser();
            let page = again.log_in("/hub/home", "tee", PASSWORD).await;
            assert_eq!(page.status(), 403);
            let freed = admin.delete("/users/tee/block").await;
            assert_eq!(freed.status, StatusCode::NO_CONTENT);
            let page = again.log_in("/hub/home", "tee", PASSWORD).await;
            assert_eq!(page.status(), 200);
            assert_eq!(visitor.get("/user").await.status, StatusCode::FORBIDDEN);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_sent_back_is_refused_on_the_spot() {
    let mut client = Client::new().await;
    for changes in [
        &[("client_id", "")][..],
        &[("client_id", "jupyterhub-user-nobody")],
        &[("redirect_uri", "/user/ann/oauth_callback")],
        &[("redirect_uri", "/user/tee/oauth_callback/")],
        &[("redirect_uri", "//evil.example/user/tee/oauth_callback")],
        &[(
            "redirect_uri",
            "http://evil.example/user/tee/oauth_callback",
        )],
        &[("redirect_uri", "/user/tee/oauth_callback#x")],
    ] {
        let page = client.browser.look(&Client::authorize(changes)).await;
        assert_eq!(page.status(), 400, "{changes:?}");
        assert_eq!(page.reply.location(), None, "{changes:?}");
    }
}

#[tokio::test]
async fn other_mistakes_are_told_to_the_server() {
    let mut client = Client::new().await;
    for (changes, error) in [
        (&[("response_type", "")][..], "invalid_request"),
        (&[("response_type", "token")], "unsupported_response_type"),
        (&[("scope", "admin:users")], "invalid_scope"),
        (&[("scope", "no:such:scope")], "invalid_scope"),
        (&[("code_challenge_method", "S512")], "invalid_request"),
    ] {
        let page = client.browser.look(&Client::authorize(changes)).await;
        let location = page
            .reply
            .location()
            .unwrap_or_else(|| panic!("{changes:?}"));
        let url = page.url.join(location).unwrap();
        assert_eq!(url.path(), "/user/tee/oauth_callback", "{changes:?}");
        assert_eq!(query(&url, "error").as_deref(), Some(error), "{changes:?}");
        assert_eq!(query(&url, "state").as_deref(), Some("st"), "{changes:?}");
        assert_eq!(query(&url, "code"), None, "{changes:?}");
    }
}

#[tokio::test]
async fn only_those_who_may_get_a_code() {
    let client = Client::new().await;
    let address = Client::authorize(&[]);
    let page = client.hub.browser().look(&address).await;
    let location = page.reply.location().expect("a redirect to the login");
    let url = page.url.join(location).unwrap();
    assert_eq!((page.status(), url.path()), (302, "/hub/login"));
    assert_eq!(query(&url, "next").as_deref(), Some(address.as_str()));

    let mut ann = client.hub.browser();
    ann.log_in("/hub/home", "ann", PASSWORD).await;
    let page = ann.look(&address).await;
    assert_eq!((page.status(), page.reply.location()), (403, None));

    let token = client.hub.admin().token_for("tee").await;
    let reply = token
        .get("/oauth2/authorize?client_id=jupyterhub-user-tee&response_type=code")
        .await;
    assert_eq!(
        reply.status,
        StatusCode::FOUND,
        "a token is no login: {}",
        reply.text()
    );
    assert!(reply.location().unwrap().starts_with("/hub/login"));
}

#[tokio::test]
async fn a_code_is_for_one_use_of_one_client() {
    let mut client = Client::new().await;
    for (changes, status, error) in [
        (&[("client_secret", "wrong")][..], 401, "invalid_client"),
        (&[("client_secret", "")], 401, "invalid_client"),
        (
            &[("client_id", "jupyterhub-user-nobody")],
            401,
            "invalid_client",
        ),
        (
            &[(
                "code_verifier",
                "wrong-wrong-wrong-wrong-wrong-wrong-wrong-wrong",
            )],
            400,
            "invalid_grant",
        ),
        (&[("code_verifier", "")], 400, "invalid_request"),
        (&[("code", "")], 400, "invalid_request"),
        (&[("code", "made-up")], 400, "invalid_grant"),
        (
            &[("redirect_uri", "/user/ann/oauth_callback")],
            400,
            "invalid_request",
        ),
        (&[("grant_type", "password")], 400, "unsupported_grant_type"),
    ] {
        let code = client.code(&[]).await;
        let reply = client.token(&code, changes).await;
        assert_eq!(
            reply.status.as_u16(),
            status,
            "{changes:?}: {}",
            reply.text()
        );
        assert_eq!(reply.json()["error"], error, "{changes:?}");
        assert!(reply.json().get("access_token").is_none(), "{changes:?}");
    }

    let code = client.code(&[]).await;
    let first = client.token(&code, &[]).await.json();
    let visitor = client.hub.api(first["access_token"].as_str());
    assert_eq!(visitor.get("/user").await.status, StatusCode::OK);
    let again = client.token(&code, &[]).await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["error"]),
        (400, &json!("invalid_grant"))
    );
    // One of the two who had the code should not have had it.
    assert_eq!(visitor.get("/user").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn old_clients_need_no_proof_key() {
    let mut client = Client::new().await;
    let none = [("code_challenge", ""), ("code_challenge_method", "")];
    let code = client.code(&none).await;
    let reply = client
        .token(&code, &[("code_verifier", ""), ("redirect_uri", "")])
        .await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());

    let plain = [("code_challenge", VERIFIER), ("code_challenge_method", "")];
    let code = client.code(&plain).await;
    let reply = client.token(&code, &[]).await;
    assert_ne!(
        reply.json()["access_token"],
        Value::Null,
        "no method means plain: {}",
        reply.text()
    );
}
