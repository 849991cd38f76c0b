//! Sign-ups: people who ask for an account, until an admin has decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Row;
use spawner_core::{Secret, UserName};

use super::audit::Object;
use super::error::StoreError;
use super::handle::Store;
use super::mirror::Change;
use super::rows::{Rows, micros, name, statements, time};
use super::users::{self, User};

/// The most that wait at once; who comes then is not noted.
pub(crate) const WAITING_MAX: u32 = 1000;

statements! {
    ALL = "SELECT * FROM signups";
    CREATE = "INSERT INTO signups (name, password_hash, created) SELECT ?1, ?2, ?3
        WHERE (SELECT count(*) FROM signups) < ?4
            AND NOT EXISTS (SELECT 1 FROM users WHERE name = ?1 AND (blocked OR password_hash IS NOT NULL))
        ON CONFLICT (name) DO NOTHING RETURNING *";
    DELETE = "DELETE FROM signups WHERE name = ?1 RETURNING *";
}

/// Somebody who asks for an account.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Signup {
    pub(crate) name: UserName,
    /// Of the password that they have chosen.
    pub(crate) password_hash: Secret,
    pub(crate) created: Timestamp,
}

/// The sign-ups of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signups<'s>(pub(super) &'s Store);

/// The mirror's part.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Table(BTreeMap<UserName, Arc<Signup>>);

impl Signups<'_> {
    /// The one of that name.
    pub(crate) fn find(self, name: &UserName) -> Option<Arc<Signup>> {
        self.0.read(|mirror| mirror.signups.0.get(name).cloned())
    }

    /// All of them, by name.
    pub(crate) fn list(self) -> Vec<Arc<Signup>> {
        self.0
            .read(|mirror| mirror.signups.0.values().cloned().collect())
    }

    /// Notes one; says whether it was. It is not if somebody of that name asks already, has an account
    /// with a password or is blocked, and if too many wait.
    pub(crate) async fn create(
        self,
        name: UserName,
        hash: Secret,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.0
            .write(move |rows| {
                let values = (name.as_str(), hash.expose(), micros(now), WAITING_MAX);
                let made = rows.one(CREATE, values, Signup::from_row)?;
                let Some(made) = made else {
                    return Ok(false);
                };
                rows.made(Object::name(made.name.as_str()));
                rows.changed(Change::Signup(Arc::new(made)));
                Ok(true)
            })
            .await
    }

    /// Makes an account of one, and lets it in.
    pub(crate) async fn approve(
        self,
        name: UserName,
        now: Timestamp,
    ) -> Result<Arc<User>, StoreError> {
        self.0
            .write(move |rows| {
                let signup = take(rows, &name)?;
                users::admit(rows, &name, &signup.password_hash, now)
            })
            .await
    }

    /// Forgets one.
    pub(crate) async fn decline(self, name: UserName) -> Result<(), StoreError> {
        self.0.write(move |rows| take(rows, &name).map(drop)).await
    }
}

impl Signup {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: name(row, "name")?,
            password_hash: Secret::new(row.get::<_, String>("password_hash")?),
            created: time(row, "created")?,
        })
    }
}

impl Table {
    pub(super) fn put(&mut self, signup: Arc<Signup>) {
        self.0.insert(signup.name.clone(), signup);
    }

    pub(super) fn remove(&mut self, name: &UserName) {
        self.0.remove(name);
    }
}

fn take(rows: &mut Rows<'_>, name: &UserName) -> Result<Signup, StoreError> {
    let signup = rows.one(DELETE, [name.as_str()], Signup::from_row)?;
    let signup = signup.ok_or(StoreError::NotFound("sign-up"))?;
    rows.changed(Change::SignupGone(name.clone()));
    Ok(signup)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, store, user};
    use super::*;

    async fn ask(store: &Store, name: &str, hash: &str) -> bool {
        let (name, hash) = (name.parse().unwrap(), Secret::new(hash));
        store.signups().create(name, hash, at(1)).await.unwrap()
    }

    #[tokio::test]
    async fn the_first_who_asks_for_a_name_is_the_one() {
        let store = store();
        assert!(ask(&store, "ann", "first").await);
        assert!(!ask(&store, "ann", "second").await);
        let waiting = store.signups().list();
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].password_hash.expose(), "first");
        assert_eq!(store.users().count(), 0, "who asks is nobody yet");

        let name: UserName = "ann".parse().unwrap();
        let ann = store.signups().approve(name.clone(), at(2)).await.unwrap();
        assert!(ann.admitted && !ann.admin);
        assert_eq!(ann.password_hash, Some(Secret::new("first")));
        assert_eq!(store.users().by_name(&name), Some(ann));
        assert_eq!(store.signups().find(&name), None);
        assert!(!ask(&store, "ann", "third").await, "there is an account");
        let again = store.signups().approve(name, at(3)).await;
        assert!(matches!(again, Err(StoreError::NotFound(_))));
    }

    #[tokio::test]
    async fn an_account_without_a_password_gets_one_and_one_with_keeps_its_own() {
        let store = store();
        let ann = user(&store, "ann").await;
        assert!(ask(&store, "ann", "asked").await);
        let own = Some(Secret::new("own"));
        store
            .users()
            .change_password(ann.id, own.clone())
            .await
            .unwrap();
        let refused = store.signups().approve(ann.name.clone(), at(2)).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))));
        assert_eq!(store.users().by_id(ann.id).unwrap().password_hash, own);
        assert_eq!(store.signups().list().len(), 1, "nothing has happened");
        store.signups().decline(ann.name.clone()).await.unwrap();
        assert_eq!(store.signups().list(), []);
        let gone = store.signups().decline(ann.name.clone()).await;
        assert!(matches!(gone, Err(StoreError::NotFound(_))));

        let bob = user(&store, "bob").await;
        assert!(ask(&store, "bob", "asked").await);
        let approved = store
            .signups()
            .approve(bob.name.clone(), at(2))
            .await
            .unwrap();
        assert_eq!(approved.id, bob.id);
        store.users().set_blocked(bob.id, true).await.unwrap();
        assert!(!ask(&store, "bob", "again").await);
    }

    #[tokio::test]
    async fn only_so_many_wait() {
        let store = store();
        for number in 0..WAITING_MAX {
            assert!(ask(&store, &format!("u{number}"), "x").await);
        }
        assert!(!ask(&store, "one-more", "x").await);
        let first = "u0".parse().unwrap();
        store.signups().decline(first).await.unwrap();
        assert!(ask(&store, "one-more", "x").await);
    }
}
