//! `POST {api}/users/NAME/activity`: a server tells when it was last used.
//!
//! Servers post every few minutes, also when nothing happened and the moment is an old one, so what
//! is kept is the latest of all moments and never "now". The post is taken as a whole or not at all.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use spawner_core::{ServerId, ServerName};
use utoipa::ToSchema;

use super::caller::ApiCaller;
use super::error::ApiError;
use super::openapi::{Asked, Named, OfUser, Sent};
use super::path::Segments;
use super::{access, body, time};
use crate::app::{App, AppState};
use crate::scopes::ScopeName;
use crate::store::{Active, ServerRowId, User};

/// How far a server's clock may be ahead. One time zone would be the usual mistake.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(59);

/// When a user and their servers were active; at least one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Activity, min_properties = 1)]
struct Report {
    /// At most 59 minutes ahead of the hub's clock.
    #[schema(format = DateTime)]
    last_activity: Option<String>,
    /// By the name of the server, which is empty for the default one.
    servers: Option<BTreeMap<String, OfServer>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ServerActivity)]
struct OfServer {
    #[schema(format = DateTime)]
    last_activity: String,
}

/// Tells when a user and their servers were last active
///
/// What is kept is the latest of all moments. The post is taken as a whole or not at all. Needs
/// `users:activity`.
#[utoipa::path(
    post, path = "/users/{user}/activity", tag = "users", operation_id = "report_activity",
    params(OfUser), request_body = Report,
    responses((status = 200, description = "It is kept."), Named, Sent, Asked),
)]
pub(super) async fn post(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<(), ApiError> {
    let user = access::user(&app, caller.rights(), &[ScopeName::UsersActivity], &name)?;
    let report: Report = body::required(request).await?;
    let seen = read(&app, &user, &report, Timestamp::now())?;
    for (who, at) in &seen {
        if let Active::Server(row) = who
            && let Some(server) = app.store.servers().by_id(*row)
        {
            let id = ServerId::new(user.name.clone(), server.name.clone());
            app.servers.reported(&id, *at);
        }
    }
    Ok(app.store.touch_many(seen).await?)
}

/// Who was seen when, by a report about `user`.
fn read(
    app: &App,
    user: &User,
    report: &Report,
    now: Timestamp,
) -> Result<Vec<(Active, Timestamp)>, ApiError> {
    let mut seen = Vec::new();
    for (name, server) in report.servers.iter().flatten() {
        let row = row(app, user, name).ok_or_else(|| {
            let message = format!("{} has no server called {name:?}.", user.name);
            ApiError::bad_request(message)
        })?;
        let field = format!("servers[{name:?}].last_activity");
        seen.push((
            Active::Server(row),
            moment(&field, &server.last_activity, now)?,
        ));
    }
    if let Some(text) = &report.last_activity {
        seen.push((Active::User(user.id), moment("last_activity", text, now)?));
    }
    if seen.is_empty() {
        let message = "The body must have last_activity, or servers, or both.";
        return Err(ApiError::bad_request(message));
    }
    Ok(seen)
}

fn row(app: &App, user: &User, name: &str) -> Option<ServerRowId> {
    let id = ServerId::new(user.name.clone(), ServerName::new(name).ok()?);
    Some(app.store.servers().find(&id)?.id)
}

fn moment(field: &str, text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    let Some(at) = time::read(text) else {
        let message = format!("{field} is no time; write 2026-11-21T19:19:54.992493Z.");
        return Err(ApiError::bad_request(message));
    };
    if at.duration_since(now) > AHEAD_MAX {
        let message = format!("{field} is more than 59 minutes ahead of the hub's clock.");
        return Err(ApiError::bad_request(message));
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use jiff::ToSpan as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::testing::Hub;

    /// Moments relative to now, as texts: well before, ahead a little, ahead too much.
    fn moments() -> [String; 3] {
        let now = Timestamp::now();
        [-2.hours(), 58.minutes(), 2.hours()].map(|span| (now + span).to_string())
    }

    #[tokio::test]
    async fn a_server_reports_for_its_user_alone() {
        let hub = Hub::new().await;
        hub.start("alice").await;
        let token = hub.world.server_token();
        let [_, near, far] = moments();
        let report = |moment: &str| json!({"servers": {"": {"last_activity": moment}}, "last_activity": moment});
        for (user, body, status) in [
            ("alice", report(&near), StatusCode::OK),
            ("bob", report(&near), StatusCode::NOT_FOUND),
            ("nobody", report(&near), StatusCode::NOT_FOUND),
            ("alice", report(&far), StatusCode::BAD_REQUEST),
            (
                "alice",
                json!({"servers": {"x": {"last_activity": near}}}),
                StatusCode::BAD_REQUEST,
            ),
        ] {
            let path = format!("/users/{user}/activity");
            let reply = hub.post(&path).token(&token).json(&body).send().await;
            assert_eq!(reply.status, status, "{user} {body}");
            if status == StatusCode::OK {
                assert_eq!(reply.text, "");
            }
        }
    }

    #[tokio::test]
    async fn the_latest_moment_is_kept() {
        let hub = Hub::new().await;
        hub.start("alice").await;
        let [old, near, _] = moments();
        let path = "/users/alice/activity";
        for moment in [&near, &old] {
            let body = json!({
                "last_activity": moment,
                "servers": {"": {"last_activity": moment}},
            });
            let reply = hub.post(path).user("alice").json(&body).send().await;
            assert_eq!(reply.status, StatusCode::OK);
        }
        let user = hub.get("/users/alice").admin().send().await.json;
        let kept = |value: &Value| -> Timestamp { value.as_str().unwrap().parse().unwrap() };
        let near: Timestamp = near.parse().unwrap();
        for moment in [
            &user["last_activity"],
            &user["servers"][""]["last_activity"],
        ] {
            assert_eq!(kept(moment).as_microsecond(), near.as_microsecond());
        }
    }

    #[tokio::test]
    async fn reports_that_cannot_be_meant() {
        let hub = Hub::new().await;
        hub.start("alice").await;
        let before = hub.get("/users/alice").admin().send().await;
        let [old, near, far] = moments();
        for body in [
            json!({}),
            json!({"servers": {}}),
            json!({"last_activity": null}),
            json!({"last_activity": null, "servers": null}),
            json!({"last_activity": ""}),
            json!({"last_activity": "yesterday"}),
            json!({"last_activity": 1_763_752_794}),
            json!({"last_activity": far}),
            json!({"last_activity": near, "x": 1}),
            json!({"servers": {"": {}}}),
            json!({"servers": {"": near}}),
            json!({"servers": {"": {"last_activity": null}}}),
            json!({"servers": {"": {"last_activity": near, "x": 1}}}),
            json!({"servers": {"": {"last_activity": near}, "x": {"last_activity": near}}}),
            json!({"servers": {"": {"last_activity": near}, "../x": {"last_activity": near}}}),
            json!({"servers": {"": {"last_activity": far}}, "last_activity": old}),
            json!({"servers": [], "last_activity": near}),
        ] {
            let reply = hub.post("/users/alice/activity").admin().json(&body);
            let reply = reply.send().await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}");
            assert!(!reply.message().is_empty());
        }
        let after = hub.get("/users/alice").admin().send().await;
        assert_eq!(before.json["last_activity"], after.json["last_activity"]);
        assert_eq!(before.json["servers"], after.json["servers"]);
        let powerless = hub.role_token(&["read:users"]).await;
        let body = json!({"last_activity": near});
        let reply = hub
            .post("/users/alice/activity")
            .token(&powerless)
            .json(&body);
        assert_eq!(reply.send().await.status, StatusCode::FORBIDDEN);
    }
}
