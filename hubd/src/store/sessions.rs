//! Logins: which browser belongs to whom.
//!
//! The cookie holds the secret whose digest finds the row. The session id beside it is no secret: it
//! ties together what was granted in that browser, so that a logout can end all of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Params, Row};
use spawner_core::Secret;

use super::digest::Digest;
use super::error::StoreError;
use super::handle::Store;
use super::ids::{SessionRowId, UserId};
use super::mirror::Change;
use super::rows::{Rows, Statement, micros, statements, time};
use super::tokens;

statements! {
    ALL = "SELECT * FROM sessions";
    CREATE = "INSERT INTO sessions (hash, user, session_id, created, expires_at)
        SELECT ?1, id, ?3, ?4, ?5 FROM users WHERE id = ?2 AND password_hash IS ?6 AND NOT blocked RETURNING *";
    LOG_OUT = "DELETE FROM sessions WHERE user = ?1 AND session_id = ?2 RETURNING id";
    DELETE_OF_USER = "DELETE FROM sessions WHERE user = ?1 RETURNING id";
    PURGE = "DELETE FROM sessions WHERE expires_at <= ?1 RETURNING id";
}

/// One login of one browser.
#[derive(Debug, Clone, PartialEq)]
#[allow(
    clippy::struct_field_names,
    reason = "`session_id` is its name in the API and in cookies"
)]
pub(crate) struct Session {
    pub(crate) id: SessionRowId,
    /// Of the cookie's value.
    pub(crate) hash: Digest,
    pub(crate) user: UserId,
    /// The public name of the browser session, in hex.
    pub(crate) session_id: String,
    pub(crate) created: Timestamp,
    /// From this instant on the browser is logged out.
    pub(crate) expires_at: Timestamp,
}

/// A login to be stored.
#[derive(Debug, Clone)]
pub(crate) struct NewSession {
    pub(crate) hash: Digest,
    pub(crate) user: UserId,
    /// The user's password when they were let in, if they had one.
    pub(crate) password_hash: Option<Secret>,
    pub(crate) session_id: String,
    pub(crate) expires_at: Timestamp,
}

/// The logins of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sessions<'s>(pub(super) &'s Store);

/// The mirror's part.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Table {
    by_id: BTreeMap<SessionRowId, Arc<Session>>,
    by_hash: HashMap<Digest, SessionRowId>,
}

impl Sessions<'_> {
    /// The session of a cookie, unless it has expired.
    pub(crate) fn find(self, hash: &Digest, now: Timestamp) -> Option<Arc<Session>> {
        self.0.read(|mirror| {
            let id = mirror.sessions.by_hash.get(hash)?;
            let session = mirror.sessions.by_id.get(id)?;
            (now < session.expires_at).then(|| Arc::clone(session))
        })
    }

    /// Stores a login.
    ///
    /// Refused when the user's password is another one by now, or the user is gone or blocked: to
    /// check a password takes a while, and a change of it ends every login with the old one.
    pub(crate) async fn create(
        self,
        session: NewSession,
        now: Timestamp,
    ) -> Result<Arc<Session>, StoreError> {
        self.0
            .write(move |rows| {
                let values = (
                    session.hash,
                    session.user,
                    &session.session_id,
                    micros(now),
                    micros(session.expires_at),
                    session.password_hash.as_ref().map(Secret::expose),
                );
                let session = rows.one(CREATE, values, Session::from_row)?;
                let changed = StoreError::Conflict("the account was changed meanwhile");
                let session = Arc::new(session.ok_or(changed)?);
                rows.changed(Change::Session(Arc::clone(&session)));
                Ok(session)
            })
            .await
    }

    /// Logs a browser out: its login, and every token granted in it, in one commit.
    pub(crate) async fn log_out(self, user: UserId, session_id: &str) -> Result<(), StoreError> {
        let session_id = session_id.to_owned();
        self.0
            .write(move |rows| {
                delete(rows, LOG_OUT, (user, &session_id))?;
                tokens::delete_of_session(rows, user, &session_id)?;
                Ok(())
            })
            .await
    }

    /// Deletes the rows of expired logins; says how many.
    pub(crate) async fn purge_expired(self, now: Timestamp) -> Result<usize, StoreError> {
        self.0
            .write(move |rows| delete(rows, PURGE, [micros(now)]))
            .await
    }
}

impl Session {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            hash: row.get("hash")?,
            user: row.get("user")?,
            session_id: row.get("session_id")?,
            created: time(row, "created")?,
            expires_at: time(row, "expires_at")?,
        })
    }
}

