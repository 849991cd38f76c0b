//! Bodies of the wrong shape, the wrong size and the wrong kind.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use hub_tests::http::raw;
use hub_tests::hub::TestHub;
use hub_tests::setup::{ADMIN_TOKEN, Setup};
use serde_json::json;

use super::{assert_refused, assert_unharmed};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// Every call that reads a body, with the fields that it cannot do without.
const WRITES: [(&str, &str, &str); 21] = [
    ("POST", "/users", r#""usernames":["ann"]"#),
    ("POST", "/users/ann", ""),
    ("PATCH", "/users/tee", ""),
    ("POST", "/users/tee/server", ""),
    ("PUT", "/users/tee/server", ""),
    ("PATCH", "/users/tee/server", ""),
    ("DELETE", "/users/tee/server", ""),
    ("POST", "/users/tee/servers/new", ""),
    ("PUT", "/users/tee/servers/new", ""),
    ("PATCH", "/users/tee/servers/proj", ""),
    ("DELETE", "/users/tee/servers/proj", ""),
    ("POST", "/users/tee/activity", ""),
    ("POST", "/users/tee/tokens", ""),
    ("POST", "/groups", r#""groups":["new"]"#),
    ("POST", "/groups/new", ""),
    ("POST", "/groups/class/users", r#""users":["tee"]"#),
    ("DELETE", "/groups/class/users", r#""users":["tee"]"#),
    ("PUT", "/groups/class/properties", ""),
    (
        "POST",
        "/services/grader",
        r#""api_token":"token-of-the-grader""#,
    ),
    ("PATCH", "/proxy", ""),
    ("POST", "/shutdown", ""),
];

/// A call as the description of the API writes it: `/users/{user}/tokens`.
fn described(path: &str) -> String {
    let mut words: Vec<&str> = path.split('/').collect();
    for at in 1..words.len() {
        words[at] = match words[at - 1] {
            "users" => "{user}",
            "servers" => "{server}",
            "groups" => "{group}",
            "services" => "{service}",
            _ => words[at],
        };
    }
    words.join("/")
}

#[tokio::test]
async fn every_call_that_reads_json_is_tried() {
    let hub = TestHub::start().await;
    let api = hub.api(None).get("/openapi.json").await.json();
    let tried: BTreeSet<String> = WRITES
        .iter()
        .map(|(method, path, _)| format!("{method} {}", described(path)))
        .collect();
    let mut known = BTreeSet::new();
    for (path, calls) in api["paths"].as_object().expect("paths") {
        for (method, call) in calls.as_object().expect("calls") {
            if call["requestBody"]["content"]["application/json"].is_object() {
                known.insert(format!("{} {path}", method.to_ascii_uppercase()));
            }
        }
    }
    assert_eq!(tried, known);
}

/// Groups of properties take any field, and starts take any as an option.
const OPEN: [&str; 4] = [
    "/groups/class/properties",
    "/users/tee/server",
    "/users/tee/servers/new",
    "/users/tee/servers/proj",
];

#[tokio::test]
async fn no_call_takes_json_that_is_none() {
    let hub = with_named_server().await;
    let admin = hub.admin();
    let deep = "[".repeat(100_000);
    let deep_object = "{\"a\":".repeat(100_000);
    let long = format!("{{\"x\": \"{}\"}}", "a".repeat(2 << 20));
    let before = hub.trace();
    for (method, path, needed) in WRITES {
        let with = |more: &str| {
            let comma = if needed.is_empty() || more.is_empty() {
                ""
            } else {
                ","
            };
            format!("{{{needed}{comma}{more}}}").into_bytes()
        };
        let mut bodies: Vec<Vec<u8>> = [
            "[]",
            "\"x\"",
            "1",
            "true",
            "{",
            "nul",
            "NaN",
            "{'a': 1}",
            "{\"a\": NaN}",
            "{\"a\": Infinity}",
            "{\"a\": 1,}",
            "{\"a\" 1}",
            "{a: 1}",
            "\u{feff}{}",
            "{\"\\ud800\": 1}",
            "{\"a\": \"\\ud800\"}",
            "{\"a\": \"\\x\"}",
            "{\"a\": \"\n\"}",
            "{\"a\": 1e999}",
            "{\"a\": 01}",
            "{\"a\": 1} x",
            "{}{}",
            "{\"a\": 1, \"a\": 2}",
            "{\"a\": {\"b\": 1, \"b\": 2}}",
            &deep,
            &deep_object,
            &long,
        ]
        .map(|body| body.as_bytes().to_vec())
        .to_vec();
        bodies.push(b"\xff\xfe{}".to_vec());
        bodies.push(b"{\"a\": \"\xff\"}".to_vec());
        bodies.push(b"{\"a\": \"\xc0\xae\"}".to_vec());
        bodies.push([with(""), b"\0".to_vec()].concat());
        bodies.push([with(""), b" x".to_vec()].concat());
        if !OPEN.contains(&path) {
            bodies.push(with("\"no_such_field\": 1"));
        }
        for body in bodies {
            let case = format!("{method} {path} {:.60}", String::from_utf8_lossy(&body));
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let path = format!("/hub/api{path}");
            let reply = admin.send(method, &path, &JSON, body).await;
            let refused = [StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE];
            assert!(
                refused.contains(&reply.status),
                "{case}: {} {}",
                reply.status,
                reply.text()
            );
            assert_refused(&reply, &case);
            assert!(
                reply.json()["message"].is_string(),
                "{case}: {}",
                reply.text()
            );
            hub.assert_no_trace(&before, &case);
        }
    }
}

/// Each field of each call with a value of each kind that is not its own.
#[tokio::test]
async fn no_field_takes_a_value_of_another_kind() {
    const FIELDS: [(&str, &str, &str, &str); 32] = [
        ("POST", "/users", "usernames", "list of texts"),
        ("POST", "/users", "admin", "flag"),
        ("POST", "/users/ann", "admin", "flag"),
        ("PATCH", "/users/tee", "name", "text?"),
        ("PATCH", "/users/tee", "admin", "flag?"),
        ("PATCH", "/users/tee", "auth_state", "object?"),
        ("POST", "/users/tee/server", "user_options", "object? alone"),
        ("POST", "/users/tee/server", "display_name", "text? alone"),
        (
            "POST",
            "/users/tee/servers/new",
            "user_options",
            "object? alone",
        ),
        (
            "PUT",
            "/users/tee/servers/new",
            "display_name",
            "text? alone",
        ),
        (
            "PUT",
            "/users/tee/servers/new",
            "user_options",
            "object? alone",
        ),
        ("PATCH", "/users/tee/servers/proj", "name", "text?"),
        ("PATCH", "/users/tee/servers/proj", "display_name", "text?"),
        (
            "PATCH",
            "/users/tee/servers/proj",
            "user_options",
            "object?",
        ),
        ("DELETE", "/users/tee/servers/proj", "remove", "flag"),
        ("POST", "/users/tee/activity", "last_activity", "time?"),
        ("POST", "/users/tee/activity", "servers", "object?"),
        ("POST", "/users/tee/tokens", "note", "text?"),
        ("POST", "/users/tee/tokens", "expires_in", "number?"),
        ("POST", "/users/tee/tokens", "scopes", "list of texts?"),
        ("POST", "/users/tee/tokens", "roles", "list of texts?"),
        ("POST", "/groups", "groups", "list of texts"),
        ("POST", "/groups", "users", "list of texts"),
        ("POST", "/groups/new", "users", "list of texts"),
        ("POST", "/groups/class/users", "users", "list of texts"),
        ("POST", "/shutdown", "servers", "flag?"),
        ("POST", "/services/grader", "api_token", "text of its own"),
        ("POST", "/services/grader", "url", "text? of its own"),
        ("POST", "/services/grader", "admin", "flag"),
        ("POST", "/services/grader", "roles", "list of texts"),
        (
            "POST",
            "/services/grader",
            "oauth_client_id",
            "text? of its own",
        ),
        (
            "POST",
            "/services/grader",
            "oauth_redirect_uri",
            "text? of its own",
        ),
    ];
    let hub = with_named_server().await;
    let admin = hub.admin();
    let before = hub.trace();
    for (method, path, field, kind) in FIELDS {
        for (own, value) in [
            ("?", json!(null)),
            ("flag", json!(true)),
            ("number", json!(3)),
            ("number", json!(-0.5)),
            ("number", json!(1e300)),
            ("number", json!(9_007_199_254_740_993_i64)),
            ("text", json!("x y")),
            ("list", json!([1])),
            ("list", json!([null])),
            ("list", json!([["x"]])),
            ("list", json!([{}])),
            ("object", json!({ "x": 1 })),
        ] {
            // A list is always of what it must not be of.
            if own != "list" && kind.contains(own) && !kind.starts_with("list")
                || own == "?" && kind.contains('?')
            {
                continue;
            }
            let mut body = json!({ field: value });
            let needed = match (path, field) {
                ("/users", "admin") => Some(("usernames", json!(["ann"]))),
                ("/groups", "users") => Some(("groups", json!(["new"]))),
                ("/services/grader", "api_token") => None,
                ("/services/grader", _) => Some(("api_token", json!("token-of-the-grader"))),
                _ => None,
            };
            if let Some((name, value)) = needed {
                body[name] = value;
            }
            let case = format!("{method} {path} {body}");
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let reply = admin.call(method, path, Some(&body)).await;
            assert_eq!(
                reply.status,
                StatusCode::BAD_REQUEST,
                "{case}: {}",
                reply.text()
            );
            let message = reply.json()["message"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            assert!(message.contains(field), "{case}: which field: {message}");
            hub.assert_no_trace(&before, &case);
        }
    }
}

async fn with_named_server() -> TestHub {
    let hub = Setup::new()
        .set("limits.named_servers_per_user", 5)
        .start()
        .await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    for (method, path) in [
        (Method::PUT, "/users/tee/servers/proj"),
        (Method::POST, "/groups/class"),
    ] {
        let made = admin.call(method, path, None).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    }
    hub
}

#[tokio::test]
async fn json_of_the_wrong_shape() {
    let hub = TestHub::start().await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
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
