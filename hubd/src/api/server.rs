//! `{api}/users/NAME/server` and `{api}/users/NAME/servers/SERVER`: look, start, stop.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use spawner_core::StopMode;
use utoipa::ToSchema;

use super::access::{self, Reached};
use super::body;
use super::caller::ApiCaller;
use super::error::ApiError;
use super::failure::{failed_start, refused_start, refused_stop};
use super::openapi::{self, Asked, Busy, Named, Sent};
use super::path::{OneServer, Segments};
use super::server_model::{ServerKeys, ServerModel};
use super::start_body::StartBody;
use crate::app::{App, AppState};
use crate::auth::xsrf::need::Credential;
use crate::scopes::ScopeName;
use crate::servers::{Begun, Place, Stopped, Waiting};

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Stop)]
struct StopBody {
    /// Whether a named server is forgotten as well.
    #[serde(default)]
    remove: bool,
}

/// One server
///
/// Everybody has the default one, also before it ever ran. Needs `read:servers`.
#[utoipa::path(
    get, path = "/users/{user}/servers/{server}", tag = "servers", operation_id = "get_named_server",
    params(OneServer),
    responses(
        (status = 200, description = "The server.", body = ServerKeys<'static>),
        Named, Asked,
    ),
)]
pub(super) async fn get(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(path): Segments<OneServer>,
) -> Result<Response, ApiError> {
    let reached = reach(&app, &caller, ScopeName::ReadServers, &path)?;
    let Reached { id, row, .. } = there(reached)?;
    let groups = app.directory.groups_of(&id.user);
    let place = app.servers.look(&id).place;
    let model = ServerModel::new(&app, caller.rights(), id, &groups, row, place);
    Ok(Json(model).into_response())
}

/// Starts a server
///
/// Where every place is taken, whoever brings a token gets a 429, or waits in line with `Prefer:
/// respond-async`. Needs `start:servers`.
#[utoipa::path(
    post, path = "/users/{user}/servers/{server}", tag = "servers", operation_id = "start_named_server",
    params(OneServer, ("Prefer" = Option<String>, Header, description = "`respond-async` waits in line.")),
    request_body = Option<StartBody>,
    responses(
        (status = 201, description = "It is ready.", body = String, content_type = "text/plain"),
        (status = 202, description = "It starts.", body = String, content_type = "text/plain"),
        Named, Sent, openapi::Stopped, Busy, Asked,
    ),
)]
pub(super) async fn start(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(path): Segments<OneServer>,
    request: Request,
) -> Result<Response, ApiError> {
    let Reached { user, id, .. } = reach(&app, &caller, ScopeName::StartServers, &path)?;
    let waiting = waiting(&caller, request.headers());
    let body = body::optional(request).await?;
    let body = body.map(StartBody::read).transpose()?.unwrap_or_default();
    if let Some(display_name) = body.display_name
        && app.servers.look(&id).place == Place::Stopped
    {
        app.servers.check_named(&user, &id).map_err(refused_start)?;
        app.store
            .servers()
            .ensure(user.id, id.server.clone(), Some(display_name))
            .await?;
    }
    let servers = app.servers.by(caller.actor());
    let begun = servers
        .start(&user, &id, body.options, waiting, app.slow_spawn_timeout)
        .await
        .map_err(refused_start)?;
    match begun {
        Begun::Ready => Ok(empty(StatusCode::CREATED)),
        Begun::Pending => Ok(empty(StatusCode::ACCEPTED)),
        Begun::Failed(outcome) => Err(failed_start(&id, &outcome)),
    }
}

/// Whether a start that finds every place taken waits in line. People do, so a browser's does. A
/// program expects JupyterHub's 429 and comes again; one that would rather wait says so with
/// `Prefer: respond-async` (RFC 7240), and is answered 202.
fn waiting(caller: &ApiCaller, headers: &HeaderMap) -> Waiting {
    let asked = headers.get_all("prefer").iter();
    let asked = asked.filter_map(|value| value.to_str().ok());
    let mut asked = asked.flat_map(|value| value.split([',', ';']));
    let is_asked = asked.any(|one| one.trim().eq_ignore_ascii_case("respond-async"));
    if is_asked || caller.0.credential() == Credential::Cookie {
        Waiting::InLine
    } else {
        Waiting::Never
    }
}

