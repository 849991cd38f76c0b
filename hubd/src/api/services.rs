//! `{api}/services`: the programs that belong to the hub.
//!
//! Those of the configuration come and go with it alone: what would change one is a 405. Others are made
//! and deleted here; they run elsewhere, so that the commands of a hub are in one file that its
//! administrator wrote.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::ALLOW;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::access::{self, missing, require};
use super::body;
use super::caller::ApiCaller;
use super::error::ApiError;
use super::openapi::{Asked, Fixed, Made, Named, OfService, Sent};
use super::path::Segments;
use super::service_model::ServiceModel;
use crate::app::{App, AppState};
use crate::auth::services::Service;
use crate::config::{
    ServiceTable, ServiceUrl, check_client_id, check_name, check_redirect_uri, check_token,
};
use crate::scopes::{ScopeName, Target, VisibleNames};
use crate::store::audit::{Action, Object};

/// Any one of these lets somebody know that a service is there.
const READ: &[ScopeName] = &[
    ScopeName::ReadServices,
    ScopeName::ReadServicesName,
    ScopeName::ReadRolesServices,
];

/// The most roles that one is given.
const ROLES_MAX: usize = 100;

/// A service that runs elsewhere.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewService {
    /// What it will call the API with, of 8 to 64 characters.
    #[schema(min_length = 8, max_length = 64, pattern = "^[A-Za-z0-9._~+/=-]+$")]
    api_token: String,
    /// Where it listens, if people open it through the hub.
    url: Option<String>,
    /// Only an admin can make one that is.
    #[serde(default)]
    admin: bool,
    /// Roles that it holds. They give no more than who makes it holds.
    #[serde(default)]
    roles: Vec<String>,
    oauth_client_id: Option<String>,
    oauth_redirect_uri: Option<String>,
    #[serde(default)]
    oauth_no_confirm: bool,
    #[serde(default = "shown")]
    display: bool,
    #[serde(default)]
    #[schema(value_type = Object)]
    info: Map<String, Value>,
    /// Nothing, or empty: the hub starts only what the configuration names.
    #[serde(default)]
    command: Vec<String>,
}

fn shown() -> bool {
    true
}

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
    let services = app.directory.services().all().into_iter();
    let shown = services.filter(|service| visible.shows(&service.name));
    let models = shown.map(|service| {
        let model = ServiceModel::new(&app, caller.rights(), &service);
        (service.name, model)
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
    Ok(Json(ServiceModel::new(&app, caller.rights(), &service)).into_response())
}

/// Makes a service that runs elsewhere
///
/// It is kept in the hub's books, not in the configuration. Needs `admin:services`.
#[utoipa::path(
    post,
    path = "/services/{service}",
    tag = "services",
    operation_id = "create_service",
    params(OfService),
    request_body = NewService,
    responses(
        (
            status = 201, description = "The service.", body = ServiceModel,
            links(
                ("GetService" = (
                    operation_id = "get_service", parameters(("service" = "$response.body#/name"))
                )),
                ("DeleteService" = (
                    operation_id = "delete_service", parameters(("service" = "$response.body#/name"))
                )),
            )
        ),
        Named, Sent, Made, Asked,
    )
)]
pub(super) async fn create(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let target = Target::Service(&name);
    require(caller.rights(), &[ScopeName::AdminServices], target)?;
    check_name(&name).map_err(|what| unusable("The name of the service", &what))?;
    if app.directory.services().find(&name).is_some() {
        let message = format!("{name} exists already.");
        return Err(ApiError::new(StatusCode::CONFLICT, message));
    }
    let body: NewService = body::required(request).await?;
    let roles = body.roles.clone();
    let table = table(&name, body)?;
    may_give(&app, &caller, &table, &roles)?;
    let entry = (caller.entry(Action::ServiceCreate)).on(Object::service(&name));
    app.services.create(&table, roles, entry).await?;
    let service = app.directory.services().find(&name);
    let service = service.ok_or_else(ApiError::not_found)?;
    let model = ServiceModel::new(&app, caller.rights(), &service);
    Ok((StatusCode::CREATED, Json(model)).into_response())
}

/// Deletes a service that was made here
///
/// All that it was given and issued ends with it. One of the configuration stays (405). Needs
/// `admin:services`.
#[utoipa::path(
    delete,
    path = "/services/{service}",
    tag = "services",
    operation_id = "delete_service",
    params(OfService),
    responses((status = 200, description = "It is gone."), Named, Fixed, Asked)
)]
pub(super) async fn delete(
    State(app): State<AppState>,
    caller: ApiCaller,
    Segments(name): Segments<String>,
) -> Result<Response, ApiError> {
    access::service(&app, caller.rights(), &[ScopeName::AdminServices], &name)?;
    if app.directory.services().is_configured(&name) {
        let message = "This service is in the configuration; take its [[service]] out there.";
        let refused = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message);
        return Ok(([(ALLOW, "GET,HEAD")], refused).into_response());
    }
    let entry = (caller.entry(Action::ServiceDelete)).on(Object::service(&name));
    app.services.delete(&name, entry).await?;
    Ok(StatusCode::OK.into_response())
}

