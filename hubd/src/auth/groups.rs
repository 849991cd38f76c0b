//! Groups of the configuration and groups that were made through the API, as one.
//!
//! The configuration has the last word about its own: they cannot be changed through the API, and one
//! of the books that bears the same name is passed over until the configuration lets go of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};
use spawner_core::UserName;

use crate::config::GroupTable;
use crate::store::{self, Store, User, UserId};

/// All groups.
#[derive(Debug)]
pub(crate) struct Groups {
    configured: BTreeMap<String, BTreeSet<UserName>>,
    store: Store,
}

/// One group, at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: String,
    /// Sorted. Those of the configuration need not be in the books.
    pub(crate) users: Vec<UserName>,
    pub(crate) properties: Map<String, Value>,
    /// Its rows; `None` for a group of the configuration.
    pub(crate) stored: Option<Arc<store::Group>>,
}

impl Groups {
    pub(super) fn new(tables: &[GroupTable], store: Store) -> Self {
        let configured = tables.iter();
        let configured = configured
            .map(|table| (table.name.clone(), table.users.iter().cloned().collect()))
            .collect();
        Self { configured, store }
    }

    /// Every group: first those of the configuration by name, then the others by age.
    pub(crate) fn all(&self) -> Vec<Group> {
        let configured = self.configured.iter();
        let configured = configured.map(|(name, users)| configured_group(name, users));
        let stored = self.store.groups().all().into_iter();
        let stored = stored.filter(|group| !self.is_configured(&group.name));
        configured
            .chain(stored.map(|group| self.stored_group(group)))
            .collect()
    }

    /// The group of that name.
    pub(crate) fn find(&self, name: &str) -> Option<Group> {
        match self.configured.get(name) {
            Some(users) => Some(configured_group(name, users)),
            None => Some(self.stored_group(self.store.groups().by_name(name)?)),
        }
    }

    /// Whether it is the configuration's.
    pub(crate) fn is_configured(&self, name: &str) -> bool {
        self.configured.contains_key(name)
    }

    /// Groups of the books that the configuration hides.
    pub(crate) fn hidden(&self) -> impl Iterator<Item = &str> {
        let names = self.configured.keys().map(String::as_str);
        names.filter(|name| self.store.groups().by_name(name).is_some())
    }

    /// Who is in `name`, whether or not they are in the books.
    pub(crate) fn members(&self, name: &str) -> Vec<UserName> {
        self.find(name).map_or_else(Vec::new, |group| group.users)
    }

    /// The names of the groups that whoever is called `user` is in, sorted.
    pub(super) fn of(&self, user: &UserName) -> Vec<String> {
        let id = self.store.users().by_name(user).map(|user| user.id);
        self.names(user, id)
    }

    /// As [`Groups::of`], for a user who was looked up: a namesake of later times is not meant.
    pub(super) fn of_user(&self, user: &User) -> Vec<String> {
        self.names(&user.name, Some(user.id))
    }

    fn names(&self, user: &UserName, id: Option<UserId>) -> Vec<String> {
        let configured = self.configured.iter();
        let configured = configured.filter(|(_, users)| users.contains(user));
        let mut names: Vec<String> = configured.map(|(name, _)| name.clone()).collect();
        if let Some(id) = id {
            let stored = self.store.groups().of(id);
            let stored = stored.iter().map(|group| &group.name);
            names.extend(stored.filter(|name| !self.is_configured(name)).cloned());
        }
        names.sort_unstable();
        names
    }

    pub(super) fn is_member(&self, user: &UserName, name: &str) -> bool {
        if let Some(users) = self.configured.get(name) {
            return users.contains(user);
        }
        let member = self
            .store
            .users()
            .by_name(user)
            .zip(self.store.groups().by_name(name));
        member.is_some_and(|(user, group)| group.members.contains(&user.id))
    }

    /// Whether the configuration names `user` in a group.
    pub(super) fn names_user(&self, user: &UserName) -> bool {
        self.configured.values().any(|users| users.contains(user))
    }

    fn stored_group(&self, group: Arc<store::Group>) -> Group {
        let members = group.members.iter();
        let members = members.filter_map(|id| Some(self.store.users().by_id(*id)?.name.clone()));
        let mut users: Vec<UserName> = members.collect();
        users.sort_unstable();
        Group {
            name: group.name.clone(),
            users,
            properties: group.properties.clone(),
            stored: Some(group),
        }
    }
}

fn configured_group(name: &str, users: &BTreeSet<UserName>) -> Group {
    Group {
        name: name.to_owned(),
        users: users.iter().cloned().collect(),
        properties: Map::new(),
        stored: None,
    }
}
