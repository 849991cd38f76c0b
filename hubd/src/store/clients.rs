//! The servers as OAuth clients: who may ask the hub to sign somebody in.
//!
//! A client comes and goes with the run of its server (see the launches); there is no other way to
//! make one.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Row;

use super::digest::Digest;
use super::error::StoreError;
use super::handle::Store;
use super::ids::{ServerRowId, UserId};
use super::mirror::Change;
use super::rows::{Rows, json, statements, to_json};

statements! {
    ALL = "SELECT * FROM oauth_clients";
    CREATE = "INSERT INTO oauth_clients (client_id, server, secret_hash, redirect_uri, allowed_scopes)
              VALUES (?1, ?2, ?3, ?4, ?5) RETURNING *";
    DELETE_OF_SERVER = "DELETE FROM oauth_clients WHERE server = ?1 RETURNING client_id";
    DELETE_OF_USER = "DELETE FROM oauth_clients
        WHERE server IN (SELECT id FROM servers WHERE user = ?1) RETURNING client_id";
}

/// A registered client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OauthClient {
    pub(crate) client_id: String,
    pub(crate) server: ServerRowId,
    pub(crate) secret: Digest,
    pub(crate) redirect_uri: String,
    /// What its tokens may hold at most.
    pub(crate) allowed_scopes: Vec<String>,
}

/// A client to be registered for a run. Its name must be no other server's, or the run is refused.
#[derive(Debug, Clone)]
pub(crate) struct NewClient {
    pub(crate) client_id: String,
    pub(crate) secret: Digest,
    pub(crate) redirect_uri: String,
    pub(crate) allowed_scopes: Vec<String>,
}

/// The clients of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clients<'s>(pub(super) &'s Store);

/// The mirror's part.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Table(HashMap<String, Arc<OauthClient>>);

impl Clients<'_> {
    /// The client of that name.
    pub(crate) fn find(self, client_id: &str) -> Option<Arc<OauthClient>> {
        self.0
            .read(|mirror| mirror.clients.0.get(client_id).cloned())
    }
}

impl OauthClient {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            client_id: row.get("client_id")?,
            server: row.get("server")?,
            secret: row.get("secret_hash")?,
            redirect_uri: row.get("redirect_uri")?,
            allowed_scopes: json(row, "allowed_scopes")?,
        })
    }
}

impl Table {
    pub(super) fn put(&mut self, client: Arc<OauthClient>) {
        self.0.insert(client.client_id.clone(), client);
    }

    pub(super) fn remove(&mut self, client_id: &str) {
        self.0.remove(client_id);
    }
}

/// Registers the client of a server, as part of a job.
pub(super) fn create(
    rows: &mut Rows<'_>,
    server: ServerRowId,
    client: &NewClient,
) -> Result<(), StoreError> {
    let scopes = to_json("the list of scopes", &client.allowed_scopes)?;
    let values = (
        &client.client_id,
        server,
        client.secret,
        &client.redirect_uri,
        scopes,
    );
    let client = rows.the(CREATE, values, OauthClient::from_row)?;
    rows.changed(Change::Client(Arc::new(client)));
    Ok(())
}

/// Deletes the client of a server, as part of a job. Its tokens go first (see the tokens).
pub(super) fn delete_of_server(rows: &mut Rows<'_>, server: ServerRowId) -> Result<(), StoreError> {
    for id in rows.all(DELETE_OF_SERVER, [server], |row| row.get("client_id"))? {
        rows.changed(Change::ClientGone(id));
    }
    Ok(())
}

/// Deletes the clients of all servers of a user, as part of a job.
pub(super) fn delete_of_user(rows: &mut Rows<'_>, user: UserId) -> Result<(), StoreError> {
    for id in rows.all(DELETE_OF_USER, [user], |row| row.get("client_id"))? {
        rows.changed(Change::ClientGone(id));
    }
    Ok(())
}
