//! Logging in and out: what a browser holds afterwards, and what is left of it.

use hub_tests::hub::TestHub;
use hub_tests::setup::PASSWORD;
use hub_tests::visit::Visitor;

#[tokio::test]
async fn a_login_leaves_exactly_three_cookies() {
    let hub = TestHub::start().await;
    let mut tee = Visitor::new(hub.browser(), "tee");
    tee.arrive().await;
    assert_eq!(
        names_and_paths(&tee.browser.cookies()),
        [
            "jupyterhub-session-id; Path=/; HttpOnly",
            "_xsrf; Path=/hub/",
            "jupyterhub-hub-login; Path=/hub/; HttpOnly",
        ]
    );
    let lasting: Vec<_> = tee
        .browser
        .cookies()
        .into_iter()
        .filter(|cookie| cookie.contains("Lasting"))
        .collect();
    assert_eq!(
        lasting.len(),
        1,
        "the login alone outlives the browser: {lasting:?}"
    );
    assert!(
        lasting[0].starts_with("jupyterhub-hub-login"),
        "{lasting:?}"
    );

    let again = tee.browser.get("/hub/login?next=%2Fhub%2Fhome").await;
    assert_eq!(again.target(), "/hub/home", "{:?}", again.trail());
    assert_eq!(tee.browser.get("/hub/").await.status(), 200);
}

#[tokio::test]
async fn a_person_arrives_where_they_wanted_to() {
    let hub = TestHub::start().await;
    for address in ["/hub/home", "/hub/home?x=1%2F2"] {
        let mut browser = hub.browser();
        let page = browser.log_in(address, "tee", PASSWORD).await;
        assert_eq!((page.status(), page.target().as_str()), (200, address));
    }
    let mut browser = hub.browser();
    let page = browser.log_in("/", "TEE", PASSWORD).await;
    assert!(page.status() < 400, "{:?}", page.trail());
    let user = hub.admin().get("/users/tee").await;
    assert_eq!(user.json()["name"], "tee", "upper case is folded");
    assert_eq!(
        hub.admin()
            .get("/users")
            .await
            .json()
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[tokio::test]
async fn a_wrong_password_says_so_and_leaves_nothing() {
    let hub = TestHub::start().await;
    for attempt in 1..=5 {
        let mut browser = hub.browser();
        let page = browser.log_in("/hub/login", "tee", "not it").await;
        assert_eq!(page.status(), 403, "attempt {attempt}");
        assert!(
            page.form("/hub/login").is_some(),
            "the form is there to try again"
        );
        assert!(
            !page.reply.text().contains("not it"),
            "the page shows the password"
        );
        let left = names_and_paths(&browser.cookies());
        assert_eq!(left, ["_xsrf; Path=/hub/"], "attempt {attempt}");
    }
}

#[tokio::test]
async fn whoever_goes_on_guessing_has_to_wait() {
    let hub = TestHub::start().await;
    let mut browser = hub.browser();
    // The delay doubles with each guess: no machine is so slow that it never meets one.
    let mut delayed = None;
    for _ in 0..12 {
        let page = browser.log_in("/hub/login", "tee", "not it").await;
        if page.status() == 429 {
            delayed = Some(page);
            break;
        }
        assert_eq!(page.status(), 403);
    }
    let page = delayed.expect("a guess that came too early");
    assert!(
        page.reply
            .header("retry-after")
            .parse::<u64>()
            .is_ok_and(|seconds| seconds > 0)
    );
    assert!(page.form("/hub/login").is_some(), "{}", page.words());
    let other = hub.browser().log_in("/hub/home", "ann", PASSWORD).await;
    assert_eq!(
        other.status(),
        200,
        "one person's failures are not another's"
    );
}

#[tokio::test]
async fn a_logout_ends_the_session_for_copies_of_the_cookies_too() {
    let hub = TestHub::start().await;
    let mut browser = hub.browser();
    browser.log_in("/hub/home", "tee", PASSWORD).await;
    let mut copy = browser.clone();
    let mut elsewhere = hub.browser();
    elsewhere.log_in("/hub/home", "tee", PASSWORD).await;
    assert_eq!(copy.get("/hub/home").await.target(), "/hub/home");

    let page = browser.look("/hub/logout").await;
    assert_eq!(page.trail(), ["GET /hub/logout 302 /hub/login"]);
    let left = browser.cookies();
    assert!(
        left.iter().all(|cookie| cookie.starts_with("_xsrf")),
        "{left:?}"
    );
    assert_eq!(
        copy.get("/hub/home").await.url.path(),
        "/hub/login",
        "the copy is worth nothing"
    );
    assert_eq!(
        elsewhere.get("/hub/home").await.target(),
        "/hub/home",
        "another session goes on"
    );

    let mut stranger = hub.browser();
    assert_eq!(stranger.look("/hub/logout").await.status(), 302);
    assert_eq!(elsewhere.get("/hub/home").await.target(), "/hub/home");
}

/// Cookies without how long they last and whether other sites see them.
pub(crate) fn names_and_paths(cookies: &[String]) -> Vec<String> {
    let bare = cookies.iter().map(|cookie| cookie.replace("; Lasting", ""));
    bare.map(|cookie| cookie.replace("; SameSite=Lax", ""))
        .collect()
}
