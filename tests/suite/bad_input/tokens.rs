//! Tokens that are no good, and wishes for tokens that nobody is granted.

use http::{Method, StatusCode};
use hub_tests::api::Api;
use hub_tests::processes;
use hub_tests::setup::ADMIN_TOKEN;
use hub_tests::wait::until;
use serde_json::json;
use toml::Table;

use super::doors::{Door, World, role};

fn token_of(api: &Api, reply: &hub_tests::http::Reply) -> String {
    let token = reply.json()["token"].as_str().map(str::to_owned);
    token.unwrap_or_else(|| panic!("{api:?}: {}", reply.text()))
}

/// `Authorization` headers that let nobody in, and query fields that stand for none.
const HEADERS: &[Door] = &[
    Door::Header("/hub/api/user", |token| {
        ("authorization".into(), format!("token {token}"))
    }),
    Door::Header("/hub/api/users", |token| {
        ("authorization".into(), format!("Bearer {token}"))
    }),
    Door::Header("/hub/api/users/tee", |token| {
        ("Authorization".into(), format!("BEARER {token}"))
    }),
    Door::Header("/hub/metrics", |token| {
        ("authorization".into(), format!("token {token}"))
    }),
];

#[tokio::test]
async fn a_token_that_is_no_good_opens_nothing() {
    let mut world = World::new().await;
    let admin = world.hub.admin();
    let make = async |wish| {
        let reply = admin.post("/users/tee/tokens", Some(&wish)).await;
        let id = reply.json()["id"].as_str().unwrap_or_default().to_owned();
        (token_of(&admin, &reply), id)
    };
    let (revoked, id) = make(json!({})).await;
    let gone = admin.delete(&format!("/users/tee/tokens/{id}")).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text());
    let (expired, _) = make(json!({ "expires_in": 1 })).await;
    let (valid, _) = make(json!({})).await;
    let own = async || {
        let servers = world.hub.servers();
        let token = processes::variable(&servers[0], "JUPYTERHUB_API_TOKEN");
        token.expect("a server with a token")
    };
    admin.start("tee").await;
    let earlier = own().await;
    admin.stop("tee").await;
    admin.start("tee").await;
    let stopped = own().await;
    for (token, status) in [(&earlier, 403), (&stopped, 200), (&valid, 200)] {
        let reply = world.hub.api(Some(token)).get("/user").await;
        assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
    }
    admin.stop("tee").await;
    until("a token to expire", async || {
        match world.hub.api(Some(&expired)).get("/user").await.status {
            StatusCode::FORBIDDEN => Ok(()),
            status => Err(status.to_string()),
        }
    })
    .await;
    world.begin();
    let long = "a".repeat(64 << 10);
    let tokens = [
        revoked.as_str(),
        &expired,
        &earlier,
        &stopped,
        "",
        "a",
        &valid[..valid.len() - 1],
        &valid[1..],
        &format!("{valid}a"),
        &format!("{valid}\0"),
        &format!("{valid},{valid}"),
        &format!("{valid} {valid}"),
        &format!("{valid}\r\nauthorization: token {valid}"),
        &format!("{valid}\r\n continued"),
        &valid.to_uppercase(),
        &format!("\"{valid}\""),
        "null",
        "' or 1=1 --",
        &long,
    ];
    world.refuses(HEADERS, tokens, |_, _| false).await;

    // A query is in logs and histories, so it is no place for a token.
    for path in [
        format!("/hub/api/user?token={valid}"),
        format!("/hub/api/user?access_token={valid}"),
        format!("/hub/api/users?token={ADMIN_TOKEN}"),
        format!("/hub/metrics?token={ADMIN_TOKEN}"),
        format!("/hub/api/shutdown?token={ADMIN_TOKEN}"),
    ] {
        let method = if path.contains("shutdown") {
            Method::POST
        } else {
            Method::GET
        };
        let reply = world.hub.api(None).send(method, &path, &[], "").await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path:.30}");
    }
    for secret in [valid.as_str(), ADMIN_TOKEN] {
        assert!(!world.hub.log().contains(secret), "{}", world.hub.log());
    }
    // What a good one does not hold is not for it either.
    let weak = json!({ "scopes": ["read:users:name!user"] });
    let (weak, _) = make(weak).await;
    let weak = world.hub.api(Some(&weak));
    world.begin();
    for (method, path) in [
        (Method::GET, "/users"),
        (Method::GET, "/users/boss"),
        (Method::POST, "/users/tee/server"),
        (Method::POST, "/users/tee/tokens"),
        (Method::GET, "/users/tee/tokens"),
        (Method::DELETE, "/users/tee"),
        (Method::GET, "/groups"),
        (Method::POST, "/shutdown"),
    ] {
        let case = format!("{method} {path}");
        let reply = weak.call(method, path, None).await;
        let refused = [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND];
        assert!(refused.contains(&reply.status), "{case}: {}", reply.status);
        world.assert_no_trace(&case);
    }
}

