//! Requests that another site, or a page of another user, makes with somebody's cookies.

use http::{Method, StatusCode};
use hub_tests::api::Api;
use hub_tests::browser::Browser;
use hub_tests::hub::TestHub;
use hub_tests::setup::{PASSWORD, Setup};

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A hub, and the browser of its admin, with the cookies that go to the hub's pages.
async fn admin_s_browser() -> (TestHub, Browser, String) {
    let setup = Setup::new().set("auth.admin_users", vec!["boss"]);
    let hub = setup.start().await;
    hub.admin().create(&["tee"]).await;
    let mut boss = hub.browser();
    let page = boss.log_in("/hub/home", "boss", PASSWORD).await;
    assert_eq!(page.status(), 200);
    let cookies = boss.cookie_header("/hub/home").expect("cookies");
    (hub, boss, cookies)
}

/// Every change that a cookie could make, as method, path, kind and body.
const CHANGES: [(Method, &str, (&str, &str), &str); 16] = [
    (Method::DELETE, "/hub/api/users/tee", JSON, ""),
    (
        Method::POST,
        "/hub/api/users",
        JSON,
        r#"{"usernames":["eve"]}"#,
    ),
    (Method::POST, "/hub/api/users/eve", JSON, ""),
    (
        Method::PATCH,
        "/hub/api/users/tee",
        JSON,
        r#"{"admin":true}"#,
    ),
    (Method::POST, "/hub/api/users/tee/server", JSON, "{}"),
    (Method::POST, "/hub/api/users/boss/tokens", JSON, "{}"),
    (Method::POST, "/hub/api/groups/eves", JSON, ""),
    (Method::POST, "/hub/api/shutdown", JSON, "{}"),
    (Method::POST, "/hub/api/proxy", JSON, ""),
    (Method::POST, "/hub/spawn", FORM, ""),
    (Method::POST, "/hub/spawn/tee", FORM, ""),
    (Method::POST, "/hub/stop/tee", FORM, ""),
    (Method::POST, "/hub/token", FORM, "note=x"),
    (Method::POST, "/hub/admin/users", FORM, "names=eve"),
    (Method::POST, "/hub/admin/rights/tee", FORM, "admin=true"),
    (Method::POST, "/hub/admin/delete/tee", FORM, ""),
];

/// Each change is refused with these headers and cookies.
async fn assert_all_refused(hub: &TestHub, headers: &[(&str, &str)]) {
    let nobody: Api = hub.api(None);
    let before = hub.trace();
    for (method, path, kind, body) in CHANGES {
        let headers = [headers, &[kind]].concat();
        let case = format!("{method} {path} {headers:?}");
        let reply = nobody.send(method, path, &headers, body).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{case}");
        assert!(!reply.text().is_empty(), "{case}: no reason");
        hub.assert_no_trace(&before, &case);
    }
}

#[tokio::test]
pub(super) async fn cve_2020_36191_the_api_takes_no_bare_cookie() {
    let (hub, boss, cookies) = admin_s_browser().await;
    let token = boss.cookie("_xsrf", "/hub/").expect("a token");
    assert_all_refused(&hub, &[("cookie", &cookies)]).await;
    assert_all_refused(&hub, &[("cookie", &cookies), ("x-xsrftoken", "")]).await;
    // A method in a header changes no method, and so needs no token either: it is not heard.
    let before = hub.trace();
    let headers = [
        ("cookie", cookies.as_str()),
        ("x-xsrftoken", &token),
        ("x-http-method-override", "DELETE"),
    ];
    let path = "/hub/api/users/tee?_method=DELETE";
    let reply = hub.api(None).send(Method::GET, path, &headers, "").await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    hub.assert_no_trace(&before, "a method in a header");
    // With the token it is the admin's own page, which may.
    let headers = [
        ("cookie", cookies.as_str()),
        ("x-xsrftoken", &token),
        ("content-type", "application/json"),
    ];
    let path = "/hub/api/users/tee";
    let reply = hub.api(None).send(Method::DELETE, path, &headers, "").await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "{}", reply.text());
}

