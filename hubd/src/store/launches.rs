//! The run of a server in the books: the commits between a request to start and the end.
//!
//! ```text
//! Stopped --begin_launch--> Starting --mark_running--> Running --mark_stopping--> Stopping
//!    ^                          |                                                    |
//!    +--------------------------+------------------mark_stopped----------------------+
//! ```
//!
//! Why a start failed can be in the books before its end is: `mark_failed`, in `Stopping`.
//!
//! Each is one transaction and comes before the act it records. What a run brings along (the
//! server's token, its OAuth client, all that the client was issued) begins and ends in the same
//! commit as the run, so no token outlives its server. Writes on behalf of a run name its launch id:
//! a late word from an earlier run changes nothing.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use spawner_core::{Endpoint, LaunchId, SpawnerState, UserOptions};

use super::activity::{Active, touch};
use super::clients::{self, NewClient};
use super::digest::Digest;
use super::error::StoreError;
use super::ids::ServerRowId;
use super::rows::{Rows, micros, statements, to_json};
use super::servers::{Server, Servers, changed};
use super::tokens::{self, NewToken, Owner, TokenKind};

statements! {
    EXISTS = "SELECT id FROM servers WHERE id = ?1";
    BEGIN_LAUNCH = "UPDATE servers SET stage = 'starting', launch_id = ?2, state = NULL, endpoint = NULL,
            started = ?3, last_activity = ?3, user_options = ?4, last_failure = NULL,
            stop_reason = NULL
        WHERE id = ?1 AND stage = 'stopped' RETURNING *";
    SAVE_STATE = "UPDATE servers SET state = ?3 WHERE id = ?1 AND launch_id = ?2 RETURNING *";
    MARK_RUNNING = "UPDATE servers SET stage = 'running', endpoint = ?3, state = ?4
        WHERE id = ?1 AND launch_id = ?2 AND stage IN ('starting', 'running') RETURNING *";
    MARK_STOPPING = "UPDATE servers SET stage = 'stopping' WHERE id = ?1 AND stage <> 'stopped' RETURNING *";
    MARK_FAILED = "UPDATE servers SET last_failure = ?3
        WHERE id = ?1 AND launch_id = ?2 AND stage = 'stopping' RETURNING *";
    MARK_STOPPED = "UPDATE servers SET stage = 'stopped', launch_id = NULL, state = NULL, endpoint = NULL,
            started = NULL, last_activity = ?2, last_failure = ?3
        WHERE id = ?1 RETURNING *";
}

/// What is committed before anything of a run exists.
#[derive(Debug, Clone)]
pub(crate) struct NewLaunch {
    /// Fresh, and used for nothing else.
    pub(crate) launch_id: LaunchId,
    /// Of the API token that the server will be given.
    pub(crate) token: Digest,
    pub(crate) token_scopes: Vec<String>,
    pub(crate) token_note: String,
    /// The server as an OAuth client.
    pub(crate) client: NewClient,
    pub(crate) options: UserOptions,
}

