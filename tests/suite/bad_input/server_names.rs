//! Names of servers that are none, or that are for no server, at every door that one comes in by.

use http::{Method, StatusCode};
use hub_tests::hub::TestHub;
use hub_tests::setup::Setup;
use serde_json::json;

use super::assert_unharmed;
use super::doors::{Door, World, role};

/// Where the name of a server comes in; a name that no server has, or that none is given.
const SERVER_DOORS: &[Door] = &[
    Door::Path("PUT", "/users/tee/servers/{}"),
    Door::Path("POST", "/users/tee/servers/{}"),
    Door::Body(
        "PATCH",
        "/users/tee/servers/proj",
        |name| json!({ "name": name }),
    ),
    Door::Page("POST", "/hub/spawn/tee/{}", ""),
    Door::Page("GET", "/hub/spawn/tee/{}", ""),
    Door::Page("POST", "/hub/admin/start/tee/{}", ""),
    Door::Path("GET", "/users/tee/servers/{}/progress"),
    Door::Path("PATCH", "/users/tee/servers/{}"),
    Door::Path("DELETE", "/users/tee/servers/{}"),
    Door::Page("POST", "/hub/stop/tee/{}", ""),
    Door::Page("POST", "/hub/remove/tee/{}", ""),
    Door::Page("POST", "/hub/extend/tee/{}", ""),
    Door::Page("POST", "/hub/admin/open/tee/{}", ""),
    Door::Page(
        "GET",
        "/hub/api/oauth2/authorize?client_id=jupyterhub-user-tee~{}&response_type=code",
        "",
    ),
    Door::Body(
        "POST",
        "/users/tee/activity",
        |name| json!({ "servers": { name: { "last_activity": "2026-01-02T03:04:05Z" } } }),
    ),
    Door::Body(
        "POST",
        "/users/tee/tokens",
        |name| json!({ "scopes": [format!("access:servers!server=tee/{name}")] }),
    ),
    Door::Config("role.scopes", |setup, name| {
        setup.add("role", role(format!("access:servers!server=tee/{name}")))
    }),
    Door::Line(&[
        "token",
        "new",
        "--user",
        "tee",
        "--scope",
        "access:servers!server=tee/{}",
    ]),
];

#[tokio::test]
async fn a_server_has_no_such_name_at_any_door() {
    let world = World::new().await;
    let long = "a".repeat(31);
    let longer = "a".repeat(256);
    let longest = "a".repeat(64 << 10);
    let names = [
        " ",
        ".",
        "..",
        "../proj",
        "a/b",
        "a%2Fb",
        "?x#y",
        "<script>",
        "'\"",
        "😀",
        "oauth_callback",
        "Bad_Name",
        "-a",
        "a-",
        "a--b",
        "1a",
        "a.b",
        "a\0b",
        "a\nb",
        "%00",
        "{{7*7}}",
        &long,
        &longer,
        &longest,
    ];
    world.refuses(SERVER_DOORS, names, |_, _| false).await;
    // Names that would hide a page of the default server are fine words, and are given to none.
    let pages = ["api", "lab", "tree", "files", "static", "logout", "hub"];
    let makes = &SERVER_DOORS[..4];
    world.refuses(makes, pages, |_, _| false).await;
    assert_unharmed(&world.hub, &["boss", "tee"]).await;
}

#[tokio::test]
async fn every_name_is_a_server_of_its_own_up_to_the_limit() {
    let hub = Setup::new()
        .set("limits.named_servers_per_user", 3)
        .start()
        .await;
    let admin = hub.admin();
    admin.create(&["a", "a-b", "tee"]).await;
    for (user, server) in [
        ("a", "b"),
        ("a", "b-c"),
        ("a-b", "c"),
        ("a-b", "b"),
        ("tee", "ab"),
    ] {
        let made = admin
            .post(&format!("/users/{user}/servers/{server}"), None)
            .await;
        assert_eq!(
            made.status,
            StatusCode::CREATED,
            "{user} {server}: {}",
            made.text()
        );
        let path = format!("/user/{user}/{server}/env");
        let told = admin.send(Method::GET, &path, &[], "").await.json();
        assert_eq!(told["JUPYTERHUB_USER"], user);
        assert_eq!(told["JUPYTERHUB_SERVER_NAME"], server);
    }
    assert_eq!(hub.servers().len(), 5);
    let made = admin
        .call(Method::PUT, "/users/tee/servers/ab2", None)
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let made = admin
        .call(Method::PUT, "/users/tee/servers/ab3", None)
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let before = hub.trace();
    for method in [Method::PUT, Method::POST] {
        let made = admin.call(method, "/users/tee/servers/ab4", None).await;
        assert_eq!(made.status, StatusCode::BAD_REQUEST, "{}", made.text());
        assert!(made.text().contains("at most 3"), "{}", made.text());
        hub.assert_no_trace(&before, "one more than the limit");
    }
}

#[tokio::test]
async fn named_servers_are_off_unless_they_are_allowed() {
    let hub = TestHub::start().await;
    hub.admin().create(&["tee"]).await;
    let reply = hub.admin().post("/users/tee/servers/proj1", None).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text());
    assert!(hub.servers().is_empty());
}
