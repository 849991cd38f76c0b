//! A service as the API shows it.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::directory::Service;
use crate::scopes::{ScopeName, ScopeSet, Target};

/// A service. Which of the keys there are depends on the scopes of who asks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Service)]
pub(super) struct ServiceModel {
    /// `service`.
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

/// How it runs and where it is found. Either all of it is shown or nothing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServiceRun)]
struct Run {
    /// Where the proxy finds it; null if it has no pages.
    url: Option<String>,
    /// Where browsers find it.
    prefix: Option<String>,
    /// What the hub runs; empty for a service that others run.
    #[schema(required = false)]
    command: Vec<String>,
    /// Of what the hub runs; 0 while nothing does.
    #[schema(required = false)]
    pid: u32,
    #[schema(required = false, value_type = Object)]
    info: Map<String, Value>,
    /// Whether pages list it.
    #[schema(required = false)]
    display: bool,
}

impl ServiceModel {
    /// What a holder of `rights` may see of a service.
    pub(super) fn new(app: &App, rights: &ScopeSet, name: &str, service: &Service) -> Self {
        let may = |scope| rights.allows(scope, Target::Service(name)).is_yes();
        let all = may(ScopeName::ReadServices);
        let identity = all || may(ScopeName::ReadServicesName);
        let roles = all || may(ScopeName::ReadRolesServices);
        let roles_of = || {
            let names = app.directory.roles();
            let names = names.names_of_service(name, service.admin);
            names.into_iter().map(str::to_owned).collect()
        };
        Self {
            kind: "service",
            name: name.to_owned(),
            admin: identity.then_some(service.admin),
            roles: roles.then(roles_of),
            run: all.then(|| run(app, name)),
        }
    }
}

/// How the service `name` runs: the one place that knows.
fn run(_: &App, _: &str) -> Run {
    Run {
        url: None,
        prefix: None,
        command: Vec::new(),
        pid: 0,
        info: Map::new(),
        display: true,
    }
}