impl Servers<'_> {
    /// Records the intent to start a stopped server, with its new token and OAuth client.
    ///
    /// Refused when the server is not stopped: that row may be the only trace of a running one.
    pub(crate) async fn begin_launch(
        self,
        server: ServerRowId,
        launch: NewLaunch,
        now: Timestamp,
    ) -> Result<Arc<Server>, StoreError> {
        self.0
            .write(move |rows| {
                let options = to_json("the choice of options", &launch.options)?;
                let id = launch.launch_id.as_str();
                let values = (server, id, micros(now), options);
                let row = rows.one(BEGIN_LAUNCH, values, Server::from_row)?;
                let row = row.ok_or_else(|| denied(rows, server, "the server is not stopped"))?;
                // A stopped server has neither; should one have been left behind, it ends here.
                release(rows, server)?;
                clients::create(rows, server, &launch.client)?;
                let token = NewToken {
                    hash: launch.token,
                    kind: TokenKind::Server,
                    owner: Owner::User(row.user),
                    server: Some(server),
                    client_id: None,
                    scopes: launch.token_scopes,
                    note: launch.token_note,
                    expires_at: None,
                    session_id: None,
                };
                tokens::create(rows, &token, now)?;
                touch(rows, Active::User(row.user), now)?;
                Ok(changed(rows, row))
            })
            .await
    }

    /// Keeps what the spawner needs to find the server of this run again.
    pub(crate) async fn save_state(
        self,
        server: ServerRowId,
        launch: LaunchId,
        state: SpawnerState,
    ) -> Result<Arc<Server>, StoreError> {
        self.0
            .write(move |rows| {
                let state = to_json("the spawner's state", &state)?;
                let values = (server, launch.as_str(), state);
                let row = rows.one(SAVE_STATE, values, Server::from_row)?;
                let row = row.ok_or_else(|| denied(rows, server, "that run is over"))?;
                Ok(changed(rows, row))
            })
            .await
    }

    /// Records that the server of this run answers at `endpoint`. Also for one that was found
    /// running when the hub started; refused once a stop was decided.
    pub(crate) async fn mark_running(
        self,
        server: ServerRowId,
        launch: LaunchId,
        endpoint: Endpoint,
        state: SpawnerState,
    ) -> Result<Arc<Server>, StoreError> {
        self.0
            .write(move |rows| {
                let endpoint = to_json("the address", &endpoint)?;
                let state = to_json("the spawner's state", &state)?;
                let values = (server, launch.as_str(), endpoint, state);
                let row = rows.one(MARK_RUNNING, values, Server::from_row)?;
                let over = "that run is over or is being stopped";
                let row = row.ok_or_else(|| denied(rows, server, over))?;
                Ok(changed(rows, row))
            })
            .await
    }

    /// Records the intent to stop; from here on the stop is finished even by the next hub.
    pub(crate) async fn mark_stopping(
        self,
        server: ServerRowId,
    ) -> Result<Arc<Server>, StoreError> {
        self.0
            .write(move |rows| {
                let row = rows.one(MARK_STOPPING, [server], Server::from_row)?;
                let row = row.ok_or_else(|| denied(rows, server, "the server is stopped"))?;
                Ok(changed(rows, row))
            })
            .await
    }

    /// Records why a start has failed, before it is known that nothing of it is left.
    pub(crate) async fn mark_failed(
        self,
        server: ServerRowId,
        launch: LaunchId,
        failure: Value,
    ) -> Result<Arc<Server>, StoreError> {
        self.0
            .write(move |rows| {
                let failure = to_json("the report of the failure", &failure)?;
                let values = (server, launch.as_str(), failure);
                let row = rows.one(MARK_FAILED, values, Server::from_row)?;
                let over = "that run is over or is not being cleared";
                let row = row.ok_or_else(|| denied(rows, server, over))?;
                Ok(changed(rows, row))
            })
            .await
    }

    /// Records that nothing of the server is left, and why if it failed. Its token, its OAuth client
    /// and all that the client was issued end with it.
    pub(crate) async fn mark_stopped(
        self,
        server: ServerRowId,
        last_failure: Option<Value>,
        now: Timestamp,
    ) -> Result<Arc<Server>, StoreError> {
        self.0
            .write(move |rows| {
                let failure = last_failure
                    .map(|failure| to_json("the report of the failure", &failure))
                    .transpose()?;
                let values = (server, micros(now), failure);
                let row = rows.one(MARK_STOPPED, values, Server::from_row)?;
                let row = row.ok_or(StoreError::NotFound("server"))?;
                release(rows, server)?;
                touch(rows, Active::User(row.user), now)?;
                Ok(changed(rows, row))
            })
            .await
    }
}

/// Ends what belongs to one run. Tokens first: they point to the client.
fn release(rows: &mut Rows<'_>, server: ServerRowId) -> Result<(), StoreError> {
    tokens::delete_of_server(rows, server)?;
    clients::delete_of_server(rows, server)
}

