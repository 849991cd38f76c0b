//! Names that are none, at every door that a name comes in by.

use http::{Method, StatusCode};
use hub_tests::http::raw;
use hub_tests::hub::TestHub;
use hub_tests::setup::{PASSWORD, Setup};
use serde_json::json;
use url::form_urlencoded::byte_serialize;

use super::{assert_refused, assert_unharmed};

fn bad_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "",
        " ",
        " tee",
        "tee ",
        "\t",
        ".",
        "..",
        "...",
        "../ann",
        "ann/..",
        "a/b",
        "a\\b",
        "%2f",
        "%2e%2e",
        "%252e",
        "a\0b",
        "a\r\nSet-Cookie: x=1",
        "\x1b[31m",
        "-rf",
        "~root",
        "ａlice",
        "аlice",
        "a\u{202e}b",
        "a\u{200d}b",
        "<script>",
        "a;id",
        "$(id)",
        "'or'1'='1",
        "tee?x",
        "tee#x",
        "{{7*7}}",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push("a".repeat(300));
    names.push("a".repeat(64 << 10));
    names
}

#[tokio::test]
async fn the_api_makes_no_such_user() {
    let hub = TestHub::start().await;
    let admin = hub.admin();
    admin.create(&["ok"]).await;
    for name in bad_names() {
        let case = format!("{name:.40?}");
        let reply = admin
            .post("/users", Some(&json!({ "usernames": [name] })))
            .await;
        assert_eq!(
            reply.status,
            StatusCode::BAD_REQUEST,
            "{case}: {}",
            reply.text()
        );
        assert_refused(&reply, &case);
        let mixed = json!({ "usernames": ["fine", name] });
        assert_refused(&admin.post("/users", Some(&mixed)).await, &case);
    }
    assert_unharmed(&hub, &["ok"]).await;
}

#[tokio::test]
async fn the_login_form_lets_no_such_user_in() {
    let hub = TestHub::start().await;
    // Spaces around a name are a slip of the thumb, and are forgiven here.
    let slips = [" tee", "tee "];
    for name in bad_names() {
        if slips.contains(&name.as_str()) {
            continue;
        }
        let mut browser = hub.browser();
        let page = browser.log_in("/hub/login", &name, PASSWORD).await;
        assert!(
            page.reply.status.is_client_error(),
            "{:.40?}: {:?}",
            name,
            page.trail()
        );
        let login = browser.cookie("jupyterhub-hub-login", "/hub/");
        assert_eq!(login, None, "{name:.40?}");
        assert!(!page.reply.text().contains("<script>a"), "{name:.40?}");
    }
    assert_unharmed(&hub, &[]).await;
}

#[tokio::test]
async fn no_path_with_such_a_name_leads_anywhere() {
    let hub = TestHub::start().await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    admin.start("tee").await;
    // A kilobyte is beyond every name; a longer path is a case of its own.
    for name in bad_names()
        .into_iter()
        .filter(|name| !name.is_empty() && name.len() < 1024)
    {
        let escaped: String = byte_serialize(name.as_bytes())
            .collect::<String>()
            .replace('+', "%20");
        for (method, path) in [
            (Method::GET, format!("/users/{escaped}")),
            (Method::POST, format!("/users/{escaped}")),
            (Method::DELETE, format!("/users/{escaped}")),
            (Method::POST, format!("/users/{escaped}/server")),
            (Method::GET, format!("/users/{escaped}/server/progress")),
        ] {
            let reply = admin.call(method.clone(), &path, None).await;
            assert!(
                reply.status.is_client_error(),
                "{method} {path}: {}",
                reply.status
            );
        }
        for path in [
            format!("/user/{escaped}/"),
            format!("/hub/user/{escaped}/"),
            format!("/hub/spawn/{escaped}"),
        ] {
            let reply = admin.send(Method::GET, &path, &[], "").await;
            let status = reply.status;
            assert!(
                status.is_redirection() || status.is_client_error(),
                "{path}: {status}"
            );
            assert!(!reply.header("location").starts_with("//"), "{path}");
        }
    }
    assert_unharmed(&hub, &["tee"]).await;
    assert_eq!(hub.servers().len(), 1);
}

#[tokio::test]
async fn no_trick_with_a_path_reaches_another_s_server() {
    let hub = TestHub::start().await;
    hub.admin().create(&["tee"]).await;
    hub.admin().start("tee").await;
    for path in [
        "/user/ann/../tee/",
        "/user/ann/%2e%2e/tee/",
        "/user/ann/..%2ftee/",
        "/user/ann%2f..%2ftee/",
        "/user/ann/%252e%252e/tee/",
        "//user/tee/",
        "/user//tee/",
        "/user/tee%00/",
        "/user/%c0%ae/",
        "/./user/tee/",
        "/hub/../user/tee/",
        "/user\\tee/",
        "*",
        "http://other.example/user/tee/",
    ] {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
        let status = raw(hub.origin(), request.as_bytes())
            .await
            .unwrap_or(StatusCode::BAD_REQUEST);
        assert!(
            status.is_redirection() || status.is_client_error(),
            "{path}: {status}"
        );
    }
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"GET /\x00 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
        b"POST /hub/login HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /hub/login HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: 127.0.0.1:22\r\n\r\n",
        b"nonsense\r\n\r\n",
    ] {
        let case = String::from_utf8_lossy(bytes);
        let status = raw(hub.origin(), bytes).await.unwrap_or(StatusCode::BAD_REQUEST);
        assert!(status.is_client_error() || status.is_redirection(), "{case:?}: {status}");
    }
    let long = format!(
        "GET /hub/{} HTTP/1.1\r\nhost: x\r\n\r\n",
        "a/".repeat(1 << 20)
    );
    let status = raw(hub.origin(), long.as_bytes())
        .await
        .unwrap_or(StatusCode::URI_TOO_LONG);
    assert!(
        status.is_client_error(),
        "a path of two megabytes: {status}"
    );
    assert_unharmed(&hub, &["tee"]).await;
}

#[tokio::test]
async fn server_names_are_checked_too() {
    let hub = Setup::new()
        .set("limits.named_servers_per_user", 3)
        .start()
        .await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    for name in [
        "Bad_Name",
        "-a",
        "a-",
        "a--b",
        "1a",
        "a.b",
        "%2e%2e",
        "a%2Fb",
        "%00",
        &"a".repeat(31),
    ] {
        let reply = admin
            .post(&format!("/users/tee/servers/{name}"), None)
            .await;
        assert!(
            reply.status.is_client_error(),
            "{name}: {} {}",
            reply.status,
            reply.text()
        );
    }
    assert_eq!(
        admin.post("/users/tee/servers/proj1", None).await.status,
        StatusCode::CREATED
    );
    assert_eq!(hub.servers().len(), 1);
}

#[tokio::test]
async fn named_servers_are_off_unless_they_are_allowed() {
    let hub = TestHub::start().await;
    hub.admin().create(&["tee"]).await;
    let reply = hub.admin().post("/users/tee/servers/proj1", None).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text());
    assert!(hub.servers().is_empty());
}
