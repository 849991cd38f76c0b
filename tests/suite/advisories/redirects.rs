//! Where a browser is sent: never off this site.

use http::{Method, StatusCode};
use hub_tests::browser::Browser;
use hub_tests::hub::TestHub;
use hub_tests::page::Page;
use hub_tests::setup::PASSWORD;
use url::Url;
use url::form_urlencoded::byte_serialize;

use crate::bad_input::redirects::NEXT;

/// The page is no redirect, or one that every browser reads as a path of this site, also once it has
/// been decoded.
fn assert_stays(origin: &Url, page: &Page, case: &str) {
    let Some(location) = page.reply.location() else {
        return;
    };
    assert!(
        location.starts_with('/') && location.is_ascii(),
        "{case} -> {location:?}"
    );
    assert!(
        !location[1..].starts_with(['/', '\\']),
        "{case} -> {location:?}"
    );
    let resolved = origin.join(location).expect("an address");
    let again = origin.join(resolved.path()).expect("an address");
    for address in [&resolved, &again] {
        assert_eq!(address.origin(), origin.origin(), "{case} -> {location:?}");
    }
    assert_eq!(page.reply.headers.get_all("location").iter().count(), 1);
}

fn origin(hub: &TestHub) -> Url {
    hub.origin().parse().expect("an address")
}

fn escaped(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

/// Logs in at the form that this address leads to; the answer to the form itself.
async fn log_in(browser: &mut Browser, next: &str) -> Page {
    let path = format!("/hub/login?next={}", escaped(next));
    let form = browser.get(&path).await.form("/hub/login");
    let form = form.unwrap_or_else(|| panic!("no form at {path}"));
    let token = form.fields.iter().find(|(name, _)| name == "_xsrf");
    let token = &token.expect("its token").1;
    let fields = [
        ("username", "tee"),
        ("password", PASSWORD),
        ("_xsrf", token.as_str()),
    ];
    browser.post(&path, &fields).await
}

#[tokio::test]
pub(super) async fn cve_2019_10255_backslashes_in_next() {
    let hub = TestHub::start().await;
    for next in [
        "/\\evil.example",
        "\\\\evil.example",
        "///evil.example",
        "/\\/evil.example",
        "\\/evil.example",
        "/%5cevil.example",
    ] {
        let page = log_in(&mut hub.browser(), next).await;
        let leads = (page.reply.status, page.reply.location());
        assert_eq!(leads, (StatusCode::FOUND, Some("/hub/home")), "{next}");
    }
}

#[tokio::test]
pub(super) async fn cve_2026_33709_own_host_before_two_slashes() {
    let hub = TestHub::start().await;
    for rest in [
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "//",
    ] {
        for scheme in ["http", "https", "HTTP"] {
            let host = hub.origin().replacen("http", scheme, 1);
            let next = format!("{host}{rest}");
            let page = log_in(&mut hub.browser(), &next).await;
            let leads = (page.reply.status, page.reply.location());
            assert_eq!(leads, (StatusCode::FOUND, Some("/hub/home")), "{next}");
        }
    }
}

#[tokio::test]
pub(super) async fn cve_2020_26232_cve_2020_26275_cve_2023_39968_cve_2025_61669_every_redirect_stays_here()
 {
    let hub = TestHub::start().await;
    let origin = origin(&hub);
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    admin.start("tee").await;
    let mut tee = hub.browser();
    assert_eq!(tee.log_in("/hub/home", "tee", PASSWORD).await.status(), 200);
    let before = hub.trace();
    let own = [
        format!("{}//evil.example", hub.origin()),
        hub.origin()
            .replacen("127.0.0.1", "127.0.0.1.evil.example", 1),
        hub.origin()
            .replacen("127.0.0.1", "127.0.0.1@evil.example", 1),
    ];
    for next in NEXT.iter().copied().chain(own.iter().map(String::as_str)) {
        let query = escaped(next);
        // Handlers that read `next`, or that build an address of the path itself.
        for path in [
            format!("/hub/login?next={query}"),
            format!("/hub/?next={query}"),
            format!("/hub/home?next={query}"),
            format!("/hub/spawn?next={query}"),
            format!("/hub/spawn/tee?next={query}"),
            format!("/hub/spawn-pending/tee?next={query}"),
            format!("/hub/user/tee?next={query}"),
            format!("/hub/user-redirect/?next={query}"),
            format!("/hub/user-redirect/{query}"),
            format!("/hub/user/tee/{query}"),
            format!("/hub/login?next={query}&next=%2Fhub%2Fhome"),
            format!("/{query}"),
            format!("/user/{query}"),
            format!("/hub/{query}"),
        ] {
            for browser in [&mut tee.clone(), &mut hub.browser()] {
                let page = browser.look(&path).await;
                assert!(page.status() < 500, "{path}: {}", page.status());
                assert_stays(&origin, &page, &path);
            }
        }
        let mut leaving = hub.browser();
        let page = leaving.look(&format!("/hub/logout?next={query}")).await;
        assert_eq!(page.reply.location(), Some("/hub/login"), "{next}");
    }
    // Paths that only a program sends as they are.
    for path in [
        "//evil.example",
        "//evil.example/hub",
        "/\\evil.example",
        "/%5cevil.example",
        "/%2fevil.example/..",
        "/hub//evil.example",
        "//hub",
        "/hub",
        "/user/tee",
        "/user//evil.example",
        "/hub/user//evil.example/",
        "/user-redirect//evil.example",
        "/hub/user-redirect//evil.example",
    ] {
        for host in [origin.authority(), "evil.example"] {
            let reply = hub.api(None);
            let reply = reply.send(Method::GET, path, &[("host", host)], "").await;
            let page = Page {
                url: origin.clone(),
                reply,
                hops: Vec::new(),
            };
            assert!(page.status() < 500, "{path}: {}", page.status());
            assert_stays(&origin, &page, path);
        }
    }
    hub.assert_no_trace(&before, "redirects");
}
