//! Who may do what to whom.

use http::{Method, StatusCode};
use hub_tests::api::Api;
use hub_tests::hub::TestHub;
use hub_tests::setup::{PASSWORD, Setup};
use serde_json::{Value, json};
use toml::{Table, toml};

/// A hub whose service `x` holds exactly these scopes, and that service.
async fn with_scopes(scopes: &[&str]) -> (TestHub, Api) {
    const TOKEN: &str = "token-of-the-service-x";
    let mut role = Table::new();
    role.insert("name".into(), "of-x".into());
    role.insert("scopes".into(), scopes.to_vec().into());
    role.insert("services".into(), vec!["x"].into());
    let hub = Setup::new()
        .set("auth.admin_users", vec!["boss"])
        .add(
            "service",
            toml! { name = "x"
            api_token = "token-of-the-service-x" },
        )
        .add("role", role)
        .start()
        .await;
    hub.admin().create(&["tee", "tom"]).await;
    let api = hub.api(Some(TOKEN));
    (hub, api)
}

#[tokio::test]
pub(super) async fn cve_2024_41942_only_admins_make_and_change_admins() {
    let (hub, x) = with_scopes(&["admin:users"]).await;
    // One admin by the configuration, and one by the books.
    let flag = json!({ "admin": true });
    let made = hub
        .admin()
        .call(Method::PATCH, "/users/tom", Some(&flag))
        .await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text());
    let before = hub.trace();
    for (method, path, body) in [
        (
            Method::POST,
            "/users",
            json!({ "usernames": ["eve"], "admin": true }),
        ),
        (Method::POST, "/users/eve", json!({ "admin": true })),
        (Method::PATCH, "/users/tee", flag.clone()),
        (Method::PATCH, "/users/tom", json!({ "name": "thomas" })),
        (Method::PATCH, "/users/tom", json!({ "admin": false })),
        (Method::PATCH, "/users/tom", json!({ "admin": true })),
        (
            Method::PATCH,
            "/users/tom",
            json!({ "auth_state": { "x": 1 } }),
        ),
        (Method::PATCH, "/users/boss", json!({ "name": "chief" })),
        (Method::PATCH, "/users/boss", json!({ "auth_state": null })),
    ] {
        let case = format!("{method} {path} {body}");
        let reply = x.call(method, path, Some(&body)).await;
        assert_eq!(
            reply.status,
            StatusCode::FORBIDDEN,
            "{case}: {}",
            reply.text()
        );
        hub.assert_no_trace(&before, &case);
    }
    // What the scope is for is done.
    let fine = json!({ "name": "tea" });
    let reply = x.call(Method::PATCH, "/users/tee", Some(&fine)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    a_name_that_holds_something_is_for_admins_to_make().await;
}

/// An account of a name that a role is given to holds that role, whoever made it.
async fn a_name_that_holds_something_is_for_admins_to_make() {
    let hub = Setup::new()
        .add(
            "role",
            toml! { name = "manager"
            users = ["mia"]
            scopes = ["admin-ui", "admin:users", "list:users"] },
        )
        .add(
            "role",
            toml! { name = "operator"
            users = ["ghost"]
            scopes = ["admin:servers", "access:servers"] },
        )
        .start()
        .await;
    let mut mia = hub.browser();
    mia.log_in("/hub/home", "mia", PASSWORD).await;
    let token = hub.admin().token_for("mia").await;
    let xsrf = mia.cookie("_xsrf", "/hub/").expect("a token");
    let before = hub.trace();
    for names in ["ghost", "GHOST", "tom ghost"] {
        let fields = [("_xsrf", xsrf.as_str()), ("names", names)];
        let page = mia.post("/hub/admin/users", &fields).await;
        assert_eq!(page.status(), 403, "{names}: {}", page.words());
        assert!(page.words().contains("only an admin"), "{}", page.words());
        let names: Vec<_> = names.split(' ').collect();
        let body = json!({ "usernames": names });
        let reply = token.post("/users", Some(&body)).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.text());
        hub.assert_no_trace(&before, names[0]);
    }
    let fields = [("_xsrf", xsrf.as_str()), ("names", "tom")];
    let page = mia.post("/hub/admin/users", &fields).await;
    assert_eq!(page.status(), 303, "{}", page.words());
}

