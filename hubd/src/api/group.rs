//! `{api}/groups/GROUP`: one group, its members and its properties.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::access::{self, require};
use super::body;
use super::caller::ApiCaller;
use super::error::ApiError;
use super::group_model::GroupModel;
use super::groups::{check_group_name, members};
use super::openapi::{Asked, Made, Named, OfGroup, Sent, UserName};
use super::path::Segments;
use crate::app::{App, AppState};
use crate::auth::groups::Group;
use crate::people::groups;
use crate::scopes::{ScopeName, Target};

/// Any one of these lets somebody know that a group is there.
const READ: &[ScopeName] = &[
    ScopeName::ReadGroups,
    ScopeName::ReadGroupsName,
    ScopeName::ReadRolesGroups,
];

/// What lets somebody change one.
const CHANGE: &[ScopeName] = &[ScopeName::Groups];

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewGroup {
    /// Its members; users that there are.
    #[serde(default)]
    #[schema(value_type = Vec<UserName>, max_items = 10_000)]
    users: Vec<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Members {
    /// Users that there are.
    #[schema(value_type = Vec<UserName>, max_items = 10_000)]
    users: Vec<String>,
}

/// One group
///
/// Needs one of `read:groups`, `read:groups:name`, `read:roles:groups`.
#[utoipa::path(
    get, path = "/groups/{group}", tag = "groups", operation_id = "get_group",
    params(OfGroup),
    responses((status = 200, description = "The group.", body = GroupModel), Named, Asked),
)]
pub(super) async fn get(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
) -> Result<Response, ApiError> {
    let group = access::group(&app, caller.rights(), READ, &name)?;
    Ok(reply(&app, &caller, group))
}

/// Makes a group
///
/// Needs `admin:groups`.
#[utoipa::path(
    post, path = "/groups/{group}", tag = "groups", operation_id = "create_group",
    params(OfGroup), request_body = Option<NewGroup>,
    responses(
        (
            status = 201, description = "The group.", body = GroupModel,
            links(
                ("GetGroup" = (
                    operation_id = "get_group", parameters(("group" = "$response.body#/name"))
                )),
                ("DeleteGroup" = (
                    operation_id = "delete_group", parameters(("group" = "$response.body#/name"))
                )),
                ("AddMembers" = (
                    operation_id = "add_members", parameters(("group" = "$response.body#/name"))
                )),
                ("SetProperties" = (
                    operation_id = "set_properties", parameters(("group" = "$response.body#/name"))
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
    let target = Target::Group(&name);
    require(caller.rights(), &[ScopeName::AdminGroups], target)?;
    check_group_name("The name of the group", &name)?;
    let body: Option<NewGroup> = body::optional(request).await?;
    let members = members(&app, &body.unwrap_or_default().users)?;
    let created = groups::create(&app, &caller.by(), vec![name], members).await?;
    let group = created.into_iter().next();
    let group = group.ok_or_else(ApiError::not_found)?;
    Ok((StatusCode::CREATED, reply(&app, &caller, group)).into_response())
}

/// Deletes a group
///
/// Its members stay users. A group of the configuration, or one that the configuration gives a role to, is
/// a 409. Needs `delete:groups`.
#[utoipa::path(
    delete, path = "/groups/{group}", tag = "groups", operation_id = "delete_group",
    params(OfGroup),
    responses((status = 204, description = "The group is gone."), Named, Made, Asked),
)]
pub(super) async fn delete(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
) -> Result<StatusCode, ApiError> {
    let group = access::group(&app, caller.rights(), &[ScopeName::DeleteGroups], &name)?;
    groups::delete(&app, &caller.by(), &group).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds members
///
/// Needs `groups`.
#[utoipa::path(
    post, path = "/groups/{group}/users", tag = "groups", operation_id = "add_members",
    params(OfGroup), request_body = Members,
    responses(
        (status = 200, description = "The group, changed.", body = GroupModel),
        Named, Sent, Made, Asked,
    ),
)]
pub(super) async fn add(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let group = access::group(&app, caller.rights(), CHANGE, &name)?;
    let Members { users } = body::required(request).await?;
    let users = members(&app, &users)?;
    let group = groups::add(&app, &caller.by(), &group, users).await?;
    Ok(reply(&app, &caller, group))
}

/// Takes members out
///
/// Needs `groups`.
#[utoipa::path(
    delete, path = "/groups/{group}/users", tag = "groups", operation_id = "take_members_out",
    params(OfGroup), request_body = Members,
    responses(
        (status = 200, description = "The group, changed.", body = GroupModel),
        Named, Sent, Made, Asked,
    ),
)]
pub(super) async fn take_out(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let group = access::group(&app, caller.rights(), CHANGE, &name)?;
    let Members { users } = body::required(request).await?;
    let users = members(&app, &users)?;
    let group = groups::take_out(&app, &caller.by(), &group, users).await?;
    Ok(reply(&app, &caller, group))
}

