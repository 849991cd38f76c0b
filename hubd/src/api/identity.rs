//! Rights, tokens and logins belong to somebody, not to a name: whoever bears it next inherits nothing.

use http::StatusCode;
use serde_json::json;

use super::testing::Hub;
use crate::store::TokenKind;

async fn status(hub: &Hub, token: &str) -> u16 {
    hub.get("/user").token(token).send().await.status.as_u16()
}

/// Deletes a user and makes another one of that name.
async fn replace(hub: &Hub, name: &str) {
    let path = format!("/users/{name}");
    let gone = hub.delete(&path).admin().send().await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text);
    let made = hub.post(&path).admin().send().await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
}

#[tokio::test]
async fn a_later_user_of_that_name_is_somebody_else() {
    let hub = Hub::new().await;
    let token = hub.new_token("bob", TokenKind::Api, &["inherit"]).await;
    let login = hub.log_in("bob").await;
    hub.start("bob").await;
    let visit = hub.visitor_token("bob", "s1").await;
    for text in [&token.text, &visit.text] {
        assert_eq!(status(&hub, text).await, 200);
    }
    replace(&hub, "bob").await;
    for text in [&token.text, &visit.text] {
        assert_eq!(status(&hub, text).await, 403);
    }
    let cookie = hub.get("/user").cookies(&login).send().await;
    assert_eq!(cookie.status, StatusCode::FORBIDDEN);
    let tokens = hub.get("/users/bob/tokens").admin().send().await;
    assert_eq!(tokens.json, json!({"api_tokens": []}));
    let one = format!("/users/bob/tokens/{}", token.id);
    assert_eq!(hub.get(&one).admin().send().await.status, 404);
}

#[tokio::test]
async fn an_admin_who_is_replaced_is_none() {
    let hub = Hub::new().await;
    let body = json!({"usernames": ["boss"], "admin": true});
    let made = hub.post("/users").admin().json(&body).send().await;
    assert_eq!(made.json[0]["admin"], true);
    replace(&hub, "boss").await;
    let model = hub.get("/users/boss").admin().send().await.json;
    assert_eq!(
        (&model["admin"], &model["roles"]),
        (&json!(false), &json!(["user"]))
    );
}

#[tokio::test]
async fn a_right_over_somebody_ends_with_them() {
    let hub = Hub::new().await;
    let token = hub
        .new_token(
            "admin",
            TokenKind::Api,
            &[
                "read:users!user=bob",
                "servers!server=bob/",
                "read:users!user=alice",
            ],
        )
        .await;
    let sees = async |name: &str| {
        let path = format!("/users/{name}");
        hub.get(&path)
            .token(&token.text)
            .send()
            .await
            .status
            .as_u16()
    };
    assert_eq!((sees("bob").await, sees("alice").await), (200, 200));
    replace(&hub, "bob").await;
    assert_eq!((sees("bob").await, sees("alice").await), (404, 200));
    let start = hub
        .post("/users/bob/server")
        .token(&token.text)
        .send()
        .await;
    assert_eq!(start.status, StatusCode::FORBIDDEN);
    let path = format!("/users/admin/tokens/{}", token.id);
    let model = hub.get(&path).admin().send().await.json;
    assert!(!model["scopes"].to_string().contains("bob"), "{model}");
}

#[tokio::test]
async fn a_later_server_of_that_name_is_another_one() {
    let hub = Hub::new().await;
    hub.start("alice:proj").await;
    let scopes = ["read:servers!server=alice/proj", "read:users:name!user"];
    let token = hub.new_token("alice", TokenKind::Api, &scopes).await;
    let own = hub.world.server_token();
    let holds = async || {
        let me = hub.get("/user").token(&token.text).send().await.json;
        me["scopes"].to_string().contains("server=alice/proj")
    };
    assert!(holds().await);
    assert_eq!(status(&hub, &own).await, 200);
    let path = "/users/alice/servers/proj";
    let remove = hub.delete(path).admin().json(&json!({"remove": true}));
    assert_eq!(remove.send().await.status, StatusCode::NO_CONTENT);
    assert_eq!(status(&hub, &own).await, 403);
    hub.start("alice:proj").await;
    assert_eq!(status(&hub, &own).await, 403, "each run has its own");
    assert!(!holds().await);
}
