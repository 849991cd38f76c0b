//! `next`, which decides where a login leads to: never off the site.

use hub_tests::hub::TestHub;
use hub_tests::setup::PASSWORD;
use url::form_urlencoded::byte_serialize;

/// What leads off the site if it is believed, in every spelling that browsers repair.
pub(crate) const NEXT: [&str; 28] = [
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    "%2f%2fevil.example",
    "/%2f/evil.example",
    "/%5cevil.example",
    "/%09/evil.example",
    "/ok/..//evil.example",
    "/.//evil.example",
    ";//evil.example",
    "https://evil.example/",
    "https:evil.example",
    "HTTPS:evil.example",
    "http:///evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "/x\r\nSet-Cookie: evil=1",
    "evil.example",
    "",
    " //evil.example",
    "\u{a0}//evil.example",
    "/\u{0}/evil.example",
];

#[tokio::test]
async fn a_login_never_leads_off_the_site() {
    let hub = TestHub::start().await;
    let origin: url::Url = hub.origin().parse().unwrap();
    let foreign_port = hub
        .origin()
        .replacen("127.0.0.1", "127.0.0.1.evil.example", 1);
    let userinfo = hub
        .origin()
        .replacen("127.0.0.1", "127.0.0.1@evil.example", 1);
    let double = format!("{}//evil.example", hub.origin());
    let own = [foreign_port, userinfo, double];
    for next in NEXT.iter().copied().chain(own.iter().map(String::as_str)) {
        let escaped: String = byte_serialize(next.as_bytes()).collect();
        let path = format!("/hub/login?next={escaped}");
        let mut browser = hub.browser();
        let form = browser
            .get(&path)
            .await
            .form("/hub/login")
            .expect("a login form");
        let xsrf = form
            .fields
            .iter()
            .find(|(name, _)| name == "_xsrf")
            .expect("its token");
        let fields = [
            ("username", "tee"),
            ("password", PASSWORD),
            ("_xsrf", xsrf.1.as_str()),
        ];
        let page = browser.post(&path, &fields).await;
        assert_eq!(page.status(), 302, "{next:?}: {}", page.words());
        let location = page.reply.location().expect("a redirect");
        assert!(
            location.starts_with('/') && location.is_ascii(),
            "{next:?} -> {location:?}"
        );
        let resolved = origin.join(location).unwrap();
        assert_eq!(
            resolved.origin(),
            origin.origin(),
            "{next:?} -> {location:?}"
        );
        let again = origin.join(resolved.path()).unwrap();
        assert_eq!(
            again.origin(),
            origin.origin(),
            "{next:?} -> {location:?}, resolved twice"
        );
        assert!(
            !page
                .reply
                .headers
                .get_all("set-cookie")
                .iter()
                .any(|cookie| { cookie.as_bytes().starts_with(b"evil") })
        );
        // Whoever is logged in already is led on by the page itself.
        let page = browser.look(&path).await;
        let location = page.reply.location().unwrap_or("/");
        assert_eq!(
            origin.join(location).unwrap().origin(),
            origin.origin(),
            "{next:?}"
        );
    }
}

#[tokio::test]
async fn a_path_of_the_site_is_kept_as_it_is() {
    let hub = TestHub::start().await;
    for next in [
        "/hub/home",
        "/user/tee/lab/tree/a%20b?x=1&y=%2F",
        "/hub/home?next=/x",
    ] {
        let escaped: String = byte_serialize(next.as_bytes()).collect();
        let mut browser = hub.browser();
        let form = browser.get(&format!("/hub/login?next={escaped}")).await;
        let form = form.form("/hub/login").expect("a login form");
        let filled = [("username", "tee"), ("password", PASSWORD)];
        let page = browser.submit(&form, &filled).await;
        assert_eq!(page.hops[0].location.as_deref(), Some(next));
    }
}
