//! `{api}/signups`: who asks for an account, and the decision.
//!
//! JupyterHub has no such paths. They need `admin:users` for the name in question.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use spawner_core::UserName;
use utoipa::ToSchema;

use super::access;
use super::caller::ApiCaller;
use super::error::ApiError;
use super::openapi::{self, Asked, Made, Named, OfUser};
use super::path::Segments;
use super::time::Time;
use super::user_model::{Include, UserKeys, UserModel};
use crate::app::{App, AppState};
use crate::scopes::ScopeName;
use crate::store::audit::{Action, Object};

const SCOPES: &[ScopeName] = &[ScopeName::AdminUsers];

/// Somebody who asks for an account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Signup)]
pub(super) struct SignupModel {
    #[schema(value_type = openapi::UserName)]
    name: UserName,
    created: Time,
}

/// Who asks for an account, by name
///
/// Only those whom the caller may decide about, and never more than a thousand. Needs `admin:users`.
#[utoipa::path(
    get, path = "/signups", tag = "users", operation_id = "list_signups",
    responses(
        (status = 200, description = "The sign-ups.", body = Vec<SignupModel>),
        Asked,
    ),
)]
pub(super) async fn list(
    State(app): State<AppState>,
    caller: ApiCaller,
) -> Result<Json<Vec<SignupModel>>, ApiError> {
    access::require_some(caller.rights(), SCOPES)?;
    let waiting = app.store.signups().list();
    let may = |name: &UserName| access::require_user(&app, caller.rights(), SCOPES, name).is_ok();
    let shown = waiting.iter().filter(|signup| may(&signup.name));
    let models = shown.map(|signup| SignupModel {
        name: signup.name.clone(),
        created: Time(signup.created),
    });
    Ok(Json(models.collect()))
}

/// Makes an account of a sign-up, and lets it in
///
/// It is a 409 if the name has an account with a password by now, or is shut out. For a name that the
/// configuration gives more to, only an admin can decide. Needs `admin:users`.
#[utoipa::path(
    post, path = "/signups/{user}", tag = "users", operation_id = "approve_signup",
    params(OfUser),
    responses(
        (status = 201, description = "The user.", body = UserKeys<'static>),
        Named, Made, Asked,
    ),
)]
pub(super) async fn approve(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
) -> Result<Response, ApiError> {
    let name = reach(&app, &caller, &name)?;
    let store = app.store.noting(caller.entry(Action::SignupApprove));
    let user = store.signups().approve(name, Timestamp::now()).await?;
    let model = UserModel::new(&app, caller.rights(), &user, Include::Active);
    Ok((StatusCode::CREATED, Json(model)).into_response())
}

/// Forgets a sign-up
///
/// Needs `admin:users`.
#[utoipa::path(
    delete, path = "/signups/{user}", tag = "users", operation_id = "decline_signup",
    params(OfUser),
    responses(
        (status = 204, description = "It is forgotten."),
        Named, Asked,
    ),
)]
pub(super) async fn decline(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
) -> Result<StatusCode, ApiError> {
    let name = reach(&app, &caller, &name)?;
    let entry = caller.entry(Action::SignupDecline);
    let store = app.store.noting(entry.on(Object::name(name.as_str())));
    store.signups().decline(name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The name that a path names, for somebody who may decide about it. A name that is an admin's, or
/// that the configuration gives more to, is for admins: whoever has signed up has chosen it freely.
fn reach(app: &App, caller: &ApiCaller, name: &str) -> Result<UserName, ApiError> {
    let Ok(name) = UserName::new(name) else {
        access::require_some(caller.rights(), SCOPES)?;
        return Err(ApiError::not_found());
    };
    access::require_user(app, caller.rights(), SCOPES, &name)?;
    let user = app.store.users().by_name(&name);
    let is_more =
        app.directory.is_admin_name(&name, user.as_deref()) || app.directory.gives_rights_to(&name);
    if is_more && !caller.is_admin(app) {
        let message = format!("The name {name} comes with rights, so only an admin decides.");
        return Err(ApiError::forbidden(message));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use jiff::Timestamp;
    use serde_json::json;
    use spawner_core::Secret;

    use crate::api::testing::Hub;

    async fn ask(hub: &Hub, name: &str) {
        let hash = Secret::new("a hash");
        let signups = hub.app.store.signups();
        let noted = signups.create(name.parse().unwrap(), hash, Timestamp::now());
        assert!(noted.await.unwrap(), "{name}");
    }

    #[tokio::test]
    async fn who_asks_is_listed_and_decided_about() {
        let hub = Hub::new().await;
        for name in ["new", "other"] {
            ask(&hub, name).await;
        }
        let list = hub.get("/signups").admin().send().await.json;
        let names: Vec<_> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["name"])
            .collect();
        assert_eq!(names, ["new", "other"]);
        assert!(list[0]["created"].as_str().unwrap().ends_with('Z'));
        let approved = hub.post("/signups/new").admin().send().await;
        assert_eq!(approved.status, StatusCode::CREATED);
        assert_eq!(approved.json["name"], "new");
        assert!(hub.user("new").admitted);
        let declined = hub.delete("/signups/other").admin().send().await;
        assert_eq!(declined.status, StatusCode::NO_CONTENT);
        assert_eq!(hub.get("/signups").admin().send().await.json, json!([]));
        for name in ["new", "nobody", "..", "a%2Fb"] {
            let path = format!("/signups/{name}");
            assert_eq!(
                hub.post(&path).admin().send().await.status,
                StatusCode::NOT_FOUND
            );
            assert_eq!(
                hub.delete(&path).admin().send().await.status,
                StatusCode::NOT_FOUND
            );
        }
        assert_eq!(hub.audit("new").await[0], "admin signup.approve new");
    }

    #[tokio::test]
    async fn a_right_is_needed_and_names_with_rights_are_for_admins() {
        let hub = Hub::new().await;
        hub.delete("/users/alice").admin().send().await;
        for name in ["admin", "alice", "new"] {
            ask(&hub, name).await;
        }
        let all = hub.role_token(&["admin:users"]).await;
        let one = hub.role_token(&["admin:users!user=new"]).await;
        let list = hub.get("/signups").token(&one).send().await.json;
        assert_eq!(list.as_array().unwrap().len(), 1);
        let bob = hub.get("/signups").user("bob").send().await;
        assert_eq!(bob.status, StatusCode::FORBIDDEN);
        for (token, name, status) in [
            (&all, "admin", 403),
            (&all, "alice", 403),
            (&one, "alice", 404),
            (&one, "new", 201),
        ] {
            let reply = hub.post(&format!("/signups/{name}")).token(token);
            let reply = reply.send().await;
            assert_eq!(reply.status.as_u16(), status, "{name}: {}", reply.text);
        }
        assert!(!hub.user("admin").admitted);
    }
}
