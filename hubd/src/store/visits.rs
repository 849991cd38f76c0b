//! Visits: who opened a server that is not theirs, and when they last did.
//!
//! One row for each pair, so that they stay few however often somebody comes.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Row;
use spawner_core::UserName;

use super::error::StoreError;
use super::handle::Store;
use super::ids::ServerRowId;
use super::mirror::Change;
use super::rows::{micros, name, statements, time};

statements! {
    ALL = "SELECT * FROM visits";
    PUT = "INSERT INTO visits (server, visitor, at) SELECT id, ?2, ?3 FROM servers WHERE id = ?1
        ON CONFLICT (server, visitor) DO UPDATE SET at = max(at, excluded.at) RETURNING *";
}

/// The last visit of somebody to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerVisit {
    pub(crate) server: ServerRowId,
    pub(crate) visitor: UserName,
    pub(crate) at: Timestamp,
}

/// The visits of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visits<'s>(pub(super) &'s Store);

/// The mirror's part.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Table(BTreeMap<ServerRowId, BTreeMap<UserName, Arc<ServerVisit>>>);

impl Visits<'_> {
    /// Who visited a server, the latest first.
    pub(crate) fn of(self, server: ServerRowId) -> Vec<Arc<ServerVisit>> {
        let mut visits: Vec<_> = self.0.read(|mirror| {
            let of_server = mirror.visits.0.get(&server).into_iter();
            of_server.flat_map(BTreeMap::values).cloned().collect()
        });
        visits.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.visitor.cmp(&b.visitor)));
        visits
    }

    /// Notes a visit.
    pub(crate) async fn note(
        self,
        server: ServerRowId,
        visitor: UserName,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.0
            .write(move |rows| {
                let values = (server, visitor.as_str(), micros(at));
                let visit = rows.one(PUT, values, ServerVisit::from_row)?;
                let visit = visit.ok_or(StoreError::NotFound("server"))?;
                rows.changed(Change::Visit(Arc::new(visit)));
                Ok(())
            })
            .await
    }
}

impl ServerVisit {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            server: row.get("server")?,
            visitor: name(row, "visitor")?,
            at: time(row, "at")?,
        })
    }
}

impl Table {
    pub(super) fn put(&mut self, visit: Arc<ServerVisit>) {
        let of_server = self.0.entry(visit.server).or_default();
        of_server.insert(visit.visitor.clone(), visit);
    }

    /// Those of a server that is gone.
    pub(super) fn remove(&mut self, server: ServerRowId) {
        self.0.remove(&server);
    }
}
