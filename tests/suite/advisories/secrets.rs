//! What is written down, and who can read it.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use http::{Method, StatusCode};
use hub_tests::http::raw;
use hub_tests::hub::TestHub;
use hub_tests::processes;
use hub_tests::setup::{ADMIN_TOKEN, PASSWORD, Setup};
use rusqlite::Connection;

#[tokio::test]
pub(super) async fn cve_2026_54338_a_failed_login_is_short_in_the_log() {
    let hub = TestHub::start().await;
    let mut browser = hub.browser();
    let form = browser.get("/hub/login").await.form("/hub/login");
    let form = form.expect("a login form");
    let before = hub.trace();
    for (at, name) in [
        "x".repeat(200),
        "x".repeat(60_000),
        "a\r\nlogged in user=root".to_owned(),
        "\x1b[31mred\x1b[0m".to_owned(),
        "\u{202e}\u{200d}\u{85}\u{2028}".to_owned(),
        "\0".to_owned(),
        "{user} $(id) %s".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let logged = hub.log().len();
        let page = browser
            .submit(
                &form,
                &[("username", name), ("password", "canary-password")],
            )
            .await;
        assert!(
            page.reply.status.is_client_error(),
            "{at}: {}",
            page.status()
        );
        let log = hub.log();
        let new = &log[logged..];
        // One line of the audit log, and one with the name.
        assert!(new.lines().count() <= 2, "{at}: {new}");
        assert!(new.lines().all(|line| line.len() < 300), "{at}: {new}");
        let plain = |c: char| c == '\n' || (c.is_ascii() && !c.is_ascii_control());
        assert!(new.chars().all(plain), "{at}: {new:?}");
        assert!(
            !new.contains("canary-password") && !new.contains("user=root"),
            "{new}"
        );
        hub.assert_no_trace(&before, "a failed login");
    }
    let logged = hub.log().len();
    let body = format!("username={}", "a".repeat(10 << 20));
    let request = format!(
        "POST /hub/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let status = raw(hub.origin(), request.as_bytes()).await;
    assert_eq!(status, Some(StatusCode::PAYLOAD_TOO_LARGE));
    assert!(hub.log().len() - logged < 300, "{}", hub.log());
    hub.assert_no_trace(&before, "ten megabytes");
}

/// Every file below a folder, links not followed.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type().expect("a type");
        if kind.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// A hub with tee's server, and the token of that server.
async fn with_server(setup: Setup) -> (TestHub, String) {
    let hub = setup.start().await;
    hub.admin().create(&["tee"]).await;
    hub.admin().start("tee").await;
    let servers = hub.servers();
    let token = processes::variable(&servers[0], "JUPYTERHUB_API_TOKEN");
    (hub, token.expect("a server with a token"))
}

#[tokio::test]
pub(super) async fn cve_2020_26261_a_token_is_where_only_its_server_sees_it() {
    let setup = Setup::new().set("hub.log", "debug");
    let (hub, token) = with_server(setup).await;
    let all = processes::of(hub.folder());
    assert!(all.len() >= 2, "{all:?}");
    for process in &all {
        let arguments = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).into_owned();
        for secret in [token.as_str(), ADMIN_TOKEN, PASSWORD] {
            assert!(!arguments.contains(secret), "{arguments}");
        }
        let environment = fs::metadata(format!("/proc/{}/environ", process.pid));
        let mode = environment.expect("it runs").permissions().mode() & 0o777;
        assert_eq!(mode, 0o400, "{process}");
    }
    for path in files(hub.folder()) {
        let bytes = fs::read(&path).unwrap_or_default();
        let holds = bytes
            .windows(token.len())
            .any(|part| part == token.as_bytes());
        assert!(!holds, "the token is in {}", path.display());
    }
    assert!(!hub.log().contains(&token), "{}", hub.log());
}

#[tokio::test]
pub(super) async fn cve_2022_29241_the_state_is_for_the_hub_alone() {
    let (hub, _token) = with_server(Setup::new()).await;
    let state = hub.state_dir();
    let mut seen = 0;
    for path in files(&state) {
        let facts = fs::symlink_metadata(&path).expect("a file that is there");
        let kind = facts.file_type();
        let expected = if kind.is_dir() { 0o700 } else { 0o600 };
        let mode = facts.permissions().mode() & 0o777;
        // A socket for the proxy or for commands is a door as well.
        let ours = kind.is_dir() || kind.is_file() || kind.is_socket();
        assert!(ours && mode == expected, "{}: {mode:o}", path.display());
        seen += 1;
    }
    assert!(seen > 3, "{seen} files");
    // Nor can anybody fetch it.
    for path in [
        "/hub/static/../hubd.sqlite",
        "/state/hubd.sqlite",
        "/hub/state/control.sock",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        let status = raw(hub.origin(), request.as_bytes())
            .await
            .expect("an answer");
        assert!(!status.is_success(), "{path}: {status}");
    }
}

