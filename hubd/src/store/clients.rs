//! The servers and services as OAuth clients: who may ask the hub to sign somebody in.
//!
//! The client of a server comes and goes with its run (see the launches); that of a service is there
//! as long as the service is. There is no other way to make one.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Row;

use super::digest::Digest;
use super::error::StoreError;
use super::handle::Store;
use super::ids::{ServerRowId, UserId};
use super::mirror::Change;
use super::rows::{Rows, json, statements, to_json};
use super::tokens;

statements! {
    ALL = "SELECT * FROM oauth_clients";
    PUT_SERVICE = "INSERT INTO oauth_clients (client_id, service, secret_hash, redirect_uri, allowed_scopes)
              VALUES (?1, ?2, ?3, ?4, ?5)
              ON CONFLICT (client_id) DO UPDATE SET secret_hash = excluded.secret_hash,
                  redirect_uri = excluded.redirect_uri, allowed_scopes = excluded.allowed_scopes
              WHERE service = excluded.service RETURNING *";
    OF_SERVICES = "SELECT * FROM oauth_clients WHERE service IS NOT NULL";
    DELETE = "DELETE FROM oauth_clients WHERE client_id = ?1 RETURNING client_id";
    CREATE = "INSERT INTO oauth_clients (client_id, server, secret_hash, redirect_uri, allowed_scopes)
              VALUES (?1, ?2, ?3, ?4, ?5) RETURNING *";
    OF_SERVICE = "SELECT client_id FROM oauth_clients WHERE service = ?1";
    DELETE_OF_SERVER = "DELETE FROM oauth_clients WHERE server = ?1 RETURNING client_id";
    DELETE_OF_USER = "DELETE FROM oauth_clients
        WHERE server IN (SELECT id FROM servers WHERE user = ?1) RETURNING client_id";
}

/// A registered client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OauthClient {
    pub(crate) client_id: String,
    pub(crate) of: ClientOf,
    pub(crate) secret: Digest,
    pub(crate) redirect_uri: String,
    /// What its tokens may hold at most.
    pub(crate) allowed_scopes: Vec<String>,
}

/// What a client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClientOf {
    /// A server, during one run.
    Server(ServerRowId),
    /// A service, by its name.
    Service(String),
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

    /// Makes these the clients of services, by their names. Those that are there and not among them
    /// are deleted with all that they were issued.
    pub(crate) async fn set_of_services(
        self,
        clients: Vec<(String, NewClient)>,
    ) -> Result<(), StoreError> {
        self.0
            .write(move |rows| {
                for old in rows.all(OF_SERVICES, (), OauthClient::from_row)? {
                    let stays = clients.iter().any(|(service, client)| {
                        old.client_id == client.client_id
                            && old.of == ClientOf::Service(service.clone())
                    });
                    if !stays {
                        delete(rows, old.client_id)?;
                    }
                }
                clients
                    .iter()
                    .try_for_each(|(service, client)| put_of_service(rows, service, client))
            })
            .await
    }

    /// Changes the client of a service, which stays the same one: its secret, say.
    pub(crate) async fn put_of_service(
        self,
        service: &str,
        client: NewClient,
    ) -> Result<(), StoreError> {
        let service = service.to_owned();
        self.0
            .write(move |rows| put_of_service(rows, &service, &client))
            .await
    }
}

impl OauthClient {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let server: Option<ServerRowId> = row.get("server")?;
        Ok(Self {
            client_id: row.get("client_id")?,
            of: match server {
                Some(server) => ClientOf::Server(server),
                None => ClientOf::Service(row.get("service")?),
            },
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

/// Registers the client of a service, or changes it, as part of a job.
pub(super) fn put_of_service(
    rows: &mut Rows<'_>,
    service: &str,
    client: &NewClient,
) -> Result<(), StoreError> {
    let values = (
        &client.client_id,
        service,
        client.secret,
        &client.redirect_uri,
        to_json("the list of scopes", &client.allowed_scopes)?,
    );
    let client = rows.the(PUT_SERVICE, values, OauthClient::from_row)?;
    rows.changed(Change::Client(Arc::new(client)));
    Ok(())
}

/// Deletes the client of a service and all that it was issued, as part of a job.
pub(super) fn delete_of_service(rows: &mut Rows<'_>, service: &str) -> Result<(), StoreError> {
    for id in rows.all(OF_SERVICE, [service], |row| row.get("client_id"))? {
        delete(rows, id)?;
    }
    Ok(())
}

fn delete(rows: &mut Rows<'_>, client_id: String) -> Result<(), StoreError> {
    tokens::delete_of_client(rows, &client_id)?;
    rows.all(DELETE, [&client_id], |_| Ok(()))?;
    rows.changed(Change::ClientGone(client_id));
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

#[cfg(test)]
mod tests {
    use super::super::tests::{at, store, token, user};
    use super::super::{NewToken, Owner};
    use super::*;

    fn client(id: &str, secret: &str) -> NewClient {
        NewClient {
            client_id: id.to_owned(),
            secret: Digest::of(secret),
            redirect_uri: "/services/x/oauth_callback".to_owned(),
            allowed_scopes: Vec::new(),
        }
    }

    #[tokio::test]
    async fn the_clients_of_services_follow_the_configuration() {
        let store = store();
        let ann = user(&store, "ann").await.id;
        let (clients, tokens) = (store.clients(), store.tokens());
        let two = ["grader", "whoami"]
            .map(|name| (name.to_owned(), client(&format!("service-{name}"), "old")));
        clients.set_of_services(two.to_vec()).await.unwrap();
        for name in ["service-grader", "service-whoami"] {
            let new = NewToken {
                client_id: Some(name.to_owned()),
                ..token(Owner::User(ann), name)
            };
            tokens.create(new, at(1)).await.unwrap();
        }
        // A new secret is a new start of the same client.
        clients
            .put_of_service("grader", client("service-grader", "new"))
            .await
            .unwrap();
        let found = clients.find("service-grader").unwrap();
        assert_eq!(found.of, ClientOf::Service("grader".to_owned()));
        assert!(found.secret.matches("new"));
        let valid = |text: &str| tokens.find(&Digest::of(text), at(2)).is_some();
        assert!(valid("service-grader") && valid("service-whoami"));
        // Another service under the old one's id inherits nothing.
        let other = vec![("other".to_owned(), client("service-grader", "new"))];
        clients.set_of_services(other).await.unwrap();
        assert!(!valid("service-grader") && !valid("service-whoami"));
        assert_eq!(clients.find("service-whoami"), None);
        let found = clients.find("service-grader").unwrap();
        assert_eq!(found.of, ClientOf::Service("other".to_owned()));
    }
}