#[tokio::test]
pub(super) async fn cve_2024_28233_a_tossed_cookie_counts_for_nothing() {
    let (hub, boss, cookies) = admin_s_browser().await;
    let good = boss.cookie("_xsrf", "/hub/").expect("a token");
    let mut mallory = hub.browser();
    mallory.log_in("/hub/home", "mallory", PASSWORD).await;
    let hers = mallory.cookie("_xsrf", "/hub/").expect("a token");
    // A page of a sibling domain can add cookies, and longer paths come first.
    for tossed in [hers.as_str(), "x", ""] {
        let both = format!("_xsrf={tossed}; {cookies}");
        assert_all_refused(&hub, &[("cookie", &both), ("x-xsrftoken", tossed)]).await;
        let alone = cookies.replace(&good, tossed);
        assert_all_refused(&hub, &[("cookie", &alone), ("x-xsrftoken", tossed)]).await;
        assert_all_refused(&hub, &[("cookie", &alone), ("x-xsrftoken", &good)]).await;
        // Nor does it lock the owner out.
        let headers = [("cookie", both.as_str()), ("x-xsrftoken", &good), JSON];
        let path = "/hub/api/users/tee/activity";
        let body = r#"{"last_activity":"2026-01-02T03:04:05Z"}"#;
        let reply = hub.api(None).send(Method::POST, path, &headers, body).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    }
    // A login of hers tossed beside his, in either order, makes nobody of the two the other.
    let name = "jupyterhub-hub-login";
    let login = mallory.cookie(name, "/hub/").expect("a login");
    let before = hub.trace();
    for cookies in [
        format!("{name}={login}; {cookies}"),
        format!("{cookies}; {name}={login}"),
    ] {
        let headers = [("cookie", cookies.as_str()), ("x-xsrftoken", &hers), JSON];
        let path = "/hub/api/users/tee";
        let reply = hub.api(None).send(Method::DELETE, path, &headers, "").await;
        assert!(reply.status.is_client_error(), "{}", reply.status);
    }
    hub.assert_no_trace(&before, "two logins");
}

#[tokio::test]
pub(super) async fn cve_2026_40864_no_cors_excuses_no_change() {
    let (hub, _boss, cookies) = admin_s_browser().await;
    for mode in ["no-cors", "navigate", "same-origin", "websocket", "cors"] {
        for site in ["same-origin", "same-site", "cross-site", "none"] {
            let headers = [
                ("cookie", cookies.as_str()),
                ("sec-fetch-mode", mode),
                ("sec-fetch-site", site),
            ];
            assert_all_refused(&hub, &headers).await;
        }
    }
    // There are no shares that could be accepted.
    let headers = [("cookie", cookies.as_str()), FORM];
    let path = "/hub/accept-share";
    let reply = hub.api(None).send(Method::POST, path, &headers, "").await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
pub(super) async fn cve_2023_40170_no_other_site_reads_an_answer() {
    let (hub, _boss, cookies) = admin_s_browser().await;
    let nobody = hub.api(None);
    let before = hub.trace();
    for path in [
        "/hub/api/user",
        "/hub/api/users",
        "/hub/api/users/tee",
        "/hub/api/users/boss/tokens",
        "/hub/api/groups",
        "/hub/api/services",
        "/hub/api/info",
        "/hub/api/proxy",
    ] {
        for other in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "no-cors"),
            ],
            &[
                ("sec-fetch-site", "same-site"),
                ("sec-fetch-mode", "no-cors"),
            ],
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")],
            &[
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-mode", "cors"),
            ],
        ] {
            let headers = [other, &[("cookie", cookies.as_str())]].concat();
            let reply = nobody.send(Method::GET, path, &headers, "").await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path} {other:?}");
        }
        // Whoever gets it gets it for this origin alone, and as what it is.
        let headers = [
            ("cookie", cookies.as_str()),
            ("origin", "https://evil.test"),
        ];
        let reply = nobody.send(Method::GET, path, &headers, "").await;
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(
            reply.header("cross-origin-resource-policy"),
            "same-origin",
            "{path}"
        );
        assert_eq!(reply.media_type(), "application/json", "{path}");
        assert_eq!(reply.header("access-control-allow-origin"), "", "{path}");
    }
    hub.assert_no_trace(&before, "reads");
}
