//! A user as the API shows them.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use spawner_core::ServerId;

use super::error::ApiError;
use super::query::Query;
use super::server_model::{ServerModel, pending};
use super::time::Time;
use crate::app::App;
use crate::scopes::{ScopeName, ScopeSet, Target, UserFields};
use crate::servers::Place;
use crate::store::User;

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
}

impl Serialize for UserModel<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { app, user, .. } = self;
        let mut model = serializer.serialize_map(None)?;
        if self.fields.name {
            model.serialize_entry("kind", "user")?;
            model.serialize_entry("name", &user.name)?;
        }
        if self.fields.admin {
            model.serialize_entry("admin", &app.directory.is_admin(user))?;
        }
        if self.fields.roles {
            model.serialize_entry("roles", &app.directory.role_names_of(user))?;
        }
        if self.fields.groups {
            model.serialize_entry("groups", &self.groups)?;
        }
        if self.fields.details {
            let default = || ServerId::default_of(user.name.clone());
            let server = self.place == Place::Ready;
            let server = server.then(|| app.servers.prefix(&default()));
            model.serialize_entry("server", &server)?;
            model.serialize_entry("pending", &pending(self.place))?;
            model.serialize_entry("created", &Time(user.created))?;
        }
        if self.fields.last_activity {
            model.serialize_entry("last_activity", &user.last_activity.map(Time))?;
        }
        if let Some(servers) = &self.servers {
            model.serialize_entry("servers", &ByName(servers))?;
        }
        if self.fields.auth_state {
            model.serialize_entry("auth_state", &user.auth_state)?;
        }
        if self.fields.user_info {
            model.serialize_entry("user_info", &())?;
        }
        model.end()
    }
}

struct ByName<'a>(&'a [ServerModel<'a>]);

impl Serialize for ByName<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|server| (server.name(), server)))
    }
}
