//! What a page shows of what somebody wrote, and who may show the page.

use std::fs;
use std::path::Path;

use http::{Method, StatusCode};
use hub_tests::browser::Browser;
use hub_tests::http::{Reply, raw_reply};
use hub_tests::hub::TestHub;
use hub_tests::setup::{PASSWORD, Setup};
use serde_json::json;
use url::form_urlencoded::byte_serialize;

/// Markup that would run if it were taken for any.
const MARKUP: &str = "\"><img src=x onerror=alert(1)>";

/// It shows nothing as markup that it was given, and would not run it either.
#[track_caller]
fn assert_inert(reply: &Reply, case: &str) {
    let text = reply.text();
    assert!(!text.contains("<img src=x"), "{case}: {text}");
    assert!(!text.contains("<svg onload"), "{case}: {text}");
    if reply.media_type() == "text/html" {
        let policy = reply.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'"),
            "{case}: {policy:?}"
        );
        assert!(!policy.contains("unsafe"), "{case}: {policy}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{case}");
    }
}

async fn member(hub: &TestHub, name: &str) -> Browser {
    let mut browser = hub.browser();
    let page = browser.log_in("/hub/home", name, PASSWORD).await;
    assert_eq!(page.status(), 200, "{}", page.words());
    browser
}

#[tokio::test]
pub(super) async fn ghsa_c4gm_pwx9_9w8j_next_is_escaped() {
    let hub = TestHub::start().await;
    let tee = member(&hub, "tee").await;
    hub.admin().start("tee").await;
    let before = hub.trace();
    for next in [
        format!("/hub/{MARKUP}"),
        format!("/user/tee/?x={MARKUP}#{MARKUP}"),
    ] {
        let next: String = byte_serialize(next.as_bytes()).collect();
        for page in [
            "login",
            "spawn",
            "spawn/tee",
            "home",
            "user/tee/",
            "accept-share",
            "signup",
        ] {
            let path = format!("/hub/{page}?next={next}");
            for browser in [&mut hub.browser(), &mut tee.clone()] {
                let page = browser.get(&path).await;
                assert!(page.status() < 500, "{path}");
                assert_inert(&page.reply, &path);
            }
        }
        // A login that fails shows the form again, with the way on.
        let mut stranger = hub.browser();
        let path = format!("/hub/login?next={next}");
        let page = stranger.log_in(&path, MARKUP, MARKUP).await;
        assert_eq!(page.status(), 403);
        assert_inert(&page.reply, "a failed login");
    }
    hub.assert_no_trace(&before, "next");
    // The one text that is trusted is the form that the administrator's spawner makes.
    let mut trusted = Vec::new();
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hubd/src/pages/templates");
    for entry in fs::read_dir(templates).expect("the templates") {
        let path = entry.expect("a template").path();
        let text = fs::read_to_string(&path).expect("a text");
        let name = path.file_name().and_then(|name| name.to_str());
        let uses = text.matches("safe").count() + text.matches("autoescape").count();
        trusted.extend(vec![name.unwrap_or_default().to_owned(); uses]);
    }
    assert_eq!(trusted, ["spawn.html"]);
}

#[tokio::test]
pub(super) async fn cve_2024_35225_an_error_page_echoes_nothing_raw() {
    let hub = TestHub::start().await;
    let tee = member(&hub, "tee").await;
    let before = hub.trace();
    let escaped: String = byte_serialize(b"<svg onload=alert(1)>").collect();
    for name in [
        "<svg onload=alert(1)>",
        "%3Csvg%20onload=alert(1)%3E",
        &escaped,
    ] {
        for path in [
            format!("/user/{name}/"),
            format!("/hub/user/{name}/"),
            format!("/hub/user/tee/{name}/"),
            format!("/hub/spawn/{name}"),
            format!("/hub/spawn/tee/{name}"),
            format!("/hub/spawn-pending/{name}"),
            format!("/hub/{name}"),
            format!("/{name}"),
            format!("/hub/api/users/{name}"),
            format!("/hub/static/{name}"),
            format!("/hub/login-link/{name}"),
            format!("/hub/api/oauth2/authorize?client_id={name}"),
        ] {
            let cookies = tee.cookie_header("/hub/").expect("cookies");
            for cookies in [cookies.as_str(), "x=1"] {
                let request = format!(
                    "GET {path} HTTP/1.1\r\nhost: <svg>\r\ncookie: {cookies}\r\n\
                     referer: http://x/<svg onload=alert(1)>\r\nconnection: close\r\n\r\n"
                )
                .replace("host: <svg>", &format!("host: {}", &hub.origin()[7..]));
                let text = raw_reply(hub.origin(), request.as_bytes()).await;
                let status = text.get(9..12).unwrap_or_default();
                assert!(("300".."500").contains(&status), "{path}: {text:.300}");
                assert!(!text.contains("<svg onload"), "{path}: {text}");
                if text.contains("text/html") {
                    let head = text.to_ascii_lowercase();
                    assert!(head.contains("x-content-type-options: nosniff"), "{path}");
                    assert!(
                        head.contains("content-security-policy: default-src 'none'"),
                        "{path}"
                    );
                }
            }
        }
    }
    hub.assert_no_trace(&before, "error pages");
}