const SCOPES: &[Door] = &[
    Door::Body(
        "POST",
        "/users/tee/tokens",
        |scope| json!({ "scopes": [scope] }),
    ),
    Door::Body(
        "POST",
        "/users/tee/tokens",
        |scope| json!({ "scopes": ["self", scope] }),
    ),
    Door::Body(
        "POST",
        "/users/tee/tokens",
        |role| json!({ "roles": [role] }),
    ),
    Door::Form("/hub/token", "scopes", "note=x"),
    Door::Line(&["token", "new", "--user", "tee", "--scope", "{}"]),
    Door::Line(&["token", "new", "--service", "stories", "--scope", "{}"]),
    Door::Config("role.scopes", |setup, scope| setup.add("role", role(scope))),
];

#[tokio::test]
async fn a_scope_that_cannot_be_had_is_refused_at_every_door() {
    let world = World::new().await;
    let long = format!("read:users!user={}", "a".repeat(10_000));
    let scopes = [
        " ",
        "no:such:scope",
        "admin:*",
        "*",
        "Admin:users",
        "read:users!",
        "read:users!user=",
        "read:users!user=a!user=b",
        "read:users!user=a b",
        "read:users!user=..",
        "read:users!group=",
        "read:users!planet=mars",
        "access:servers!server=tee",
        "access:servers!server=/",
        "access:servers!server=tee/a/b",
        "!user",
        "self!user=boss!user=tee",
        "self\0",
        "self\nadmin:users",
        "<img src=x>",
        &long,
    ];
    // The form takes scopes with white space between them, and none as none.
    let in_words = |door: &Door, scopes: &str| {
        matches!(door, Door::Form(..)) && (scopes.trim().is_empty() || scopes.contains('\n'))
    };
    world.refuses(SCOPES, scopes, in_words).await;
    // Wider than its owner's: fine in a role, refused to tee.
    let wider = [
        "admin:users",
        "shutdown",
        "tokens",
        "access:servers",
        "read:users!user=boss",
        "access:servers!server=boss/",
        "proxy",
    ];
    let of_tee = &SCOPES[..3];
    world.refuses(of_tee, wider, |_, _| false).await;
    let by_command = [Door::Line(&[
        "token", "new", "--user", "tee", "--scope", "{}",
    ])];
    world.refuses(&by_command, wider, |_, _| false).await;
    let many = [Door::Body(
        "POST",
        "/users/tee/tokens",
        |_| json!({ "scopes": vec!["self"; 10_000] }),
    )];
    world.refuses(&many, [""], |_, _| false).await;
}

const NOTES: &[Door] = &[
    Door::Body("POST", "/users/tee/tokens", |note| json!({ "note": note })),
    Door::Form("/hub/token", "note", ""),
    Door::Line(&["token", "new", "--user", "tee", "--note", "{}"]),
];

#[tokio::test]
async fn a_note_is_one_line_of_bounded_text() {
    let world = World::new().await;
    let (long, longer) = ("é".repeat(1001), "a".repeat(1 << 20));
    let notes = [
        "two\nlines",
        "a\r\nb",
        "a\0b",
        "\u{1b}[31mred",
        "a\u{7f}",
        &long,
        &longer,
    ];
    world.refuses(NOTES, notes, |_, _| false).await;
}

/// The token of a service, whoever makes the service.
#[tokio::test]
async fn a_service_has_no_such_token() {
    const DOORS: &[Door] = &[
        Door::Config("service.api_token", |setup, token| {
            let mut service = Table::new();
            service.insert("name".into(), "grader".into());
            service.insert("api_token".into(), token.into());
            setup.add("service", service)
        }),
        Door::Body(
            "POST",
            "/services/grader",
            |token| json!({ "api_token": token }),
        ),
    ];
    let world = World::new().await;
    let long = "a".repeat(129);
    let tokens = [
        "",
        "short",
        "with a space in it",
        "a\0aaaaaaaa",
        "aaaaaaaa\n",
        "éééééééé",
        &long,
        ADMIN_TOKEN,
    ];
    world.refuses(DOORS, tokens, |_, _| false).await;
}
