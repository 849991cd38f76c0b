//! Servers: one row for each that a user has, kept while the server comes and goes.
//!
//! A row holds what the hub has decided ([`Stage`]) and what it needs to find the server again. It is
//! no picture of the world: whether a server really runs is for its owner task to find out.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Row;
use serde::de::DeserializeOwned;
use serde_json::Value;
use spawner_core::{Endpoint, LaunchId, ServerId, ServerName, SpawnerState, UserName, UserOptions};

use super::error::StoreError;
use super::handle::Store;
use super::ids::{ServerRowId, UserId};
use super::mirror::{Change, Mirror};
use super::rows::{MAX_JSON, Rows, maybe_time, name, raw, statements, to_json, word};
use super::users::User;
use super::{clients, grants, tokens, users};

statements! {
    ALL = "SELECT * FROM servers";
    GET = "SELECT * FROM servers WHERE user = ?1 AND name = ?2";
    CREATE = "INSERT INTO servers (user, name, display_name, stage) VALUES (?1, ?2, '', 'stopped')
        ON CONFLICT (user, name) DO NOTHING";
    BY_ID = "SELECT * FROM servers WHERE id = ?1";
    RENAME = "UPDATE servers SET name = ?2 WHERE id = ?1 RETURNING *";
    SET_DISPLAY_NAME = "UPDATE servers SET display_name = ?2 WHERE id = ?1 RETURNING *";
    SET_OPTIONS = "UPDATE servers SET user_options = ?2 WHERE id = ?1 RETURNING *";
    SET_STOP_REASON = "UPDATE servers SET stop_reason = ?2 WHERE id = ?1 AND stage <> 'stopped' RETURNING *";
    DELETE = "DELETE FROM servers WHERE id = ?1 RETURNING id";
    USER_NOT_STOPPED = "SELECT id FROM servers WHERE user = ?1 AND stage <> 'stopped'";
    DELETE_OF_USER = "DELETE FROM servers WHERE user = ?1 RETURNING id";
}

/// A server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Server {
    pub(crate) id: ServerRowId,
    pub(crate) user: UserId,
    pub(crate) name: ServerName,
    /// As its user wrote it; may be empty.
    pub(crate) display_name: String,
    pub(crate) stage: Stage,
    /// The current run; none when stopped.
    pub(crate) launch_id: Option<LaunchId>,
    /// What the spawner needs to find the server; empty when stopped.
    pub(crate) state: SpawnerState,
    /// Where it was reached; there while it runs, and while it is being stopped if it ran.
    pub(crate) endpoint: Option<Endpoint>,
    /// When the current run began; none when stopped.
    pub(crate) started: Option<Timestamp>,
    pub(crate) last_activity: Option<Timestamp>,
    /// Of the last start; none before the first.
    pub(crate) user_options: Option<UserOptions>,
    /// Why the last run failed, in the words of whoever recorded it; cleared by the next start.
    pub(crate) last_failure: Option<Value>,
    /// Why the hub itself ended the last run, or is about to end this one; cleared by the next start.
    pub(crate) stop_reason: Option<String>,
    /// Columns that could not be read; their fields above are empty and say nothing. While `state`
    /// or `launch_id` is among them nobody knows what is running, so nothing may be started or
    /// removed on the strength of this row.
    pub(crate) damage: Vec<Damage>,
}

/// What is to be different about a server; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerChange {
    pub(crate) name: Option<ServerName>,
    pub(crate) display_name: Option<String>,
    pub(crate) user_options: Option<UserOptions>,
}

/// What the hub has decided about a server, and committed before it acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    Stopped,
    Starting,
    Running,
    Stopping,
}

const STAGES: &[(&str, Stage)] = &[
    ("stopped", Stage::Stopped),
    ("starting", Stage::Starting),
    ("running", Stage::Running),
    ("stopping", Stage::Stopping),
];

/// A column of a server's row that cannot be read. The text in the file stays as it is until the
/// server is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) column: &'static str,
    /// What is wrong with it, without its content.
    pub(crate) reason: String,
}

/// The servers of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Servers<'s>(pub(super) &'s Store);

/// The mirror's part.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Table {
    by_id: BTreeMap<ServerRowId, Arc<Server>>,
    by_user: BTreeMap<UserId, BTreeMap<ServerName, ServerRowId>>,
}

