//! Cookies and tokens that are forged, foreign or stale, and requests that another site makes.

use http::{Method, StatusCode};
use hub_tests::browser::Browser;
use hub_tests::hub::TestHub;
use hub_tests::setup::{ADMIN_TOKEN, PASSWORD};
use rusqlite::Connection;
use serde_json::json;

use super::{assert_refused, assert_unharmed};

const LOGIN: &str = "jupyterhub-hub-login";

async fn logged_in(hub: &TestHub, name: &str) -> Browser {
    let mut browser = hub.browser();
    assert_eq!(
        browser.log_in("/hub/home", name, PASSWORD).await.status(),
        200
    );
    browser
}

#[tokio::test]
async fn forged_and_foreign_cookies_are_nobody_s() {
    let hub = TestHub::start().await;
    let other = TestHub::start().await;
    let real = logged_in(&hub, "tee").await.cookie(LOGIN, "/hub/").unwrap();
    let foreign = logged_in(&other, "tee")
        .await
        .cookie(LOGIN, "/hub/")
        .unwrap();
    let mut changed = real.clone().into_bytes();
    let middle = changed.len() / 2;
    changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    let shorter = &real[..real.len() - 4];
    let longer = format!("{real}AAAA");
    let huge = "a".repeat(8 << 10);
    for value in [
        &foreign, &changed, shorter, &longer, "", "null", "tee", "\"\"", "2|1:0|", &huge,
    ] {
        let mut browser = hub.browser();
        browser.set_cookie(LOGIN, "/hub/", value);
        let page = browser.get("/hub/home").await;
        let refused = page.reply.status.is_client_error();
        assert!(
            refused || page.url.path() == "/hub/login",
            "{value:.60}: {:?}",
            page.trail()
        );
        let reply = browser.fetch(Method::GET, "/hub/api/user", None).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{value:.60}");
    }
    assert_unharmed(&hub, &["tee"]).await;
}

#[tokio::test]
async fn odd_cookies_are_read_as_what_they_are() {
    let hub = TestHub::start().await;
    let tee = logged_in(&hub, "tee").await;
    let login = tee.cookie(LOGIN, "/hub/").unwrap();
    let xsrf = tee.cookie("_xsrf", "/hub/").unwrap();
    let before = hub.trace();
    let many = "a=1; ".repeat(250);
    let long = format!("a={}; ", "x".repeat(9 << 10));
    let nobody = hub.api(None);
    for (cookies, fine) in [
        (format!("{LOGIN}={login}; _xsrf={xsrf}"), true),
        (format!("{LOGIN}=\"{login}\"; _xsrf=\"{xsrf}\""), true),
        (
            format!("$Version=1; {LOGIN}={login}; $Path=/hub/; _xsrf={xsrf}"),
            true,
        ),
        (
            format!("{LOGIN}=x; {LOGIN}={login}; _xsrf=x; _xsrf={xsrf}"),
            true,
        ),
        (
            format!(";;=; ={login}; \u{fc}=\u{fc}; {LOGIN}={login}; _xsrf={xsrf}"),
            true,
        ),
        (format!("{many}{LOGIN}={login}; _xsrf={xsrf}"), false),
        (format!("{long}{LOGIN}={login}; _xsrf={xsrf}"), false),
        (
            format!("{}={login}; _xsrf={xsrf}", LOGIN.to_uppercase()),
            false,
        ),
        (
            format!("{LOGIN}={}; _xsrf={xsrf}", login.to_uppercase()),
            false,
        ),
        (format!("{LOGIN}, {LOGIN}={login}, _xsrf={xsrf}"), false),
        (format!("{LOGIN}={login}x; _xsrf={xsrf}"), false),
        (format!("{LOGIN}=%{login}; _xsrf={xsrf}"), false),
        (format!("_xsrf={xsrf}"), false),
    ] {
        for (path, body) in [("/hub/api/user", ""), ("/hub/api/users/tee", "")] {
            let headers = [
                ("cookie", cookies.as_str()),
                ("x-xsrftoken", &xsrf),
                ("sec-fetch-mode", "cors"),
                ("sec-fetch-site", "same-origin"),
            ];
            let reply = nobody.send(Method::GET, path, &headers, body).await;
            let status = reply.status;
            let as_expected = status.is_success() == fine && (fine || status.is_client_error());
            assert!(as_expected, "{path} {cookies:.120}: {status}");
            assert!(!reply.text().is_empty(), "{cookies:.120}: no reason");
        }
        hub.assert_no_trace(&before, &cookies);
    }
}

#[tokio::test]
async fn a_login_ends_with_its_time() {
    let mut hub = TestHub::start().await;
    let mut tee = logged_in(&hub, "tee").await;
    hub.terminate().await;
    let database = Connection::open(hub.state_dir().join("hubd.sqlite")).unwrap();
    let changed = database.execute("UPDATE sessions SET expires_at = created + 1", []);
    assert_eq!(changed, Ok(1));
    drop(database);
    hub.start_again().await;
    let page = tee.get("/hub/home").await;
    assert_eq!(page.url.path(), "/hub/login", "{:?}", page.trail());
    let reply = tee.fetch(Method::GET, "/hub/api/user", None).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_form_of_another_site_can_send_no_json() {
    let hub = TestHub::start().await;
    let tee = logged_in(&hub, "tee").await;
    let cookies = tee.cookie_header("/hub/").unwrap();
    let xsrf = tee.cookie("_xsrf", "/hub/").unwrap();
    let before = hub.trace();
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; charset=application/json",
        "text/json",
        "",
    ] {
        for body in ["{}", "{\"note\": \"x=\"}", "note=x"] {
            let headers = [
                ("cookie", cookies.as_str()),
                ("x-xsrftoken", &xsrf),
                ("content-type", kind),
            ];
            let path = "/hub/api/users/tee/tokens";
            let reply = hub.api(None).send(Method::POST, path, &headers, body).await;
            assert_eq!(
                reply.status,
                StatusCode::FORBIDDEN,
                "{kind}: {}",
                reply.text()
            );
            hub.assert_no_trace(&before, kind);
        }
    }
}

