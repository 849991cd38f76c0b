//! Groups: those of the configuration and those of the API, and what being in one gives.

use http::{Method, StatusCode};
use hub_tests::setup::Setup;
use serde_json::json;
use toml::toml;

#[tokio::test]
async fn a_class_has_a_tutor_who_reaches_its_servers_alone() {
    let mut hub = Setup::new()
        .add(
            "role",
            toml! { name = "tutor"
            groups = ["tutors"]
            scopes = ["list:users!group=class", "servers!group=class", "access:servers!group=class"] },
        )
        .add(
            "group",
            toml! { name = "staff"
            users = ["tess"] },
        )
        .start()
        .await;
    let admin = hub.admin();
    admin.create(&["tess", "sam", "zoe"]).await;
    let tess = admin.token_for("tess").await;
    let list = async |api: &hub_tests::api::Api| {
        let reply = api.get("/users").await;
        (reply.status, reply.text())
    };
    assert_eq!(list(&tess).await.0, StatusCode::FORBIDDEN);

    // The group that holds a role is there from the start and can only be filled.
    let tutors = json!({ "users": ["tess"] });
    let made = admin.post("/groups/tutors", Some(&tutors)).await;
    assert_eq!(made.status, StatusCode::CONFLICT, "{}", made.text());
    let filled = admin.post("/groups/tutors/users", Some(&tutors)).await;
    assert_eq!(filled.status, StatusCode::OK, "{}", filled.text());
    let gone = admin.delete("/groups/tutors").await;
    assert_eq!(gone.status, StatusCode::CONFLICT, "{}", gone.text());
    let class = json!({ "groups": ["class"], "users": ["sam"] });
    let made = admin.post("/groups", Some(&class)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());

    // Being in a group holds at the next request, and after a crash.
    for _ in 0..2 {
        let (status, users) = list(&tess).await;
        assert_eq!(status, StatusCode::OK, "{users}");
        assert!(users.contains("sam") && !users.contains("zoe"), "{users}");
        let groups = admin.get("/users/tess").await.json()["groups"].clone();
        assert_eq!(groups, json!(["staff", "tutors"]));
        hub.kill().await;
        hub.start_again().await;
    }
    for (user, status) in [("sam", StatusCode::CREATED), ("zoe", StatusCode::NOT_FOUND)] {
        let start = tess.post(&format!("/users/{user}/server"), None).await;
        assert_eq!(start.status, status, "{user}: {}", start.text());
    }

    let leave = json!({ "users": ["sam"] });
    let left = admin
        .call(Method::DELETE, "/groups/class/users", Some(&leave))
        .await;
    assert_eq!(left.json()["users"], json!([]), "{}", left.text());
    let stop = tess.delete("/users/sam/server").await;
    assert_eq!(stop.status, StatusCode::NOT_FOUND, "{}", stop.text());
    assert_eq!(hub.servers().len(), 1);
}

#[tokio::test]
async fn the_configuration_has_the_last_word_about_its_own() {
    let hub = Setup::new()
        .add(
            "group",
            toml! { name = "staff"
            users = ["tess"] },
        )
        .start()
        .await;
    let admin = hub.admin();
    admin.create(&["tess", "sam"]).await;
    let sam = json!({ "users": ["sam"] });
    for (method, path, body) in [
        (Method::POST, "/groups/staff", None),
        (Method::POST, "/groups/staff/users", Some(&sam)),
        (Method::DELETE, "/groups/staff", None),
    ] {
        let reply = admin.call(method.clone(), path, body).await;
        assert_eq!(reply.status, StatusCode::CONFLICT, "{method} {path}");
        let message = reply.json()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(message.ends_with('.'), "{message}");
    }
    let staff = admin.get("/groups/staff").await.json();
    assert_eq!(staff["users"], json!(["tess"]));
}
