//! A service as the API shows it.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::openapi::from_json;
use crate::app::App;
use crate::auth::services::Service;
use crate::scopes::{ScopeName, ScopeSet, Target};
use crate::services::Shown;

/// A service. Which of the keys there are depends on the scopes of who asks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Service)]
pub(super) struct ServiceModel {
    #[schema(schema_with = service_kind)]
    kind: &'static str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    admin: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    roles: Option<Vec<String>>,
    #[serde(flatten)]
    #[schema(value_type = Run)]
    run: Option<Run>,
}

/// The one word that `kind` says.
pub(super) fn service_kind() -> RefOr<Schema> {
    from_json(json!({ "type": "string", "enum": ["service"] }))
}

/// How it runs and where it is found. Either all of it is shown or nothing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServiceRun)]
struct Run {
    /// Where the proxy finds it; empty if it has no pages.
    #[schema(required = false)]
    url: String,
    /// Where browsers find it; empty if it has no pages.
    #[schema(required = false)]
    prefix: String,
    /// What the hub runs; empty for a service that others run.
    #[schema(required = false)]
    command: Vec<String>,
    /// Of what the hub runs; 0 while nothing does.
    #[schema(required = false)]
    pid: u32,
    /// What its administrator or maker says of it.
    #[schema(required = false, value_type = Object)]
    info: Map<String, Value>,
    /// Whether pages list it.
    #[schema(required = false)]
    display: bool,
}

impl ServiceModel {
    /// What a holder of `rights` may see of a service.
    pub(super) fn new(app: &App, rights: &ScopeSet, service: &Service) -> Self {
        let name = &service.name;
        let may = |scope| rights.allows(scope, Target::Service(name)).is_yes();
        let all = may(ScopeName::ReadServices);
        let identity = all || may(ScopeName::ReadServicesName);
        let roles = all || may(ScopeName::ReadRolesServices);
        let run = app.services.find(name).filter(|_| all);
        Self {
            kind: "service",
            name: name.clone(),
            admin: identity.then_some(service.admin),
            roles: roles.then(|| app.directory.role_names_of_service(service)),
            run: run.map(Run::from),
        }
    }
}

impl From<Shown> for Run {
    fn from(shown: Shown) -> Self {
        Self {
            url: shown.url,
            prefix: shown.prefix,
            command: shown.command,
            pid: shown.pid,
            info: shown.info,
            display: shown.display,
        }
    }
}
