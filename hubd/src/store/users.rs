//! Users: who may have servers.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use spawner_core::{Secret, UserName};

use super::activity::Active;
use super::audit::Object;
use super::error::StoreError;
use super::handle::Store;
use super::ids::UserId;
use super::mirror::Change;
use super::rows::{Rows, maybe_json, maybe_time, micros, name, statements, time, to_json};
use super::{clients, grants, groups, identities, servers, sessions, tokens};

statements! {
    ALL = "SELECT * FROM users";
    CREATE = "INSERT INTO users (name, admin, created) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO NOTHING RETURNING *";
    GET = "SELECT * FROM users WHERE id = ?1";
    BY_NAME = "SELECT * FROM users WHERE name = ?1";
    RENAME = "UPDATE users SET name = ?2 WHERE id = ?1 RETURNING *";
    SET_AUTH_STATE = "UPDATE users SET auth_state = ?2 WHERE id = ?1 RETURNING *";
    SET_ADMIN = "UPDATE users SET admin = ?2 WHERE id = ?1 RETURNING *";
    SET_BLOCKED = "UPDATE users SET blocked = ?2 WHERE id = ?1 RETURNING *";
    ADMIT = "UPDATE users SET password_hash = ?2, admitted = 1
        WHERE name = ?1 AND password_hash IS NULL AND NOT blocked RETURNING *";
    SET_PASSWORD_HASH = "UPDATE users SET password_hash = ?2 WHERE id = ?1 RETURNING *";
    DELETE = "DELETE FROM users WHERE id = ?1 RETURNING id";
}

/// A user.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) name: UserName,
    pub(crate) admin: bool,
    pub(crate) created: Timestamp,
    pub(crate) last_activity: Option<Timestamp>,
    /// As the password authenticator wrote it (argon2id, PHC text); others leave it empty.
    pub(crate) password_hash: Option<Secret>,
    /// What the authenticator keeps about them.
    pub(crate) auth_state: Option<AuthState>,
    /// Whether an admin has let them in, whom the configuration need not name then.
    pub(crate) admitted: bool,
    /// Whether an admin has shut them out, whatever the configuration says.
    pub(crate) blocked: bool,
}

/// What an authenticator keeps about a user. It may hold secrets of other systems, so its `Debug`
/// says nothing.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct AuthState(pub(crate) Map<String, Value>);

/// What is to be different about a user; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct UserChange {
    pub(crate) name: Option<UserName>,
    pub(crate) admin: Option<bool>,
    pub(crate) auth_state: NewAuthState,
}

/// What becomes of what the authenticator keeps.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum NewAuthState {
    #[default]
    Same,
    Forgotten,
    Other(AuthState),
}

/// The users of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Users<'s>(pub(super) &'s Store);

/// The mirror's part.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Table {
    pub(super) by_id: BTreeMap<UserId, Arc<User>>,
    by_name: HashMap<UserName, UserId>,
}

