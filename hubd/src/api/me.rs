//! `GET {api}/user`: whose token is this? The one call by which single-user servers let visitors in.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::ApiCaller;
use super::openapi::Asked;
use super::service_model::service_kind;
use super::user_model::{Include, UserKeys, UserModel};
use crate::app::AppState;
use crate::auth::caller::{Identity, Proof};

/// Whose credentials these are.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Me<'a> {
    User(With<'a, UserKeys<'a>>),
    Service(With<'a, Service<'a>>),
}

/// A user or a service, with what the credentials are.
#[derive(Serialize, ToSchema)]
#[schema(as = Me)]
struct With<'a, M> {
    #[serde(flatten)]
    model: M,
    /// Null unless the credential is a token that has an `id`.
    #[schema(required)]
    token_id: Option<String>,
    /// Of the login in which the credential was made, if one was.
    #[schema(required)]
    session_id: Option<&'a str>,
    /// Fully expanded and concrete: servers compare them as texts.
    scopes: Vec<String>,
}

/// A service, as it sees itself.
#[derive(Serialize, ToSchema)]
#[schema(as = OwnService)]
struct Service<'a> {
    #[schema(schema_with = service_kind)]
    kind: &'static str,
    name: &'a str,
    admin: bool,
    roles: Vec<String>,
}

/// Whose credentials these are
///
/// The one call by which single-user servers let visitors in. Any credentials do.
#[utoipa::path(
    get, path = "/user", tag = "users", operation_id = "get_own_user",
    responses((status = 200, description = "A user or a service.", body = Me<'static>), Asked),
)]
pub(super) async fn get(State(app): State<AppState>, caller: ApiCaller) -> Response {
    let rights = caller.rights();
    match &caller.0.identity {
        Identity::User(user) => {
            let model = UserModel::new(&app, rights, user, Include::Active).of_oneself();
            Json(Me::User(with(&caller, model.keys()))).into_response()
        }
        Identity::Service(name) => {
            let service = app.directory.services().find(name);
            let model = Service {
                kind: "service",
                name,
                admin: service.as_ref().is_some_and(|service| service.admin),
                roles: service.map_or_else(Vec::new, |service| {
                    app.directory.role_names_of_service(&service)
                }),
            };
            Json(Me::Service(with(&caller, model))).into_response()
        }
    }
}

fn with<M>(caller: &ApiCaller, model: M) -> With<'_, M> {
    let token_id = match &caller.0.proof {
        Proof::Token(token) => Some(token.id.to_string()),
        Proof::Session(_) | Proof::ServiceToken => None,
    };
    With {
        model,
        token_id,
        session_id: caller.0.session_id(),
        scopes: caller.rights().texts(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::testing::Hub;
    use crate::store::TokenKind;

    #[tokio::test]
    async fn a_visitors_token_says_who_and_what() {
        let hub = Hub::new().await;
        hub.start("alice").await;
        let token = hub.visitor_token("alice", "session-1").await;
        let reply = hub.get("/user").token(&token.text).send().await;
        assert_eq!(
            reply.json,
            json!({
                "kind": "user",
                "name": "alice",
                "admin": false,
                "groups": ["staff"],
                "user_info": null,
                "token_id": token.id,
                "session_id": "session-1",
                "scopes": [
                    "access:servers!server=alice/",
                    "read:users:groups!user=alice",
                    "read:users:name!user=alice",
                ],
            })
        );
    }

    #[tokio::test]
    async fn a_servers_own_token_has_five_scopes() {
        let hub = Hub::new().await;
        hub.start("alice").await;
        let token = hub.world.server_token();
        let reply = hub.get("/user").token(&token).send().await;
        assert_eq!(
            reply.json["scopes"],
            json!([
                "access:servers!server=alice/",
                "read:users:activity!user=alice",
                "read:users:groups!user=alice",
                "read:users:name!user=alice",
                "users:activity!user=alice",
            ])
        );
        assert!(
            reply.json.get("servers").is_none(),
            "it may not read servers"
        );
        let stop = hub.delete("/users/alice/server").token(&token).send().await;
        assert_eq!(stop.status, http::StatusCode::FORBIDDEN);
    }

    #[tokio::test]
    async fn a_cookie_says_so_too() {
        let hub = Hub::new().await;
        let login = hub.log_in("alice").await;
        let reply = hub.get("/user").cookies(&login).send().await;
        assert_eq!(reply.json["name"], "alice");
        assert_eq!(reply.json["token_id"], json!(null));
        assert_eq!(reply.json["session_id"], json!(login.session_id));
        assert_eq!(reply.json["servers"], json!({}));
        assert_eq!(reply.json["server"], json!(null));
        assert_eq!(reply.json["pending"], json!(null));
    }

    #[tokio::test]
    async fn a_service_is_a_service() {
        let hub = Hub::new().await;
        let reply = hub.get("/user").token("token-of-culler").send().await;
        assert_eq!(
            reply.json,
            json!({
                "kind": "service",
                "name": "culler",
                "admin": false,
                "roles": ["cull-idle"],
                "token_id": null,
                "session_id": null,
                "scopes": [
                    "delete:servers",
                    "list:users",
                    "read:servers",
                    "read:users:activity",
                    "read:users:name",
                ],
            })
        );
    }

    #[tokio::test]
    async fn a_token_without_rights_still_says_who_it_is() {
        let hub = Hub::new().await;
        let token = hub.new_token("alice", TokenKind::Api, &[]).await;
        let reply = hub.get("/user").token(&token.text).send().await;
        assert_eq!(reply.json["name"], "alice");
        assert_eq!(reply.json["kind"], "user");
        assert!(reply.json.get("last_activity").is_none());
    }
}
