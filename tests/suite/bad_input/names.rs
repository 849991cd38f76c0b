//! Names of users that are none, at every door that a name comes in by.

use http::{Method, StatusCode};
use hub_tests::http::{raw, raw_reply};
use hub_tests::hub::TestHub;
use hub_tests::setup::Setup;
use serde_json::json;
use toml::Table;
use url::form_urlencoded::byte_serialize;

use super::assert_unharmed;
use super::doors::{Door, World, role};

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

/// A table of a name with these users.
fn with_users(user: &str) -> Table {
    let mut table = Table::new();
    table.insert("name".into(), "some".into());
    table.insert("users".into(), vec![user].into());
    table
}

/// Where the name of a user comes in.
const USER_DOORS: &[Door] = &[
    Door::Body("POST", "/users", |name| json!({ "usernames": [name] })),
    Door::Body(
        "POST",
        "/users",
        |name| json!({ "usernames": ["fine", name] }),
    ),
    Door::Body("PATCH", "/users/tee", |name| json!({ "name": name })),
    Door::Body(
        "POST",
        "/groups/class/users",
        |name| json!({ "users": [name] }),
    ),
    Door::Body(
        "POST",
        "/groups",
        |name| json!({ "groups": ["new"], "users": [name] }),
    ),
    Door::Body("POST", "/groups/new", |name| json!({ "users": [name] })),
    Door::Body(
        "POST",
        "/users/boss/tokens",
        |name| json!({ "scopes": [format!("read:users!user={name}")] }),
    ),
    Door::Body(
        "POST",
        "/users/boss/tokens",
        |name| json!({ "scopes": [format!("access:servers!server={name}/proj")] }),
    ),
    Door::Path("GET", "/users/{}"),
    Door::Path("POST", "/users/{}"),
    Door::Path("PATCH", "/users/{}"),
    Door::Path("DELETE", "/users/{}"),
    Door::Path("POST", "/users/{}/server"),
    Door::Path("POST", "/users/{}/tokens"),
    Door::Path("POST", "/users/{}/activity"),
    Door::Page(
        "GET",
        "/hub/api/oauth2/authorize?client_id=jupyterhub-user-{}&response_type=code",
        "",
    ),
    Door::Page("POST", "/hub/spawn/{}", ""),
    Door::Page("POST", "/hub/stop/{}", ""),
    Door::Page("POST", "/hub/signups/{}", "approve=true"),
    Door::Page("POST", "/hub/admin/rights/{}", "admin=true"),
    Door::Page("POST", "/hub/admin/delete/{}", ""),
    Door::Page("POST", "/hub/admin/start/{}", ""),
    Door::Page("POST", "/hub/admin/open/{}", ""),
    Door::Form("/hub/admin/users", "names", ""),
    Door::Login,
    Door::Config("auth.allowed_users", |setup, name| {
        setup.set("auth.allowed_users", vec![name])
    }),
    Door::Config("auth.admin_users", |setup, name| {
        setup.set("auth.admin_users", vec![name])
    }),
    Door::Config("auth.blocked_users", |setup, name| {
        setup.set("auth.blocked_users", vec![name])
    }),
    Door::Config("auth.username_map", |setup, name| {
        setup.set("auth.username_map.zoe", name)
    }),
    Door::Config("role.users", |setup, name| {
        setup.add("role", with_users(name))
    }),
    Door::Config("group.users", |setup, name| {
        setup.add("group", with_users(name))
    }),
    Door::Config("role.scopes", |setup, name| {
        setup.add("role", role(format!("read:users!user={name}")))
    }),
    Door::Line(&["user", "add", "{}"]),
    Door::Line(&["user", "delete", "{}"]),
    Door::Line(&["user", "block", "{}"]),
    Door::Line(&["token", "new", "--user", "{}"]),
    Door::Line(&["token", "list", "--user", "{}"]),
];

#[tokio::test]
async fn a_user_has_no_such_name_at_any_door() {
    let world = World::new().await;
    let names = bad_names();
    let names = names.iter().map(String::as_str);
    let forgiven = |door: &Door, name: &str| match door {
        // Spaces around a name are a slip of the thumb, and are forgiven here.
        Door::Login => name.trim() == "tee",
        // Here they, commas and semicolons stand between names.
        Door::Form(..) => name.contains(';'),
        _ => false,
    };
    world.refuses(USER_DOORS, names, forgiven).await;
    assert_unharmed(&world.hub, &["boss", "tee"]).await;
    let ten_megabytes = "a".repeat(10 << 20);
    let open = &USER_DOORS[..5];
    world
        .refuses(open, [ten_megabytes.as_str()], |_, _| false)
        .await;
}

#[tokio::test]
async fn a_proxy_names_no_such_user() {
    let setup = Setup::new()
        .set("auth.kind", "header")
        .unset("auth.dummy")
        .set("auth.header.name", "X-SSO-User")
        .set("hub.trusted_proxies", vec!["127.0.0.1"]);
    let hub = setup.start().await;
    let before = hub.trace();
    for name in bad_names() {
        // What cannot stand in a header is another header.
        if name.trim() == "tee" || name.contains(['\r', '\n']) {
            continue;
        }
        let request = format!(
            "GET /hub/login HTTP/1.1\r\nhost: x\r\nx-sso-user: {name}\r\nconnection: close\r\n\r\n"
        );
        let text = raw_reply(hub.origin(), request.as_bytes()).await;
        let status = text.get(9..12).unwrap_or("431");
        assert!(status.starts_with('4'), "{name:.60?}: {text:.300}");
        assert!(
            !text.contains("jupyterhub-hub-login="),
            "{name:.60?}: {text}"
        );
        hub.assert_no_trace(&before, &name);
    }
}

/// Words that are something else to the hub or to the system are plain names: who has one is found
/// below `user/` like everybody, and hides nothing.
#[tokio::test]
async fn words_of_the_hub_are_names_like_others() {
    const WORDS: [&str; 13] = [
        "hub",
        "user",
        "api",
        "login",
        "logout",
        "static",
        "services",
        "health",
        "metrics",
        "_xsrf",
        "null",
        "undefined",
        "0",
    ];
    let hub = TestHub::start().await;
    let admin = hub.admin();
    admin.create(&WORDS).await;
    for name in WORDS {
        admin.start(name).await;
        let path = format!("/user/{name}/x");
        let told = admin.send(Method::GET, &path, &[], "").await.json();
        assert_eq!(told["target"], path);
    }
    for path in [
        "/hub/login",
        "/hub/health",
        "/hub/api/",
        "/hub/static/style.css",
        "/health",
    ] {
        let reply = hub.api(None).send(Method::GET, path, &[], "").await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        assert!(!reply.text().contains("\"target\""), "{path}");
    }
    let users = admin.get("/users").await.json();
    assert_eq!(users.as_array().map(Vec::len), Some(WORDS.len()));
    // Spellings of one name are one user.
    for name in ["HUB", "Hub"] {
        let made = admin.post(&format!("/users/{name}"), None).await;
        assert_eq!(made.status, StatusCode::CONFLICT, "{name}: {}", made.text());
    }
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