impl Users<'_> {
    /// The user of that number.
    pub(crate) fn by_id(self, id: UserId) -> Option<Arc<User>> {
        self.0.read(|mirror| mirror.users.by_id.get(&id).cloned())
    }

    /// The user of that name.
    pub(crate) fn by_name(self, name: &UserName) -> Option<Arc<User>> {
        self.0.read(|mirror| mirror.users.by_name(name).cloned())
    }

    /// How many there are.
    pub(crate) fn count(self) -> usize {
        self.0.read(|mirror| mirror.users.by_id.len())
    }

    /// How many were active at `since` or later.
    pub(crate) fn active_since(self, since: Timestamp) -> usize {
        self.0.read(|mirror| {
            let users = mirror.users.by_id.values();
            users
                .filter(|user| user.last_activity.is_some_and(|at| at >= since))
                .count()
        })
    }

    /// Creates those that do not exist and returns them; the others stay as they are.
    pub(crate) async fn create(
        self,
        names: Vec<UserName>,
        admin: bool,
        now: Timestamp,
    ) -> Result<Vec<Arc<User>>, StoreError> {
        self.0
            .write(move |rows| {
                let mut new = Vec::new();
                for name in names {
                    let values = (name.as_str(), admin, micros(now));
                    if let Some(user) = rows.one(CREATE, values, User::from_row)? {
                        rows.made(Object::user(&user));
                        new.push(changed(rows, user));
                    }
                }
                Ok(new)
            })
            .await
    }

    /// Makes somebody an admin, or no longer one.
    pub(crate) async fn set_admin(self, id: UserId, admin: bool) -> Result<Arc<User>, StoreError> {
        self.0
            .write(move |rows| {
                let user = rows.one(SET_ADMIN, (id, admin), User::from_row)?;
                Ok(changed(rows, user.ok_or(StoreError::NotFound("user"))?))
            })
            .await
    }

    /// Makes all of a change in one commit, or nothing of it.
    ///
    /// A new name is refused while one of the servers is not stopped: what runs was told the old
    /// one. Whatever may be done to the user under the old name may be done under the new one.
    pub(crate) async fn change(
        self,
        id: UserId,
        change: UserChange,
    ) -> Result<Arc<User>, StoreError> {
        self.0
            .write(move |rows| {
                let user = rows.one(GET, [id], User::from_row)?;
                let mut user = user.ok_or(StoreError::NotFound("user"))?;
                if let Some(name) = change.name.filter(|name| *name != user.name) {
                    servers::check_all_stopped(rows, id)?;
                    let old = user.name;
                    user = rows.the(RENAME, (id, name.as_str()), User::from_row)?;
                    grants::follow_user(rows, &old, &user.name)?;
                }
                if let Some(admin) = change.admin {
                    user = rows.the(SET_ADMIN, (id, admin), User::from_row)?;
                }
                let state = match change.auth_state {
                    NewAuthState::Same => return Ok(changed(rows, user)),
                    NewAuthState::Forgotten => None,
                    NewAuthState::Other(state) => Some(to_json("auth_state", &state)?),
                };
                let user = rows.the(SET_AUTH_STATE, (id, state), User::from_row)?;
                Ok(changed(rows, user))
            })
            .await
    }

    /// Shuts somebody out, or in again. Who is shut out loses every login and every token in the same
    /// commit, but for those of servers that run: these end with their server.
    pub(crate) async fn set_blocked(
        self,
        id: UserId,
        blocked: bool,
    ) -> Result<Arc<User>, StoreError> {
        self.0
            .write(move |rows| {
                let user = rows.one(SET_BLOCKED, (id, blocked), User::from_row)?;
                let user = user.ok_or(StoreError::NotFound("user"))?;
                if blocked {
                    sessions::delete_of_user(rows, id)?;
                    tokens::delete_but_servers(rows, id)?;
                }
                Ok(changed(rows, user))
            })
            .await
    }

    /// Sets or clears the password. Every login with the old one ends in the same commit, and every
    /// token that the user made or granted; the servers that run keep theirs.
    pub(crate) async fn change_password(
        self,
        id: UserId,
        hash: Option<Secret>,
    ) -> Result<Arc<User>, StoreError> {
        self.0
            .write(move |rows| {
                let hash = hash.as_ref().map(Secret::expose);
                let user = rows.one(SET_PASSWORD_HASH, (id, hash), User::from_row)?;
                let user = user.ok_or(StoreError::NotFound("user"))?;
                sessions::delete_of_user(rows, id)?;
                tokens::delete_but_servers(rows, id)?;
                Ok(changed(rows, user))
            })
            .await
    }

    /// Notes that the user was active.
    pub(crate) async fn touch(self, id: UserId, at: Timestamp) -> Result<(), StoreError> {
        self.0.touch_many(vec![(Active::User(id), at)]).await
    }

    /// Deletes a user with all that is theirs: servers, tokens, logins, places in groups. What
    /// tokens of others could do to them ends too, so a later user of that name owes it to nobody.
    ///
    /// Refused while one of the servers is not stopped: with its row would go the only trace of a
    /// running process.
    pub(crate) async fn delete(self, id: UserId) -> Result<(), StoreError> {
        self.0
            .write(move |rows| {
                let user = rows.one(GET, [id], User::from_row)?;
                let user = user.ok_or(StoreError::NotFound("user"))?;
                tokens::delete_of_user(rows, id)?;
                sessions::delete_of_user(rows, id)?;
                clients::delete_of_user(rows, id)?;
                servers::delete_of_user(rows, id)?;
                groups::leave_all(rows, id)?;
                identities::delete_of_user(rows, id)?;
                grants::forget_user(rows, &user.name)?;
                if !rows.any(DELETE, [id])? {
                    return Err(StoreError::NotFound("user"));
                }
                rows.changed(Change::UserGone(id));
                Ok(())
            })
            .await
    }
}

impl User {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            name: name(row, "name")?,
            admin: row.get("admin")?,
            created: time(row, "created")?,
            last_activity: maybe_time(row, "last_activity")?,
            password_hash: row
                .get::<_, Option<String>>("password_hash")?
                .map(Secret::new),
            auth_state: maybe_json(row, "auth_state")?,
            admitted: row.get("admitted")?,
            blocked: row.get("blocked")?,
        })
    }
}

impl fmt::Debug for AuthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthState(***)")
    }
}

impl Table {
    pub(super) fn put(&mut self, user: Arc<User>) {
        if let Some(old) = self.by_id.get(&user.id)
            && old.name != user.name
        {
            self.by_name.remove(&old.name);
        }
        self.by_name.insert(user.name.clone(), user.id);
        self.by_id.insert(user.id, user);
    }

