//! Groups that come and go, and who is in them.
//!
//! Groups of the configuration are changed there and nowhere else.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{By, Refused};
use crate::app::App;
use crate::auth::groups::Group;
use crate::store::audit::{Action, Entry, Object};
use crate::store::{self, UserId};

/// Makes groups, each with the same members, and returns them; those that exist already stay as they
/// are. Where all of them do that is a conflict. That the names can be names is the caller's to check.
pub(crate) async fn create(
    app: &App,
    by: &By<'_>,
    mut names: Vec<String>,
    members: Vec<UserId>,
) -> Result<Vec<Group>, Refused> {
    let exist = match names.as_slice() {
        [one] => format!("{one} exists already."),
        _ => "All of these groups exist already.".to_owned(),
    };
    let known = app.directory.groups();
    names.retain(|name| !known.is_configured(name));
    let entry = by.entry(Action::GroupCreate);
    let store = app
        .store
        .noting(entry.with_names("users", names_of(app, &members)));
    let created = store.groups().create(names, members).await?;
    if created.is_empty() {
        return Err(Refused::Conflict(exist));
    }
    let created = created.iter();
    Ok(created
        .filter_map(|group| known.find(&group.name))
        .collect())
}

/// Adds members.
pub(crate) async fn add(
    app: &App,
    by: &By<'_>,
    group: &Group,
    users: Vec<UserId>,
) -> Result<Group, Refused> {
    let stored = stored(group)?;
    let entry = entry(by, Action::GroupAdd, stored);
    let store = app
        .store
        .noting(entry.with_names("users", names_of(app, &users)));
    let stored = store.groups().add(stored.id, users).await?;
    changed(app, &stored)
}

/// Takes members out; who is none is passed over.
pub(crate) async fn take_out(
    app: &App,
    by: &By<'_>,
    group: &Group,
    users: Vec<UserId>,
) -> Result<Group, Refused> {
    let stored = stored(group)?;
    let entry = entry(by, Action::GroupRemove, stored);
    let store = app
        .store
        .noting(entry.with_names("users", names_of(app, &users)));
    let stored = store.groups().take_out(stored.id, users).await?;
    changed(app, &stored)
}

/// Replaces all properties.
pub(crate) async fn set_properties(
    app: &App,
    by: &By<'_>,
    group: &Group,
    properties: Map<String, Value>,
) -> Result<Group, Refused> {
    let stored = stored(group)?;
    let entry = entry(by, Action::GroupChange, stored);
    let store = app.store.noting(entry.with("properties", "changed"));
    let groups = store.groups();
    let stored = groups.set_properties(stored.id, properties).await?;
    changed(app, &stored)
}

/// Deletes a group; its members stay users.
pub(crate) async fn delete(app: &App, by: &By<'_>, group: &Group) -> Result<(), Refused> {
    let stored = stored(group)?;
    if let Some(right) = app.directory.right_of_group(&stored.name) {
        // Whoever made the next group of that name would choose who holds the right.
        return Err(Refused::Conflict(format!(
            "The configuration gives this group {right}; take it out there first."
        )));
    }
    let store = app.store.noting(entry(by, Action::GroupDelete, stored));
    store.groups().delete(stored.id).await?;
    Ok(())
}

/// What the audit log is to say of something that is done to a group.
fn entry(by: &By<'_>, action: Action, group: &store::Group) -> Entry {
    by.entry(action).on(Object::group(group.id, &group.name))
}

/// What users are called, for the audit log.
fn names_of(app: &App, users: &[UserId]) -> Vec<String> {
    let users = users.iter().filter_map(|id| app.store.users().by_id(*id));
    users.map(|user| user.name.to_string()).collect()
}

/// The rows of a group that is about to be changed.
fn stored(group: &Group) -> Result<&Arc<store::Group>, Refused> {
    group.stored.as_ref().ok_or_else(|| {
        let name = &group.name;
        Refused::Conflict(format!(
            "The group {name} is in the configuration; change it there."
        ))
    })
}

fn changed(app: &App, stored: &store::Group) -> Result<Group, Refused> {
    let group = app.directory.groups().find(&stored.name);
    group.ok_or(Refused::NotFound)
}
