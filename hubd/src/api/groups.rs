//! `{api}/groups`: the list, and new groups.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use spawner_core::UserName;
use utoipa::ToSchema;

use super::access::{missing, require};
use super::body;
use super::caller::ApiCaller;
use super::error::ApiError;
use super::group_model::GroupModel;
use super::openapi::{self, Asked, GroupName, ListOf, Made, Queried, Sent};
use super::page::{Page, PageQuery};
use crate::app::{App, AppState};
use crate::config::check_name;
use crate::people;
use crate::scopes::{ScopeName, Target, VisibleNames};
use crate::store::UserId;

/// The most groups, or members, that one request is about.
const NAMES_MAX: usize = 10_000;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewGroups {
    /// Those that exist already stay as they are.
    #[schema(value_type = Vec<GroupName>, min_items = 1, max_items = 10_000)]
    groups: Vec<String>,
    /// The members of each; users that there are.
    #[serde(default)]
    #[schema(value_type = Vec<openapi::UserName>, max_items = 10_000)]
    users: Vec<String>,
}

type Groups = ListOf<GroupModel>;

/// The groups that the caller may see
///
/// Needs `list:groups`.
#[utoipa::path(
    get, path = "/groups", tag = "groups", operation_id = "list_groups",
    params(PageQuery),
    responses(
        (status = 200, description = "The groups.", body = Groups),
        Queried, Asked,
    ),
)]
pub(super) async fn list(
    State(app): State<AppState>,
    caller: ApiCaller,
    page: Page,
) -> Result<Response, ApiError> {
    let visible = caller.rights().visible_groups();
    if visible == VisibleNames::None {
        return Err(missing(&[ScopeName::ListGroups]));
    }
    let mut groups = app.directory.groups().all();
    groups.retain(|group| visible.shows(&group.name));
    let total = groups.len();
    let shown = groups.into_iter().skip(page.offset).take(page.limit);
    let models = shown.map(|group| GroupModel::new(&app, caller.rights(), group));
    let models: Vec<_> = models.collect();
    Ok(page.reply(models, total))
}

/// Makes groups, each with the same members
///
/// Those that exist already stay as they are; if all do, it is a 409. Needs `admin:groups`.
#[utoipa::path(
    post, path = "/groups", tag = "groups", operation_id = "create_groups",
    request_body = NewGroups,
    responses(
        (
            status = 201, description = "Those that were made.", body = Vec<GroupModel>,
            links(("GetGroup" = (
                operation_id = "get_group", parameters(("group" = "$response.body#/0/name"))
            )))
        ),
        Sent, Made, Asked,
    ),
)]
pub(super) async fn create(
    State(app): State<AppState>,
    caller: ApiCaller,
    request: Request,
) -> Result<Response, ApiError> {
    require(
        caller.rights(),
        &[ScopeName::AdminGroups],
        Target::Everything,
    )?;
    let NewGroups { groups, users } = body::required(request).await?;
    if groups.is_empty() {
        return Err(ApiError::bad_request("groups is empty; name one."));
    }
    if groups.len() > NAMES_MAX {
        let message = format!("groups has more than {NAMES_MAX} names; send them in parts.");
        return Err(ApiError::bad_request(message));
    }
    for (at, name) in groups.iter().enumerate() {
        let field = format!("groups[{at}]");
        check_group_name(&field, name)?;
    }
    let members = members(&app, &users)?;
    let created = people::groups::create(&app, &caller.by(), groups, members).await?;
    let models = created.into_iter();
    let models = models.map(|group| GroupModel::new(&app, caller.rights(), group));
    let models: Vec<_> = models.collect();
    Ok((StatusCode::CREATED, Json(models)).into_response())
}

/// Refuses what cannot name a group.
pub(super) fn check_group_name(field: &str, name: &str) -> Result<(), ApiError> {
    check_name(name)
        .map_err(|what| ApiError::bad_request(format!("{field} cannot be used: {what}.")))
}

