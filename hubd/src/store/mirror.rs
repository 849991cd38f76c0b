//! The rows, in memory: what all reads are answered from.
//!
//! It is filled once at start and then follows the commits, change by change. Records are shared
//! behind `Arc`: a reader takes the record out and lets go of the lock, and a later change replaces
//! the record without touching the one that was handed out.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, Row};
use spawner_core::UserName;

use super::activity::Active;
use super::clients::{self, OauthClient};
use super::error::OpenError;
use super::groups::{self, Group};
use super::identities::{self, Bound};
use super::ids::{GroupId, ServerRowId, SessionRowId, TokenId, UserId};
use super::rows::Statement;
use super::servers::{self, Server};
use super::services::{self, Service};
use super::sessions::{self, Session};
use super::signups::{self, Signup};
use super::tokens::{self, Token};
use super::users::{self, User};
use super::visits::{self, ServerVisit};

/// One row that a job changed, as it is after the job.
#[derive(Debug)]
pub(super) enum Change {
    User(Arc<User>),
    UserGone(UserId),
    Group(Arc<Group>),
    GroupGone(GroupId),
    Server(Arc<Server>),
    ServerGone(ServerRowId),
    Client(Arc<OauthClient>),
    ClientGone(String),
    Service(Arc<Service>),
    ServiceGone(String),
    Token(Arc<Token>),
    TokenGone(TokenId),
    Session(Arc<Session>),
    SessionGone(SessionRowId),
    Signup(Arc<Signup>),
    SignupGone(UserName),
    Identity(Arc<Bound>),
    /// Of a user; they have one at most.
    IdentityGone(UserId),
    Visit(Arc<ServerVisit>),
    /// Only its `last_activity`; by far the most frequent change.
    Seen(Active, Timestamp),
}

/// All tables but `meta`, whose two values never change.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Mirror {
    pub(super) users: users::Table,
    pub(super) groups: groups::Table,
    pub(super) servers: servers::Table,
    pub(super) clients: clients::Table,
    pub(super) services: services::Table,
    pub(super) tokens: tokens::Table,
    pub(super) sessions: sessions::Table,
    pub(super) signups: signups::Table,
    pub(super) identities: identities::Table,
    pub(super) visits: visits::Table,
}

impl Mirror {
    /// Reads every row; `path` is for the message about one that cannot be understood.
    pub(super) fn load(conn: &Connection, path: &Path) -> Result<Self, OpenError> {
        let mut mirror = Self::default();
        each(conn, path, "users", users::ALL, |row| {
            mirror.users.put(Arc::new(User::from_row(row)?));
            Ok(())
        })?;
        each(conn, path, "user_groups", groups::ALL, |row| {
            mirror.groups.put(Arc::new(Group::from_row(row)?));
            Ok(())
        })?;
        each(conn, path, "servers", servers::ALL, |row| {
            mirror.servers.put(Arc::new(Server::from_row(row)?));
            Ok(())
        })?;
        each(conn, path, "oauth_clients", clients::ALL, |row| {
            mirror.clients.put(Arc::new(OauthClient::from_row(row)?));
            Ok(())
        })?;
        each(conn, path, "services", services::ALL, |row| {
            mirror.services.put(Arc::new(Service::from_row(row)?));
            Ok(())
        })?;
        each(conn, path, "tokens", tokens::ALL, |row| {
            mirror.tokens.put(Arc::new(Token::from_row(row)?));
            Ok(())
        })?;
        each(conn, path, "sessions", sessions::ALL, |row| {
            mirror.sessions.put(Arc::new(Session::from_row(row)?));
            Ok(())
        })?;
        each(conn, path, "signups", signups::ALL, |row| {
            mirror.signups.put(Arc::new(Signup::from_row(row)?));
            Ok(())
        })?;
        each(conn, path, "identities", identities::ALL, |row| {
            mirror.identities.put(Arc::new(Bound::from_row(row)?));
            Ok(())
        })?;
        each(conn, path, "visits", visits::ALL, |row| {
            mirror.visits.put(Arc::new(ServerVisit::from_row(row)?));
            Ok(())
        })?;
        Ok(mirror)
    }

    /// Takes over one committed change.
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::User(user) => self.users.put(user),
            Change::UserGone(id) => self.users.remove(id),
            Change::Group(group) => self.groups.put(group),
            Change::GroupGone(id) => self.groups.remove(id),
            Change::Server(server) => self.servers.put(server),
            Change::ServerGone(id) => {
                self.servers.remove(id);
                self.visits.remove(id);
            }
            Change::Client(client) => self.clients.put(client),
            Change::ClientGone(id) => self.clients.remove(&id),
            Change::Service(service) => self.services.put(service),
            Change::ServiceGone(name) => self.services.remove(&name),
            Change::Token(token) => self.tokens.put(token),
            Change::TokenGone(id) => self.tokens.remove(id),
            Change::Session(session) => self.sessions.put(session),
            Change::SessionGone(id) => self.sessions.remove(id),
            Change::Signup(signup) => self.signups.put(signup),
            Change::SignupGone(name) => self.signups.remove(&name),
            Change::Identity(bound) => self.identities.put(bound),
            Change::IdentityGone(user) => self.identities.remove(user),
            Change::Visit(visit) => self.visits.put(visit),
            Change::Seen(Active::User(id), at) => self.users.seen(id, at),
            Change::Seen(Active::Server(id), at) => self.servers.seen(id, at),
            Change::Seen(Active::Token(id), at) => self.tokens.seen(id, at),
        }
    }
}

fn each(
    conn: &Connection,
    path: &Path,
    table: &'static str,
    sql: Statement,
    mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> Result<(), OpenError> {
    let mut read = || {
        let mut statement = conn.prepare_cached(sql.0)?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            take(row)?;
        }
        Ok(())
    };
    read().map_err(|source: rusqlite::Error| {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(_) => OpenError::from_sqlite(path, source),
            None => OpenError::Row {
                path,
                table,
                source,
            },
        }
    })
}
