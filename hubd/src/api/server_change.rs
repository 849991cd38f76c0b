//! `{api}/users/NAME/servers/SERVER`, without a start: made with PUT, changed with PATCH.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use spawner_core::{ServerId, UserOptions};
use utoipa::ToSchema;

use super::access::Reached;
use super::body;
use super::caller::ApiCaller;
use super::error::ApiError;
use super::failure::refused_start;
use super::openapi::{Asked, DisplayName, Made, Named, Sent};
use super::path::{OneServer, Segments};
use super::server::{reach, there};
use super::server_model::{ServerKeys, ServerModel};
use super::start_body::{StartBody, display_name, options};
use crate::app::{App, AppState};
use crate::scopes::ScopeName;
use crate::servers::{Place, check_name};
use crate::store::audit::{Action, Object};
use crate::store::{Server, ServerChange};

/// What is to be different; what is left out stays.
#[derive(Debug, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
struct ServerPatch {
    /// Empty for the default server, whose name cannot change.
    #[schema(pattern = "^([a-z](-?[a-z0-9])*)?$", max_length = 30)]
    name: Option<String>,
    #[schema(value_type = Option<DisplayName>)]
    display_name: Option<String>,
    /// With what it is started next.
    user_options: Option<Map<String, Value>>,
}

/// Makes a named server and does not start it
///
/// Needs `start:servers`.
#[utoipa::path(
    put, path = "/users/{user}/servers/{server}", tag = "servers", operation_id = "make_named_server",
    params(OneServer), request_body = Option<StartBody>,
    responses(
        (
            status = 201, description = "The server.", body = ServerKeys<'static>,
            links(
                ("GetServer" = (
                    operation_id = "get_named_server",
                    parameters(("user" = "$request.path.user"), ("server" = "$response.body#/name"))
                )),
                ("StartServer" = (
                    operation_id = "start_named_server",
                    parameters(("user" = "$request.path.user"), ("server" = "$response.body#/name"))
                )),
                ("StopServer" = (
                    operation_id = "stop_named_server",
                    parameters(("user" = "$request.path.user"), ("server" = "$response.body#/name"))
                )),
                ("ChangeServer" = (
                    operation_id = "change_named_server",
                    parameters(("user" = "$request.path.user"), ("server" = "$response.body#/name"))
                )),
            )
        ),
        Named, Sent, Made, Asked,
    ),
)]
pub(super) async fn make(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(path): Segments<OneServer>,
    request: Request,
) -> Result<Response, ApiError> {
    let Reached { user, id, row } = reach(&app, &caller, ScopeName::StartServers, &path)?;
    let body = body::optional(request).await?;
    let body = body.map(StartBody::read).transpose()?.unwrap_or_default();
    if id.server.is_default() {
        let message = "Everybody has a default server; only named ones are made.";
        return Err(ApiError::new(StatusCode::CONFLICT, message));
    }
    if row.is_some() {
        let message = format!("{id} exists already.");
        return Err(ApiError::new(StatusCode::CONFLICT, message));
    }
    app.servers.check_named(&user, &id).map_err(refused_start)?;
    check_options(&app, &id, body.options.as_ref())?;
    let first = ServerChange {
        name: None,
        display_name: body.display_name,
        user_options: body.options,
    };
    let entry = caller.entry(Action::ServerCreate).concerning(&user);
    let store = app.store.noting(entry.on(Object::server(None, &id)));
    let servers = store.servers();
    let row = servers.make(user.id, id.server.clone(), first).await?;
    let model = model(&app, &caller, id, row);
    Ok((StatusCode::CREATED, model).into_response())
}

/// Changes a server that is stopped
///
/// Needs `start:servers`.
#[utoipa::path(
    patch, path = "/users/{user}/servers/{server}", tag = "servers",
    operation_id = "change_named_server",
    params(OneServer), request_body = ServerPatch,
    responses(
        (status = 200, description = "The server, changed.", body = ServerKeys<'static>),
        Named, Sent, Made, Asked,
    ),
)]
pub(super) async fn change(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(path): Segments<OneServer>,
    request: Request,
) -> Result<Response, ApiError> {
    let reached = reach(&app, &caller, ScopeName::StartServers, &path)?;
    let Reached { user, id, row } = there(reached)?;
    let wanted: ServerPatch = body::required(request).await?;
    if wanted == ServerPatch::default() {
        let message = "The body must have name, display_name or user_options.";
        return Err(ApiError::bad_request(message));
    }
    apply(&app, &caller, &path.user, Reached { user, id, row }, wanted).await
}

