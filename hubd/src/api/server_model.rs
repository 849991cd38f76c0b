//! A server as the API shows it.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use spawner_core::ServerId;

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
        let mut model = serializer.serialize_map(None)?;
        model.serialize_entry("name", self.name())?;
        model.serialize_entry("display_name", row.map_or("", |row| &row.display_name))?;
        model.serialize_entry(
            "full_name",
            &format_args!("{}/{}", self.id.user, self.id.server),
        )?;
        let last_activity = row.and_then(|row| row.last_activity);
        model.serialize_entry("last_activity", &last_activity.map(Time))?;
        model.serialize_entry("started", &row.and_then(|row| row.started).map(Time))?;
        model.serialize_entry("pending", &pending(self.place))?;
        model.serialize_entry("ready", &(self.place == Place::Ready))?;
        model.serialize_entry("stopped", &(self.place == Place::Stopped))?;
        model.serialize_entry("url", &self.app.servers.prefix(&self.id))?;
        model.serialize_entry(
            "user_options",
            &row.and_then(|row| row.user_options.as_ref()),
        )?;
        let progress_url = progress_url(&self.app.base_url, &self.id);
        model.serialize_entry("progress_url", &progress_url)?;
        // Known only where servers have hosts of their own.
        model.serialize_entry("full_url", &())?;
        model.serialize_entry("full_progress_url", &())?;
        if self.with_state {
            model.serialize_entry("state", &row.map(|row| &row.state))?;
        }
        model.end()
    }
}