impl Table {
    pub(super) fn put(&mut self, session: Arc<Session>) {
        self.by_hash.insert(session.hash, session.id);
        self.by_id.insert(session.id, session);
    }

    pub(super) fn remove(&mut self, id: SessionRowId) {
        if let Some(session) = self.by_id.remove(&id) {
            self.by_hash.remove(&session.hash);
        }
    }
}

/// Deletes every login of a user, as part of a job.
pub(super) fn delete_of_user(rows: &mut Rows<'_>, user: UserId) -> Result<usize, StoreError> {
    delete(rows, DELETE_OF_USER, [user])
}

fn delete(rows: &mut Rows<'_>, sql: Statement, params: impl Params) -> Result<usize, StoreError> {
    let gone = rows.all(sql, params, |row| row.get("id"))?;
    let count = gone.len();
    for id in gone {
        rows.changed(Change::SessionGone(id));
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, session, store, token, user};
    use super::*;
    use crate::store::{NewToken, Owner};

    #[tokio::test]
    async fn found_by_cookie_until_it_expires() {
        let store = store();
        let ann = user(&store, "ann").await;
        let sessions = store.sessions();
        let new = session(ann.id, "cookie", "s1", at(10));
        let made = sessions.create(new, at(1)).await.unwrap();
        let hash = Digest::of("cookie");
        assert_eq!(sessions.find(&hash, at(9)), Some(made));
        assert_eq!(sessions.find(&hash, at(10)), None);
        assert_eq!(sessions.purge_expired(at(9)).await.unwrap(), 0);
        assert_eq!(sessions.purge_expired(at(10)).await.unwrap(), 1);
        assert_eq!(sessions.find(&hash, at(9)), None);
    }

    #[tokio::test]
    async fn a_login_with_the_old_password_comes_too_late() {
        let store = store();
        let ann = user(&store, "ann").await;
        let (old, new) = (Some(Secret::new("old")), Some(Secret::new("new")));
        let (users, sessions) = (store.users(), store.sessions());
        users.change_password(ann.id, old.clone()).await.unwrap();
        let login = |cookie, password: &Option<Secret>| NewSession {
            password_hash: password.clone(),
            ..session(ann.id, cookie, cookie, at(10))
        };
        sessions.create(login("c1", &old), at(1)).await.unwrap();
        users.change_password(ann.id, new.clone()).await.unwrap();
        for (cookie, password) in [("c2", &old), ("c3", &None)] {
            let late = sessions.create(login(cookie, password), at(2)).await;
            assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
        }
        assert!(sessions.create(login("c4", &new), at(2)).await.is_ok());
        for (cookie, is_there) in [("c1", false), ("c2", false), ("c3", false), ("c4", true)] {
            let found = sessions.find(&Digest::of(cookie), at(3));
            assert_eq!(found.is_some(), is_there, "{cookie}");
        }
        store.users().delete(ann.id).await.unwrap();
        let late = sessions.create(login("c5", &new), at(4)).await;
        assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
    }

    #[tokio::test]
    async fn a_logout_ends_the_login_and_what_was_granted_in_it() {
        let store = store();
        let ann = user(&store, "ann").await.id;
        let sessions = store.sessions();
        for (cookie, id) in [("c1", "s1"), ("c2", "s2")] {
            let new = session(ann, cookie, id, at(10));
            sessions.create(new, at(1)).await.unwrap();
            let new = NewToken {
                session_id: Some(id.to_owned()),
                ..token(Owner::User(ann), id)
            };
            store.tokens().create(new, at(1)).await.unwrap();
        }
        sessions.log_out(ann, "s1").await.unwrap();
        assert_eq!(sessions.find(&Digest::of("c1"), at(2)), None);
        assert!(sessions.find(&Digest::of("c2"), at(2)).is_some());
        assert_eq!(store.tokens().find(&Digest::of("s1"), at(2)), None);
        assert!(store.tokens().find(&Digest::of("s2"), at(2)).is_some());
    }

    #[tokio::test]
    async fn all_of_a_user_end_together() {
        let store = store();
        let ann = user(&store, "ann").await.id;
        let sessions = store.sessions();
        let bob = user(&store, "bob").await.id;
        for (user, cookie) in [(ann, "c1"), (ann, "c2"), (bob, "c3")] {
            let new = session(user, cookie, "s", at(10));
            sessions.create(new, at(1)).await.unwrap();
        }
        store.users().change_password(ann, None).await.unwrap();
        assert_eq!(sessions.find(&Digest::of("c1"), at(2)), None);
        assert_eq!(sessions.find(&Digest::of("c2"), at(2)), None);
        assert!(sessions.find(&Digest::of("c3"), at(2)).is_some());
    }
}
