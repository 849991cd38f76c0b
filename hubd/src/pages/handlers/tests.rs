//! What holds for all pages, whichever handler answers.

use http::header::CONTENT_TYPE;

use super::super::headers::SECURITY_HEADERS;
use super::super::testing::{Browser, HOST, PASSWORD, Reply, Site, id};
use crate::servers::Place;

const URLENCODED: &str = "application/x-www-form-urlencoded";

/// Values of `next` that must not be followed.
const ELSEWHERE: [&str; 34] = [
    "",
    "//evil",
    "///evil",
    "////",
    "/\\evil",
    "\\/evil",
    "\\\\evil",
    "/%09/evil",
    "/\t/evil",
    "/\n/evil",
    "%2f%2fevil",
    "/%2f/evil",
    "/%5cevil",
    "https://evil/",
    "https://ours:8000@evil",
    "https://ours:8000.evil",
    "https://ours:8000//evil",
    "https://ours:8000/\\evil",
    "http:evil",
    "/ok/..//evil",
    "/ok/%2e%2e//evil",
    ";//evil",
    "/.//evil",
    "data:text/html,x",
    "javascript:alert(1)",
    "HTTPS:evil",
    "evil",
    "?x",
    "#x",
    "/x\r\nSet-Cookie: a=b",
    "/x%0d%0aSet-Cookie: a=b",
    "/x\0",
    "\u{a0}//evil",
    "\u{ff0f}\u{ff0f}evil",
];

/// Names that are nobody's.
const HOSTILE_NAMES: [&str; 16] = [
    "nobody",
    ".",
    "..",
    "%2e%2e",
    "%252e",
    "a%2Fb",
    "a%5Cb",
    "a%00b",
    "a%0D%0Ab",
    "%1B%5B31m",
    "-rf",
    "~root",
    "%ff",
    "%EF%BD%81lice",
    "%D0%B0lice",
    "%3Csvg%20onload=alert(1)%3E",
];

fn expect_page(reply: &Reply, what: &str) {
    for (name, value) in SECURITY_HEADERS {
        assert_eq!(reply.headers[name], value, "{what}");
    }
    if reply.status != 302 && reply.status != 303 {
        assert_eq!(
            reply.headers["content-type"], "text/html; charset=utf-8",
            "{what}"
        );
        assert_eq!(reply.texts("main h1").len(), 1, "{what}");
    }
}

#[tokio::test]
async fn every_answer_is_a_page_with_its_headers() {
    let site = Site::new().await;
    let mut alice = site.logged_in("alice").await;
    for (path, status) in [
        ("/hub/", 302),
        ("/hub/login", 302),
        ("/hub/home", 200),
        ("/hub/spawn-pending/alice", 200),
        ("/hub/spawn-pending/bob", 404),
        ("/hub/spawn/alice/Bad_Name", 400),
        ("/hub/stop/alice", 405),
        ("/hub/user/alice/", 424),
        ("/hub/remove/alice/proj", 405),
        ("/hub/new-server", 405),
        ("/hub/admin", 403),
        ("/hub/admin/", 404),
        ("/hub/admin/users", 405),
        ("/hub/admin/delete/alice", 403),
        ("/hub/admin/start/alice", 405),
        ("/hub/user/bob/", 404),
        ("/hub/user", 404),
        ("/hub/user/", 404),
        ("/hub/user-redirect/x", 302),
        ("/hub/login-link/x", 302),
        ("/hub/nope", 404),
        ("/hub/a/b/c?%3Cscript%3E", 404),
        ("/hub/api/oauth2/authorize", 400),
    ] {
        let reply = alice.get(path).await;
        assert_eq!(reply.status, status, "{path}");
        expect_page(&reply, path);
    }
    for path in ["/hub/home", "/hub/logout", "/hub/nope", "/hub/"] {
        let reply = alice.post(path, &[]).await;
        assert!([404, 405].contains(&reply.status), "{path}");
        expect_page(&reply, path);
    }
    assert_eq!(alice.get("/hub/home").await.status, 200);
}

