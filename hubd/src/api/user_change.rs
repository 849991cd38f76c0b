//! `PATCH {api}/users/NAME`: another name, the admin flag, what the authenticator keeps.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer};
use spawner_core::UserName;
use utoipa::ToSchema;

use super::caller::ApiCaller;
use super::error::{ApiError, sentence};
use super::openapi::{self, Asked, Made, Named, OfUser, Sent};
use super::path::Segments;
use super::user_model::{Include, UserKeys, UserModel};
use super::{access, body};
use crate::app::AppState;
use crate::people::users;
use crate::scopes::ScopeName;
use crate::store::{AuthState, NewAuthState, UserChange};

const SCOPES: &[ScopeName] = &[ScopeName::AdminUsers];

/// What is to be different; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserPatch {
    /// Not while one of their servers runs, and none that the configuration names.
    #[schema(value_type = Option<openapi::UserName>)]
    name: Option<String>,
    /// Only an admin can change it.
    admin: Option<bool>,
    /// What the authenticator keeps; `null` forgets it.
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "new_auth_state")]
    auth_state: NewAuthState,
}

/// Changes a user
///
/// Needs `admin:users`.
#[utoipa::path(
    patch, path = "/users/{user}", tag = "users", operation_id = "change_user",
    params(OfUser), request_body = UserPatch,
    responses(
        (status = 200, description = "The user, changed.", body = UserKeys<'static>),
        Named, Sent, Made, Asked,
    ),
)]
pub(super) async fn patch(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let user = access::user(&app, caller.rights(), SCOPES, &name)?;
    let patch: UserPatch = body::required(request).await?;
    let name = patch.name.as_deref().map(UserName::new).transpose();
    let change = UserChange {
        name: name.map_err(|error| ApiError::bad_request(sentence(&error)))?,
        admin: patch.admin,
        auth_state: patch.auth_state,
    };
    let changed = users::change(&app, &caller.by(), &user, change).await?;
    let model = UserModel::new(&app, caller.rights(), &changed, Include::Active);
    Ok(Json(model).into_response())
}

