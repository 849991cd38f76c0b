//! `{api}/users/NAME/block`: a user is shut out, and let in again.
//!
//! JupyterHub has no such path. Who is shut out loses every login and token in the commit that says
//! so, and their servers are stopped.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use spawner_core::StopMode;
use utoipa::ToSchema;

use super::access;
use super::caller::ApiCaller;
use super::error::ApiError;
use super::failure::refused_stop;
use super::openapi::{Asked, Made, Named, OfUser};
use super::path::Segments;
use crate::app::{App, AppState};
use crate::scopes::ScopeName;
use crate::servers::Stopped;
use crate::store::User;
use crate::store::audit::Action;

const SCOPES: &[ScopeName] = &[ScopeName::AdminUsers];

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Block)]
pub(super) struct BlockModel {
    /// Whether the user is shut out, by an admin or by the configuration.
    blocked: bool,
    /// Whether the configuration says so, which can be changed there alone.
    configured: bool,
}

/// Whether a user is shut out
///
/// Needs `admin:users`.
#[utoipa::path(
    get, path = "/users/{user}/block", tag = "users", operation_id = "get_block",
    params(OfUser),
    responses(
        (status = 200, description = "Whether, and by whom.", body = BlockModel),
        Named, Asked,
    ),
)]
pub(super) async fn get(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
) -> Result<Json<BlockModel>, ApiError> {
    let user = access::user(&app, caller.rights(), SCOPES, &name)?;
    Ok(Json(BlockModel {
        blocked: app.directory.is_blocked(&user),
        configured: app.directory.is_blocked_by_configuration(&user.name),
    }))
}

/// Shuts a user out
///
/// Every login and token of theirs ends with it, but for those of servers, which are stopped. Nobody can
/// shut out themselves, and only an admin another admin. Needs `admin:users`.
#[utoipa::path(
    put, path = "/users/{user}/block", tag = "users", operation_id = "block_user",
    params(OfUser),
    responses(
        (status = 202, description = "It is done; some servers are still being stopped."),
        (status = 204, description = "It is done, and nothing of theirs runs."),
        Named, Asked,
    ),
)]
pub(super) async fn put(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
) -> Result<StatusCode, ApiError> {
    let user = reach(&app, &caller, &name)?;
    if caller.0.user().is_some_and(|own| own.id == user.id) {
        return Err(ApiError::bad_request("You cannot block yourself."));
    }
    let store = app
        .store
        .noting(caller.entry(Action::UserBlock).on_user(&user));
    let user = store.users().set_blocked(user.id, true).await?;
    let servers = app.servers.by(caller.actor());
    let stopped = servers.stop_all_of(&user, StopMode::Graceful, app.slow_stop_timeout);
    let stopped = stopped.await;
    match stopped.map_err(|error| refused_stop(&user.name, error))? {
        Stopped::Done => Ok(StatusCode::NO_CONTENT),
        Stopped::Pending => Ok(StatusCode::ACCEPTED),
    }
}