/// Stops a server
///
/// Needs `delete:servers`.
#[utoipa::path(
    delete, path = "/users/{user}/servers/{server}", tag = "servers", operation_id = "stop_named_server",
    params(OneServer), request_body = Option<StopBody>,
    responses(
        (status = 202, description = "It stops."),
        (status = 204, description = "Nothing is left of it."),
        Named, Sent, Asked,
    ),
)]
pub(super) async fn stop(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(path): Segments<OneServer>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let reached = reach(&app, &caller, ScopeName::DeleteServers, &path)?;
    let Reached { id, .. } = there(reached)?;
    let body: Option<StopBody> = body::optional(request).await?;
    let remove = body.unwrap_or_default().remove;
    if remove && id.server.is_default() {
        return Err(ApiError::bad_request(
            "The default server cannot be removed, only stopped.",
        ));
    }
    let patience = app.slow_stop_timeout;
    let servers = app.servers.by(caller.actor());
    let stopped = if remove {
        servers.stop_and_remove(&id, patience).await
    } else {
        servers.stop(&id, StopMode::Graceful, patience).await
    };
    Ok(match stopped.map_err(|error| refused_stop(&id, error))? {
        Stopped::Done => StatusCode::NO_CONTENT,
        Stopped::Pending => StatusCode::ACCEPTED,
    })
}

/// The server that a path names, for a holder of `scope`.
pub(super) fn reach(
    app: &App,
    caller: &ApiCaller,
    scope: ScopeName,
    path: &OneServer,
) -> Result<Reached, ApiError> {
    access::server(app, caller.rights(), scope, &path.user, &path.server)
}

/// A server that is there: every user has the default one, named ones were made.
pub(super) fn there(reached: Reached) -> Result<Reached, ApiError> {
    if reached.row.is_none() && !reached.id.server.is_default() {
        return Err(ApiError::not_found());
    }
    Ok(reached)
}