impl Servers<'_> {
    /// The server of that row.
    pub(crate) fn by_id(self, id: ServerRowId) -> Option<Arc<Server>> {
        self.0.read(|mirror| mirror.servers.by_id.get(&id).cloned())
    }

    /// The server of that name.
    pub(crate) fn find(self, id: &ServerId) -> Option<Arc<Server>> {
        self.0.read(|mirror| {
            let user = mirror.users.by_name(&id.user)?.id;
            let row = mirror.servers.by_user.get(&user)?.get(&id.server)?;
            mirror.servers.by_id.get(row).cloned()
        })
    }

    /// Every server of a user that has a row, by name.
    pub(crate) fn of(self, user: UserId) -> Vec<Arc<Server>> {
        self.0
            .read(|mirror| mirror.servers.of(user).cloned().collect())
    }

    /// Every server that is not stopped: what is to be found again when the hub starts.
    pub(crate) fn not_stopped(self) -> Vec<(ServerId, Arc<Server>)> {
        self.0.read(|mirror| {
            let servers = mirror.servers.by_id.values();
            servers
                .filter(|server| server.stage != Stage::Stopped)
                .filter_map(|server| {
                    let user: UserName = mirror.users.by_id.get(&server.user)?.name.clone();
                    let id = ServerId::new(user, server.name.clone());
                    Some((id, Arc::clone(server)))
                })
                .collect()
        })
    }

    /// The row of a server, made if there is none; a display name is set if one is given.
    pub(crate) async fn ensure(
        self,
        user: UserId,
        name: ServerName,
        display_name: Option<String>,
    ) -> Result<Arc<Server>, StoreError> {
        let is_there = |mirror: &Mirror| {
            let row = mirror.servers.by_user.get(&user)?.get(&name)?;
            let server = mirror.servers.by_id.get(row)?;
            let same = display_name
                .as_ref()
                .is_none_or(|new| *new == server.display_name);
            same.then(|| Arc::clone(server))
        };
        if let Some(server) = self.0.read(is_there) {
            return Ok(server);
        }
        self.0
            .write(move |rows| {
                rows.all(CREATE, (user, name.as_str()), |_| Ok(()))?;
                let mut server = rows.the(GET, (user, name.as_str()), Server::from_row)?;
                if let Some(new) = display_name {
                    server = rows.the(SET_DISPLAY_NAME, (server.id, new), Server::from_row)?;
                }
                Ok(changed(rows, server))
            })
            .await
    }

    /// Records why the hub is about to end this run. A run that has ended by itself meanwhile is left
    /// as it is.
    pub(crate) async fn set_stop_reason(
        self,
        id: ServerRowId,
        reason: String,
    ) -> Result<(), StoreError> {
        self.0
            .write(move |rows| {
                if let Some(row) = rows.one(SET_STOP_REASON, (id, reason), Server::from_row)? {
                    changed(rows, row);
                }
                Ok(())
            })
            .await
    }

    /// Makes the row of a server that is not there yet, and does not start it.
    pub(crate) async fn make(
        self,
        user: UserId,
        name: ServerName,
        first: ServerChange,
    ) -> Result<Arc<Server>, StoreError> {
        self.0
            .write(move |rows| {
                if rows.any(GET, (user, name.as_str()))? {
                    return Err(StoreError::Conflict(
                        "there is a server of that name already",
                    ));
                }
                rows.all(CREATE, (user, name.as_str()), |_| Ok(()))?;
                let server = rows.the(GET, (user, name.as_str()), Server::from_row)?;
                let server = changed_by(rows, server, first)?;
                Ok(changed(rows, server))
            })
            .await
    }

    /// Makes all of a change to a stopped server in one commit, or nothing of it. Whatever may be
    /// done to it under an old name may be done under the new one.
    pub(crate) async fn change(
        self,
        id: ServerRowId,
        change: ServerChange,
    ) -> Result<Arc<Server>, StoreError> {
        self.0
            .write(move |rows| {
                let server = stopped(rows, id)?;
                let (user, old) = (owner(rows, &server)?, server.name.clone());
                let server = changed_by(rows, server, change)?;
                if server.name != old {
                    grants::follow_server(rows, &user.name, &old, &server.name)?;
                }
                Ok(changed(rows, server))
            })
            .await
    }

    /// Removes the row of a stopped server, with what tokens could do to it: a later server of
    /// that name is another one.
    pub(crate) async fn remove(self, id: ServerRowId) -> Result<(), StoreError> {
        self.0
            .write(move |rows| {
                let server = stopped(rows, id)?;
                tokens::delete_of_server(rows, id)?;
                clients::delete_of_server(rows, id)?;
                let user = owner(rows, &server)?;
                grants::forget_server(rows, &user.name, &server.name)?;
                if !rows.any(DELETE, [id])? {
                    return Err(StoreError::NotFound("server"));
                }
                rows.changed(Change::ServerGone(id));
                Ok(())
            })
            .await
    }
}

impl Stage {
    /// The word for it, as in the file.
    pub(crate) fn as_str(self) -> &'static str {
        super::rows::spelled(&self, STAGES)
    }
}

