//! `{api}/info`: how the hub is set up.

use std::env;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::access::require;
use super::caller::ApiCaller;
use super::error::ApiError;
use super::openapi::Asked;
use crate::app::{AppState, VERSION};
use crate::scopes::{ScopeName, Target};

#[derive(Debug, Serialize, ToSchema)]
struct Info<'a> {
    version: &'static str,
    /// There is none: the key is what clients of JupyterHub look for.
    #[schema(required)]
    python: Option<&'static str>,
    /// The program that is the hub.
    #[schema(required)]
    sys_executable: Option<String>,
    spawner: Part<'a>,
    authenticator: Part<'a>,
}

/// A part that others exist of.
#[derive(Debug, Serialize, ToSchema)]
struct Part<'a> {
    /// The kind, as the configuration names it.
    class: &'a str,
    version: &'static str,
}

/// How the hub is set up
///
/// Needs `read:hub`.
#[utoipa::path(
    get, path = "/info", tag = "hub", operation_id = "get_info",
    responses((status = 200, description = "How it is set up.", body = Info<'static>), Asked),
)]
pub(super) async fn get(
    State(app): State<AppState>,
    caller: ApiCaller,
) -> Result<Response, ApiError> {
    require(caller.rights(), &[ScopeName::ReadHub], Target::Everything)?;
    let part = |class| Part {
        class,
        version: env!("CARGO_PKG_VERSION"),
    };
    let program = env::current_exe().ok();
    let info = Info {
        version: VERSION,
        python: None,
        sys_executable: program.map(|path| path.to_string_lossy().into_owned()),
        spawner: part(&app.about.spawner),
        authenticator: part(&app.about.authenticator),
    };
    Ok(Json(info).into_response())
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use crate::api::testing::Hub;
    use crate::app::VERSION;

    #[tokio::test]
    async fn who_may_read_the_hub_learns_how_it_is_set_up() {
        let hub = Hub::new().await;
        let info = hub.get("/info").admin().send().await;
        assert_eq!(info.status, StatusCode::OK);
        assert_eq!(info.json["version"], VERSION);
        assert_eq!(info.json["spawner"]["class"], "scripted");
        assert_eq!(info.json["authenticator"]["class"], "dummy");
        let alice = hub.get("/info").user("alice").send().await;
        assert_eq!(alice.status, StatusCode::FORBIDDEN);
        assert!(alice.message().contains("read:hub"), "{}", alice.message());
    }
}
