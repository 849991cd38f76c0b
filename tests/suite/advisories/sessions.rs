//! Logins that are over stay over.

use futures_util::future::join_all;
use http::{Method, StatusCode};
use hub_tests::browser::Browser;
use hub_tests::hub::TestHub;
use hub_tests::setup::{PASSWORD, Setup};

const LOGIN: &str = "jupyterhub-hub-login";
const NEW_PASSWORD: &str = "a longer horse than before";

/// What an open tab asks for again and again.
const POLLED: [&str; 5] = [
    "/hub/api/user",
    "/hub/home",
    "/hub/api/users/tee",
    "/hub/spawn-pending/tee",
    "/hub/api/users/tee/server/progress",
];

/// Nothing that this browser asks for is answered to its person, and nothing logs it in again.
async fn assert_logged_out(browser: &mut Browser, case: &str) {
    for _ in 0..3 {
        for path in POLLED {
            let reply = if path.starts_with("/hub/api") {
                browser.fetch(Method::GET, path, None).await
            } else {
                browser.look(path).await.reply
            };
            let status = reply.status;
            let refused = status == StatusCode::FORBIDDEN || status == StatusCode::FOUND;
            assert!(refused, "{case}: {path}: {status}");
            let set = reply.headers.get_all("set-cookie").iter();
            let login = set.filter(|cookie| cookie.as_bytes().starts_with(LOGIN.as_bytes()));
            assert_eq!(login.count(), 0, "{case}: {path} logs in");
        }
    }
}

#[tokio::test]
pub(super) async fn cve_2021_41247_a_poll_logs_nobody_in_again() {
    let hub = TestHub::start().await;
    let mut first = hub.browser();
    first.log_in("/hub/home", "tee", PASSWORD).await;
    let second = first.clone();
    // The polls of the second tab are under way while the first one logs out.
    let polls = join_all(POLLED.iter().cycle().take(40).map(|path| {
        let mut tab = second.clone();
        async move {
            tab.fetch(Method::GET, path, None).await;
            tab
        }
    }));
    let (tabs, left) = tokio::join!(polls, first.look("/hub/logout"));
    assert_eq!(left.status(), 302);
    let before = hub.trace();
    for mut tab in tabs.into_iter().take(5).chain([second]) {
        assert_logged_out(&mut tab, "after the logout").await;
    }
    hub.assert_no_trace(&before, "polls");
}

/// A hub with passwords of its own, and tee's.
async fn with_passwords() -> TestHub {
    let hub = Setup::new()
        .set("auth.kind", "password")
        .unset("auth.dummy")
        .start()
        .await;
    set_password(&hub, "add");
    hub
}

fn set_password(hub: &TestHub, action: &str) {
    let ran = hub.command(&["user", action, "tee"], &format!("{PASSWORD}\n"));
    let ran = ran.expect("plain arguments");
    assert_eq!(ran.code, Some(0), "{}", ran.output);
}

#[tokio::test]
pub(super) async fn cve_2026_40934_a_new_password_ends_every_login() {
    let hub = with_passwords().await;
    for way in ["page", "command", "block", "delete"] {
        let mut tee = hub.browser();
        let page = tee.log_in("/hub/home", "tee", PASSWORD).await;
        assert_eq!(page.status(), 200, "{way}: {}", page.words());
        let mut elsewhere = hub.browser();
        elsewhere.log_in("/hub/home", "tee", PASSWORD).await;
        let token = hub.admin().token_for("tee").await;
        assert_eq!(token.get("/user").await.status, StatusCode::OK);
        let mut copy = tee.clone();
        match way {
            "page" => {
                let page = tee.get("/hub/password").await;
                let form = page.form("/hub/password").expect("the form");
                let filled = [
                    ("password", PASSWORD),
                    ("new", NEW_PASSWORD),
                    ("again", NEW_PASSWORD),
                ];
                let page = tee.submit(&form, &filled).await;
                assert_eq!(page.status(), 200, "{}", page.words());
                let own = tee.get("/hub/home").await;
                assert_eq!(own.target(), "/hub/home", "who changed it stays");
            }
            "command" => set_password(&hub, "password"),
            "block" => {
                let ran = hub.command(&["user", "block", "tee"], "");
                assert_eq!(ran.and_then(|ran| ran.code), Some(0));
            }
            _ => {
                let gone = hub.admin().delete("/users/tee").await;
                assert_eq!(gone.status, StatusCode::NO_CONTENT);
            }
        }
        for browser in [&mut copy, &mut elsewhere] {
            assert_logged_out(browser, way).await;
        }
        assert_eq!(
            token.get("/user").await.status,
            StatusCode::FORBIDDEN,
            "{way}"
        );
        match way {
            "page" => set_password(&hub, "password"),
            "block" => {
                let ran = hub.command(&["user", "unblock", "tee"], "");
                assert_eq!(ran.and_then(|ran| ran.code), Some(0));
                assert_logged_out(&mut copy, "unblocked").await;
            }
            _ => {}
        }
    }
    // Somebody else under the old name gets none of it back.
    let mut old = hub.browser();
    set_password(&hub, "add");
    old.log_in("/hub/home", "tee", PASSWORD).await;
    let gone = hub.admin().delete("/users/tee").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    set_password(&hub, "add");
    assert_logged_out(&mut old, "a namesake").await;
}