/// Reads what is there: `null` is not what is left out.
fn new_auth_state<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NewAuthState, D::Error> {
    let state = Option::<AuthState>::deserialize(deserializer)?;
    Ok(state.map_or(NewAuthState::Forgotten, NewAuthState::Other))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::api::testing::{Hub, Reply, token_of};

    async fn patch(hub: &Hub, user: &str, body: Value) -> Reply {
        let path = format!("/users/{user}");
        hub.request("PATCH", &path).admin().json(&body).send().await
    }

    #[tokio::test]
    async fn everything_goes_along_with_a_new_name() {
        let hub = Hub::new().await;
        hub.start("bob").await;
        hub.delete("/users/bob/server").admin().send().await;
        let login = hub.log_in("bob").await;
        let red = json!({"users": ["bob"]});
        hub.post("/groups/red").admin().json(&red).send().await;
        let before = hub.get("/users/bob").admin().send().await.json;
        let renamed = patch(&hub, "bob", json!({"name": "Robert"})).await;
        assert_eq!(renamed.status, StatusCode::OK, "{}", renamed.text);
        assert_eq!(renamed.json["name"], "robert");
        for key in ["created", "groups", "last_activity"] {
            assert_eq!(renamed.json[key], before[key], "{key}");
        }
        let own = hub.get("/user").token(&token_of("bob")).send().await;
        assert_eq!(own.json["name"], "robert");
        let scopes = own.json["scopes"].as_array().unwrap();
        assert!(scopes.contains(&json!("servers!user=robert")), "{scopes:?}");
        let own = hub.get("/user").cookies(&login).send().await;
        assert_eq!(own.json["name"], "robert");
        let old = hub.get("/users/bob").admin().send().await;
        assert_eq!(old.status, StatusCode::NOT_FOUND);
        hub.start("robert").await;
        let server = hub.get("/users/robert/server").admin().send().await;
        assert_eq!(server.json["url"], "/user/robert/");
    }

    /// Somebody new under an old name owes nothing to it and gains nothing by it.
    #[tokio::test]
    async fn a_namesake_inherits_nothing() {
        for leaves in [
            ("PATCH", json!({"name": "robert"})),
            ("DELETE", json!(null)),
        ] {
            let hub = Hub::new().await;
            hub.start("bob").await;
            hub.delete("/users/bob/server").admin().send().await;
            let red = json!({"users": ["bob"]});
            hub.post("/groups/red").admin().json(&red).send().await;
            let login = hub.log_in("bob").await;
            let helper = [
                "read:users!user=bob",
                "servers!server=bob/",
                "tokens!user=bob",
            ];
            let helper = hub.role_token(&helper).await;
            let reach = async || hub.get("/users/bob").token(&helper).send().await.status;
            assert_eq!(reach().await, StatusCode::OK);
            patch(&hub, "bob", json!({"admin": true, "auth_state": {"a": 1}})).await;

            let (method, body) = leaves;
            let left = hub.request(method, "/users/bob").admin();
            let left = if body.is_null() {
                left
            } else {
                left.json(&body)
            };
            assert!(left.send().await.status.is_success());
            hub.post("/users/bob").admin().send().await;
            let bob = hub.get("/users/bob?include_stopped_servers=1").admin();
            let bob = bob.send().await.json;
            assert_eq!(bob["admin"], false);
            assert_eq!(bob["groups"], json!([]));
            assert_eq!(bob["roles"], json!(["user"]));
            assert_eq!(bob["servers"], json!({}));
            assert_eq!(bob["auth_state"], json!(null));
            assert_ne!(
                reach().await,
                StatusCode::OK,
                "{method}: a right over the name"
            );
            let start = hub.post("/users/bob/server").token(&helper).send().await;
            assert!(start.status.is_client_error(), "{method}: {}", start.status);
            let tokens = hub.get("/users/bob/tokens").admin().send().await;
            assert_eq!(tokens.json["api_tokens"], json!([]));
            // The old token and login are the other's, or nobody's.
            let old = hub.get("/user").token(&token_of("bob")).send().await;
            assert_ne!(old.json["name"], "bob", "{method}");
            let old = hub.get("/user").cookies(&login).send().await;
            assert_ne!(old.json["name"], "bob", "{method}");
        }
    }

    #[tokio::test]
    async fn names_that_cannot_be_given() {
        let hub = Hub::new().await;
        hub.start("bob").await;
        for (user, name, words) in [
            ("bob", "admin", "taken"),
            ("bob", "ALICE", "taken"),
            ("bob", "..", "name"),
            ("bob", "", "name"),
            ("bob", "a/b", "name"),
            ("bob", "robert", "not stopped"),
            ("alice", "eve", "group.users"),
        ] {
            let reply = patch(&hub, user, json!({ "name": name })).await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{user} -> {name}");
            assert!(reply.message().contains(words), "{}", reply.message());
        }
        hub.delete("/users/bob/server").admin().send().await;
        hub.delete("/users/alice").admin().send().await;
        let reply = patch(&hub, "bob", json!({"name": "alice"})).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "a place in a group");
        assert_eq!(
            hub.get("/users/bob").admin().send().await.json["name"],
            "bob"
        );
    }

    #[tokio::test]
    async fn the_flag_is_for_admins_to_give() {
        let hub = Hub::new().await;
        let token = hub.role_token(&["admin:users"]).await;
        for (body, status) in [
            (json!({"admin": true}), StatusCode::FORBIDDEN),
            (json!({"admin": false}), StatusCode::OK),
            (json!({"name": "robert"}), StatusCode::OK),
        ] {
            let reply = hub.request("PATCH", "/users/bob").token(&token);
            let reply = reply.json(&body).send().await;
            assert_eq!(reply.status, status, "{body}");
        }
        let boss = patch(&hub, "robert", json!({"admin": true})).await;
        assert_eq!(boss.json["admin"], true);
        let reply = hub.request("PATCH", "/users/robert").token(&token);
        let reply = reply.json(&json!({"admin": false})).send().await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "nor to take");
        // A name that the configuration gives more to is as good as the flag.
        hub.delete("/users/alice").admin().send().await;
        let alice = hub.post("/users/alice").token(&token).send().await;
        assert_eq!(alice.status, StatusCode::FORBIDDEN);
        let alice = json!({"usernames": ["alice"]});
        let alice = hub.post("/users").token(&token).json(&alice).send().await;
        assert_eq!(alice.status, StatusCode::FORBIDDEN);
        let alice = hub.post("/users/alice").admin().send().await;
        assert_eq!(alice.status, StatusCode::CREATED);
    }

    #[tokio::test]
    async fn what_the_authenticator_keeps() {
        let hub = Hub::new().await;
        let state = json!({"groups": ["x"], "token": "secret"});
        let kept = patch(&hub, "bob", json!({"auth_state": state})).await;
        assert_eq!(kept.json["auth_state"], state);
        let kept = patch(&hub, "bob", json!({"admin": false})).await;
        assert_eq!(kept.json["auth_state"], state, "left out is left alone");
        let own = hub.get("/users/bob").user("bob").send().await;
        assert!(own.json.get("auth_state").is_none());
        let gone = patch(&hub, "bob", json!({"auth_state": null})).await;
        assert_eq!(gone.json["auth_state"], json!(null));
    }

    #[tokio::test]
    async fn rights_over_users_and_bodies_that_cannot_be_meant() {
        let hub = Hub::new().await;
        for (body, words) in [
            (json!({"admin": "yes"}), "admin"),
            (json!({"auth_state": []}), "auth_state"),
            (json!({"groups": ["staff"]}), "unknown field `groups`"),
            (json!({"roles": ["admin"]}), "unknown field `roles`"),
            (json!([]), "JSON object"),
        ] {
            let reply = patch(&hub, "bob", body).await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{words}");
            assert!(reply.message().contains(words), "{}", reply.message());
        }
        let reply = patch(&hub, "nobody", json!({"name": "x"})).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND);
        let own = hub.request("PATCH", "/users/bob").user("bob");
        let own = own.json(&json!({"admin": true})).send().await;
        assert_eq!(own.status, StatusCode::FORBIDDEN);
        let one = hub.role_token(&["admin:users!user=bob"]).await;
        let away = hub.request("PATCH", "/users/bob").token(&one);
        let away = away.json(&json!({"name": "carol"})).send().await;
        assert_eq!(away.status, StatusCode::NOT_FOUND, "over one name only");
    }
}
