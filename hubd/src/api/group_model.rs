//! A group as the API shows it.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::openapi::from_json;
use crate::app::App;
use crate::auth::groups::Group;
use crate::scopes::{ScopeName, ScopeSet, Target};

/// A group. Which of the keys there are depends on the scopes of who asks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Group)]
pub(super) struct GroupModel {
    #[schema(schema_with = group_kind)]
    kind: &'static str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    roles: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    users: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Object)]
    properties: Option<Map<String, Value>>,
}

/// The one word that `kind` says.
fn group_kind() -> RefOr<Schema> {
    from_json(json!({ "type": "string", "enum": ["group"] }))
}

impl GroupModel {
    /// What a holder of `rights` may see of `group`.
    pub(super) fn new(app: &App, rights: &ScopeSet, group: Group) -> Self {
        let may = |scope| rights.allows(scope, Target::Group(&group.name)).is_yes();
        let all = may(ScopeName::ReadGroups);
        let roles = all || may(ScopeName::ReadRolesGroups);
        let roles_of = || {
            let names = app.directory.roles().names_of_group(&group.name);
            names.into_iter().map(str::to_owned).collect()
        };
        Self {
            kind: "group",
            roles: roles.then(roles_of),
            users: all.then(|| group.users.iter().map(ToString::to_string).collect()),
            properties: all.then_some(group.properties),
            name: group.name,
        }
    }
}
