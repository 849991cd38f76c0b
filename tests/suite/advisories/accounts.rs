//! Who comes in, under which name.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use http::StatusCode;
use hub_tests::hub::TestHub;
use hub_tests::setup::{PASSWORD, Setup};
use serde_json::json;
use toml::toml;

const LOGIN: &str = "jupyterhub-hub-login";

/// A login that must not come about: 403, no cookie, no trace.
async fn refuses(hub: &TestHub, name: &str, password: &str) {
    let before = hub.trace();
    let mut browser = hub.browser();
    let page = browser.log_in("/hub/login", name, password).await;
    assert_eq!(page.status(), 403, "{name:?}: {}", page.words());
    assert_eq!(browser.cookie(LOGIN, "/hub/"), None, "{name:?}");
    hub.assert_no_trace(&before, name);
}

async fn admits(hub: &TestHub, name: &str, password: &str) {
    let page = hub.browser().log_in("/hub/home", name, password).await;
    assert_eq!(page.status(), 200, "{name:?}: {}", page.words());
}

#[tokio::test]
pub(super) async fn ghsa_r764_xgvf_jrfj_an_admin_in_any_spelling() {
    let secrets = tempfile::tempdir().expect("a folder");
    let file = |name: &str, password: &str| {
        let path = secrets.path().join(name);
        fs::write(&path, password).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("permissions");
        path.to_str().expect("UTF-8").to_owned()
    };
    let admins = "a quite different battery staple";
    let hub = Setup::new()
        .set("auth.kind", "shared-password")
        .unset("auth.dummy")
        .set("auth.admin_users", vec!["root1"])
        .set(
            "auth.shared-password.user_password_file",
            file("users", PASSWORD),
        )
        .set(
            "auth.shared-password.admin_password_file",
            file("admins", admins),
        )
        .start()
        .await;
    for name in ["root1", "ROOT1", " root1 ", "\u{a0}Root1\t"] {
        refuses(&hub, name, PASSWORD).await;
    }
    for name in ["tee", "ＲＯＯＴ1", "root1\u{200d}"] {
        refuses(&hub, name, admins).await;
    }
    admits(&hub, "tee", PASSWORD).await;
    admits(&hub, "Root1", admins).await;
    let users = hub.admin().get("/users").await.json();
    let names: Vec<_> = users.as_array().into_iter().flatten().collect();
    let names: Vec<_> = names.iter().map(|user| &user["name"]).collect();
    assert_eq!(names, [&json!("root1"), &json!("tee")]);
}

#[tokio::test]
pub(super) async fn cve_2018_7206_members_alone_come_in() {
    let hub = Setup::new()
        .unset("auth.allow_all")
        .set("auth.allowed_groups", vec!["staff", "class"])
        .add(
            "group",
            toml! { name = "staff"
            users = ["ann"] },
        )
        .add(
            "group",
            toml! { name = "others"
            users = ["eve"] },
        )
        .add(
            "service",
            toml! { name = "groups"
            api_token = "token-of-the-groups" },
        )
        .add(
            "role",
            toml! { name = "groups"
            scopes = ["admin:groups!group=others", "list:users", "read:groups", "admin:users"]
            services = ["groups"] },
        )
        .start()
        .await;
    for name in ["eve", "tee", "staff", "class", "ann2", "an"] {
        refuses(&hub, name, PASSWORD).await;
    }
    admits(&hub, "ANN", PASSWORD).await;

    // Nobody makes the group that opens the door: it is there from the start, and stays.
    let admin = hub.admin();
    admin.create(&["eve", "tee"]).await;
    let before = hub.trace();
    let eve = json!({ "users": ["eve"] });
    let both = json!({ "groups": ["class", "class"], "users": ["eve"] });
    for api in [&admin, &hub.api(Some("token-of-the-groups"))] {
        for reply in [
            api.post("/groups/class", Some(&eve)).await,
            api.post("/groups", Some(&both)).await,
            api.post("/groups/staff/users", Some(&eve)).await,
            api.delete("/groups/class").await,
        ] {
            assert!(reply.status.is_client_error(), "{}", reply.text());
        }
        hub.assert_no_trace(&before, "a group that opens the door");
    }
    refuses(&hub, "eve", PASSWORD).await;
    let tee = json!({ "users": ["tee"] });
    let filled = admin.post("/groups/class/users", Some(&tee)).await;
    assert_eq!(filled.status, StatusCode::OK, "{}", filled.text());
    admits(&hub, "tee", PASSWORD).await;
}

#[tokio::test]
pub(super) async fn cve_2021_41194_a_password_is_for_every_spelling() {
    let hub = Setup::new()
        .set("auth.kind", "password")
        .unset("auth.dummy")
        .set("auth.password.allow_signup", true)
        .start()
        .await;
    let ran = hub.command(&["user", "add", "Alice"], &format!("{PASSWORD}\n"));
    assert_eq!(ran.map(|ran| ran.code), Some(Some(0)));
    for name in ["alice", "Alice", "ALICE", " alice "] {
        refuses(&hub, name, "a new password of hers").await;
        let before = hub.trace();
        let ran = hub.command(&["user", "add", name], "a new password of hers\n");
        let ran = ran.expect("plain arguments");
        assert_ne!(ran.code, Some(0), "{name:?}: {}", ran.output);
        hub.assert_no_trace(&before, name);
        admits(&hub, name, PASSWORD).await;
    }
    // Nor does asking for the account again change its password.
    let mut eve = hub.browser();
    let form = eve.get("/hub/signup").await.form("/hub/signup");
    let filled = [
        ("username", "ALICE"),
        ("password", "a new password of hers"),
        ("again", "a new password of hers"),
    ];
    eve.submit(&form.expect("the form"), &filled).await;
    refuses(&hub, "alice", "a new password of hers").await;
    admits(&hub, "alice", PASSWORD).await;
}

#[tokio::test]
pub(super) async fn cve_2026_40110_a_pattern_is_about_the_whole() {
    let hub = Setup::new()
        .set("auth.username_pattern", "tee|ann")
        .start()
        .await;
    for name in ["teex", "xtee", "tee.evil.test", "xann", "annx", "te"] {
        refuses(&hub, name, PASSWORD).await;
    }
    admits(&hub, "tee", PASSWORD).await;
    admits(&hub, "ann", PASSWORD).await;
}