impl Server {
    /// Whether nobody knows from this row what is running.
    pub(crate) fn is_unreadable(&self) -> bool {
        let mut columns = self.damage.iter().map(|damage| damage.column);
        columns.any(|column| matches!(column, "state" | "launch_id"))
    }

    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let mut damage = Vec::new();
        let state: Option<SpawnerState> = json(row, "state", &mut damage)?;
        Ok(Self {
            id: row.get("id")?,
            user: row.get("user")?,
            name: name(row, "name")?,
            display_name: row.get("display_name")?,
            stage: word(row, "stage", STAGES)?,
            launch_id: launch_id(row, &mut damage)?,
            state: state.unwrap_or_default(),
            endpoint: json(row, "endpoint", &mut damage)?,
            started: maybe_time(row, "started")?,
            last_activity: maybe_time(row, "last_activity")?,
            user_options: json(row, "user_options", &mut damage)?,
            last_failure: json(row, "last_failure", &mut damage)?,
            stop_reason: row.get("stop_reason")?,
            damage,
        })
    }
}

impl Table {
    pub(super) fn put(&mut self, server: Arc<Server>) {
        let of_user = self.by_user.entry(server.user).or_default();
        if let Some(old) = self.by_id.get(&server.id)
            && old.name != server.name
        {
            of_user.remove(&old.name);
        }
        of_user.insert(server.name.clone(), server.id);
        self.by_id.insert(server.id, server);
    }

    pub(super) fn remove(&mut self, id: ServerRowId) {
        let Some(server) = self.by_id.remove(&id) else {
            return;
        };
        if let Some(of_user) = self.by_user.get_mut(&server.user) {
            of_user.remove(&server.name);
            if of_user.is_empty() {
                self.by_user.remove(&server.user);
            }
        }
    }

    pub(super) fn seen(&mut self, id: ServerRowId, at: Timestamp) {
        if let Some(server) = self.by_id.get_mut(&id) {
            Arc::make_mut(server).last_activity = Some(at);
        }
    }

    /// Every server of a user, by name.
    pub(super) fn of(&self, user: UserId) -> impl Iterator<Item = &Arc<Server>> {
        let ids = self.by_user.get(&user).into_iter().flatten();
        ids.filter_map(|(_, id)| self.by_id.get(id))
    }
}

/// The row of a stopped server, as part of a job.
fn stopped(rows: &Rows<'_>, id: ServerRowId) -> Result<Server, StoreError> {
    let server = rows.one(BY_ID, [id], Server::from_row)?;
    let server = server.ok_or(StoreError::NotFound("server"))?;
    match server.stage {
        Stage::Stopped => Ok(server),
        _ => Err(StoreError::Conflict("the server is not stopped")),
    }
}

fn owner(rows: &Rows<'_>, server: &Server) -> Result<User, StoreError> {
    rows.the(users::GET, [server.user], User::from_row)
}

fn changed_by(
    rows: &Rows<'_>,
    mut server: Server,
    change: ServerChange,
) -> Result<Server, StoreError> {
    let id = server.id;
    if let Some(name) = change.name {
        server = rows.the(RENAME, (id, name.as_str()), Server::from_row)?;
    }
    if let Some(new) = change.display_name {
        server = rows.the(SET_DISPLAY_NAME, (id, new), Server::from_row)?;
    }
    if let Some(options) = change.user_options {
        let options = to_json("the choice of options", &options)?;
        server = rows.the(SET_OPTIONS, (id, options), Server::from_row)?;
    }
    Ok(server)
}

/// Refuses unless all servers of a user are stopped, as part of a job.
pub(super) fn check_all_stopped(rows: &Rows<'_>, user: UserId) -> Result<(), StoreError> {
    if rows.any(USER_NOT_STOPPED, [user])? {
        return Err(StoreError::Conflict("a server of the user is not stopped"));
    }
    Ok(())
}

/// Reports a server's row, as part of a job.
pub(super) fn changed(rows: &mut Rows<'_>, server: Server) -> Arc<Server> {
    let server = Arc::new(server);
    rows.changed(Change::Server(Arc::clone(&server)));
    server
}

/// Deletes the servers of a user, all of them stopped, as part of a job.
pub(super) fn delete_of_user(rows: &mut Rows<'_>, user: UserId) -> Result<(), StoreError> {
    check_all_stopped(rows, user)?;
    for id in rows.all(DELETE_OF_USER, [user], |row| row.get("id"))? {
        rows.changed(Change::ServerGone(id));
    }
    Ok(())
}