#[tokio::test]
async fn a_deleted_user_s_cookies_and_tokens_are_nobody_s() {
    let hub = TestHub::start().await;
    let mut tee = logged_in(&hub, "tee").await;
    let token = hub.admin().token_for("tee").await;
    assert_eq!(
        hub.admin().delete("/users/tee").await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(tee.get("/hub/home").await.url.path(), "/hub/login");
    assert_eq!(token.get("/user").await.status, StatusCode::FORBIDDEN);
    hub.admin().create(&["tee"]).await;
    assert_eq!(
        token.get("/user").await.status,
        StatusCode::FORBIDDEN,
        "a new tee is another one"
    );
    assert_eq!(tee.get("/hub/home").await.url.path(), "/hub/login");
}

#[tokio::test]
async fn bad_tokens_are_refused_alike() {
    let hub = TestHub::start().await;
    let long = "a".repeat(8 << 10);
    for token in ["", "' or 1=1 --", &long] {
        let reply = hub.api(Some(token)).get("/user").await;
        assert_eq!(
            reply.status,
            StatusCode::FORBIDDEN,
            "{token:.40}: never 401"
        );
        assert_refused(&reply, token);
    }
    let mut answers = Vec::new();
    for token in ["x", "null", &ADMIN_TOKEN[1..], &ADMIN_TOKEN[..20]] {
        let reply = hub.api(Some(token)).get("/user").await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{token}");
        answers.push(reply.text());
    }
    answers.dedup();
    assert_eq!(
        answers.len(),
        1,
        "an answer tells how near a guess was: {answers:?}"
    );
    for header in ["", "token", "Basic dGVlOnRlZQ==", ADMIN_TOKEN, "token a b"] {
        let headers = [("authorization", header)];
        let reply = hub
            .api(None)
            .send(Method::GET, "/hub/api/user", &headers, "")
            .await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{header:?}");
    }
}

#[tokio::test]
async fn a_login_form_from_elsewhere_is_refused() {
    let hub = TestHub::start().await;
    let fields = [("username", "tee"), ("password", PASSWORD)];
    let foreign = logged_in(&hub, "ann")
        .await
        .cookie("_xsrf", "/hub/")
        .unwrap();
    for token in [None, Some(""), Some("wrong"), Some(foreign.as_str())] {
        let mut browser = hub.browser();
        browser.get("/hub/login").await;
        let mut form = fields.to_vec();
        form.extend(token.map(|token| ("_xsrf", token)));
        // A token that equals no cookie of this browser is as good as none.
        browser.forget("_xsrf", "/hub/");
        let page = browser.post("/hub/login", &form).await;
        assert_eq!(page.status(), 403, "{token:?}");
        assert_eq!(browser.cookie(LOGIN, "/hub/"), None, "{token:?}");
    }
    assert_unharmed(&hub, &["ann"]).await;
}

#[tokio::test]
async fn a_script_without_the_right_token_changes_nothing() {
    let hub = TestHub::start().await;
    let mut tee = logged_in(&hub, "tee").await;
    let mut ann = logged_in(&hub, "ann").await;
    let path = "/hub/api/users/tee/server";
    assert_eq!(
        tee.fetch(Method::GET, "/hub/api/user", None).await.status,
        StatusCode::OK
    );
    let good = tee.cookie("_xsrf", "/hub/").unwrap();
    let of_ann = ann.cookie("_xsrf", "/hub/").unwrap();

    tee.forget("_xsrf", "/hub/");
    for token in [None, Some(""), Some("x"), Some(of_ann.as_str())] {
        if let Some(token) = token {
            tee.set_cookie("_xsrf", "/hub/", token);
        }
        let reply = tee.fetch(Method::POST, path, None).await;
        assert_eq!(
            reply.status,
            StatusCode::FORBIDDEN,
            "{token:?}: {}",
            reply.text()
        );
        let reply = tee.fetch(Method::GET, "/hub/api/user", None).await;
        assert_eq!(
            reply.status,
            StatusCode::FORBIDDEN,
            "{token:?}: a script's GET is checked too"
        );
    }
    assert!(hub.servers().is_empty());
    assert_eq!(
        tee.get("/hub/api/user").await.status(),
        200,
        "a person may look"
    );

    tee.set_cookie("_xsrf", "/hub/", &good);
    let empty = json!({});
    let reply = tee.fetch(Method::POST, path, Some(&empty)).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    let reply = ann.fetch(Method::DELETE, path, None).await;
    assert_eq!(
        reply.status,
        StatusCode::NOT_FOUND,
        "it is not ann's: {}",
        reply.text()
    );
    assert_eq!(hub.servers().len(), 1);
}