async fn apply(
    app: &App,
    caller: &ApiCaller,
    raw_user: &str,
    Reached { user, id, row }: Reached,
    patch: ServerPatch,
) -> Result<Response, ApiError> {
    if app.servers.look(&id).place != Place::Stopped {
        let message = format!("{id} is active; stop it before it is changed.");
        return Err(ApiError::bad_request(message));
    }
    let display_name = patch.display_name.map(display_name).transpose()?;
    let user_options = patch.user_options.map(options).transpose()?;
    check_options(app, &id, user_options.as_ref())?;
    let renamed = match patch.name {
        Some(name) if name != id.server.as_str() => {
            if id.server.is_default() {
                let message = "The default server has no name to change.";
                return Err(ApiError::bad_request(message));
            }
            let server = name;
            let user = raw_user.to_owned();
            let new = reach(
                app,
                caller,
                ScopeName::StartServers,
                &OneServer { user, server },
            )?;
            if new.id.server.is_default() {
                let message = "A named server cannot become the default one.";
                return Err(ApiError::bad_request(message));
            }
            if new.row.is_some() {
                let message = format!("{} exists already.", new.id);
                return Err(ApiError::new(StatusCode::CONFLICT, message));
            }
            check_name(&new.id.server).map_err(refused_start)?;
            Some(new.id)
        }
        _ => None,
    };
    let servers = app.store.servers();
    let row = match row {
        Some(row) => row,
        None => servers.ensure(user.id, id.server.clone(), None).await?,
    };
    let change = ServerChange {
        name: renamed.as_ref().map(|new| new.server.clone()),
        display_name,
        user_options,
    };
    let entry = caller.entry(Action::ServerChange).concerning(&user);
    let entry = entry
        .on(Object::server(Some(row.id), &id))
        .with_some("name", change.name.as_ref());
    let store = app.store.noting(entry);
    let row = store.servers().change(row.id, change).await?;
    if renamed.is_some() {
        app.servers.forget(&id);
    }
    Ok(model(app, caller, renamed.unwrap_or(id), row).into_response())
}

fn check_options(
    app: &App,
    server: &ServerId,
    options: Option<&UserOptions>,
) -> Result<(), ApiError> {
    let Some(options) = options else {
        return Ok(());
    };
    let checked = app.servers.check_options(server, options);
    checked.map_err(refused_start)
}