/// What a body asks for, by the rules that the configuration has for the same keys.
fn table(name: &str, body: NewService) -> Result<ServiceTable, ApiError> {
    if !body.command.is_empty() {
        let message = "command cannot be used: the hub starts services of its configuration only, \
                       as [[service]].";
        return Err(ApiError::bad_request(message));
    }
    let has_address = body.url.is_some() || body.oauth_redirect_uri.is_some();
    if !has_address && (body.oauth_client_id.is_some() || body.oauth_no_confirm) {
        let message = "Nobody can sign in to a service without an address; give it a url or an \
                       oauth_redirect_uri.";
        return Err(ApiError::bad_request(message));
    }
    let read = |key: &str, what: String| unusable(key, &what);
    Ok(ServiceTable {
        name: name.to_owned(),
        api_token: Some(check_token(&body.api_token).map_err(|what| read("api_token", what))?),
        url: (body.url.map(|url| ServiceUrl::parse(&url)).transpose())
            .map_err(|what| read("url", what))?,
        oauth_client_id: (body
            .oauth_client_id
            .map(|id| check_client_id(&id))
            .transpose())
        .map_err(|what| read("oauth_client_id", what))?,
        oauth_redirect_uri: (body.oauth_redirect_uri)
            .map(|uri| check_redirect_uri(&uri))
            .transpose()
            .map_err(|what| read("oauth_redirect_uri", what))?,
        oauth_no_confirm: body.oauth_no_confirm,
        display: body.display,
        admin: body.admin,
        info: body.info,
        ..ServiceTable::default()
    })
}

fn unusable(field: &str, what: &str) -> ApiError {
    ApiError::bad_request(format!("{field} cannot be used: {what}."))
}