fn empty(status: StatusCode) -> Response {
    (status, [(CONTENT_TYPE, "text/plain")]).into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::testing::{Hub, Script, token_of};

    const PATH: &str = "/users/alice/server";

    #[tokio::test]
    async fn a_server_comes_and_goes() {
        let hub = Hub::new().await;
        let started = hub.post(PATH).user("alice").send().await;
        assert_eq!(started.status, StatusCode::CREATED);
        assert_eq!(started.text, "");
        assert_eq!(started.header("content-type"), Some("text/plain"));
        let again = hub.post(PATH).user("alice").send().await;
        assert_eq!(again.status, StatusCode::BAD_REQUEST);
        assert_eq!(again.message(), "alice is already running");
        let stopped = hub.delete(PATH).user("alice").send().await;
        assert_eq!(
            (stopped.status, stopped.text.as_str()),
            (StatusCode::NO_CONTENT, "")
        );
        let idle = hub.delete(PATH).user("alice").send().await;
        assert_eq!(idle.status, StatusCode::NO_CONTENT);
        assert!(!hub.world.is_alive());
    }

    #[tokio::test]
    async fn its_model_is_there_in_every_state() {
        let hub = Hub::impatient().await;
        let look = async || hub.get(PATH).user("alice").send().await.json;
        let stopped = json!({
            "name": "",
            "display_name": "",
            "full_name": "alice/",
            "last_activity": null,
            "started": null,
            "pending": null,
            "ready": false,
            "stopped": true,
            "url": "/user/alice/",
            "user_options": null,
            "progress_url": "/hub/api/users/alice/server/progress",
            "full_url": null,
            "full_progress_url": null,
        });
        assert_eq!(look().await, stopped);
        hub.world.play(Script::Waits);
        let options = json!({"size": "small"});
        let pending = hub.post(PATH).user("alice").json(&options).send().await;
        assert_eq!(pending.status, StatusCode::ACCEPTED);
        hub.settled("alice", Place::Stopped).await;
        let starting = look().await;
        assert_eq!(starting["pending"], "spawn");
        assert_eq!(starting["stopped"], false);
        let joined = hub.post(PATH).user("alice").send().await;
        assert_eq!(joined.status, StatusCode::ACCEPTED, "a second one at once");
        hub.world.release();
        hub.settled("alice", Place::Starting).await;
        let ready = look().await;
        assert_eq!(ready["ready"], true);
        assert!(ready["started"].is_string());
        assert_eq!(ready["user_options"], options);
        hub.world.play(Script::StopWaits);
        let slow = hub.delete(PATH).user("alice").send().await;
        assert_eq!(slow.status, StatusCode::ACCEPTED);
        hub.settled("alice", Place::Ready).await;
        assert_eq!(look().await["pending"], "stop");
        let refused = hub.post(PATH).user("alice").send().await;
        assert_eq!(refused.message(), "alice is pending stop");
        let user = hub.get("/users/alice").user("alice").send().await;
        assert_eq!(user.json["pending"], "stop");
        assert_eq!(user.json["server"], json!(null));
    }

    #[tokio::test]
    async fn failures_say_phase_exit_code_and_last_line() {
        let hub = Hub::new().await;
        for (script, status, message) in [
            (
                Script::Exits,
                500,
                "alice: The server ended before it answered: exit code 1. (phase waiting) \
                 Last output: boom",
            ),
            (
                Script::NotFound,
                500,
                "alice: There is no program \"lab\". (phase launching) Last output: boom",
            ),
            (
                Script::Refused,
                400,
                "alice: There is no room for you. (phase launching) Last output: boom",
            ),
        ] {
            hub.world.play(script);
            let reply = hub.post(PATH).user("alice").send().await;
            assert_eq!(reply.status.as_u16(), status, "{script:?}");
            assert_eq!(reply.json, json!({"status": status, "message": message}));
            let user = hub.get("/users/alice").user("alice").send().await;
            assert_eq!(user.json["servers"], json!({}), "{script:?}");
        }
    }

    #[tokio::test]
    async fn a_start_that_is_cancelled_is_answered() {
        let hub = Hub::new().await;
        hub.world.play(Script::Waits);
        let start = hub.post(PATH).user("alice").send();
        let cancel = async {
            hub.settled("alice", Place::Stopped).await;
            hub.delete(PATH).user("alice").send().await
        };
        let (started, cancelled) = tokio::join!(start, cancel);
        assert_eq!(cancelled.status, StatusCode::NO_CONTENT);
        assert_eq!(started.status, StatusCode::CONFLICT);
        assert_eq!(started.message(), "alice: The start was cancelled.");
    }

    #[tokio::test]
    async fn a_stop_that_fails_says_why() {
        let hub = Hub::new().await;
        hub.start("alice").await;
        hub.world.play(Script::StopFails);
        let reply = hub.delete(PATH).user("alice").send().await;
        assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(reply.message(), "alice: The server cannot be ended.");
    }

    #[tokio::test]
    async fn named_servers() {
        let hub = Hub::new().await;
        let path = "/users/alice/servers/proj";
        assert_eq!(
            hub.get(path).user("alice").send().await.status,
            StatusCode::NOT_FOUND
        );
        assert_eq!(
            hub.delete(path).user("alice").send().await.status,
            StatusCode::NOT_FOUND
        );
        let body = json!({"display_name": "My project"});
        let started = hub.post(path).user("alice").json(&body).send().await;
        assert_eq!(started.status, StatusCode::CREATED);
        let again = hub.post(path).user("alice").send().await;
        assert_eq!(again.message(), "alice:proj is already running");
        let model = hub.get(path).user("alice").send().await.json;
        assert_eq!(model["display_name"], "My project");
        assert_eq!(model["full_name"], "alice/proj");
        assert_eq!(model["url"], "/user/alice/proj/");
        assert_eq!(
            model["progress_url"],
            "/hub/api/users/alice/servers/proj/progress"
        );
        let user = hub.get("/users/alice").user("alice").send().await.json;
        assert_eq!(user["servers"], json!({ "proj": model }));
        assert_eq!(user["server"], json!(null));
        let second = hub
            .post("/users/alice/servers/two")
            .user("alice")
            .json(&body);
        let second = second.send().await;
        assert_eq!(second.status, StatusCode::BAD_REQUEST);
        assert_eq!(second.message(), "You can have at most 1 named servers.");
        assert_eq!(
            hub.get("/users/alice/servers/two")
                .admin()
                .send()
                .await
                .status,
            404
        );
        let remove = json!({"remove": true});
        let gone = hub.delete(path).user("alice").json(&remove).send().await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT);
        assert_eq!(
            hub.get(path).user("alice").send().await.status,
            StatusCode::NOT_FOUND
        );
        let default = hub.delete(PATH).user("alice").json(&remove).send().await;
        assert_eq!(default.status, StatusCode::BAD_REQUEST);
        for body in [json!({"remove": 1}), json!({"purge": true}), json!([])] {
            let reply = hub.delete(PATH).user("alice").json(&body).send().await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}");
        }
    }

    #[tokio::test]
    async fn a_server_is_removed_also_if_nobody_waits_for_it() {
        let hub = Hub::impatient().await;
        hub.world.play(Script::StopWaits);
        hub.start("alice:proj").await;
        let path = "/users/alice/servers/proj";
        let remove = json!({"remove": true});
        let pending = hub.delete(path).user("alice").json(&remove).send().await;
        assert_eq!(pending.status, StatusCode::ACCEPTED);
        hub.world.release();
        hub.settled("alice:proj", Place::Ready).await;
        hub.settled("alice:proj", Place::Stopping).await;
        while hub.get(path).user("alice").send().await.status == StatusCode::OK {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn names_of_servers() {
        let hub = Hub::new().await;
        let long = "a".repeat(300);
        for name in [
            "Bad_Name",
            "..",
            "a--b",
            "2a",
            "a%2Fb",
            "%00",
            "a%20b",
            "%3Cscript%3E",
            &long,
        ] {
            let path = format!("/users/alice/servers/{name}");
            let start = hub.post(&path).user("alice").send().await;
            assert_eq!(start.status, StatusCode::BAD_REQUEST, "{name}");
            assert!(
                start.message().starts_with("A server name"),
                "{}",
                start.message()
            );
            let bob = hub.post(&path).user("bob").send().await;
            assert_eq!(bob.status, StatusCode::NOT_FOUND, "{name}");
        }
    }

    #[tokio::test]
    async fn who_may_do_what() {
        let hub = Hub::new().await;
        let start_one = hub.role_token(&["start:servers!server=alice/proj"]).await;
        let read = hub.role_token(&["read:servers"]).await;
        for (method, path, token, status) in [
            ("POST", PATH, token_of("bob"), 404),
            ("POST", "/users/nobody/server", token_of("bob"), 404),
            ("POST", "/users/nobody/server", token_of("admin"), 404),
            ("POST", "/users/../server", token_of("admin"), 404),
            ("POST", "/users/%2e%2e/server", read.clone(), 403),
            ("DELETE", PATH, token_of("bob"), 404),
            ("GET", PATH, token_of("bob"), 404),
            ("GET", PATH, read.clone(), 200),
            ("POST", PATH, read.clone(), 403),
            ("DELETE", PATH, read, 403),
            ("POST", PATH, start_one.clone(), 404),
            ("POST", "/users/alice/servers/proj", start_one.clone(), 201),
            ("GET", "/users/alice/servers/proj", start_one, 403),
            ("DELETE", PATH, "token-of-culler".to_owned(), 204),
        ] {
            let reply = hub.request(method, path).token(&token).send().await;
            assert_eq!(reply.status.as_u16(), status, "{method} {path} {token}");
        }
    }

    #[tokio::test]
    async fn limits_are_429() {
        let hub = Hub::impatient().await;
        hub.world.play(Script::Waits);
        for user in ["alice", "bob"] {
            let reply = hub
                .post(&format!("/users/{user}/server"))
                .admin()
                .send()
                .await;
            assert_eq!(reply.status, StatusCode::ACCEPTED);
        }
        let third = hub.post("/users/admin/server").admin().send().await;
        assert_eq!(third.status, StatusCode::TOO_MANY_REQUESTS);
        let pause: u64 = third.header("retry-after").unwrap().parse().unwrap();
        assert!((30..=60).contains(&pause));
        assert_eq!(hub.app.servers.waiting(), 0);
        // A program that asks for it waits as people do, until it has a turn or leaves the line.
        let asks = hub.post("/users/admin/server").admin();
        let asks = asks.header("prefer", "handling=strict, Respond-Async");
        assert_eq!(asks.send().await.status, StatusCode::ACCEPTED);
        let model = hub.get("/users/admin/server").admin().send().await.json;
        assert_eq!(model["pending"], "spawn");
        let fourth = hub.post("/users/admin/servers/x").admin();
        let fourth = fourth.header("prefer", "respond-async").send().await;
        assert_eq!(
            fourth.status,
            StatusCode::TOO_MANY_REQUESTS,
            "active_servers"
        );
        let path = "/users/admin/server/progress";
        let mut watching = hub.get(path).admin().stream().await;
        assert_eq!(watching.next().await.as_deref(), Some("\n\n"));
        assert_eq!(
            watching.next().await.as_deref(),
            Some(
                "data: {\"message\":\"Waiting for a place: 1st in line\",\"progress\":0,\
                 \"waiting\":true}\n\n"
            )
        );
        let gone = hub.delete("/users/admin/server").admin().send().await;
        assert!(gone.status.is_success());
        hub.settled("admin", Place::Starting).await;
        let end = watching.next().await.unwrap();
        assert!(end.contains("The start was cancelled."), "{end}");
        assert_eq!(watching.next().await, None);
        assert_eq!(hub.app.servers.waiting(), 0);
    }
}