/// Replaces all properties of a group
///
/// Needs `groups`.
#[utoipa::path(
    put, path = "/groups/{group}/properties", tag = "groups", operation_id = "set_properties",
    params(OfGroup), request_body = Object,
    responses(
        (status = 200, description = "The group, changed.", body = GroupModel),
        Named, Sent, Made, Asked,
    ),
)]
pub(super) async fn set_properties(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let group = access::group(&app, caller.rights(), CHANGE, &name)?;
    let properties: Map<String, Value> = body::required(request).await?;
    let group = groups::set_properties(&app, &caller.by(), &group, properties).await?;
    Ok(reply(&app, &caller, group))
}

fn reply(app: &App, caller: &ApiCaller, group: Group) -> Response {
    Json(GroupModel::new(app, caller.rights(), group)).into_response()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::api::testing::Hub;

    async fn make(hub: &Hub, name: &str, users: &[&str]) {
        let made = hub.post(&format!("/groups/{name}")).admin();
        let made = made.json(&json!({ "users": users })).send().await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    }

    async fn groups_of(hub: &Hub, user: &str) -> Value {
        let path = format!("/users/{user}");
        hub.get(&path).admin().send().await.json["groups"].clone()
    }

    #[tokio::test]
    async fn members_come_and_go() {
        let hub = Hub::new().await;
        make(&hub, "red", &["bob"]).await;
        assert_eq!(groups_of(&hub, "bob").await, json!(["red"]));
        let both = json!({"users": ["alice", "BOB"]});
        let users = hub.post("/groups/red/users").admin().json(&both);
        let users = users.send().await;
        assert_eq!(users.json["users"], json!(["alice", "bob"]));
        assert_eq!(groups_of(&hub, "alice").await, json!(["red", "staff"]));
        let one = json!({"users": ["bob"]});
        let users = hub.delete("/groups/red/users").admin().json(&one);
        assert_eq!(users.send().await.json["users"], json!(["alice"]));
        assert_eq!(groups_of(&hub, "bob").await, json!([]));
        let again = hub.post("/groups/red").admin().send().await;
        assert_eq!(again.status, StatusCode::CONFLICT);
        let gone = hub.delete("/groups/red").admin().send().await;
        assert_eq!((gone.status, &*gone.text), (StatusCode::NO_CONTENT, ""));
        assert_eq!(groups_of(&hub, "alice").await, json!(["staff"]));
        let gone = hub.get("/groups/red").admin().send().await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn properties_are_replaced_as_a_whole() {
        let hub = Hub::new().await;
        make(&hub, "red", &[]).await;
        for properties in [
            json!({"room": 7, "x": {"": [null]}}),
            json!({"y": 1}),
            json!({}),
        ] {
            let put = hub.request("PUT", "/groups/red/properties").admin();
            let put = put.json(&properties).send().await;
            assert_eq!(put.status, StatusCode::OK);
            assert_eq!(put.json["properties"], properties);
            let kept = hub.get("/groups/red").admin().send().await;
            assert_eq!(kept.json["properties"], properties);
        }
        for body in [json!([]), json!("x"), json!(null)] {
            let put = hub.request("PUT", "/groups/red/properties").admin();
            let put = put.json(&body).send().await;
            assert_eq!(put.status, StatusCode::BAD_REQUEST, "{body}");
        }
    }

    #[tokio::test]
    async fn what_the_configuration_says_is_not_changed() {
        let hub = Hub::new().await;
        let users = json!({"users": ["bob"]});
        for (method, path, body) in [
            ("POST", "/groups/staff", json!({})),
            ("DELETE", "/groups/staff", json!({})),
            ("POST", "/groups/staff/users", users.clone()),
            ("DELETE", "/groups/staff/users", users.clone()),
            ("PUT", "/groups/staff/properties", json!({"a": 1})),
        ] {
            let reply = hub.request(method, path).admin().json(&body).send().await;
            assert_eq!(reply.status, StatusCode::CONFLICT, "{method} {path}");
            assert!(reply.message().ends_with('.'), "{}", reply.message());
        }
        let staff = hub.get("/groups/staff").admin().send().await;
        assert_eq!(staff.json["users"], json!(["alice"]));
        // A group that a role of the configuration is given to keeps its place.
        make(&hub, "graders", &["bob"]).await;
        let gone = hub.delete("/groups/graders").admin().send().await;
        assert_eq!(gone.status, StatusCode::CONFLICT);
        assert!(
            gone.message().contains("role grading"),
            "{}",
            gone.message()
        );
    }

    #[tokio::test]
    async fn membership_gives_what_the_groups_roles_give() {
        let hub = Hub::new().await;
        let list = async || hub.get("/users").user("bob").send().await.status;
        assert_eq!(list().await, StatusCode::FORBIDDEN);
        make(&hub, "graders", &["bob"]).await;
        assert_eq!(list().await, StatusCode::OK);
        let graders = hub.get("/groups/graders").admin().send().await;
        assert_eq!(graders.json["roles"], json!(["grading"]));
        let bob = json!({"users": ["bob"]});
        hub.delete("/groups/graders/users")
            .admin()
            .json(&bob)
            .send()
            .await;
        assert_eq!(list().await, StatusCode::FORBIDDEN, "at the next request");
    }

    #[tokio::test]
    async fn a_group_filter_reaches_its_members() {
        let hub = Hub::new().await;
        make(&hub, "red", &["bob"]).await;
        let token = hub.role_token(&["read:users!group=red"]).await;
        let get = async |user: &str| {
            let path = format!("/users/{user}");
            hub.get(&path).token(&token).send().await.status
        };
        assert_eq!(get("bob").await, StatusCode::OK);
        assert_eq!(get("alice").await, StatusCode::NOT_FOUND);
        // A later group of that name is another one.
        hub.delete("/groups/red").admin().send().await;
        make(&hub, "red", &["bob"]).await;
        assert_eq!(get("bob").await, StatusCode::FORBIDDEN);
    }

    #[tokio::test]
    async fn rights_over_groups() {
        let hub = Hub::new().await;
        make(&hub, "red", &["bob"]).await;
        let users = || json!({"users": ["alice"]});
        let steps = [
            ("GET", "/groups/red", json!({})),
            ("POST", "/groups/red/users", users()),
            ("DELETE", "/groups/red/users", users()),
            ("PUT", "/groups/red/properties", json!({})),
            ("POST", "/groups/blue", json!({})),
            ("DELETE", "/groups/red", json!({})),
        ];
        for (scope, expected) in [
            ("list:users", [403, 403, 403, 403, 403, 403]),
            ("read:groups:name!group=red", [200, 403, 403, 403, 403, 403]),
            ("read:groups!group=other", [404, 403, 403, 403, 403, 403]),
            ("groups!group=red", [200, 200, 200, 200, 403, 403]),
            ("groups!group=other", [404, 404, 404, 404, 403, 403]),
            ("admin:groups!group=other", [404, 404, 404, 404, 404, 404]),
            ("delete:groups!user=bob", [403, 403, 403, 403, 403, 404]),
            ("admin:groups", [200, 200, 200, 200, 201, 204]),
        ] {
            let token = hub.role_token(&[scope]).await;
            for ((method, path, body), status) in steps.iter().zip(expected) {
                let reply = hub.request(method, path).token(&token).json(body);
                let reply = reply.send().await;
                assert_eq!(reply.status.as_u16(), status, "{scope}: {method} {path}");
            }
        }
    }

    #[tokio::test]
    async fn bodies_that_cannot_be_meant() {
        let hub = Hub::new().await;
        make(&hub, "red", &[]).await;
        for (path, body, words) in [
            ("/groups/red/users", json!({}), "missing field `users`"),
            ("/groups/red/users", json!({"users": "bob"}), "users"),
            ("/groups/red/users", json!({"users": ["nobody"]}), "nobody"),
            (
                "/groups/red/users",
                json!({"user": []}),
                "unknown field `user`",
            ),
            ("/groups/new", json!({"users": ["nobody"]}), "nobody"),
            ("/groups/new", json!({"properties": {}}), "unknown field"),
            ("/groups/a%20b", json!({}), "cannot be used"),
            ("/groups/%2e%2e", json!({}), "cannot be used"),
        ] {
            let reply = hub.post(path).admin().json(&body).send().await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path} {body}");
            assert!(reply.message().contains(words), "{}", reply.message());
        }
        let odd = hub.get("/groups/a%20b").admin().send().await;
        assert_eq!(odd.status, StatusCode::NOT_FOUND);
    }
}