    pub(super) fn remove(&mut self, id: UserId) {
        if let Some(user) = self.by_id.remove(&id) {
            self.by_name.remove(&user.name);
        }
    }

    pub(super) fn seen(&mut self, id: UserId, at: Timestamp) {
        if let Some(user) = self.by_id.get_mut(&id) {
            Arc::make_mut(user).last_activity = Some(at);
        }
    }

    pub(super) fn by_name(&self, name: &UserName) -> Option<&Arc<User>> {
        self.by_id.get(self.by_name.get(name)?)
    }
}

/// Lets somebody in with a password of their own, as part of a job. Who has one keeps it.
pub(super) fn admit(
    rows: &mut Rows<'_>,
    name: &UserName,
    hash: &Secret,
    now: Timestamp,
) -> Result<Arc<User>, StoreError> {
    ensure(rows, name, now)?;
    let user = rows.one(ADMIT, (name.as_str(), hash.expose()), User::from_row)?;
    let taken = StoreError::Conflict("the name has an account with a password, or is blocked");
    let user = user.ok_or(taken)?;
    // Nothing of the time before the password opens the account.
    sessions::delete_of_user(rows, user.id)?;
    tokens::delete_but_servers(rows, user.id)?;
    rows.made(Object::user(&user));
    Ok(changed(rows, user))
}

/// The user of that name, made if there is none, as part of a job.
pub(super) fn ensure(
    rows: &mut Rows<'_>,
    name: &UserName,
    now: Timestamp,
) -> Result<Arc<User>, StoreError> {
    let values = (name.as_str(), false, micros(now));
    if let Some(user) = rows.one(CREATE, values, User::from_row)? {
        return Ok(changed(rows, user));
    }
    let user = rows.the(BY_NAME, [name.as_str()], User::from_row)?;
    Ok(Arc::new(user))
}

fn changed(rows: &mut Rows<'_>, user: User) -> Arc<User> {
    let user = Arc::new(user);
    rows.changed(Change::User(Arc::clone(&user)));
    user
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, store, user};
    use super::*;

    fn names(names: &[&str]) -> Vec<UserName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn creating_returns_the_new_ones() {
        let store = store();
        let users = store.users();
        let first = users.create(names(&["ann", "bob"]), false, at(1)).await;
        assert_eq!(first.unwrap().len(), 2);
        let second = users
            .create(names(&["bob", "cyd", "cyd"]), true, at(2))
            .await;
        let second = second.unwrap();
        assert_eq!(second.len(), 1);
        assert_eq!(second[0].name.as_str(), "cyd");
        assert!(second[0].admin);
        assert_eq!(second[0].created, at(2));
        let bob = users.by_name(&names(&["bob"])[0]).unwrap();
        assert!(!bob.admin, "one that exists stays as it is");
        assert_eq!(users.by_id(bob.id), Some(bob));
        assert_eq!(users.count(), 3);
    }

    #[tokio::test]
    async fn fields_are_set() {
        let store = store();
        let ann = user(&store, "ann").await;
        store.users().set_admin(ann.id, true).await.unwrap();
        let hash = Some(Secret::new("$argon2id$..."));
        let set = store.users().change_password(ann.id, hash.clone());
        set.await.unwrap();
        let ann = store.users().by_id(ann.id).unwrap();
        assert!(ann.admin);
        assert_eq!(ann.password_hash, hash);
        assert!(!format!("{ann:?}").contains("argon2id"));
    }

    #[tokio::test]
    async fn activity_only_moves_forward() {
        let store = store();
        let ann = user(&store, "ann").await;
        for (seen, expected) in [(5, 5), (3, 5), (5, 5), (9, 9)] {
            store.users().touch(ann.id, at(seen)).await.unwrap();
            let ann = store.users().by_id(ann.id).unwrap();
            assert_eq!(ann.last_activity, Some(at(expected)));
        }
    }

    #[tokio::test]
    async fn who_is_not_there_is_not_found() {
        let store = store();
        let gone = UserId(7);
        let users = store.users();
        let errors = [
            users.set_admin(gone, true).await.map(drop),
            users.change_password(gone, None).await.map(drop),
            users.set_blocked(gone, true).await.map(drop),
            users.delete(gone).await,
        ];
        for error in errors {
            assert!(matches!(error, Err(StoreError::NotFound("user"))));
        }
        users.touch(gone, at(1)).await.unwrap();
    }

    #[tokio::test]
    async fn a_number_never_comes_back() {
        let store = store();
        let first = user(&store, "ann").await.id;
        store.users().delete(first).await.unwrap();
        assert!(store.users().by_id(first).is_none());
        assert!(user(&store, "ann").await.id > first);
    }
}