fn model(app: &App, caller: &ApiCaller, id: ServerId, row: Arc<Server>) -> impl IntoResponse {
    let groups = app.directory.groups_of(&id.user);
    let place = app.servers.look(&id).place;
    let model = ServerModel::new(app, caller.rights(), id, &groups, Some(row), place);
    Json(model).into_response()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::api::testing::{Hub, Reply};

    const PATH: &str = "/users/alice/servers/proj";

    async fn put(hub: &Hub, path: &str, body: Value) -> Reply {
        hub.request("PUT", path)
            .user("alice")
            .json(&body)
            .send()
            .await
    }

    async fn patch(hub: &Hub, path: &str, body: Value) -> Reply {
        hub.request("PATCH", path)
            .user("alice")
            .json(&body)
            .send()
            .await
    }

    #[tokio::test]
    async fn made_without_a_start() {
        let hub = Hub::new().await;
        let body = json!({"display_name": "My Project", "user_options": {"size": "small"}});
        let made = put(&hub, PATH, body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        for (key, value) in [
            ("name", json!("proj")),
            ("display_name", json!("My Project")),
            ("full_name", json!("alice/proj")),
            ("user_options", json!({"size": "small"})),
            ("stopped", json!(true)),
            ("ready", json!(false)),
            ("started", json!(null)),
            ("url", json!("/user/alice/proj/")),
        ] {
            assert_eq!(made.json[key], value, "{key}");
        }
        let again = put(&hub, PATH, json!({})).await;
        assert_eq!(again.status, StatusCode::CONFLICT);
        let start = hub.post(PATH).user("alice").send().await;
        assert_eq!(start.status, StatusCode::CREATED);
        assert_eq!(hub.world.options(), json!({"size": "small"}));
    }

    #[tokio::test]
    async fn what_cannot_be_made() {
        let hub = Hub::new().await;
        for (path, body, status) in [
            ("/users/alice/server", json!({}), StatusCode::CONFLICT),
            (
                "/users/alice/servers/Bad_Name",
                json!({}),
                StatusCode::BAD_REQUEST,
            ),
            (PATH, json!({"display_name": " x"}), StatusCode::BAD_REQUEST),
            (
                PATH,
                json!({"user_options": {"size": "huge"}}),
                StatusCode::BAD_REQUEST,
            ),
            (PATH, json!([]), StatusCode::BAD_REQUEST),
            ("/users/bob/servers/proj", json!({}), StatusCode::NOT_FOUND),
        ] {
            let reply = put(&hub, path, body).await;
            assert_eq!(reply.status, status, "{path}: {}", reply.text);
        }
        assert_eq!(put(&hub, PATH, json!({})).await.status, StatusCode::CREATED);
        let more = put(&hub, "/users/alice/servers/more", json!({})).await;
        assert_eq!(more.status, StatusCode::BAD_REQUEST, "over the limit");
        let reader = hub.role_token(&["read:servers"]).await;
        let reply = hub.request("PUT", PATH).token(&reader).send().await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
    }

    #[tokio::test]
    async fn changed_while_it_is_stopped() {
        let hub = Hub::new().await;
        put(&hub, PATH, json!({"display_name": "Old"})).await;
        let body = json!({"name": "thesis", "display_name": "New", "user_options": {"x": 1}});
        let changed = patch(&hub, PATH, body).await;
        assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
        assert_eq!(changed.json["name"], "thesis");
        assert_eq!(changed.json["display_name"], "New");
        assert_eq!(changed.json["user_options"], json!({"x": 1}));
        let old = hub.get(PATH).user("alice").send().await;
        assert_eq!(old.status, StatusCode::NOT_FOUND);
        let path = "/users/alice/servers/thesis";
        let same = patch(&hub, path, json!({"name": "thesis"})).await;
        assert_eq!(same.json["display_name"], "New");
        hub.start("alice:thesis").await;
        let active = patch(&hub, path, json!({"display_name": "Newer"})).await;
        assert_eq!(active.status, StatusCode::BAD_REQUEST);
        assert!(active.message().contains("stop it"), "{}", active.message());
        let own = patch(&hub, "/users/alice/server", json!({"display_name": "Mine"})).await;
        assert_eq!(own.json["display_name"], "Mine", "also the default one");
    }

    #[tokio::test]
    async fn changes_that_cannot_be_meant() {
        let hub = Hub::new().await;
        put(&hub, PATH, json!({})).await;
        for (path, body, status, words) in [
            (PATH, json!({}), 400, "must have name"),
            (PATH, json!({"name": null}), 400, "must have name"),
            (PATH, json!({"name": "Bad_Name"}), 400, "name"),
            (PATH, json!({"name": ""}), 400, "default"),
            (PATH, json!({"display_name": "a  b"}), 400, "display_name"),
            (PATH, json!({"user_options": []}), 400, "user_options"),
            (PATH, json!({"user_options": {"size": "huge"}}), 400, "size"),
            (PATH, json!({"ready": true}), 400, "unknown field `ready`"),
            ("/users/alice/server", json!({"name": "x"}), 400, "default"),
            (
                "/users/alice/servers/none",
                json!({"name": "x"}),
                404,
                "nothing",
            ),
            (
                "/users/bob/servers/proj",
                json!({"name": "x"}),
                404,
                "nothing",
            ),
        ] {
            let reply = patch(&hub, path, body).await;
            assert_eq!(reply.status.as_u16(), status, "{words}: {}", reply.text);
            assert!(reply.message().contains(words), "{}", reply.message());
        }
        let one = hub.role_token(&["start:servers!server=alice/proj"]).await;
        let away = hub.request("PATCH", PATH).token(&one);
        let away = away.json(&json!({"name": "x"})).send().await;
        assert_eq!(away.status, StatusCode::NOT_FOUND, "over one server only");
        let label = hub.request("PATCH", PATH).token(&one);
        let label = label.json(&json!({"display_name": "x"})).send().await;
        assert_eq!(label.status, StatusCode::OK);
    }
}