/// Refuses a service that could do more than the caller: they know its token.
fn may_give(
    app: &App,
    caller: &ApiCaller,
    table: &ServiceTable,
    roles: &[String],
) -> Result<(), ApiError> {
    caller.by().may_give_admin(app, table.admin)?;
    if roles.len() > ROLES_MAX {
        let message = format!("roles has more than {ROLES_MAX} names.");
        return Err(ApiError::bad_request(message));
    }
    let known = app.directory.roles();
    if let Some(at) = roles
        .iter()
        .position(|role| known.scopes_of(role).is_none())
    {
        let message = format!("roles[{at}]: there is no role called {:?}.", roles[at]);
        return Err(ApiError::bad_request(message));
    }
    let service = Service {
        name: table.name.clone(),
        admin: table.admin,
        no_confirm: false,
        roles: roles.to_vec(),
    };
    let is_member = |user: &_, group: &_| app.directory.is_member(user, group);
    let given = app.directory.rights_of_service(&service);
    let beyond = given.beyond(caller.rights(), &is_member);
    if beyond.is_empty() {
        return Ok(());
    }
    Err(ApiError::forbidden(format!(
        "The service would hold what you do not: {}.",
        beyond.texts().join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::api::testing::Hub;
    use crate::store::TokenKind;

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
                "url": "", "prefix": "", "command": [], "pid": 0, "info": {}, "display": true,
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

    fn grader() -> Value {
        json!({
            "api_token": "token-of-grader", "url": "http://127.0.0.1:10101",
            "roles": ["cull-idle"], "info": {"room": 7},
        })
    }

    #[tokio::test]
    async fn made_and_deleted_while_the_hub_runs() {
        let hub = Hub::new().await;
        let ask = |method| hub.request(method, "/services/grader");
        let made = ask("POST").admin().json(&grader()).send().await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        let model = json!({
            "kind": "service", "name": "grader", "admin": false, "roles": ["cull-idle"],
            "url": "http://127.0.0.1:10101", "prefix": "/services/grader/", "command": [], "pid": 0,
            "info": {"room": 7}, "display": true,
        });
        assert_eq!(made.json, model);
        let all = hub.get("/services").admin().send().await;
        assert_eq!(keys(&all.json), ["culler", "grader", "tester"]);
        let routes = hub.get("/proxy").admin().send().await;
        assert_eq!(
            routes.json["/services/grader/"]["data"]["service"],
            "grader"
        );
        let own = hub.get("/user").token("token-of-grader").send().await;
        assert_eq!(
            (&own.json["kind"], &own.json["name"], &own.json["roles"]),
            (&json!("service"), &json!("grader"), &json!(["cull-idle"]))
        );
        let users = || hub.get("/users").token("token-of-grader").send();
        assert_eq!(users().await.status, StatusCode::OK);
        let client = hub.app.store.clients().find("service-grader").unwrap();
        assert_eq!(client.redirect_uri, "/services/grader/oauth_callback");

        let again = ask("POST").admin().json(&grader()).send().await;
        assert_eq!(again.status, StatusCode::CONFLICT);
        let gone = ask("DELETE").admin().send().await;
        assert_eq!((gone.status, gone.text.as_str()), (StatusCode::OK, ""));
        assert_eq!(users().await.status, StatusCode::FORBIDDEN);
        let routes = hub.get("/proxy").admin().send().await;
        assert_eq!(keys(&routes.json), ["/"]);
        let gone = ask("DELETE").admin().send().await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn those_of_the_configuration_stay_as_they_are() {
        let hub = Hub::new().await;
        for (method, name, admin, alice) in [
            ("POST", "culler", 409, 403),
            ("DELETE", "culler", 405, 403),
            ("DELETE", "none", 404, 403),
        ] {
            let path = format!("/services/{name}");
            let ask = || hub.request(method, &path).json(&grader());
            let reply = ask().admin().send().await;
            assert_eq!(reply.status.as_u16(), admin, "{method} {name}");
            assert_eq!(reply.json["status"], admin);
            let allow = (admin == 405).then_some("GET,HEAD");
            assert_eq!(reply.header("allow"), allow);
            let reply = ask().user("alice").send().await;
            assert_eq!(reply.status.as_u16(), alice, "{method} {name}");
        }
    }

    #[tokio::test]
    async fn nobody_gives_a_service_more_than_they_hold() {
        let hub = Hub::new().await;
        for (scopes, body, status, words) in [
            (&["list:services"][..], json!({}), 403, "admin:services"),
            (&["admin:services!service=other"], json!({}), 404, ""),
            (
                &["admin:services", "proxy"],
                json!({"admin": true}),
                403,
                "an admin",
            ),
            (
                &["admin:services", "delete:servers"],
                json!({"roles": ["cull-idle"]}),
                403,
                "list:users",
            ),
            (
                &["admin:services"],
                json!({"roles": ["user", "admin"]}),
                403,
                "shutdown",
            ),
            (&["admin:services!service=new"], json!({}), 201, ""),
        ] {
            let token = hub.role_token(scopes).await;
            let mut body = body;
            body["api_token"] = "token-of-new".into();
            let reply = hub.post("/services/new").token(&token).json(&body).send();
            let reply = reply.await;
            assert_eq!(reply.status.as_u16(), status, "{scopes:?}: {}", reply.text);
            assert!(reply.text.contains(words), "{}", reply.text);
        }
        // The admin flag of a person does not widen a token of theirs.
        let narrow = hub.new_token("admin", TokenKind::Api, &["admin:services"]);
        let narrow = narrow.await.text;
        let body = json!({"api_token": "token-of-more", "admin": true});
        let reply = hub.post("/services/more").token(&narrow).json(&body).send();
        assert_eq!(reply.await.status, StatusCode::FORBIDDEN);
    }

    #[tokio::test]
    async fn what_cannot_be_a_service() {
        let hub = Hub::new().await;
        let made = hub.post("/services/grader").admin().json(&grader());
        assert_eq!(made.send().await.status, StatusCode::CREATED);
        for (key, value, status, words) in [
            ("api_token", json!("short"), 400, "api_token cannot be used"),
            (
                "api_token",
                json!("with spaces"),
                400,
                "api_token cannot be used",
            ),
            ("api_token", json!("token-of-culler"), 409, "that token"),
            (
                "api_token",
                json!("token-of-grader"),
                409,
                "The token is somebody",
            ),
            (
                "api_token",
                json!("token-of-alice"),
                409,
                "The token is somebody",
            ),
            ("url", json!(""), 400, "url cannot be used"),
            ("url", json!("https://grader.test"), 400, "plain HTTP"),
            ("url", json!("http://127.0.0.1:1/path"), 400, "no path"),
            (
                "oauth_client_id",
                json!("jupyterhub-user-alice"),
                400,
                "a client id is",
            ),
            ("oauth_client_id", json!("service-grader"), 409, "client id"),
            ("oauth_client_id", json!("service-culler"), 409, "client id"),
            (
                "oauth_redirect_uri",
                json!("//elsewhere"),
                400,
                "oauth_redirect_uri cannot",
            ),
            ("roles", json!(["no-such-role"]), 400, "roles[0]"),
            ("roles", json!("admin"), 400, "roles"),
            ("info", json!([]), 400, "info"),
            ("command", json!(["sh"]), 400, "command cannot be used"),
            ("cwd", json!("/"), 400, "unknown field `cwd`"),
        ] {
            let mut body = json!({"api_token": "token-of-new", "url": "http://127.0.0.1:1"});
            body[key] = value;
            let reply = hub.post("/services/new").admin().json(&body).send().await;
            assert_eq!(reply.status.as_u16(), status, "{key}: {}", reply.text);
            assert!(reply.message().contains(words), "{}", reply.message());
        }
        let body = json!({"api_token": "token-of-new", "oauth_no_confirm": true});
        let reply = hub.post("/services/new").admin().json(&body).send().await;
        assert!(
            reply.message().contains("without an address"),
            "{}",
            reply.text
        );
        for name in ["-x", "a%20b", "a%2Fb", &"x".repeat(256)] {
            let body = json!({"api_token": "token-of-new"});
            let reply = hub.post(&format!("/services/{name}")).admin().json(&body);
            assert_eq!(reply.send().await.status, StatusCode::BAD_REQUEST, "{name}");
        }
        assert_eq!(hub.app.store.services().all().len(), 1);
    }
}
