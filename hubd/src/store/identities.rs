//! Identities: who a user is at an OpenID Connect provider.
//!
//! A user has none or one, and keeps it under whatever name; it goes with the user.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Row;
use spawner_core::UserName;

use super::audit::Object;
use super::error::StoreError;
use super::handle::Store;
use super::ids::UserId;
use super::mirror::Change;
use super::rows::{Rows, statements};
use super::users::{self, User};
use super::{sessions, tokens};

statements! {
    ALL = "SELECT * FROM identities";
    GET = "SELECT * FROM identities WHERE issuer = ?1 AND subject = ?2";
    CREATE = "INSERT INTO identities (issuer, subject, user) VALUES (?1, ?2, ?3)
        ON CONFLICT DO NOTHING RETURNING *";
    DELETE_OF_USER = "DELETE FROM identities WHERE user = ?1 RETURNING *";
}

/// A person at a provider. Both are compared to the letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub(crate) issuer: String,
    /// What the provider calls them for ever.
    pub(crate) subject: String,
}

/// Whose identity it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(super) identity: Identity,
    pub(super) user: UserId,
}

/// The identities of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identities<'s>(pub(super) &'s Store);

/// The mirror's part.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Table {
    by_identity: HashMap<Identity, UserId>,
    by_user: BTreeMap<UserId, Arc<Bound>>,
}

impl Identities<'_> {
    /// Whose account it is.
    pub(crate) fn user(self, identity: &Identity) -> Option<Arc<User>> {
        self.0.read(|mirror| {
            let id = mirror.identities.by_identity.get(identity)?;
            mirror.users.by_id.get(id).cloned()
        })
    }

    /// The account `name` of somebody who is `identity`, made if there is none, and theirs from now
    /// on. A conflict if it is somebody else's, or if they have another one.
    pub(crate) async fn bind(
        self,
        identity: Identity,
        name: UserName,
        now: Timestamp,
    ) -> Result<Arc<User>, StoreError> {
        self.0
            .write(move |rows| {
                let user = users::ensure(rows, &name, now)?;
                let values = (&identity.issuer, &identity.subject, user.id);
                if let Some(bound) = rows.one(CREATE, values, Bound::from_row)? {
                    rows.changed(Change::Identity(Arc::new(bound)));
                    rows.made(Object::user(&user));
                    return Ok(user);
                }
                let values = (&identity.issuer, &identity.subject);
                match rows.one(GET, values, Bound::from_row)? {
                    Some(bound) if bound.user == user.id => Ok(user),
                    _ => Err(StoreError::Conflict(
                        "the account belongs to somebody else at the provider",
                    )),
                }
            })
            .await
    }

    /// Takes the account from whoever has it: who logs in under its name next is the one. Their logins
    /// end in the same commit, and their tokens but for those of servers that run.
    pub(crate) async fn unbind(self, user: UserId) -> Result<(), StoreError> {
        self.0
            .write(move |rows| {
                if !delete_of_user(rows, user)? {
                    return Err(StoreError::NotFound("login provider"));
                }
                sessions::delete_of_user(rows, user)?;
                tokens::delete_but_servers(rows, user)?;
                Ok(())
            })
            .await
    }
}

impl Bound {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            identity: Identity {
                issuer: row.get("issuer")?,
                subject: row.get("subject")?,
            },
            user: row.get("user")?,
        })
    }
}

impl Table {
    pub(super) fn put(&mut self, bound: Arc<Bound>) {
        let identity = bound.identity.clone();
        self.by_identity.insert(identity, bound.user);
        self.by_user.insert(bound.user, bound);
    }

    /// That of a user.
    pub(super) fn remove(&mut self, user: UserId) {
        if let Some(bound) = self.by_user.remove(&user) {
            self.by_identity.remove(&bound.identity);
        }
    }
}

pub(super) fn delete_of_user(rows: &mut Rows<'_>, user: UserId) -> Result<bool, StoreError> {
    let is_gone = rows.any(DELETE_OF_USER, [user])?;
    if is_gone {
        rows.changed(Change::IdentityGone(user));
    }
    Ok(is_gone)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_mirror_equals_rows, at, session, store, user};
    use super::super::{Digest, StoreError, UserChange};
    use super::*;

    fn identity(subject: &str) -> Identity {
        Identity {
            issuer: "https://login.example.org".to_owned(),
            subject: subject.to_owned(),
        }
    }

    async fn bind(store: &Store, subject: &str, name: &str) -> Result<Arc<User>, StoreError> {
        let name = name.parse().unwrap();
        store
            .identities()
            .bind(identity(subject), name, at(1))
            .await
    }

    fn name_of(store: &Store, subject: &str) -> Option<String> {
        let user = store.identities().user(&identity(subject));
        user.map(|user| user.name.to_string())
    }

    #[tokio::test]
    async fn the_first_to_come_is_the_one() {
        let store = store();
        let old = user(&store, "ann").await;
        assert_eq!(bind(&store, "1", "ann").await.unwrap().id, old.id);
        assert_eq!(bind(&store, "1", "ann").await.unwrap().id, old.id);
        bind(&store, "2", "bob").await.unwrap();
        for (subject, name) in [("2", "ann"), ("3", "ann"), ("1", "bob"), ("1", "cleo")] {
            let refused = bind(&store, subject, name).await;
            assert!(matches!(refused, Err(StoreError::Conflict(_))), "{name}");
        }
        assert!(store.users().by_name(&"cleo".parse().unwrap()).is_none());
        let elsewhere = Identity {
            issuer: "https://other.example.org".to_owned(),
            ..identity("1")
        };
        assert_eq!(store.identities().user(&elsewhere), None);
        assert_mirror_equals_rows(&store).await;
    }

    #[tokio::test]
    async fn it_follows_a_new_name_and_goes_with_the_user() {
        let store = store();
        let ann = bind(&store, "1", "ann").await.unwrap();
        let change = UserChange {
            name: Some("anna".parse().unwrap()),
            ..UserChange::default()
        };
        store.users().change(ann.id, change).await.unwrap();
        assert_eq!(name_of(&store, "1").as_deref(), Some("anna"));
        // Somebody else may have the name that is free now.
        bind(&store, "2", "ann").await.unwrap();
        store.users().delete(ann.id).await.unwrap();
        assert_eq!(name_of(&store, "1"), None);
        bind(&store, "3", "anna").await.unwrap();
        assert_mirror_equals_rows(&store).await;
    }

    #[tokio::test]
    async fn an_account_can_be_taken_from_its_owner() {
        let store = store();
        let ann = bind(&store, "1", "ann").await.unwrap();
        let login = session(ann.id, "cookie", "s1", at(9));
        store.sessions().create(login, at(1)).await.unwrap();
        store.identities().unbind(ann.id).await.unwrap();
        let cookie = Digest::of("cookie");
        assert_eq!(store.sessions().find(&cookie, at(2)), None);
        let again = store.identities().unbind(ann.id).await;
        assert!(matches!(again, Err(StoreError::NotFound(_))), "{again:?}");
        assert_eq!(name_of(&store, "1"), None);
        assert_eq!(bind(&store, "2", "ann").await.unwrap().id, ann.id);
        assert_mirror_equals_rows(&store).await;
    }
}
