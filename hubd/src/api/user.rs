//! `{api}/users/NAME`: one user.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use spawner_core::UserName;
use utoipa::ToSchema;

use super::caller::ApiCaller;
use super::error::{ApiError, sentence};
use super::openapi::{Asked, Made, Named, OfUser, Queried, Sent};
use super::path::Segments;
use super::query::Query;
use super::user_model::{Include, IncludeQuery, UserKeys, UserModel};
use super::{access, body};
use crate::app::AppState;
use crate::people::users;
use crate::scopes::ScopeName;
use crate::servers::Stopped;

/// Any one of these lets somebody know that a user is there.
const READ: &[ScopeName] = &[
    ScopeName::ReadUsers,
    ScopeName::ReadUsersName,
    ScopeName::ReadUsersGroups,
    ScopeName::ReadUsersActivity,
    ScopeName::ReadServers,
    ScopeName::ReadRolesUsers,
];

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// Only an admin can make admins.
    #[serde(default)]
    admin: bool,
}

/// One user
///
/// Needs one of `read:users`, `read:users:name`, `read:users:groups`, `read:users:activity`,
/// `read:servers`, `read:roles:users`.
#[utoipa::path(
    get, path = "/users/{user}", tag = "users", operation_id = "get_user",
    params(OfUser, IncludeQuery),
    responses(
        (status = 200, description = "The user.", body = UserKeys<'static>),
        Named, Queried, Asked,
    ),
)]
pub(super) async fn get(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
    query: Query,
) -> Result<Response, ApiError> {
    let user = access::user(&app, caller.rights(), READ, &name)?;
    let include = Include::asked(&query)?;
    let model = UserModel::new(&app, caller.rights(), &user, include);
    Ok(Json(model).into_response())
}

