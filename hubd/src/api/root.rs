//! What everybody may ask: the version, whether the hub lives. And the metrics.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::access::require;
use super::caller::ApiCaller;
use super::error::ApiError;
use super::openapi::Asked;
use crate::app::{AppState, VERSION};
use crate::metrics::{self, PERIODS};
use crate::scopes::{ScopeName, Target};

#[derive(Debug, Serialize, ToSchema)]
struct Version {
    /// JupyterHub's, whose contract the hub keeps, and the hub's own; as PEP 440 has it.
    version: &'static str,
}

/// The version of the hub
///
/// Without credentials, with and without the slash at the end, and also for pages of other sites.
/// A single-user server asks before it listens.
#[utoipa::path(
    get, path = "/", tag = "hub", operation_id = "get_version", security(()),
    responses((
        status = 200, description = "The version.", body = Version,
        headers(("Access-Control-Allow-Origin" = String, description = "`*`"))
    )),
)]
pub(super) async fn version() -> Response {
    let any_origin = [(ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (any_origin, Json(Version { version: VERSION })).into_response()
}

/// Whether the hub serves
///
/// Without credentials; also at `{base}hub/health` and `{base}health`.
#[utoipa::path(
    get, path = "/health", tag = "hub", operation_id = "get_health", security(()),
    responses((status = 200, description = "It does.")),
)]
pub(crate) async fn health() {}

/// The metrics of the hub
///
/// As text for Prometheus; also at `{base}hub/metrics` and `{base}metrics`. Needs `read:metrics`.
#[utoipa::path(
    get, path = "/metrics", tag = "hub", operation_id = "get_metrics",
    responses(
        (status = 200, description = "The metrics.", body = String, content_type = metrics::CONTENT_TYPE),
        Asked,
    ),
)]
pub(crate) async fn metrics(
    State(app): State<AppState>,
    caller: ApiCaller,
) -> Result<Response, ApiError> {
    require(
        caller.rights(),
        &[ScopeName::ReadMetrics],
        Target::Everything,
    )?;
    let users = i64::try_from(app.store.users().count()).unwrap_or(i64::MAX);
    app.metrics.total_users.set(users);
    let now = Timestamp::now();
    for (period, span) in PERIODS {
        let since = now.saturating_sub(span).unwrap_or(Timestamp::MIN);
        app.metrics
            .active(period, app.store.users().active_since(since));
    }
    let waiting = i64::try_from(app.servers.waiting()).unwrap_or(i64::MAX);
    app.metrics.waiting_starts.set(waiting);
    let text = app
        .metrics
        .encode()
        .map_err(|error| ApiError::internal(&error))?;
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::testing::Hub;
    use crate::app::VERSION;

    #[tokio::test]
    async fn everybody_may_ask_for_the_version() {
        let hub = Hub::new().await;
        for path in ["", "/"] {
            let reply = hub.get(path).send().await;
            assert_eq!(reply.status, StatusCode::OK, "{path:?}");
            assert_eq!(reply.json, json!({ "version": VERSION }));
            assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
            assert_eq!(reply.header("content-type"), Some("application/json"));
            let head = hub.request("HEAD", path).send().await;
            assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
        }
        let health = hub.get("/health").send().await;
        assert_eq!((health.status, health.text.as_str()), (StatusCode::OK, ""));
        let user = hub.get("/user").admin().send().await;
        assert_eq!(user.header("access-control-allow-origin"), None);
    }

    #[tokio::test]
    async fn metrics_need_their_scope() {
        let hub = Hub::new().await;
        let path = "/metrics";
        let stranger = hub.get(path).send().await;
        let alice = hub.get(path).user("alice").send().await;
        assert_eq!(stranger.status, StatusCode::FORBIDDEN);
        assert_eq!(alice.status, StatusCode::FORBIDDEN);
        assert!(alice.message().contains("the scope read:metrics"));
        let reply = hub.get(path).admin().send().await;
        assert_eq!(reply.status, StatusCode::OK);
        assert!(
            reply.text.contains("jupyterhub_total_users 3\n"),
            "{}",
            reply.text
        );
        let active = |count| format!("jupyterhub_active_users{{period=\"24h\"}} {count}\n");
        assert!(reply.text.contains(&active(0)), "{}", reply.text);
        hub.start("alice").await;
        let reply = hub.get(path).admin().send().await;
        assert!(reply.text.contains(&active(1)), "{}", reply.text);
    }
}
