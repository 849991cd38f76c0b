//! `{api}/users`: the list, and new users.

use std::collections::HashSet;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use spawner_core::UserName;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{IntoParams, ToSchema};

use super::access::{missing, require};
use super::body;
use super::caller::ApiCaller;
use super::error::ApiError;
use super::openapi::{self, Asked, ListOf, Made, Queried, Sent};
use super::page::{Page, PageQuery};
use super::user_model::{Include, IncludeQuery, UserKeys, UserModel};
use crate::app::AppState;
use crate::people::users;
use crate::scopes::{ScopeName, Target, VisibleUsers};
use crate::store::{UserQuery, UserSort, UserState};

/// The most users that one request makes: they are one transaction, and others wait for it.
const NAMES_MAX: usize = 10_000;

const SORTS: &[(&str, (UserSort, bool))] = &[
    ("id", (UserSort::Id, false)),
    ("-id", (UserSort::Id, true)),
    ("name", (UserSort::Name, false)),
    ("-name", (UserSort::Name, true)),
    ("last_activity", (UserSort::LastActivity, false)),
    ("-last_activity", (UserSort::LastActivity, true)),
];

/// Empty for all, as JupyterHub's own admin page asks for them.
const STATES: &[(&str, Option<UserState>)] = &[
    ("active", Some(UserState::Active)),
    ("ready", Some(UserState::Ready)),
    ("inactive", Some(UserState::Inactive)),
    ("", None),
];

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUsers {
    /// Those who exist already stay as they are.
    #[schema(value_type = Vec<openapi::UserName>, min_items = 1, max_items = 10_000)]
    usernames: Vec<String>,
    /// Only an admin can make admins.
    #[serde(default)]
    admin: bool,
}

type Users = ListOf<UserKeys<'static>>;

/// The query of the list beside that of its page.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `list` reads")]
struct UsersQuery {
    #[param(schema_with = states)]
    state: Option<String>,
    #[param(schema_with = sorts)]
    sort: Option<String>,
    /// Only users whose names hold this text.
    name_filter: Option<String>,
}

fn states() -> RefOr<Schema> {
    one_of(
        "Only users with an active or a ready server, or with none. Empty for all.",
        STATES,
    )
}

fn sorts() -> RefOr<Schema> {
    one_of("By what they are sorted.", SORTS)
}

fn one_of<T>(description: &str, words: &[(&str, T)]) -> RefOr<Schema> {
    let words = words.iter().map(|(word, _)| *word);
    let text = ObjectBuilder::new().schema_type(Type::String);
    let text = text.description(Some(description));
    text.enum_values(Some(words)).into()
}

/// The users whom the caller may see
///
/// Needs `list:users`.
#[utoipa::path(
    get, path = "/users", tag = "users", operation_id = "list_users",
    params(UsersQuery, IncludeQuery, PageQuery),
    responses(
        (status = 200, description = "The users.", body = Users),
        Queried, Asked,
    ),
)]
pub(super) async fn list(
    State(app): State<AppState>,
    caller: ApiCaller,
    page: Page,
) -> Result<Response, ApiError> {
    let within: Option<HashSet<UserName>> = match caller.rights().visible_users() {
        VisibleUsers::All => None,
        VisibleUsers::Only { users, groups } => {
            let known = app.directory.groups();
            let members = groups.iter().flat_map(|group| known.members(group));
            Some(users.iter().cloned().chain(members).collect())
        }
        VisibleUsers::Nobody => return Err(missing(&[ScopeName::ListUsers])),
    };
    let query = page.query();
    let (sort, descending) = query.one_of("sort", SORTS)?.unwrap_or_default();
    let include = Include::asked(query)?;
    let wanted = UserQuery {
        sort,
        descending,
        name_filter: query.get("name_filter").map(str::to_owned),
        state: query.one_of("state", STATES)?.flatten(),
        within,
        offset: page.offset,
        limit: page.limit,
    };
    let found = app.store.users().list(&wanted);
    let models = found.users.iter();
    let models = models.map(|user| UserModel::new(&app, caller.rights(), user, include));
    let models: Vec<_> = models.collect();
    Ok(page.reply(models, found.total))
}

