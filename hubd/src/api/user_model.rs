//! A user as the API shows them.

use serde::{Serialize, Serializer};
use serde_json::json;
use spawner_core::ServerId;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, ToSchema};

use super::error::ApiError;
use super::openapi::{from_json, null};
use super::query::Query;
use super::server_model::{Pending, ServerKeys, ServerModel, pending};
use super::time::Time;
use crate::app::App;
use crate::scopes::{ScopeName, ScopeSet, Target, UserFields};
use crate::servers::Place;
use crate::store::{AuthState, User};

/// The model of a user, at one moment, with the keys that somebody's rights include.
#[derive(Debug)]
pub(super) struct UserModel<'a> {
    app: &'a App,
    user: &'a User,
    fields: UserFields,
    groups: Vec<String>,
    /// Of the default server.
    place: Place,
    /// None if not even one server may be shown.
    servers: Option<Vec<ServerModel<'a>>>,
}

/// A user. Which of the keys there are depends on the scopes of who asks.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
#[expect(
    clippy::option_option,
    reason = "the outer one says whether it is shown, the inner one is null"
)]
pub(super) struct UserKeys<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = user_kind, required = false)]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    admin: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    roles: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Vec<String>)]
    groups: Option<&'a Vec<String>>,
    /// Where the default server is; null unless it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    server: Option<Option<String>>,
    /// What goes on with the default server, if something does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Pending>)]
    pending: Option<Option<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Time)]
    created: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Time>)]
    last_activity: Option<Option<Time>>,
    /// Those that run, start or stop, by name; stopped ones only with `include_stopped_servers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = BTreeMap<String, ServerKeys<'static>>)]
    servers: Option<ByName<'a>>,
    /// What the authenticator keeps about the user. Only for `admin:auth_state`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    auth_state: Option<Option<&'a AuthState>>,
    /// Null: the hub keeps nothing else about users.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = null, required = false)]
    user_info: Option<()>,
}

/// The one word that `kind` says.
fn user_kind() -> RefOr<Schema> {
    from_json(json!({ "type": "string", "enum": ["user"] }))
}

/// The part of a query that says how much of a user to show.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `Include` reads")]
pub(super) struct IncludeQuery {
    /// Whether stopped servers are shown as well.
    #[param(schema_with = flag)]
    include_stopped_servers: Option<bool>,
}

/// See [`Query::flag`].
fn flag() -> RefOr<Schema> {
    let words = ["", "0", "1", "false", "true"];
    from_json(json!({ "type": "string", "enum": words, "default": "0" }))
}

/// Which servers a model of a user holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Include {
    /// Those that run, start, stop or are looked for.
    Active,
    /// Stopped ones as well.
    Stopped,
}

impl Include {
    /// What a query asks for.
    pub(super) fn asked(query: &Query) -> Result<Self, ApiError> {
        let stopped = query.flag("include_stopped_servers")?;
        Ok(if stopped { Self::Stopped } else { Self::Active })
    }
}

impl<'a> UserModel<'a> {
    /// What a holder of `rights` may see of `user`.
    pub(super) fn new(app: &'a App, rights: &ScopeSet, user: &'a User, include: Include) -> Self {
        let groups = app.directory.groups_of(&user.name);
        let fields = rights.user_fields(&user.name, &groups);
        let visible = |id: &ServerId| {
            let groups = &groups;
            let target = Target::Server { id, groups };
            fields.servers || rights.allows(ScopeName::ReadServers, target).is_yes()
        };
        let default = ServerId::default_of(user.name.clone());
        let place = app.servers.look(&default).place;
        let rows = app.store.servers().of(user.id).into_iter();
        let mut servers: Vec<_> = rows
            .map(|row| (ServerId::new(user.name.clone(), row.name.clone()), row))
            .filter(|(id, _)| visible(id))
            .map(|(id, row)| {
                // Looked at once, so that the model says one thing of it.
                let seen = (id == default).then_some(place);
                let place = seen.unwrap_or_else(|| app.servers.look(&id).place);
                ServerModel::new(app, rights, id, &groups, Some(row), place)
            })
            .collect();
        if include == Include::Active {
            servers.retain(|server| server.place() != Place::Stopped);
        }
        Self {
            app,
            user,
            fields,
            place,
            servers: (fields.servers || !servers.is_empty()).then_some(servers),
            groups,
        }
    }

    /// Shows who it is and their groups, whatever the rights include: what everybody may know of
    /// themselves.
    #[must_use]
    pub(super) fn of_oneself(mut self) -> Self {
        self.fields = UserFields {
            name: true,
            admin: true,
            user_info: true,
            groups: true,
            ..self.fields
        };
        self
    }

    /// What is shown of the user.
    pub(super) fn keys(&self) -> UserKeys<'_> {
        let Self { app, user, .. } = self;
        let UserFields {
            name,
            admin,
            roles,
            groups,
            details,
            last_activity,
            auth_state,
            user_info,
            ..
        } = self.fields;
        let server = || {
            let default = ServerId::default_of(user.name.clone());
            (self.place == Place::Ready).then(|| app.servers.prefix(&default))
        };
        UserKeys {
            kind: name.then_some("user"),
            name: name.then(|| user.name.as_str()),
            admin: admin.then(|| app.directory.is_admin(user)),
            roles: roles.then(|| app.directory.role_names_of(user)),
            groups: groups.then_some(&self.groups),
            server: details.then(server),
            pending: details.then(|| pending(self.place)),
            created: details.then_some(Time(user.created)),
            last_activity: last_activity.then(|| user.last_activity.map(Time)),
            servers: self.servers.as_deref().map(ByName),
            auth_state: auth_state.then_some(user.auth_state.as_ref()),
            user_info: user_info.then_some(()),
        }
    }
}

impl Serialize for UserModel<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.keys().serialize(serializer)
    }
}

struct ByName<'a>(&'a [ServerModel<'a>]);

impl Serialize for ByName<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|server| (server.name(), server)))
    }
}
