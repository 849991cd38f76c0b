//! Bodies of the wrong shape, the wrong size and the wrong kind.

use http::{Method, StatusCode};
use hub_tests::http::raw;
use hub_tests::hub::TestHub;
use hub_tests::setup::ADMIN_TOKEN;

use super::{assert_refused, assert_unharmed};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

#[tokio::test]
async fn json_of_the_wrong_shape() {
    let hub = TestHub::start().await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    let deep = "[".repeat(100_000);
    let texts: [&[u8]; 12] = [
        b"[]",
        b"\"x\"",
        b"1",
        b"{",
        b"{\"usernames\": [\"ann\"]} x",
        b"\xff\xfe",
        b"\xef\xbb\xbf[]",
        b"{\"usernames\": NaN}",
        b"nul",
        b"{'usernames': []}",
        b"[\"\\ud800\"]",
        deep.as_bytes(),
    ];
    for path in [
        "/users",
        "/users/tee/server",
        "/users/tee/activity",
        "/users/tee/tokens",
    ] {
        for text in texts {
            let case = format!("{path} {:.40}", String::from_utf8_lossy(text));
            let path = format!("/hub/api{path}");
            let reply = admin.send(Method::POST, &path, &JSON, text.to_vec()).await;
            assert_eq!(
                reply.status,
                StatusCode::BAD_REQUEST,
                "{case}: {}",
                reply.text()
            );
            assert_refused(&reply, &case);
        }
    }
    for (path, body) in [
        ("/users", r"{}"),
        ("/users", r#"{"usernames": "ann"}"#),
        ("/users", r#"{"usernames": []}"#),
        ("/users", r#"{"usernames": [1]}"#),
        ("/users", r#"{"usernames": [null]}"#),
        ("/users", r#"{"usernames": {"ann": 1}}"#),
        ("/users", r#"{"usernames": ["ann"], "admin": "yes"}"#),
        ("/users", r#"{"usernames": ["ann"], "admni": true}"#),
        ("/users/tee/activity", r#"{"last_activity": 5}"#),
        ("/users/tee/activity", r#"{"servers": []}"#),
        ("/users/tee/tokens", r#"{"scopes": "all"}"#),
        ("/users/tee/tokens", r#"{"note": 5}"#),
    ] {
        let full = format!("/hub/api{path}");
        let reply = admin.send(Method::POST, &full, &JSON, body).await;
        assert_eq!(
            reply.status,
            StatusCode::BAD_REQUEST,
            "{path} {body}: {}",
            reply.text()
        );
        assert_refused(&reply, body);
    }
    assert_unharmed(&hub, &["tee"]).await;
    assert!(
        hub.servers().is_empty(),
        "a start that was refused starts nothing"
    );
}

#[tokio::test]
async fn ten_megabytes() {
    let hub = TestHub::start().await;
    hub.admin().create(&["tee"]).await;
    let json = format!(r#"{{"usernames": ["{}"]}}"#, "a".repeat(10 << 20));
    let form = format!("username={}", "a".repeat(10 << 20));
    for (path, kind, body) in [
        ("/hub/api/users", "json", &json),
        ("/hub/api/users/tee/server", "json", &json),
        ("/hub/api/users/tee/activity", "json", &json),
        ("/hub/api/users/tee/tokens", "json", &json),
        ("/hub/api/oauth2/token", "x-www-form-urlencoded", &form),
        ("/hub/login", "x-www-form-urlencoded", &form),
    ] {
        // Written by hand, because a refusal may come before all has been sent, which client
        // libraries take for an error.
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: token {ADMIN_TOKEN}\r\n\
             content-type: application/{kind}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let status = raw(hub.origin(), request.as_bytes()).await;
        let refused = status.is_some_and(|status| status.is_client_error());
        assert!(refused, "{path}: {status:?}");
    }
    assert_unharmed(&hub, &["tee"]).await;
}

#[tokio::test]
async fn methods_and_paths_that_are_not_there() {
    let hub = TestHub::start().await;
    let admin = hub.admin();
    for (method, path, status) in [
        (Method::DELETE, "/users", 405),
        (Method::PUT, "/user", 405),
        (Method::GET, "/nothing", 404),
        (Method::GET, "/users/nobody", 404),
        (Method::POST, "/users/nobody/server", 404),
    ] {
        let reply = admin.call(method.clone(), path, None).await;
        assert_eq!(
            reply.status.as_u16(),
            status,
            "{method} {path}: {}",
            reply.text()
        );
        assert_refused(&reply, path);
        assert!(
            !reply.header("x-jupyterhub-version").is_empty(),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn headers_beyond_all_measure() {
    let hub = TestHub::start().await;
    let nobody = hub.api(None);
    let long = "a".repeat(64 << 10);
    let many: Vec<(&str, &str)> = vec![("x-many", "1"); 1000];
    for headers in [
        &[("cookie", long.as_str())][..],
        &[("authorization", &long)],
        &many,
    ] {
        let reply = nobody.send(Method::GET, "/hub/api/user", headers, "").await;
        assert!(reply.status.is_client_error(), "{}", reply.status);
    }
    assert_unharmed(&hub, &[]).await;
}
