//! Addresses that the hub keeps and sends browsers to later: where users land in their server, and
//! where an OAuth client is answered.

use hub_tests::setup::{PASSWORD, Setup};
use serde_json::json;
use toml::Table;

use super::doors::{Door, World};

/// A service that visitors are sent back to at this address.
fn service(redirect_uri: &str) -> Table {
    let mut service = Table::new();
    service.insert("name".into(), "grader".into());
    service.insert("api_token".into(), "token-of-the-grader".into());
    service.insert("oauth_redirect_uri".into(), redirect_uri.into());
    service
}

const KEPT: &[Door] = &[
    Door::Body(
        "POST",
        "/services/grader",
        |url| json!({ "api_token": "token-of-the-grader", "oauth_redirect_uri": url }),
    ),
    Door::Config("spawner.default_url", |setup, url| {
        setup.set("spawner.default_url", url)
    }),
    Door::Config("service.oauth_redirect_uri", |setup, url| {
        setup.add("service", service(url))
    }),
];

#[tokio::test]
async fn no_such_address_is_kept() {
    let world = World::new().await;
    let long = format!("/{}", "a".repeat(2 << 20));
    let addresses = [
        "",
        " ",
        "lab",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "/%2fevil.example",
        "/%5cevil.example",
        "/\t/evil.example",
        "/%09/evil.example",
        "https:evil.example",
        "https:/evil.example",
        "HTTPS:evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "/../../hub/logout",
        "/lab/%2e%2e/%2e%2e/hub/logout",
        "/lab\r\nSet-Cookie: x=1",
        "/lab\0",
        "/lab\u{1b}[31m",
        "https://user@evil.example/",
        "https://:secret@evil.example/",
        &long,
    ];
    world.refuses(KEPT, addresses, |_, _| false).await;
    // What is a path of the server, or of nobody, is taken as it is.
    for url in [
        "/lab?x=<svg>",
        "/user/bob/",
        "/tree/%U",
        "/lab/tree/{username}",
    ] {
        let ran = Setup::new().set("spawner.default_url", url).check_config();
        assert_eq!(ran.code, Some(0), "{url}: {}", ran.output);
    }
}

#[tokio::test]
async fn a_client_is_answered_at_its_own_address_only() {
    let mut world = World::new().await;
    world.hub.admin().start("tee").await;
    let own = "/user/tee/oauth_callback";
    let site = world.hub.origin().to_owned();
    let mut tee = world.hub.browser();
    tee.log_in("/hub/home", "tee", PASSWORD).await;
    world.begin();
    let port = site.rsplit(':').next().unwrap_or_default();
    for uri in [
        "/user/tee/oauth_callback/",
        "/user/tee/oauth_callbackx",
        "/user/tee/oauth_callback/../x",
        "/user/tee/oauth_callback%2F",
        "/user/tee/oauth_callback?x=1",
        "/user/tee/oauth_callback#x",
        "/user/tee/",
        "/user/tee//oauth_callback",
        "/user/boss/oauth_callback",
        "/USER/TEE/OAUTH_CALLBACK",
        "user/tee/oauth_callback",
        "//evil.example/user/tee/oauth_callback",
        "/\\evil.example/user/tee/oauth_callback",
        "http://evil.example/user/tee/oauth_callback",
        "https:/user/tee/oauth_callback",
        "javascript:/user/tee/oauth_callback",
        &format!("http://127.0.0.1:1/{own}"),
        &format!("http://tee@127.0.0.1:{port}{own}"),
        &format!("http://127.0.0.1.evil.example:{port}{own}"),
        &format!("{own}\r\nSet-Cookie: x=1"),
        &format!("{own}\0"),
        &format!("{own} "),
    ] {
        let escaped: String = url::form_urlencoded::byte_serialize(uri.as_bytes()).collect();
        let page = tee
            .look(&format!(
                "/hub/api/oauth2/authorize?client_id=jupyterhub-user-tee&response_type=code&\
                 state=x&redirect_uri={escaped}"
            ))
            .await;
        assert_eq!(
            (page.status(), page.reply.location()),
            (400, None),
            "{uri:?}"
        );
        assert!(!page.words().is_empty(), "{uri:?}: no reason");
        world.assert_no_trace(uri);
    }
}