/// Makes users
///
/// Those who exist already stay as they are; if all do, it is a 409. Needs `admin:users`.
#[utoipa::path(
    post, path = "/users", tag = "users", operation_id = "create_users",
    request_body = NewUsers,
    responses(
        (
            status = 201, description = "Those that were made.", body = Vec<UserKeys<'static>>,
            links(("GetUser" = (
                operation_id = "get_user", parameters(("user" = "$response.body#/0/name"))
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
        &[ScopeName::AdminUsers],
        Target::Everything,
    )?;
    let NewUsers { usernames, admin } = body::required(request).await?;
    if usernames.is_empty() {
        return Err(ApiError::bad_request("usernames is empty; name somebody."));
    }
    if usernames.len() > NAMES_MAX {
        let message = format!("usernames has more than {NAMES_MAX} names; send them in parts.");
        return Err(ApiError::bad_request(message));
    }
    let names = usernames.iter().enumerate().map(|(at, raw)| {
        UserName::new(raw).map_err(|error| {
            let message = format!("usernames[{at}] cannot be used: {error}.");
            ApiError::bad_request(message)
        })
    });
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let created = users::create(&app, &caller.by(), names, admin).await?;
    let models = created.iter();
    let models = models.map(|user| UserModel::new(&app, caller.rights(), user, Include::Active));
    let models: Vec<_> = models.collect();
    Ok((StatusCode::CREATED, Json(models)).into_response())
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::api::testing::Hub;

    fn names(list: &Value) -> Vec<&str> {
        let users = list.as_array().unwrap().iter();
        users.map(|user| user["name"].as_str().unwrap()).collect()
    }

    const PAGINATION: &str = "application/jupyterhub-pagination+json";

    #[tokio::test]
    async fn the_list_is_filtered_and_sorted() {
        let hub = Hub::new().await;
        hub.start("bob").await;
        for (query, expected) in [
            ("", &["admin", "alice", "bob"][..]),
            ("?sort=-name", &["bob", "alice", "admin"]),
            ("?sort=-id&limit=2", &["bob", "alice"]),
            ("?sort=name&offset=1", &["alice", "bob"]),
            ("?name_filter=LI", &["alice"]),
            ("?name_filter=%25", &[]),
            ("?state=ready", &["bob"]),
            ("?state=active", &["bob"]),
            ("?state=inactive", &["admin", "alice"]),
            ("?state=&name_filter=", &["admin", "alice", "bob"]),
            ("?limit=0", &["admin"]),
            ("?limit=-5", &["admin"]),
            ("?offset=99999999999999999999", &[]),
            ("?unknown=1", &["admin", "alice", "bob"]),
        ] {
            let reply = hub.get(&format!("/users{query}")).admin().send().await;
            assert_eq!(reply.status, StatusCode::OK, "{query}");
            assert_eq!(names(&reply.json), expected, "{query}");
        }
        for query in [
            "?state=running",
            "?sort=",
            "?limit=",
            "?offset=",
            "?sort=age",
            "?limit=x",
            "?limit=1.5",
            "?offset=-1",
            "?offset=1e3",
            "?include_stopped_servers=maybe",
        ] {
            let reply = hub.get(&format!("/users{query}")).admin().send().await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{query}");
        }
    }

    #[tokio::test]
    async fn pages_lead_to_each_other() {
        let hub = Hub::new().await;
        let mut url = "/users?limit=1&sort=name&name_filter=a".to_owned();
        let mut seen = Vec::new();
        loop {
            let page = hub
                .get(&url)
                .admin()
                .header("accept", PAGINATION)
                .send()
                .await;
            assert_eq!(page.header("content-type"), Some("application/json"));
            let (items, pages) = (&page.json["items"], &page.json["_pagination"]);
            seen.extend(names(items).iter().map(|&name| name.to_owned()));
            assert_eq!(pages["total"], 2);
            assert_eq!(pages["limit"], 1);
            assert_eq!(pages["offset"], seen.len() - 1);
            let Some(next) = pages["next"]["url"].as_str() else {
                assert_eq!(pages["next"], json!(null));
                break;
            };
            assert_eq!(
                next,
                "http://hub.test:8000/hub/api/users?sort=name&name_filter=a&offset=1&limit=1"
            );
            url = next.replace("http://hub.test:8000/hub/api", "");
        }
        assert_eq!(seen, ["admin", "alice"]);
        let https = hub.get("/users?limit=1").admin().over_https();
        let accept = format!("text/html, {PAGINATION};q=0.9");
        let https = https.header("accept", &accept).send().await;
        let next = https.json["_pagination"]["next"]["url"].as_str().unwrap();
        assert_eq!(next, "https://hub.test/hub/api/users?offset=1&limit=1");
    }

    #[tokio::test]
    async fn replies_are_bounded() {
        let hub = Hub::new().await;
        let many: Vec<String> = (0..248).map(|n| format!("u{n}")).collect();
        let body = json!({ "usernames": many });
        let made = hub.post("/users").admin().json(&body).send().await;
        assert_eq!(made.json.as_array().unwrap().len(), 248);
        for (query, paginated, count) in [
            ("", false, 200),
            ("?limit=1000", false, 200),
            ("", true, 50),
            ("?limit=1000", true, 200),
        ] {
            let accept = if paginated { PAGINATION } else { "*/*" };
            let reply = hub.get(&format!("/users{query}")).admin();
            let reply = reply.header("accept", accept).send().await;
            let items = reply.json.get("items").unwrap_or(&reply.json);
            assert_eq!(items.as_array().unwrap().len(), count, "{query}");
        }
    }

    #[tokio::test]
    async fn a_list_shows_whom_the_caller_may_see() {
        let hub = Hub::new().await;
        hub.start("alice").await;
        let alice = hub.get("/users").user("alice").send().await;
        assert_eq!(alice.status, StatusCode::FORBIDDEN);
        assert!(alice.message().contains("list:users"));
        for (scopes, expected) in [
            (&["list:users!group=staff"][..], &["alice"][..]),
            (&["list:users!user=bob", "list:users!user=nobody"], &["bob"]),
            (&["list:users!group=none"], &[]),
        ] {
            let token = hub.role_token(scopes).await;
            let reply = hub.get("/users").token(&token).send().await;
            assert_eq!(names(&reply.json), expected, "{scopes:?}");
        }
        for scopes in [&["read:users"][..], &["list:users!server=alice/"]] {
            let token = hub.role_token(scopes).await;
            let reply = hub.get("/users").token(&token).send().await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{scopes:?}");
        }
        let reply = hub.get("/users").token("token-of-culler").send().await;
        let alice = &reply.json[1];
        let keys: Vec<&String> = alice.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            [
                "admin",
                "kind",
                "last_activity",
                "name",
                "servers",
                "user_info"
            ]
        );
        assert_eq!(alice["servers"][""]["ready"], true);
        assert!(alice["servers"][""].get("state").is_none());
    }

    #[tokio::test]
    async fn users_are_made_once() {
        let hub = Hub::new().await;
        let post = async |body: Value| hub.post("/users").admin().json(&body).send().await;
        let made = post(json!({"usernames": ["u1", "U2", "u1"]})).await;
        assert_eq!(made.status, StatusCode::CREATED);
        assert_eq!(names(&made.json), ["u1", "u2"]);
        assert_eq!(made.json[0]["admin"], false);
        let again = post(json!({"usernames": ["u1", "u2"]})).await;
        assert_eq!(again.status, StatusCode::CONFLICT);
        let partly = post(json!({"usernames": ["u1", "u3"]})).await;
        assert_eq!(names(&partly.json), ["u3"]);
        let admin = post(json!({"usernames": ["boss"], "admin": true})).await;
        assert_eq!(admin.json[0]["admin"], true);
        assert_eq!(admin.json[0]["roles"], json!(["admin", "user"]));
    }

    #[tokio::test]
    async fn names_that_nobody_can_have() {
        let hub = Hub::new().await;
        let long = "x".repeat(300);
        for name in [
            "",
            " ",
            ".",
            "..",
            "../bob",
            "a/b",
            "a\\b",
            "%2f",
            "a\0b",
            "a\r\nb",
            "a\u{1b}[31m",
            "-rf",
            "~root",
            "ａlice",
            "аlice",
            "a\u{202e}b",
            &long,
        ] {
            let body = json!({"usernames": ["fine", name]});
            let reply = hub.post("/users").admin().json(&body).send().await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{name:?}");
            assert!(
                reply.message().contains("usernames[1]"),
                "{}",
                reply.message()
            );
        }
        for body in [
            json!({"usernames": []}),
            json!({"usernames": vec!["x"; 10_001]}),
        ] {
            let reply = hub.post("/users").admin().json(&body).send().await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        }
        assert_eq!(hub.app.store.users().count(), 3);
    }

    #[tokio::test]
    async fn only_an_admin_makes_admins() {
        let hub = Hub::new().await;
        let all = hub.role_token(&["admin:users"]).await;
        let make = |token: String, admin: bool| {
            let body = json!({"usernames": ["new"], "admin": admin});
            hub.post("/users").token(&token).json(&body)
        };
        let admin = make(all.clone(), true).send().await;
        assert_eq!(admin.status, StatusCode::FORBIDDEN);
        assert!(admin.message().contains("admin"), "{}", admin.message());
        let plain = make(all, false).send().await;
        assert_eq!(plain.status, StatusCode::CREATED);
        let one = hub.role_token(&["admin:users!user=new2"]).await;
        assert_eq!(make(one, false).send().await.status, StatusCode::FORBIDDEN);
    }
}
