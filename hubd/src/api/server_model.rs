//! A server as the API shows it.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use spawner_core::{ServerId, SpawnerState, UserOptions};
use utoipa::ToSchema;

use super::openapi::null;
use super::path::progress_url;
use super::time::Time;
use crate::app::App;
use crate::scopes::{ScopeName, ScopeSet, Target};
use crate::servers::Place;
use crate::store::Server;

/// The model of a server, at one moment.
#[derive(Debug)]
pub(super) struct ServerModel<'a> {
    app: &'a App,
    id: ServerId,
    /// None for a server that never ran.
    row: Option<Arc<Server>>,
    place: Place,
    with_state: bool,
}

/// A server of a user.
#[derive(Serialize, ToSchema)]
#[schema(as = Server)]
#[expect(
    clippy::option_option,
    reason = "the outer one says whether it is shown, the inner one is null"
)]
pub(super) struct ServerKeys<'a> {
    /// Empty for the default server.
    name: &'a str,
    /// What pages call it; empty if nobody has said.
    display_name: &'a str,
    /// `USER/NAME`.
    full_name: String,
    #[schema(required)]
    last_activity: Option<Time>,
    /// Null unless it runs or starts.
    #[schema(required)]
    started: Option<Time>,
    /// What is going on with it, if something is.
    #[schema(required, value_type = Option<Pending>)]
    pending: Option<&'static str>,
    ready: bool,
    stopped: bool,
    /// Where it is, or will be, as a path.
    url: String,
    /// With what it was started last.
    #[schema(required, value_type = Option<Object>)]
    user_options: Option<&'a UserOptions>,
    /// Where a start can be watched, as a path.
    progress_url: String,
    /// Null: it is known only where servers have hosts of their own.
    #[schema(schema_with = null)]
    full_url: (),
    /// Null, as `full_url`.
    #[schema(schema_with = null)]
    full_progress_url: (),
    /// What its spawner keeps about it. Only for `admin:server_state`; null if it never ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    state: Option<Option<&'a SpawnerState>>,
}

/// What goes on with a server, or with a user's default server.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "it describes what `pending` says")]
pub(super) enum Pending {
    Spawn,
    Stop,
    Check,
}

impl<'a> ServerModel<'a> {
    /// The model of `id`, which is in `place`, for somebody who may read of it.
    pub(super) fn new(
        app: &'a App,
        rights: &ScopeSet,
        id: ServerId,
        groups: &[String],
        row: Option<Arc<Server>>,
        place: Place,
    ) -> Self {
        let target = Target::Server { id: &id, groups };
        Self {
            with_state: rights.allows(ScopeName::AdminServerState, target).is_yes(),
            app,
            row,
            place,
            id,
        }
    }

    /// Where the server is in its life.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Which one it is; empty for the default server.
    pub(super) fn name(&self) -> &str {
        self.id.server.as_str()
    }
}

/// The word for what is going on with a server, if something is.
pub(super) fn pending(place: Place) -> Option<&'static str> {
    match place {
        Place::Starting => Some("spawn"),
        Place::Stopping => Some("stop"),
        Place::Checking => Some("check"),
        Place::Stopped | Place::Ready => None,
    }
}

impl Serialize for ServerModel<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let row = self.row.as_deref();
        let server = ServerKeys {
            name: self.name(),
            display_name: row.map_or("", |row| &row.display_name),
            full_name: format!("{}/{}", self.id.user, self.id.server),
            last_activity: row.and_then(|row| row.last_activity).map(Time),
            started: row.and_then(|row| row.started).map(Time),
            pending: pending(self.place),
            ready: self.place == Place::Ready,
            stopped: self.place == Place::Stopped,
            url: self.app.servers.prefix(&self.id),
            user_options: row.and_then(|row| row.user_options.as_ref()),
            progress_url: progress_url(&self.app.base_url, &self.id),
            full_url: (),
            full_progress_url: (),
            state: self.with_state.then(|| row.map(|row| &row.state)),
        };
        server.serialize(serializer)
    }
}