/// Why no row was changed: it is not there, or not in the state that the change needs.
fn denied(rows: &Rows<'_>, server: ServerRowId, why: &'static str) -> StoreError {
    match rows.any(EXISTS, [server]) {
        Ok(true) => StoreError::Conflict(why),
        Ok(false) => StoreError::NotFound("server"),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{at, launch, launched, state, store, token, user};
    use super::*;
    use crate::store::{NewToken, Stage, Store};

    fn port(port: u16) -> Endpoint {
        let host = "127.0.0.1".to_owned();
        Endpoint::Tcp { host, port }
    }

    fn has_token(store: &Store, text: &str) -> bool {
        store.tokens().find(&Digest::of(text), at(100)).is_some()
    }

    #[tokio::test]
    async fn a_whole_run() {
        let store = store();
        let ann = user(&store, "ann").await;
        let servers = store.servers();
        let row = servers.ensure(ann.id, "".parse().unwrap(), None);
        let row = row.await.unwrap().id;

        let first = launch(row, "first");
        let id = first.launch_id.clone();
        let server = servers.begin_launch(row, first, at(5)).await.unwrap();
        assert_eq!(server.stage, Stage::Starting);
        assert_eq!(server.launch_id.as_ref(), Some(&id));
        assert_eq!(
            (server.started, server.last_activity),
            (Some(at(5)), Some(at(5)))
        );
        assert_eq!(
            server.user_options.as_ref().unwrap().get("n"),
            Some(&json!(1))
        );
        let ann = store.users().by_id(ann.id).unwrap();
        assert_eq!(ann.last_activity, Some(at(5)));
        let given = store.tokens().find(&Digest::of("first"), at(6)).unwrap();
        assert_eq!(given.kind, TokenKind::Server);
        assert_eq!(
            (given.server, &given.owner),
            (Some(row), &Owner::User(ann.id))
        );
        let client = format!("client-{}", row.0);
        assert!(
            store
                .clients()
                .find(&client)
                .unwrap()
                .secret
                .matches("first")
        );
        assert_eq!(servers.not_stopped().len(), 1);

        let saved = servers.save_state(row, id.clone(), state(7)).await.unwrap();
        assert_eq!(saved.state, state(7));
        let running = servers.mark_running(row, id.clone(), port(80), state(8));
        let running = running.await.unwrap();
        assert_eq!(running.stage, Stage::Running);
        assert_eq!(running.endpoint, Some(port(80)));
        assert_eq!(running.state, state(8));

        let visitor = NewToken {
            kind: TokenKind::Oauth,
            client_id: Some(client.clone()),
            ..token(Owner::User(ann.id), "visitor")
        };
        store.tokens().create(visitor, at(6)).await.unwrap();

        let stopping = servers.mark_stopping(row).await.unwrap();
        assert_eq!(stopping.stage, Stage::Stopping);
        assert_eq!(stopping.endpoint, Some(port(80)));
        let early = json!({"phase": "waiting"});
        let run = stopping.launch_id.clone().unwrap();
        let failed = servers.mark_failed(row, run, early.clone()).await.unwrap();
        assert_eq!(failed.stage, Stage::Stopping);
        assert_eq!(failed.last_failure, Some(early));
        let failure = Some(json!({"phase": "running", "exit": 1}));
        let stopped = servers
            .mark_stopped(row, failure.clone(), at(9))
            .await
            .unwrap();
        assert_eq!(stopped.stage, Stage::Stopped);
        assert_eq!(
            (&stopped.launch_id, &stopped.endpoint, stopped.started),
            (&None, &None, None)
        );
        assert!(stopped.state.is_empty());
        assert_eq!(
            (&stopped.last_failure, stopped.last_activity),
            (&failure, Some(at(9)))
        );
        assert!(!has_token(&store, "first"));
        assert!(!has_token(&store, "visitor"));
        assert!(store.clients().find(&client).is_none());
        assert_eq!(servers.by_id(row), Some(stopped));
        assert_eq!(servers.not_stopped(), []);

        let again = servers
            .begin_launch(row, launch(row, "second"), at(10))
            .await;
        assert_eq!(again.unwrap().last_failure, None);
        assert!(has_token(&store, "second"));
    }

    #[tokio::test]
    async fn a_run_begins_only_when_the_last_has_ended() {
        let store = store();
        user(&store, "ann").await;
        let row = launched(&store, "ann", "").await.id;
        let servers = store.servers();
        let refused = servers
            .begin_launch(row, launch(row, "second"), at(9))
            .await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))));
        assert!(!has_token(&store, "second"));
        let gone = ServerRowId(99);
        let refused = servers.begin_launch(gone, launch(gone, "x"), at(9)).await;
        assert!(matches!(refused, Err(StoreError::NotFound("server"))));
    }

    #[tokio::test]
    async fn an_earlier_run_has_no_say() {
        let store = store();
        user(&store, "ann").await;
        let first = launched(&store, "ann", "").await;
        let (row, old) = (first.id, first.launch_id.clone().unwrap());
        let servers = store.servers();
        servers.mark_stopped(row, None, at(6)).await.unwrap();
        let late = servers.save_state(row, old.clone(), state(1)).await;
        assert!(matches!(late, Err(StoreError::Conflict(_))));
        let next = servers.begin_launch(row, launch(row, "second"), at(7));
        let next = next.await.unwrap();
        let late = servers.save_state(row, old.clone(), state(1)).await;
        assert!(matches!(late, Err(StoreError::Conflict(_))));
        let late = servers.mark_running(row, old, port(1), state(1)).await;
        assert!(matches!(late, Err(StoreError::Conflict(_))));
        assert_eq!(servers.by_id(row), Some(next));
    }

    #[tokio::test]
    async fn a_decided_stop_is_not_undone() {
        let store = store();
        user(&store, "ann").await;
        let server = launched(&store, "ann", "").await;
        let (row, id) = (server.id, server.launch_id.clone().unwrap());
        let servers = store.servers();
        servers.mark_stopping(row).await.unwrap();
        let late = servers
            .mark_running(row, id.clone(), port(1), state(1))
            .await;
        assert!(matches!(late, Err(StoreError::Conflict(_))));
        // The stop itself still needs to find the server.
        servers.save_state(row, id.clone(), state(2)).await.unwrap();
        servers.mark_stopped(row, None, at(9)).await.unwrap();
        let late = servers.mark_failed(row, id, json!({})).await;
        assert!(matches!(late, Err(StoreError::Conflict(_))));
        let late = servers.mark_stopping(row).await;
        assert!(matches!(late, Err(StoreError::Conflict(_))));
    }

    #[tokio::test]
    async fn a_refused_run_changes_nothing() {
        let store = store();
        user(&store, "ann").await;
        user(&store, "bob").await;
        let taken = launched(&store, "ann", "").await;
        let bob = store.users().by_name(&"bob".parse().unwrap()).unwrap();
        let servers = store.servers();
        let row = servers.ensure(bob.id, "".parse().unwrap(), None);
        let before = row.await.unwrap();

        let same_client = launch(taken.id, "other");
        let refused = servers.begin_launch(before.id, same_client, at(9)).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))));
        let mut too_much = launch(before.id, "other");
        let long = json!("x".repeat(2_000_000));
        too_much.options.0.insert("long".to_owned(), long);
        let refused = servers.begin_launch(before.id, too_much, at(9)).await;
        assert!(matches!(refused, Err(StoreError::TooLarge { .. })));

        assert_eq!(servers.by_id(before.id), Some(before));
        assert!(!has_token(&store, "other"));
        assert!(has_token(&store, "token of ann/"));
    }
}
