//! Groups that were made through the API, and who is in them.
//!
//! Members are users by number: who is deleted leaves, and nobody who comes later under the same
//! name, of the group or of the user, is a member by it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::Row;
use serde_json::{Map, Value};

use super::audit::Object;
use super::error::StoreError;
use super::grants;
use super::handle::Store;
use super::ids::{GroupId, UserId};
use super::mirror::Change;
use super::rows::{Rows, json, statements, to_json};

/// The columns of a group, its members' numbers as a JSON list among them.
macro_rules! select {
    ($where:literal) => {
        concat!(
            "SELECT *, (SELECT json_group_array(user) FROM group_members WHERE team = user_groups.id) AS members
             FROM user_groups",
            $where
        )
    };
}

statements! {
    ALL = select!("");
    GET = select!(" WHERE id = ?1");
    OF_USER = select!(" WHERE id IN (SELECT team FROM group_members WHERE user = ?1)");
    CREATE = "INSERT INTO user_groups (name, properties) VALUES (?1, '{}')
        ON CONFLICT (name) DO NOTHING RETURNING id";
    DELETE = "DELETE FROM user_groups WHERE id = ?1 RETURNING name";
    JOIN = "INSERT INTO group_members (team, user) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    LEAVE = "DELETE FROM group_members WHERE team = ?1 AND user = ?2";
    SET_PROPERTIES = "UPDATE user_groups SET properties = ?2 WHERE id = ?1 RETURNING id";
}

/// A group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) name: String,
    /// Whatever somebody wants to remember with it; the hub makes nothing of them.
    pub(crate) properties: Map<String, Value>,
    pub(crate) members: BTreeSet<UserId>,
}

/// The groups of a [`Store`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Groups<'s>(pub(super) &'s Store);

/// The mirror's part.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Table {
    by_id: BTreeMap<GroupId, Arc<Group>>,
    by_name: HashMap<String, GroupId>,
    of_user: HashMap<UserId, BTreeSet<GroupId>>,
}

impl Groups<'_> {
    /// Every group, oldest first.
    pub(crate) fn all(self) -> Vec<Arc<Group>> {
        self.0
            .read(|mirror| mirror.groups.by_id.values().cloned().collect())
    }

    /// The group of that name.
    pub(crate) fn by_name(self, name: &str) -> Option<Arc<Group>> {
        self.0.read(|mirror| {
            let id = mirror.groups.by_name.get(name)?;
            mirror.groups.by_id.get(id).cloned()
        })
    }

    /// The groups that a user is in.
    pub(crate) fn of(self, user: UserId) -> Vec<Arc<Group>> {
        self.0.read(|mirror| {
            let ids = mirror.groups.of_user.get(&user).into_iter().flatten();
            ids.filter_map(|id| mirror.groups.by_id.get(id).cloned())
                .collect()
        })
    }

    /// Creates those that do not exist, each with these members, and returns them; the others stay
    /// as they are.
    pub(crate) async fn create(
        self,
        names: Vec<String>,
        members: Vec<UserId>,
    ) -> Result<Vec<Arc<Group>>, StoreError> {
        self.0
            .write(move |rows| {
                let mut new = Vec::new();
                for name in names {
                    if let Some(id) = rows.one(CREATE, [name], |row| row.get("id"))? {
                        join(rows, id, &members)?;
                        let group = reported(rows, id)?;
                        rows.made(Object::group(id, &group.name));
                        new.push(group);
                    }
                }
                Ok(new)
            })
            .await
    }

    /// Adds members.
    pub(crate) async fn add(
        self,
        id: GroupId,
        users: Vec<UserId>,
    ) -> Result<Arc<Group>, StoreError> {
        self.0
            .write(move |rows| {
                found(rows, id)?;
                join(rows, id, &users)?;
                reported(rows, id)
            })
            .await
    }

    /// Takes members out; who is none is passed over.
    pub(crate) async fn take_out(
        self,
        id: GroupId,
        users: Vec<UserId>,
    ) -> Result<Arc<Group>, StoreError> {
        self.0
            .write(move |rows| {
                for user in users {
                    rows.all(LEAVE, (id, user), |_| Ok(()))?;
                }
                reported(rows, id)
            })
            .await
    }

    /// Replaces all properties.
    pub(crate) async fn set_properties(
        self,
        id: GroupId,
        properties: Map<String, Value>,
    ) -> Result<Arc<Group>, StoreError> {
        self.0
            .write(move |rows| {
                let text = to_json("the list of properties", &properties)?;
                rows.all(SET_PROPERTIES, (id, text), |_| Ok(()))?;
                reported(rows, id)
            })
            .await
    }

    /// Deletes a group, and what tokens could do to its members.
    pub(crate) async fn delete(self, id: GroupId) -> Result<(), StoreError> {
        self.0
            .write(move |rows| {
                let name: Option<String> = rows.one(DELETE, [id], |row| row.get("name"))?;
                let name = name.ok_or(StoreError::NotFound("group"))?;
                grants::forget_group(rows, &name)?;
                rows.changed(Change::GroupGone(id));
                Ok(())
            })
            .await
    }
}