/// The users whom a body lists.
pub(super) fn members(app: &App, names: &[String]) -> Result<Vec<UserId>, ApiError> {
    if names.len() > NAMES_MAX {
        let message = format!("users has more than {NAMES_MAX} names; send them in parts.");
        return Err(ApiError::bad_request(message));
    }
    let found = names.iter().enumerate().map(|(at, raw)| {
        let user = UserName::new(raw).ok();
        let user = user.and_then(|name| app.store.users().by_name(&name));
        user.map(|user| user.id).ok_or_else(|| {
            ApiError::bad_request(format!("users[{at}]: there is no user called {raw:?}."))
        })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::api::testing::Hub;

    fn names(list: &Value) -> Vec<&str> {
        let groups = list.as_array().unwrap().iter();
        groups
            .map(|group| group["name"].as_str().unwrap())
            .collect()
    }

    async fn with_groups() -> Hub {
        let hub = Hub::new().await;
        let body = json!({"groups": ["red", "blue"], "users": ["bob"]});
        let made = hub.post("/groups").admin().json(&body).send().await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        assert_eq!(names(&made.json), ["red", "blue"]);
        assert_eq!(
            made.json[0],
            json!({"kind": "group", "name": "red", "roles": [], "users": ["bob"], "properties": {}})
        );
        hub
    }

    #[tokio::test]
    async fn made_and_listed_beside_those_of_the_configuration() {
        let hub = with_groups().await;
        let all = hub.get("/groups").admin().send().await;
        assert_eq!(names(&all.json), ["staff", "red", "blue"]);
        assert_eq!(all.json[0]["users"], json!(["alice"]));
        let page = hub.get("/groups?offset=1&limit=1").admin();
        let page = page.header("accept", "application/jupyterhub-pagination+json");
        let page = page.send().await.json;
        assert_eq!(names(&page["items"]), ["red"]);
        assert_eq!(page["_pagination"]["total"], 3);
        let again = json!({"groups": ["red", "staff"]});
        let again = hub.post("/groups").admin().json(&again).send().await;
        assert_eq!(again.status, StatusCode::CONFLICT);
        let partly = json!({"groups": ["red", "green"]});
        let partly = hub.post("/groups").admin().json(&partly).send().await;
        assert_eq!(names(&partly.json), ["green"]);
        assert_eq!(partly.json[0]["users"], json!([]));
    }

    #[tokio::test]
    async fn a_list_shows_what_the_caller_may_see() {
        let hub = with_groups().await;
        for (scopes, expected) in [
            (&["list:groups"][..], Some(&["staff", "red", "blue"][..])),
            (&["groups!group=red"], Some(&["red"])),
            (&["list:groups!group=none"], Some(&[])),
            (&["list:groups!user=bob"], None),
            (&["read:groups"], None),
            (&["list:users"], None),
        ] {
            let token = hub.role_token(scopes).await;
            let reply = hub.get("/groups").token(&token).send().await;
            match expected {
                Some(expected) => assert_eq!(names(&reply.json), expected, "{scopes:?}"),
                None => assert_eq!(reply.status, StatusCode::FORBIDDEN, "{scopes:?}"),
            }
        }
        let token = hub.role_token(&["list:groups", "proxy"]).await;
        let reply = hub.get("/groups").token(&token).send().await;
        assert_eq!(reply.json[0], json!({"kind": "group", "name": "staff"}));
    }

    #[tokio::test]
    async fn what_cannot_be_a_group() {
        let hub = Hub::new().await;
        let long = "x".repeat(256);
        for (body, words) in [
            (json!({}), "missing field `groups`"),
            (json!({"groups": []}), "groups is empty"),
            (json!({"groups": "a"}), "groups"),
            (json!({"groups": ["a", ""]}), "groups[1]"),
            (json!({"groups": ["a b"]}), "groups[0]"),
            (json!({"groups": ["a!user=b"]}), "groups[0]"),
            (json!({"groups": ["../x"]}), "groups[0]"),
            (json!({"groups": ["a\u{0}"]}), "groups[0]"),
            (json!({"groups": ["é"]}), "groups[0]"),
            (json!({"groups": [long]}), "groups[0]"),
            (json!({"groups": vec!["x"; 10_001]}), "more than 10000"),
            (json!({"groups": ["a"], "users": ["nobody"]}), "users[0]"),
            (json!({"groups": ["a"], "users": ["bob", ".."]}), "users[1]"),
            (
                json!({"groups": ["a"], "members": []}),
                "unknown field `members`",
            ),
        ] {
            let reply = hub.post("/groups").admin().json(&body).send().await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{words}");
            assert!(reply.message().contains(words), "{}", reply.message());
        }
        assert!(hub.app.store.groups().all().is_empty());
        for scopes in [&["groups"][..], &["admin:groups!group=a"]] {
            let token = hub.role_token(scopes).await;
            let body = json!({"groups": ["a"]});
            let reply = hub.post("/groups").token(&token).json(&body).send().await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{scopes:?}");
        }
    }
}
