//! Tokens: how long they live, how long they are, and whose they are.

use http::{Method, StatusCode};
use hub_tests::setup::Setup;
use serde_json::json;
use toml::toml;

/// The longest life of a token here, in seconds.
const MAX: i64 = 3600;

#[tokio::test]
pub(super) async fn ghsa_pvm9_48cg_w76j_no_token_outlives_the_maximum() {
    let hub = Setup::new()
        .set("auth.token_expires_in_max_seconds", MAX)
        .start()
        .await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    let before = hub.trace();
    for wish in [
        "0",
        "-1",
        "1e99",
        "\"60\"",
        "true",
        "3601",
        "1.5",
        "[60]",
        "9223372036854775807",
        "1e3",
        "99999999999999999999999",
    ] {
        let body = format!("{{\"expires_in\": {wish}}}");
        let headers = [("content-type", "application/json")];
        let path = "/hub/api/users/tee/tokens";
        let reply = admin.send(Method::POST, path, &headers, body).await;
        assert_eq!(
            reply.status,
            StatusCode::BAD_REQUEST,
            "{wish}: {}",
            reply.text()
        );
        assert!(
            reply.text().contains("expires_in"),
            "{wish}: {}",
            reply.text()
        );
        hub.assert_no_trace(&before, wish);
        let ran = hub.command(&["token", "new", "--user", "tee", "--expires-in", wish], "");
        let ran = ran.expect("plain arguments");
        assert!(
            !matches!(ran.code, None | Some(0 | 101)),
            "{wish}: {}",
            ran.output
        );
        hub.assert_no_trace(&before, wish);
    }
    // What says nothing lives as long as any may, and no longer.
    for wish in ["{}", "{\"expires_in\": null}", "", "{\"expires_in\": 3600}"] {
        let headers = [("content-type", "application/json")];
        let path = "/hub/api/users/tee/tokens";
        let reply = admin.send(Method::POST, path, &headers, wish).await;
        assert_eq!(
            reply.status,
            StatusCode::CREATED,
            "{wish}: {}",
            reply.text()
        );
    }
    let ran = hub.command(&["token", "new", "--user", "tee"], "");
    assert_eq!(ran.and_then(|ran| ran.code), Some(0));
    let lives = hub
        .command(&["token", "list", "--json"], "")
        .expect("a list");
    let list: serde_json::Value = serde_json::from_str(&lives.output).expect("JSON");
    let list = list.as_array().expect("a list");
    assert_eq!(list.len(), 5);
    assert!(
        list.iter().all(|token| token["expires_at"].is_string()),
        "{list:?}"
    );
}

/// A long token was fed to a slow hash, and a service's right over its own tokens was taken for one
/// over a user's.
#[tokio::test]
pub(super) async fn long_tokens_and_tokens_of_others() {
    let hub = Setup::new()
        .add(
            "service",
            toml! { name = "x"
            api_token = "token-of-the-service-x" },
        )
        .add(
            "role",
            toml! { name = "of-x"
            scopes = ["tokens!service=x", "read:tokens!service=x"]
            services = ["x"] },
        )
        .start()
        .await;
    hub.admin().create(&["tee"]).await;
    hub.admin().token_for("tee").await;
    let before = hub.trace();
    // As long as a head may be; what is longer is refused as a head.
    for length in [129, 8 << 10, 60 << 10] {
        let long = "a".repeat(length);
        for path in ["/user", "/users", "/users/tee/tokens"] {
            let reply = hub.api(Some(&long)).get(path).await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{length} {path}");
            assert!(reply.text().contains("at most"), "{}", reply.text());
        }
    }
    let long = "a".repeat(64 << 10);
    let reply = hub.api(Some(&long)).get("/user").await;
    assert!(reply.status.is_client_error(), "{}", reply.status);
    let x = hub.api(Some("token-of-the-service-x"));
    for (method, path, body) in [
        (Method::GET, "/users/tee/tokens", None),
        (Method::GET, "/users/tee/tokens/a1", None),
        (Method::DELETE, "/users/tee/tokens/a1", None),
        (Method::POST, "/users/tee/tokens", Some(json!({}))),
        (Method::POST, "/users/x/tokens", Some(json!({}))),
    ] {
        let case = format!("{method} {path}");
        let reply = x.call(method, path, body.as_ref()).await;
        let refused = [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND];
        assert!(refused.contains(&reply.status), "{case}: {}", reply.text());
        hub.assert_no_trace(&before, &case);
    }
}