#[tokio::test]
pub(super) async fn cve_2025_23205_no_page_can_be_framed() {
    let setup = Setup::new().set("auth.admin_users", vec!["boss"]);
    let hub = setup
        .set("spawner.environment.FAKESU_EXIT", "3")
        .start()
        .await;
    hub.admin().create(&["tee"]).await;
    let mut boss = member(&hub, "boss").await;
    for path in [
        "/hub/home",
        "/hub/token",
        "/hub/spawn",
        "/hub/admin",
        "/hub/admin/delete/tee",
        "/hub/user/tee/",
        "/hub/signups",
        "/hub/password",
        "/hub/nothing",
        "/hub/login",
        "/hub/spawn/nobody",
        "/hub/api/oauth2/authorize",
        "/hub/logout",
        "/hub/login",
    ] {
        let page = boss.get(path).await;
        assert_eq!(page.reply.media_type(), "text/html", "{path}");
        let policy = page.reply.header("content-security-policy");
        assert!(
            policy.ends_with("frame-ancestors 'none'"),
            "{path}: {policy:?}"
        );
        assert_eq!(page.reply.header("x-frame-options"), "DENY", "{path}");
    }
    // Nothing in the configuration changes that.
    for key in [
        "hub.tornado_settings",
        "hub.headers",
        "hub.content_security_policy",
    ] {
        let ran = Setup::new()
            .set(key, "frame-ancestors 'self'")
            .check_config();
        assert_eq!(ran.code, Some(2), "{key}: {}", ran.output);
    }
}

#[tokio::test]
pub(super) async fn cve_2024_35178_static_files_have_no_other_place() {
    let hub = TestHub::start().await;
    let before = hub.trace();
    for name in [
        "//host/x",
        "/etc/passwd",
        "C:\\windows",
        "C:%5Cwindows",
        "%5c%5chost%5cx",
        "..%2f..%2fhubd.toml",
        "../../../etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "..%5c..%5chubd.toml",
        "style.css/",
        "style.css%00",
        "style.css%2f..%2fscript.js",
        "./style.css",
        "%2fetc%2fpasswd",
        "",
        "nul",
    ] {
        let request = format!(
            "GET /hub/static/{name} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
        );
        let text = raw_reply(hub.origin(), request.as_bytes()).await;
        let status = text.get(9..12).unwrap_or_default();
        assert!(["400", "404"].contains(&status), "{name}: {text:.200}");
        assert!(!text.contains("root:"), "{name}");
    }
    let fine = hub.api(None);
    let fine = fine
        .send(Method::GET, "/hub/static/style.css", &[], "")
        .await;
    assert_eq!(fine.status, StatusCode::OK);
    hub.assert_no_trace(&before, "static files");
}

#[tokio::test]
pub(super) async fn cve_2026_44727_what_people_write_is_text() {
    let setup = Setup::new().set("auth.admin_users", vec!["boss"]);
    let hub = setup
        .set("limits.named_servers_per_user", 3)
        .set("spawner.environment.FAKESU_SAY", MARKUP)
        .set("spawner.environment.FAKESU_EXIT", "3")
        .start()
        .await;
    let admin = hub.admin();
    let title = json!({ "display_name": MARKUP });
    let made = admin
        .call(Method::PUT, "/users/boss/servers/proj", Some(&title))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let note = json!({ "note": MARKUP });
    let made = admin.post("/users/boss/tokens", Some(&note)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let properties = json!({ MARKUP: MARKUP });
    admin.post("/groups/class", None).await;
    let path = "/groups/class/properties";
    let set = admin.call(Method::PUT, path, Some(&properties)).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.text());
    // The last words of a server that failed are a user's as well.
    let failed = admin.post("/users/boss/servers/proj", None).await;
    assert!(failed.status.is_server_error(), "{}", failed.text());
    let mut boss = member(&hub, "boss").await;
    let mut seen = 0;
    for path in [
        "/hub/home",
        "/hub/token",
        "/hub/admin",
        "/hub/admin?search=%3Cimg%20src%3Dx%3E",
        "/hub/spawn/boss/proj",
        "/hub/spawn-pending/boss/proj",
        "/hub/user/boss/proj/",
        "/hub/admin/delete/boss",
    ] {
        let page = boss.get(path).await;
        assert_inert(&page.reply, path);
        seen += usize::from(page.words().contains("onerror=alert(1)"));
    }
    assert!(
        seen >= 3,
        "the pages show what was written, as text: {seen}"
    );
    // What is no page says that it is none.
    for path in ["/users/boss", "/users/boss/tokens", "/groups/class"] {
        let reply = admin.get(path).await;
        assert_eq!(reply.media_type(), "application/json", "{path}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
    }
}