/// Makes a user
///
/// Needs `admin:users`.
#[utoipa::path(
    post, path = "/users/{user}", tag = "users", operation_id = "create_user",
    params(OfUser), request_body = Option<NewUser>,
    responses(
        (
            status = 201, description = "The user.", body = UserKeys<'static>,
            links(
                ("GetUser" = (
                    operation_id = "get_user", parameters(("user" = "$response.body#/name"))
                )),
                ("ChangeUser" = (
                    operation_id = "change_user", parameters(("user" = "$response.body#/name"))
                )),
                ("DeleteUser" = (
                    operation_id = "delete_user", parameters(("user" = "$response.body#/name"))
                )),
                ("CreateToken" = (
                    operation_id = "create_token", parameters(("user" = "$response.body#/name"))
                )),
                ("StartServer" = (
                    operation_id = "start_default_server",
                    parameters(("user" = "$response.body#/name"))
                )),
                ("MakeNamedServer" = (
                    operation_id = "make_named_server",
                    parameters(("user" = "$response.body#/name"))
                )),
            )
        ),
        Named, Sent, Made, Asked,
    ),
)]
pub(super) async fn create(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Response, ApiError> {
    const SCOPES: &[ScopeName] = &[ScopeName::AdminUsers];
    let name = match UserName::new(&name) {
        Ok(name) => name,
        Err(error) => {
            access::require_some(caller.rights(), SCOPES)?;
            return Err(ApiError::bad_request(sentence(&error)));
        }
    };
    access::require_user(&app, caller.rights(), SCOPES, &name)?;
    let body: Option<NewUser> = body::optional(request).await?;
    let admin = body.unwrap_or_default().admin;
    let created = users::create(&app, &caller.by(), vec![name], admin).await?;
    let user = created.first().ok_or_else(ApiError::not_found)?;
    let model = UserModel::new(&app, caller.rights(), user, Include::Active);
    Ok((StatusCode::CREATED, Json(model)).into_response())
}

/// Deletes a user
///
/// Their servers are stopped first; while that takes long it is a 400, to be asked again. Nobody can
/// delete themselves. Needs `delete:users`.
#[utoipa::path(
    delete, path = "/users/{user}", tag = "users", operation_id = "delete_user",
    params(OfUser),
    responses((status = 204, description = "The user is gone."), Named, Asked),
)]
pub(super) async fn delete(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
) -> Result<StatusCode, ApiError> {
    let user = access::user(&app, caller.rights(), &[ScopeName::DeleteUsers], &name)?;
    match users::delete(&app, &caller.by(), &user).await? {
        Stopped::Done => Ok(StatusCode::NO_CONTENT),
        Stopped::Pending => {
            let name = &user.name;
            let message = format!("{name} has a server that is being stopped. Try again later.");
            Err(ApiError::bad_request(message))
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::api::testing::{Hub, Script, token_of};

    fn keys(model: &Value) -> Vec<&str> {
        model
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect()
    }

    #[tokio::test]
    async fn an_admin_sees_everything() {
        let hub = Hub::new().await;
        hub.start("alice").await;
        let reply = hub.get("/users/ALICE").admin().send().await;
        let mut alice = reply.json;
        let created = alice["created"].take();
        assert!(created.as_str().unwrap().ends_with('Z'), "{created}");
        assert_eq!(created.as_str().unwrap().len(), 27, "{created}");
        let server = alice["servers"][""].take();
        assert!(alice["last_activity"].take().is_string());
        assert_eq!(
            alice,
            json!({
                "kind": "user",
                "name": "alice",
                "admin": false,
                "roles": ["user"],
                "groups": ["staff"],
                "server": "/user/alice/",
                "pending": null,
                "created": null,
                "last_activity": null,
                "servers": {"": null},
                "auth_state": null,
                "user_info": null,
            })
        );
        assert_eq!(server["state"]["data"], json!({"pid": 7}));
    }

    #[tokio::test]
    async fn keys_follow_the_scopes() {
        let hub = Hub::new().await;
        hub.start("alice").await;
        for (scopes, expected) in [
            (
                &["read:users:name"][..],
                &["admin", "kind", "name", "user_info"][..],
            ),
            (&["read:users:groups"], &["groups", "kind", "name"]),
            (&["read:users:activity"], &["kind", "last_activity", "name"]),
            (
                &["read:servers"],
                &["admin", "kind", "name", "servers", "user_info"],
            ),
            (&["read:roles:users"], &["admin", "kind", "name", "roles"]),
            (
                &["read:users:groups", "read:servers!server=alice/"],
                &["groups", "kind", "name", "servers"],
            ),
            (
                &["read:users:groups", "read:servers!server=alice/other"],
                &["groups", "kind", "name"],
            ),
            (
                &["read:users!group=staff"],
                &[
                    "admin",
                    "created",
                    "groups",
                    "kind",
                    "last_activity",
                    "name",
                    "pending",
                    "roles",
                    "server",
                    "user_info",
                ],
            ),
        ] {
            let token = hub.role_token(scopes).await;
            let reply = hub.get("/users/alice").token(&token).send().await;
            assert_eq!(reply.status, StatusCode::OK, "{scopes:?}");
            assert_eq!(keys(&reply.json), expected, "{scopes:?}");
        }
    }

    #[tokio::test]
    async fn not_there_and_not_yours_look_the_same() {
        let hub = Hub::new().await;
        let odd = [
            "nobody",
            "..",
            "a%2Fb",
            "a%00b",
            "%61%6c%69/",
            "a%0d%0ab",
            "%ef%bd%81",
        ];
        let bob = hub.get("/users/bob").user("alice").send().await;
        assert_eq!(bob.status, StatusCode::NOT_FOUND);
        for name in odd {
            let path = format!("/users/{name}");
            let (alice, admin) = (hub.get(&path).user("alice"), hub.get(&path).admin());
            let reply = alice.send().await;
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "{name}");
            assert_eq!(admin.send().await.status, StatusCode::NOT_FOUND, "{name}");
        }
        assert_eq!(
            hub.get("/users/nobody").user("alice").send().await.text,
            bob.text
        );
        let powerless = hub.role_token(&["proxy"]).await;
        for name in ["alice", "nobody", "..", "a%2Fb"] {
            let reply = hub
                .get(&format!("/users/{name}"))
                .token(&powerless)
                .send()
                .await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{name}");
        }
        let bytes = hub.get("/users/%ff").admin().send().await;
        assert_eq!(bytes.status, StatusCode::BAD_REQUEST);
        let own = hub.get("/users/%61lice").user("alice").send().await;
        assert_eq!(own.json["name"], "alice");
    }

    #[tokio::test]
    async fn stopped_servers_are_shown_on_demand() {
        let hub = Hub::new().await;
        hub.start("alice").await;
        hub.delete("/users/alice/server").admin().send().await;
        let get = |query| hub.get(&format!("/users/alice{query}")).admin();
        assert_eq!(get("").send().await.json["servers"], json!({}));
        let shown = get("?include_stopped_servers=1").send().await;
        assert_eq!(shown.json["servers"][""]["stopped"], true);
        assert_eq!(shown.json["server"], json!(null));
    }

    #[tokio::test]
    async fn making_one() {
        let hub = Hub::new().await;
        let made = hub.post("/users/New@home").admin().send().await;
        assert_eq!(made.status, StatusCode::CREATED);
        assert_eq!(made.json["name"], "new@home");
        let again = hub.post("/users/new@home").admin().send().await;
        assert_eq!(again.status, StatusCode::CONFLICT);
        let boss = hub
            .post("/users/boss")
            .admin()
            .json(&json!({"admin": true}));
        assert_eq!(boss.send().await.json["admin"], true);
        for name in ["..", "a%2Fb", "-rf", "%c3%a9"] {
            let path = format!("/users/{name}");
            let reply = hub.post(&path).admin().send().await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{name}");
            let alice = hub.post(&path).user("alice").send().await;
            assert_eq!(alice.status, StatusCode::FORBIDDEN, "{name}");
        }
        for body in [json!({"admin": "yes"}), json!({"name": "x"}), json!([])] {
            let reply = hub.post("/users/other").admin().json(&body).send().await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}");
        }
        let one = hub.role_token(&["admin:users!user=carol"]).await;
        let filtered = |name: &str, body: Value| {
            hub.post(&format!("/users/{name}"))
                .token(&one)
                .json(&body)
                .send()
        };
        assert_eq!(
            filtered("dave", json!({})).await.status,
            StatusCode::NOT_FOUND
        );
        let admin = filtered("carol", json!({"admin": true})).await;
        assert_eq!(admin.status, StatusCode::FORBIDDEN);
        assert_eq!(
            filtered("carol", json!({})).await.status,
            StatusCode::CREATED
        );
    }

    #[tokio::test]
    async fn deleting_one() {
        let hub = Hub::new().await;
        hub.start("bob").await;
        let (bobs, path) = (token_of("bob"), "/users/bob");
        let alice = hub.delete(path).user("alice").send().await;
        assert_eq!(alice.status, StatusCode::FORBIDDEN);
        let gone = hub.delete(path).admin().send().await;
        assert_eq!(
            (gone.status, gone.text.as_str()),
            (StatusCode::NO_CONTENT, "")
        );
        assert!(!hub.world.is_alive(), "the server was stopped first");
        let again = hub.delete(path).admin().send().await;
        assert_eq!(again.status, StatusCode::NOT_FOUND);
        let dead = hub.get("/user").token(&bobs).send().await;
        assert_eq!(dead.status, StatusCode::FORBIDDEN);
        let own = hub.delete("/users/admin").admin().send().await;
        assert_eq!(own.status, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn a_user_whose_server_does_not_stop_stays() {
        let hub = Hub::impatient().await;
        hub.start("bob").await;
        hub.world.play(Script::StopWaits);
        let slow = hub.delete("/users/bob").admin().send().await;
        assert_eq!(slow.status, StatusCode::BAD_REQUEST);
        assert!(
            slow.message().contains("being stopped"),
            "{}",
            slow.message()
        );
        assert!(
            hub.app
                .store
                .users()
                .by_name(&"bob".parse().unwrap())
                .is_some()
        );
    }
}