#[tokio::test]
async fn static_files_are_cached_and_pages_are_not() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let page = browser.get("/hub/login").await;
    let style = page.attributes("link[rel=stylesheet]", "href").remove(0);
    let reply = browser.get(&style).await;
    assert_eq!(reply.status, 200);
    assert!(
        reply.headers["cache-control"]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    for path in ["/hub/static/", "/hub/static/..%2fmod.rs", "/hub/static/a/b"] {
        assert_eq!(browser.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn next_never_leads_elsewhere() {
    let site = Site::new().await;
    let mut alice = site.logged_in("alice").await;
    site.start("alice", "").await;
    let mut anonymous = site.browser();
    anonymous.get("/hub/login").await;
    let own = format!("https://{HOST}/hub/home?a=b");
    let followed = [
        ("/hub/home", "/hub/home"),
        (&own, "/hub/home?a=b"),
        ("/a\\b", "/a%5Cb"),
    ];
    let cases = ELSEWHERE.iter().map(|next| (*next, None));
    let cases = cases.chain(followed.iter().map(|(next, to)| (*next, Some(*to))));
    for (next, followed) in cases {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("next", next)
            .finish();
        let server = followed.unwrap_or("/user/alice/");
        for path in ["/hub/login", "/hub/spawn", "/hub/spawn-pending/alice"] {
            let reply = alice.get(&format!("{path}?{query}")).await;
            assert_eq!(reply.leads(), (302, server), "{path} {next:?}");
        }
        let mut browser = site.browser();
        browser.jar.clone_from(&anonymous.jar);
        let fields = [("username", "bob"), ("password", PASSWORD)];
        let reply = browser.post(&format!("/hub/login?{query}"), &fields).await;
        let home = followed.unwrap_or("/hub/home");
        assert_eq!(reply.leads(), (302, home), "{next:?}");
        assert_eq!(reply.cookies().len(), 3, "{next:?}");
        // Nor does a page carry it along.
        for path in ["/hub/login", "/hub/"] {
            let reply = anonymous.get(&format!("{path}?{query}")).await;
            assert!(
                !format!("{}{}", reply.location(), reply.body).contains("evil"),
                "{next:?}"
            );
        }
    }
}

#[tokio::test]
async fn names_that_are_nobodys_are_not_found() {
    let site = Site::new().await;
    let mut alice = site.logged_in("alice").await;
    // An admin may do everything, and still not to somebody who is not there.
    let mut root = site.logged_in("root").await;
    let long = "x".repeat(300);
    for name in HOSTILE_NAMES.into_iter().chain([long.as_str()]) {
        for browser in [&mut alice, &mut root] {
            for path in [
                format!("/hub/spawn/{name}"),
                format!("/hub/spawn-pending/{name}"),
                format!("/hub/spawn-pending/{name}/x"),
                format!("/hub/user/{name}/lab"),
            ] {
                let reply = browser.get(&path).await;
                assert_eq!(reply.leads(), (404, ""), "{path}");
                expect_page(&reply, &path);
                assert!(!reply.body.contains("svg onload"), "{path}");
            }
            for path in [
                format!("/hub/spawn/{name}"),
                format!("/hub/stop/{name}"),
                format!("/hub/remove/{name}/x"),
            ] {
                assert_eq!(browser.post(&path, &[]).await.leads(), (404, ""), "{path}");
            }
        }
    }
    for name in HOSTILE_NAMES {
        for action in ["delete", "rights", "start", "open"] {
            let path = format!("/hub/admin/{action}/{name}");
            let reply = root.post(&path, &[("admin", "true")]).await;
            assert_eq!(reply.leads(), (404, ""), "{path}");
        }
    }
    assert_eq!(site.app.store.users().count(), 2);
}

#[tokio::test]
async fn another_users_server_needs_a_right() {
    let site = Site::new().await;
    for user in ["alice", "carol"] {
        site.logged_in(user).await;
    }
    let status = async |browser: &mut Browser<'_>, path: &str| browser.get(path).await.status;
    let mut bob = site.logged_in("bob").await;
    let mut helper = site.logged_in("helper").await;
    let mut root = site.logged_in("root").await;
    for path in ["/hub/spawn/alice", "/hub/spawn-pending/alice"] {
        assert_eq!(status(&mut bob, path).await, 404, "{path}");
        assert_eq!(
            status(&mut helper, &path.replace("alice", "carol")).await,
            404,
            "{path}"
        );
    }
    assert_eq!(bob.post("/hub/spawn/alice", &[]).await.status, 404);
    assert_eq!(bob.post("/hub/stop/alice", &[]).await.status, 404);
    assert!(site.started().is_empty());
    for browser in [&mut helper, &mut root] {
        let page = browser.get("/hub/spawn-pending/alice").await;
        assert_eq!(
            (page.status, &*page.heading()),
            (200, "The server of alice is not running")
        );
        assert_eq!(page.texts("#start"), ["Start Server"]);
        let reply = browser.post("/hub/spawn/alice", &[]).await;
        assert_eq!(reply.leads(), (302, "/hub/spawn-pending/alice"));
        site.leaves("alice", Place::Starting).await;
        assert_eq!(
            browser.post("/hub/stop/alice", &[]).await.leads(),
            (303, "/hub/home")
        );
        assert_eq!(
            site.app.servers.look(&id("alice", "")).place,
            Place::Stopped
        );
    }
    assert_eq!(site.started().len(), 2);
}

/// Every form, with every way in which the proof can be wrong.
#[tokio::test]
async fn a_form_counts_only_with_the_proof_of_its_session() {
    let site = Site::new().await;
    let alice = site.logged_in("alice").await;
    let mut other = site.logged_in("alice").await;
    other.get("/hub/home").await;
    let mut anonymous = site.browser();
    anonymous.get("/hub/login").await;
    let token = |browser: &Browser<'_>| browser.jar["_xsrf"].clone();
    let (good, foreign, nobodys) = (token(&alice), token(&other), token(&anonymous));
    let forms = [
        "/hub/spawn/alice",
        "/hub/stop/alice",
        "/hub/login",
        "/hub/api/oauth2/authorize",
        "/hub/new-server",
        "/hub/remove/alice/proj",
        "/hub/admin/users",
        "/hub/admin/rights/alice",
        "/hub/admin/delete/alice",
        "/hub/admin/start/alice",
        "/hub/admin/open/alice/proj",
    ];
    let modes = ["navigate", "no-cors", "cors", "same-origin", "websocket"];

    let mut request = alice.jar.clone();
    for (cookie, field) in [
        (Some(&good), None),
        (Some(&good), Some("")),
        (Some(&good), Some("x")),
        (Some(&foreign), Some(&*foreign)),
        (Some(&nobodys), Some(&*nobodys)),
        (Some(&good), Some(&*foreign)),
        (Some(&foreign), Some(&*good)),
        (None, Some(&*good)),
    ] {
        request.remove("_xsrf");
        request.extend(cookie.map(|cookie| ("_xsrf".to_owned(), cookie.clone())));
        let mut browser = site.browser();
        browser.jar.clone_from(&request);
        for path in forms {
            for mode in modes {
                let body = field
                    .map(|field| format!("_xsrf={field}"))
                    .unwrap_or_default();
                let mut post = browser
                    .request("POST", path)
                    .header(CONTENT_TYPE, URLENCODED)
                    .header("x-http-method-override", "GET")
                    .header("sec-fetch-site", "same-origin");
                let headers = post.headers_mut().unwrap();
                headers.insert("sec-fetch-mode", mode.parse().unwrap());
                let reply = site.send(post, body).await;
                assert_eq!(reply.status, 403, "{path} {mode} {cookie:?} {field:?}");
                expect_page(&reply, path);
                assert!(reply.cookies().is_empty());
            }
        }
    }
    assert!(site.started().is_empty());
}

#[tokio::test]
async fn the_proof_may_come_as_a_header_and_beside_a_planted_cookie() {
    let site = Site::new().await;
    let mut alice = site.logged_in("alice").await;
    let good = alice.jar.remove("_xsrf").unwrap();
    let cookies = |xsrf: &str| {
        let all = alice
            .jar
            .iter()
            .map(|(name, value)| format!("{name}={value}; "));
        all.collect::<String>() + xsrf
    };
    for xsrf in [
        format!("_xsrf={good}"),
        format!("_xsrf=planted; _xsrf={good}"),
        format!("_xsrf={good}; _xsrf=planted"),
    ] {
        let post = site.browser().request("POST", "/hub/stop/alice");
        let post = post.header("cookie", cookies(&xsrf));
        let reply = site.send(post.header("x-xsrftoken", &good), "").await;
        assert_eq!(reply.leads(), (303, "/hub/home"), "{xsrf}");
    }
}

#[tokio::test]
async fn cookies_that_prove_nothing_are_nobody() {
    let site = Site::new().await;
    let alice = site.logged_in("alice").await;
    let login = &alice.jar["jupyterhub-hub-login"];
    let half = &login[..login.len() - 1];
    let flood = "a=1; ".repeat(300);
    let long = format!("a={}", "x".repeat(10_000));
    for (cookies, status) in [
        ("jupyterhub-hub-login=forged", 302),
        (&*format!("jupyterhub-hub-login={half}"), 302),
        (&*format!("jupyterhub-session-id={login}"), 302),
        (
            &*format!("jupyterhub-hub-login=forged; jupyterhub-hub-login={login}"),
            200,
        ),
        (
            &*format!("$Version=1; jupyterhub-hub-login=\"{login}\""),
            200,
        ),
        (&flood, 403),
        (&long, 403),
    ] {
        let request = site.browser().request("GET", "/hub/home");
        let reply = site.send(request.header("cookie", cookies), "").await;
        assert_eq!(reply.status, status, "{cookies:.60}");
        expect_page(&reply, cookies);
    }
}
