//! `{api}/shutdown`: the end of the hub.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::require;
use super::body;
use super::caller::ApiCaller;
use super::error::ApiError;
use super::openapi::{Asked, Sent};
use crate::app::{AppState, ShutdownWish};
use crate::scopes::{ScopeName, Target};
use crate::store::audit::{Action, Object};

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ShutdownBody {
    /// Whether the servers go too; without it the configuration says.
    servers: Option<bool>,
    /// Read and without effect: the proxy is a part of the hub and goes and comes with it.
    proxy: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ShutdownReply {
    message: &'static str,
}

/// Ends the hub
///
/// Needs `shutdown`.
#[utoipa::path(
    post, path = "/shutdown", tag = "hub", operation_id = "shut_down",
    request_body = Option<ShutdownBody>,
    responses(
        (status = 202, description = "The hub ends.", body = ShutdownReply),
        Sent, Asked,
    ),
)]
pub(super) async fn post(
    State(app): State<AppState>,
    caller: ApiCaller,
    request: Request,
) -> Result<Response, ApiError> {
    require(caller.rights(), &[ScopeName::Shutdown], Target::Everything)?;
    let body: Option<ShutdownBody> = body::optional(request).await?;
    let ShutdownBody { servers, proxy } = body.unwrap_or_default();
    let entry = caller.entry(Action::HubShutdown).on(Object::hub());
    let entry = entry
        .begun()
        .with_some("servers", servers)
        .with_some("proxy", proxy);
    app.store.note(entry).await?;
    app.shutdown.ask(ShutdownWish { servers });
    let message = "Shutting down Hub";
    Ok((StatusCode::ACCEPTED, Json(ShutdownReply { message })).into_response())
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::testing::Hub;
    use crate::app::ShutdownWish;

    #[tokio::test]
    async fn the_first_wish_counts() {
        for (body, servers) in [
            (json!({}), None),
            (json!({"servers": true}), Some(true)),
            (json!({"servers": false, "proxy": true}), Some(false)),
        ] {
            let hub = Hub::new().await;
            for body in [&body, &json!({"servers": true})] {
                let reply = hub.post("/shutdown").admin().json(body).send().await;
                assert_eq!(reply.status, StatusCode::ACCEPTED);
                assert_eq!(reply.message(), "Shutting down Hub");
            }
            assert_eq!(hub.app.shutdown.asked().await, ShutdownWish { servers });
        }
    }

    #[tokio::test]
    async fn nobody_else_ends_the_hub() {
        let hub = Hub::new().await;
        let alice = hub.post("/shutdown").user("alice").send().await;
        assert_eq!(alice.status, StatusCode::FORBIDDEN);
        for (body, words) in [
            (json!({"servers": "yes"}), "servers"),
            (json!({"proxy": 1}), "proxy"),
            (json!({"hub": true}), "unknown field `hub`"),
            (json!([]), "JSON object"),
        ] {
            let reply = hub.post("/shutdown").admin().json(&body).send().await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}");
            assert!(reply.message().contains(words), "{}", reply.message());
        }
        tokio::select! {
            biased;
            wish = hub.app.shutdown.asked() => panic!("{wish:?}"),
            () = std::future::ready(()) => {}
        }
    }
}