/// Lets a user in again
///
/// What has ended stays ended. It is a 409 where the configuration shuts the user out. Needs
/// `admin:users`.
#[utoipa::path(
    delete, path = "/users/{user}/block", tag = "users", operation_id = "unblock_user",
    params(OfUser),
    responses(
        (status = 204, description = "The user may log in."),
        Named, Made, Asked,
    ),
)]
pub(super) async fn delete(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
) -> Result<StatusCode, ApiError> {
    let user = reach(&app, &caller, &name)?;
    let entry = caller.entry(Action::UserUnblock).on_user(&user);
    let store = app.store.noting(entry);
    let user = store.users().set_blocked(user.id, false).await?;
    if app.directory.is_blocked(&user) {
        let message = format!(
            "The configuration names {} in auth.blocked_users; take the name out there.",
            user.name
        );
        return Err(ApiError::new(StatusCode::CONFLICT, message));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The user that a path names, for somebody who may shut them out. Whoever can shut out admins would
/// be above them.
fn reach(app: &App, caller: &ApiCaller, name: &str) -> Result<Arc<User>, ApiError> {
    let user = access::user(app, caller.rights(), SCOPES, name)?;
    if app.directory.is_admin(&user) && !caller.is_admin(app) {
        let message = "Only an admin can block an admin, or let one in again.";
        return Err(ApiError::forbidden(message));
    }
    Ok(user)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::testing::{Hub, token_of};
    use crate::servers::Place;

    const PATH: &str = "/users/bob/block";

    #[tokio::test]
    async fn who_is_blocked_has_nothing_left() {
        let hub = Hub::new().await;
        hub.start("bob").await;
        let login = hub.log_in("bob").await;
        let blocked = hub.request("PUT", PATH).admin().send().await;
        assert_eq!(
            (blocked.status, blocked.text.as_str()),
            (StatusCode::NO_CONTENT, "")
        );
        assert!(!hub.world.is_alive());
        let model = hub.get(PATH).admin().send().await.json;
        assert_eq!(model, json!({"blocked": true, "configured": false}));
        let own = hub.get("/user").token(&token_of("bob")).send().await;
        assert_eq!(own.status, StatusCode::FORBIDDEN);
        let own = hub.get("/user").cookies(&login).send().await;
        assert_eq!(own.status, StatusCode::FORBIDDEN);

        let again = hub.delete(PATH).admin().send().await;
        assert_eq!(again.status, StatusCode::NO_CONTENT);
        let own = hub.get("/user").token(&token_of("bob")).send().await;
        assert_eq!(own.status, StatusCode::FORBIDDEN, "what is gone stays gone");
        hub.log_in("bob").await;
        let model = hub.get(PATH).admin().send().await.json;
        assert_eq!(model["blocked"], false);

        let acts = hub.audit("bob").await;
        for act in [
            "admin user.unblock bob",
            "admin server.stop bob",
            "admin user.block bob",
        ] {
            assert!(acts.iter().any(|known| known == act), "{act}: {acts:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_slow_to_stop_is_waited_for_elsewhere() {
        use crate::api::testing::Script;
        let hub = Hub::impatient().await;
        hub.start("bob").await;
        hub.world.play(Script::StopWaits);
        let blocked = hub.request("PUT", PATH).admin().send().await;
        assert_eq!(blocked.status, StatusCode::ACCEPTED);
        hub.settled("bob", Place::Ready).await;
        let own = hub.get("/user").token(&token_of("bob")).send().await;
        assert_eq!(
            own.status,
            StatusCode::FORBIDDEN,
            "the user is out all the same"
        );
    }

    #[tokio::test]
    async fn rights_over_users_are_none_over_admins() {
        let hub = Hub::new().await;
        let all = hub.role_token(&["admin:users"]).await;
        let bobs = hub.role_token(&["admin:users!user=bob"]).await;
        let reads = hub.role_token(&["read:users"]).await;
        for (token, path, status) in [
            (&all, "/users/bob/block", 204),
            (&all, "/users/admin/block", 403),
            (&all, "/users/nobody/block", 404),
            (&bobs, "/users/bob/block", 204),
            (&bobs, "/users/alice/block", 404),
            (&bobs, "/users/../block", 404),
            (&reads, "/users/bob/block", 403),
            (&token_of("alice"), "/users/alice/block", 403),
        ] {
            for method in ["PUT", "DELETE"] {
                let reply = hub.request(method, path).token(token).send().await;
                assert_eq!(reply.status.as_u16(), status, "{method} {path}");
            }
        }
        let own = hub.request("PUT", "/users/admin/block").admin();
        assert_eq!(own.send().await.status, StatusCode::BAD_REQUEST);
        let odd = hub.post(PATH).admin().send().await;
        assert_eq!(odd.status, StatusCode::METHOD_NOT_ALLOWED);
    }
}