/// A JSON column; what cannot be read becomes damage and not an error, so that one row never keeps
/// the hub from starting.
fn json<T: DeserializeOwned>(
    row: &Row<'_>,
    column: &'static str,
    damage: &mut Vec<Damage>,
) -> rusqlite::Result<Option<T>> {
    let Some(bytes) = raw(row, column)? else {
        return Ok(None);
    };
    let value = if bytes.len() > MAX_JSON {
        Err(format!("{} bytes are too many", bytes.len()))
    } else {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    };
    Ok(value
        .map_err(|reason| damage.push(Damage { column, reason }))
        .ok())
}

fn launch_id(row: &Row<'_>, damage: &mut Vec<Damage>) -> rusqlite::Result<Option<LaunchId>> {
    let column = "launch_id";
    let Some(bytes) = raw(row, column)? else {
        return Ok(None);
    };
    let id = str::from_utf8(bytes)
        .map_err(|error| error.to_string())
        .and_then(|text| LaunchId::new(text).map_err(|error| error.to_string()));
    Ok(id
        .map_err(|reason| damage.push(Damage { column, reason }))
        .ok())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, execute, launched, reload, store, user};
    use super::*;

    #[tokio::test]
    async fn a_row_is_made_once() {
        let store = store();
        let ann = user(&store, "ann").await;
        let servers = store.servers();
        let name: ServerName = "proj".parse().unwrap();
        let made = servers.ensure(ann.id, name.clone(), None).await.unwrap();
        assert_eq!(made.stage, Stage::Stopped);
        assert_eq!(made.display_name, "");
        let again = servers.ensure(ann.id, name.clone(), None).await.unwrap();
        assert_eq!(again, made);
        let label = Some("My project".to_owned());
        let named = servers.ensure(ann.id, name.clone(), label).await.unwrap();
        assert_eq!((named.id, &*named.display_name), (made.id, "My project"));
        let id = ServerId::new(ann.name.clone(), name);
        assert_eq!(servers.find(&id), Some(named.clone()));
        assert_eq!(servers.of(ann.id), [named]);
        assert_eq!(servers.not_stopped(), []);
    }

    #[tokio::test]
    async fn nobody_has_no_servers() {
        let store = store();
        let refused = store
            .servers()
            .ensure(UserId(9), ServerName::default(), None);
        assert!(matches!(refused.await, Err(StoreError::NotFound(_))));
    }

    #[tokio::test]
    async fn only_a_stopped_one_is_removed() {
        let store = store();
        user(&store, "ann").await;
        let server = launched(&store, "ann", "proj").await;
        let servers = store.servers();
        let refused = servers.remove(server.id).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))));
        let refused = store.users().delete(server.user).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))));
        servers.mark_stopped(server.id, None, at(5)).await.unwrap();
        servers.remove(server.id).await.unwrap();
        assert_eq!(servers.by_id(server.id), None);
        assert_eq!(servers.of(server.user), []);
        let refused = servers.remove(server.id).await;
        assert!(matches!(refused, Err(StoreError::NotFound("server"))));
    }

    #[tokio::test]
    async fn damage_marks_the_server_and_nothing_else() {
        let store = store();
        user(&store, "ann").await;
        let server = launched(&store, "ann", "").await;
        let long = format!("'\"{}\"'", "x".repeat(MAX_JSON));
        let cases = [
            ("state", "'{'"),
            ("state", "'[]'"),
            ("state", "'{\"version\":1}'"),
            ("state", "CAST(x'ff00' AS TEXT)"),
            ("state", &long),
            ("endpoint", "'{\"smoke\":1}'"),
            ("launch_id", "'../../etc'"),
            ("user_options", "'7'"),
            ("last_failure", "''"),
        ];
        for (column, garbage) in cases {
            execute(&store, &format!("UPDATE servers SET {column} = {garbage}")).await;
            let found = reload(&store).await.servers;
            let found = found.by_id.get(&server.id).unwrap();
            let columns: Vec<_> = found.damage.iter().map(|d| d.column).collect();
            assert_eq!(columns, [column], "{garbage}");
            assert_eq!(found.stage, Stage::Starting);
            let sound = format!(
                "UPDATE servers SET {column} = CASE '{column}' WHEN 'launch_id' THEN '{}' END",
                server.launch_id.as_ref().unwrap()
            );
            execute(&store, &sound).await;
        }
        assert!(
            reload(&store).await.servers.by_id[&server.id]
                .damage
                .is_empty()
        );
    }

    #[tokio::test]
    async fn extra_fields_of_a_state_are_kept() {
        let store = store();
        user(&store, "ann").await;
        let server = launched(&store, "ann", "").await;
        let state = r#"UPDATE servers SET state = '{"version":3,"data":{"pid":1,"new":true}}'"#;
        execute(&store, state).await;
        let found = reload(&store).await.servers;
        let state = &found.by_id[&server.id].state;
        assert_eq!((state.version, state.data.len()), (3, 2));
    }
}
