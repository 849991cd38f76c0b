//! `last_activity` of users, servers and tokens: when they were last seen.
//!
//! It only moves forward here, whatever order reports arrive in; a start or stop sets it (see the
//! launches).

use jiff::Timestamp;

use super::error::StoreError;
use super::handle::Store;
use super::ids::{ServerRowId, TokenId, UserId};
use super::mirror::Change;
use super::rows::{Rows, micros, statements, time};

statements! {
    TOUCH_USER = "UPDATE users SET last_activity = ?2
        WHERE id = ?1 AND (last_activity IS NULL OR last_activity < ?2) RETURNING last_activity";
    TOUCH_SERVER = "UPDATE servers SET last_activity = ?2
        WHERE id = ?1 AND (last_activity IS NULL OR last_activity < ?2) RETURNING last_activity";
    TOUCH_TOKEN = "UPDATE tokens SET last_activity = ?2
        WHERE id = ?1 AND (last_activity IS NULL OR last_activity < ?2) RETURNING last_activity";
}

/// What was seen to be active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Active {
    User(UserId),
    Server(ServerRowId),
    Token(TokenId),
}

impl Store {
    /// Takes over many sightings in one job. What has been deleted meanwhile is passed over, and so
    /// is what was seen later already.
    pub(crate) async fn touch_many(
        &self,
        seen: Vec<(Active, Timestamp)>,
    ) -> Result<(), StoreError> {
        self.write(move |rows| {
            seen.into_iter()
                .try_for_each(|(who, at)| touch(rows, who, at))
        })
        .await
    }
}

/// One sighting, as part of a job.
pub(super) fn touch(rows: &mut Rows<'_>, who: Active, at: Timestamp) -> Result<(), StoreError> {
    let at = micros(at);
    let read = |row: &rusqlite::Row<'_>| time(row, "last_activity");
    let moved = match who {
        Active::User(id) => rows.one(TOUCH_USER, (id, at), read)?,
        Active::Server(id) => rows.one(TOUCH_SERVER, (id, at), read)?,
        Active::Token(id) => rows.one(TOUCH_TOKEN, (id, at), read)?,
    };
    if let Some(at) = moved {
        rows.changed(Change::Seen(who, at));
    }
    Ok(())
}