#[tokio::test]
pub(super) async fn ghsa_69wv_m5fw_2fhp_a_filtered_scope_opens_no_collection() {
    let scopes = [
        "admin:users!user=tee",
        "admin:groups!group=class",
        "admin:servers!user=tee",
        "tokens!user=tee",
        "admin:services!service=x",
        "list:users!user=tee",
        "list:groups!group=class",
    ];
    let (hub, x) = with_scopes(&scopes).await;
    let before = hub.trace();
    for (method, path, body) in [
        (Method::POST, "/users", json!({ "usernames": ["eve"] })),
        (
            Method::POST,
            "/users",
            json!({ "usernames": ["tee", "eve"] }),
        ),
        (Method::POST, "/groups", json!({ "groups": ["eves"] })),
        (
            Method::POST,
            "/groups",
            json!({ "groups": ["class", "eves"] }),
        ),
        (Method::POST, "/users/eve", json!({})),
        (Method::POST, "/groups/eves", json!({})),
        (Method::DELETE, "/users/tom", Value::Null),
        (Method::PATCH, "/users/tee", json!({ "name": "eve" })),
        (Method::POST, "/users/tom/tokens", json!({})),
        (Method::POST, "/users/tom/server", json!({})),
        (Method::POST, "/services/eves", json!({})),
        (Method::POST, "/proxy", json!({})),
        (Method::POST, "/shutdown", json!({})),
    ] {
        let case = format!("{method} {path} {body}");
        let reply = x.call(method, path, Some(&body)).await;
        let refused = [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND];
        assert!(refused.contains(&reply.status), "{case}: {}", reply.text());
        hub.assert_no_trace(&before, &case);
    }
    // A list is what the filter lets through, whatever is asked for.
    for query in [
        "",
        "?name_filter=t",
        "?sort=-name",
        "?limit=200",
        "?offset=0",
    ] {
        let reply = x.get(&format!("/users{query}")).await.json();
        let names: Vec<_> = reply.as_array().into_iter().flatten().collect();
        assert!(
            names.iter().all(|user| user["name"] == "tee"),
            "{query}: {reply}"
        );
    }
}

#[tokio::test]
pub(super) async fn ghsa_mj6q_mp44_53v8_rights_follow_the_person() {
    let hub = Setup::new()
        .add(
            "role",
            toml! { name = "readers"
            groups = ["readers"]
            scopes = ["access:servers!group=readers", "read:users!group=readers"] },
        )
        .start()
        .await;
    let admin = hub.admin();
    admin.create(&["alice", "bob"]).await;
    let both = json!({ "users": ["alice", "bob"] });
    let filled = admin.post("/groups/readers/users", Some(&both)).await;
    assert_eq!(filled.status, StatusCode::OK, "{}", filled.text());
    let wish = json!({ "scopes": ["read:users!user=alice", "access:servers!user=alice"] });
    let program = admin.post("/users/bob/tokens", Some(&wish)).await;
    let program = hub.api(program.json()["token"].as_str());
    assert_eq!(program.get("/users/alice").await.status, StatusCode::OK);
    let mut bob = hub.browser();
    bob.log_in("/hub/home", "bob", PASSWORD).await;
    let ask = |name: &str| {
        format!("/hub/api/oauth2/authorize?client_id=jupyterhub-user-{name}&response_type=code")
    };
    admin.start("alice").await;
    assert_ne!(
        bob.look(&ask("alice")).await.status(),
        403,
        "she lets him in"
    );
    admin.stop("alice").await;

    let name = json!({ "name": "anna" });
    let renamed = admin.call(Method::PATCH, "/users/alice", Some(&name)).await;
    assert_eq!(renamed.status, StatusCode::OK, "{}", renamed.text());
    admin.create(&["alice"]).await;
    admin.start("alice").await;
    admin.start("anna").await;
    let before = hub.trace();
    assert_eq!(bob.look(&ask("alice")).await.status(), 403, "another alice");
    for path in ["/users/alice", "/users/alice/server"] {
        let reply = program.get(path).await;
        assert!(reply.status.is_client_error(), "{path}: {}", reply.text());
    }
    let mine = hub.admin().get("/users/bob").await.json();
    assert_eq!(mine["groups"], json!(["readers"]));
    assert_eq!(
        hub.admin().get("/users/alice").await.json()["groups"],
        json!([])
    );
    assert_eq!(program.get("/users/anna").await.status, StatusCode::OK);
    hub.assert_no_trace(&before, "the new alice");
    assert_ne!(
        bob.look(&ask("anna")).await.status(),
        403,
        "the old one still does"
    );
}