impl Group {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let members: Vec<i64> = json(row, "members")?;
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            properties: json(row, "properties")?,
            members: members.into_iter().map(UserId).collect(),
        })
    }
}

impl Table {
    pub(super) fn put(&mut self, group: Arc<Group>) {
        self.remove(group.id);
        for user in &group.members {
            self.of_user.entry(*user).or_default().insert(group.id);
        }
        self.by_name.insert(group.name.clone(), group.id);
        self.by_id.insert(group.id, group);
    }

    pub(super) fn remove(&mut self, id: GroupId) {
        let Some(group) = self.by_id.remove(&id) else {
            return;
        };
        self.by_name.remove(&group.name);
        for user in &group.members {
            if let Some(groups) = self.of_user.get_mut(user) {
                groups.remove(&id);
                if groups.is_empty() {
                    self.of_user.remove(user);
                }
            }
        }
    }
}

/// Takes a user out of all groups, as part of a job.
pub(super) fn leave_all(rows: &mut Rows<'_>, user: UserId) -> Result<(), StoreError> {
    for group in rows.all(OF_USER, [user], Group::from_row)? {
        rows.all(LEAVE, (group.id, user), |_| Ok(()))?;
        reported(rows, group.id)?;
    }
    Ok(())
}

fn join(rows: &Rows<'_>, id: GroupId, users: &[UserId]) -> Result<(), StoreError> {
    for user in users {
        rows.all(JOIN, (id, user), |_| Ok(()))?;
    }
    Ok(())
}

fn found(rows: &Rows<'_>, id: GroupId) -> Result<Group, StoreError> {
    let group = rows.one(GET, [id], Group::from_row)?;
    group.ok_or(StoreError::NotFound("group"))
}

/// Reports a group's rows, as part of a job.
fn reported(rows: &mut Rows<'_>, id: GroupId) -> Result<Arc<Group>, StoreError> {
    let group = Arc::new(found(rows, id)?);
    rows.changed(Change::Group(Arc::clone(&group)));
    Ok(group)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{assert_mirror_equals_rows, store, user};
    use super::*;

    fn names(groups: &[Arc<Group>]) -> Vec<&str> {
        groups.iter().map(|group| group.name.as_str()).collect()
    }

    #[tokio::test]
    async fn made_once_with_members() {
        let store = store();
        let ann = user(&store, "ann").await.id;
        let groups = store.groups();
        let both = vec!["a".to_owned(), "b".to_owned(), "a".to_owned()];
        let made = groups.create(both.clone(), vec![ann]).await.unwrap();
        assert_eq!(names(&made), ["a", "b"]);
        assert_eq!(made[0].members, [ann].into());
        assert_eq!(groups.create(both, Vec::new()).await.unwrap(), []);
        assert_eq!(names(&groups.of(ann)), ["a", "b"]);
        assert_eq!(names(&groups.all()), ["a", "b"]);
        assert_mirror_equals_rows(&store).await;
    }

    #[tokio::test]
    async fn members_come_and_go() {
        let store = store();
        let (ann, bob) = (user(&store, "ann").await.id, user(&store, "bob").await.id);
        let groups = store.groups();
        let made = groups.create(vec!["a".to_owned()], Vec::new()).await;
        let id = made.unwrap()[0].id;
        let full = groups.add(id, vec![ann, bob, ann]).await.unwrap();
        assert_eq!(full.members, [ann, bob].into());
        let one = groups.take_out(id, vec![ann, UserId(99)]).await.unwrap();
        assert_eq!(one.members, [bob].into());
        assert_eq!(groups.of(ann), []);
        let stranger = groups.add(id, vec![ann, UserId(99)]).await;
        assert!(matches!(stranger, Err(StoreError::NotFound(_))));
        assert_eq!(groups.of(ann), [], "a refusal leaves nothing behind");
        let properties = json!({"room": 7}).as_object().unwrap().clone();
        let kept = groups.set_properties(id, properties.clone()).await.unwrap();
        assert_eq!(kept.properties, properties);
        assert_mirror_equals_rows(&store).await;
    }

    #[tokio::test]
    async fn who_is_deleted_leaves_and_a_later_namesake_is_somebody_else() {
        let store = store();
        let ann = user(&store, "ann").await.id;
        let groups = store.groups();
        let made = groups.create(vec!["a".to_owned()], vec![ann]).await;
        let id = made.unwrap()[0].id;
        store.users().delete(ann).await.unwrap();
        assert_eq!(groups.by_name("a").unwrap().members, [].into());
        let ann = user(&store, "ann").await.id;
        assert_eq!(groups.of(ann), []);
        groups.add(id, vec![ann]).await.unwrap();
        groups.delete(id).await.unwrap();
        assert_eq!(groups.of(ann), []);
        let made = groups.create(vec!["a".to_owned()], Vec::new()).await;
        assert_ne!(made.unwrap()[0].id, id);
        assert_eq!(groups.of(ann), []);
        assert!(matches!(
            groups.delete(id).await,
            Err(StoreError::NotFound("group"))
        ));
        assert_mirror_equals_rows(&store).await;
    }
}
