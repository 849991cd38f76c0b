//! `{api}/services`: the programs that the configuration knows.
//!
//! Services come and go with the configuration alone: who may do what on this hub, and which commands
//! it runs, is then in one file that its administrator wrote. What would make or delete one is a 405.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::ALLOW;

use super::access::{self, missing, require};
use super::caller::ApiCaller;
use super::error::ApiError;
use super::openapi::{Asked, Fixed, Made, Named, OfService};
use super::path::Segments;
use super::service_model::ServiceModel;
use crate::app::AppState;
use crate::scopes::{ScopeName, Target, VisibleNames};

/// Any one of these lets somebody know that a service is there.
const READ: &[ScopeName] = &[
    ScopeName::ReadServices,
    ScopeName::ReadServicesName,
    ScopeName::ReadRolesServices,
];

/// The services that the caller may see
///
/// By name, and never in pages. Needs `list:services`.
#[utoipa::path(
    get, path = "/services", tag = "services", operation_id = "list_services",
    responses(
        (status = 200, description = "The services.", body = BTreeMap<String, ServiceModel>),
        Asked,
    ),
)]
pub(super) async fn list(
    State(app): State<AppState>,
    caller: ApiCaller,
) -> Result<Response, ApiError> {
    let visible = caller.rights().visible_services();
    if visible == VisibleNames::None {
        return Err(missing(&[ScopeName::ListServices]));
    }
    let services = app.directory.services();
    let shown = services.filter(|(name, _)| visible.shows(name));
    let models = shown.map(|(name, service)| {
        let model = ServiceModel::new(&app, caller.rights(), name, service);
        (name, model)
    });
    let models: BTreeMap<_, _> = models.collect();
    Ok(Json(models).into_response())
}

/// One service
///
/// Needs one of `read:services`, `read:services:name`, `read:roles:services`.
#[utoipa::path(
    get, path = "/services/{service}", tag = "services", operation_id = "get_service",
    params(OfService),
    responses((status = 200, description = "The service.", body = ServiceModel), Named, Asked),
)]
pub(super) async fn get(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
) -> Result<Response, ApiError> {
    let service = access::service(&app, caller.rights(), READ, &name)?;
    let model = ServiceModel::new(&app, caller.rights(), &name, service);
    Ok(Json(model).into_response())
}

/// Refuses a new service
///
/// Services are made in the configuration. Needs `admin:services`.
#[utoipa::path(
    post,
    path = "/services/{service}",
    tag = "services",
    operation_id = "create_service",
    params(OfService),
    responses(Named, Made, Fixed, Asked)
)]
pub(super) async fn create(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
) -> Result<Response, ApiError> {
    let target = Target::Service(&name);
    require(caller.rights(), &[ScopeName::AdminServices], target)?;
    if app.directory.service(&name).is_some() {
        let message = format!("{name} exists already.");
        return Err(ApiError::new(StatusCode::CONFLICT, message));
    }
    Ok(only_read(
        "Services of this hub are made in its configuration, as [[service]].",
    ))
}

/// Refuses to delete a service
///
/// Services are deleted in the configuration. Needs `admin:services`.
#[utoipa::path(
    delete,
    path = "/services/{service}",
    tag = "services",
    operation_id = "delete_service",
    params(OfService),
    responses(Named, Fixed, Asked)
)]
pub(super) async fn delete(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
) -> Result<Response, ApiError> {
    access::service(&app, caller.rights(), &[ScopeName::AdminServices], &name)?;
    Ok(only_read(
        "This service is in the configuration; take its [[service]] out there.",
    ))
}

fn only_read(message: &'static str) -> Response {
    let refused = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message);
    ([(ALLOW, "GET,HEAD")], refused).into_response()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::api::testing::Hub;

    fn keys(model: &Value) -> Vec<&String> {
        model.as_object().unwrap().keys().collect()
    }

    #[tokio::test]
    async fn listed_by_name() {
        let hub = Hub::new().await;
        let all = hub.get("/services").admin().send().await;
        assert_eq!(keys(&all.json), ["culler", "tester"]);
        assert_eq!(
            all.json["culler"],
            json!({
                "kind": "service", "name": "culler", "admin": false, "roles": ["cull-idle"],
                "url": null, "prefix": null, "command": [], "pid": 0, "info": {}, "display": true,
            })
        );
        let one = hub.get("/services/culler").admin().send().await;
        assert_eq!(one.json, all.json["culler"]);
        let none = hub.get("/services/none").admin().send().await;
        assert_eq!(none.status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn shown_to_those_who_may_see_them() {
        let hub = Hub::new().await;
        for (scope, shown, of_culler) in [
            ("list:services", Some(&["culler", "tester"][..]), 200),
            ("list:services!service=culler", Some(&["culler"]), 200),
            ("read:services!service=culler", None, 200),
            ("read:roles:services", None, 200),
            ("read:services!service=tester", None, 404),
            // A service may always read its own name, so it holds the scope for another one.
            ("list:users", None, 404),
        ] {
            let token = hub.role_token(&[scope]).await;
            let list = hub.get("/services").token(&token).send().await;
            match shown {
                Some(shown) => assert_eq!(keys(&list.json), shown, "{scope}"),
                None => assert_eq!(list.status, StatusCode::FORBIDDEN, "{scope}"),
            }
            let culler = hub.get("/services/culler").token(&token).send().await;
            assert_eq!(culler.status.as_u16(), of_culler, "{scope}");
        }
        let token = hub.role_token(&["read:services:name"]).await;
        let culler = hub.get("/services/culler").token(&token).send().await;
        assert_eq!(keys(&culler.json), ["admin", "kind", "name"]);
        let token = hub.role_token(&["read:roles:services", "proxy"]).await;
        let culler = hub.get("/services/culler").token(&token).send().await;
        assert_eq!(keys(&culler.json), ["kind", "name", "roles"]);
    }

    #[tokio::test]
    async fn made_and_deleted_in_the_configuration_only() {
        let hub = Hub::new().await;
        for (method, name, admin, alice) in [
            ("POST", "culler", 409, 403),
            ("POST", "new", 405, 403),
            ("DELETE", "culler", 405, 403),
            ("DELETE", "none", 404, 403),
        ] {
            let path = format!("/services/{name}");
            let reply = hub.request(method, &path).admin().send().await;
            assert_eq!(reply.status.as_u16(), admin, "{method} {name}");
            assert_eq!(reply.json["status"], admin);
            let allow = (admin == 405).then_some("GET,HEAD");
            assert_eq!(reply.header("allow"), allow);
            let reply = hub.request(method, &path).user("alice").send().await;
            assert_eq!(reply.status.as_u16(), alice, "{method} {name}");
        }
    }
}