#[tokio::test]
pub(super) async fn cve_2022_24757_no_log_has_a_credential() {
    for format in ["text", "json"] {
        let hub = Setup::new()
            .set("hub.log", "debug")
            .set("hub.log_format", format)
            .server_env("FAKESU_EXIT", "3")
            .start()
            .await;
        let admin = hub.admin();
        admin.create(&["tee"]).await;
        let headers = [
            (
                "cookie",
                "jupyterhub-hub-login=canary-cookie; _xsrf=canary-xsrf",
            ),
            ("referer", "http://x/?token=canary-referer"),
            ("x-xsrftoken", "canary-header"),
            ("content-type", "application/json"),
        ];
        let path = "/hub/api/users/tee/server?token=canary-query&code=canary-code";
        let body = r#"{"user_options": {"password": "canary-body"}}"#;
        let failed = admin.send(Method::POST, path, &headers, body).await;
        assert_eq!(
            failed.status,
            StatusCode::INTERNAL_SERVER_ERROR,
            "{}",
            failed.text()
        );
        // Refused ones as well, by token, cookie, form and query.
        let other = hub.api(Some("canary-token"));
        for (method, path) in [
            (Method::GET, "/hub/api/user?token=canary-query"),
            (Method::POST, "/hub/api/users?access_token=canary-query"),
            (Method::GET, "/user/tee/?token=canary-query"),
            (Method::GET, "/hub/login-link/canary-link"),
            (
                Method::GET,
                "/hub/api/oauth2/authorize?code=canary-code&state=canary-state",
            ),
        ] {
            other.send(method, path, &headers, "").await;
        }
        let form = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("cookie", "_xsrf=canary-xsrf"),
        ];
        let body = "username=tee&password=canary-password&_xsrf=canary-xsrf";
        let nobody = hub.api(None);
        nobody.send(Method::POST, "/hub/login", &form, body).await;
        let body = "client_id=x&client_secret=canary-secret&code=canary-code&grant_type=authorization_code";
        nobody
            .send(Method::POST, "/hub/api/oauth2/token", &form, body)
            .await;
        let mut browser = hub.browser();
        browser.log_in("/hub/login", "tee", "canary-password").await;
        browser.log_in("/hub/home", "tee", PASSWORD).await;
        let login = browser.cookie("jupyterhub-hub-login", "/hub/");
        let log = hub.log();
        assert!(
            log.contains("/hub/api/users/tee/server"),
            "the failure is there: {log}"
        );
        let login = login.expect("a login");
        for secret in ["canary", PASSWORD, ADMIN_TOKEN, &login] {
            assert!(!log.contains(secret), "{format}: {secret} is in {log}");
        }
    }
}

/// What only somebody on the machine should know.
fn assert_tells_nothing(hub: &TestHub, text: &str, case: &str) {
    let folder = hub.folder().to_str().expect("UTF-8");
    for word in [
        folder,
        "/tmp/",
        ".rs:",
        "panicked",
        "backtrace",
        "SQLITE",
        "src/",
    ] {
        assert!(!text.contains(word), "{case}: {word} is in {text}");
    }
}

#[tokio::test]
pub(super) async fn cve_2023_49080_a_failure_tells_nothing_of_the_machine() {
    let hub = Setup::new().server_env("FAKESU_EXIT", "3").start().await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    let mut tee = hub.browser();
    tee.log_in("/hub/home", "tee", PASSWORD).await;
    let token = tee.cookie("_xsrf", "/hub/").expect("a token");
    let failed = admin.post("/users/tee/server", None).await;
    assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_tells_nothing(&hub, &failed.text(), "a failed start");

    // Somebody else holds the books.
    let database = Connection::open(hub.state_dir().join("hubd.sqlite")).expect("the books");
    database.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let fields = [("_xsrf", token.as_str()), ("note", "x")];
    let (api, page, login) = tokio::join!(
        admin.post("/users/ann", None),
        tee.post("/hub/token", &fields),
        async { hub.browser().log_in("/hub/home", "new", PASSWORD).await },
    );
    for (case, reply) in [("API", api), ("page", page.reply), ("login", login.reply)] {
        assert_eq!(
            reply.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{case}: {}",
            reply.text()
        );
        assert_tells_nothing(&hub, &reply.text(), case);
        assert!(
            reply.text().contains("cannot save"),
            "{case}: {}",
            reply.text()
        );
    }
    database.execute_batch("ROLLBACK").expect("the lock goes");
    let again = admin.post("/users/ann", None).await;
    assert_eq!(again.status, StatusCode::CREATED, "{}", again.text());
    assert!(!hub.log().contains("panicked"), "{}", hub.log());
}
