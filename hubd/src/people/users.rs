//! New users, users who change, and users who go.
//!
//! A user is a number in the books, so everything of theirs goes along with a new name, and nothing
//! of it is left for whoever is called by the old one next. Names that the configuration gives
//! something to are not given or taken here: they are for whoever the authenticator knows by them.

use std::sync::Arc;

use jiff::Timestamp;
use spawner_core::{ServerId, UserName};

use super::{By, Refused};
use crate::app::App;
use crate::scopes::{ScopeName, Target};
use crate::servers::{Place, Stopped};
use crate::store::audit::Action;
use crate::store::{NewAuthState, User, UserChange};

/// Makes users and returns them; those who exist already stay as they are. Where all of them do that
/// is a conflict.
pub(crate) async fn create(
    app: &App,
    by: &By<'_>,
    names: Vec<UserName>,
    admin: bool,
) -> Result<Vec<Arc<User>>, Refused> {
    by.may_give_admin(app, admin)?;
    let by_admin = by.caller.is_admin(&app.directory);
    for name in &names {
        check_new(app, by_admin, name)?;
    }
    let exist = match names.as_slice() {
        [one] => format!("{one} exists already."),
        _ => "All of these users exist already.".to_owned(),
    };
    let entry = by.entry(Action::UserCreate).with("admin", admin);
    let store = app.store.noting(entry);
    let created = store.users().create(names, admin, Timestamp::now());
    let created = created.await?;
    if created.is_empty() {
        return Err(Refused::Conflict(exist));
    }
    Ok(created)
}

/// Refuses an account that holds more by its name than everybody does, to somebody who is no admin:
/// whoever the configuration means would not be who gets it.
fn check_new(app: &App, by_admin: bool, name: &UserName) -> Result<(), Refused> {
    if !by_admin && app.is_for_admins_to_make(name) {
        return Err(Refused::Forbidden(format!(
            "The configuration gives more to the name {name}, so only an admin can make that account."
        )));
    }
    Ok(())
}

/// Changes a user and returns them as they are then.
pub(crate) async fn change(
    app: &App,
    by: &By<'_>,
    user: &User,
    mut change: UserChange,
) -> Result<Arc<User>, Refused> {
    if app.directory.is_admin(user) && !by.caller.is_admin(&app.directory) {
        let message = "Only an admin can change an admin.";
        return Err(Refused::Forbidden(message.into()));
    }
    if let Some(admin) = change.admin {
        check_admin(app, by, user, admin)?;
    }
    change.name = change.name.filter(|new| *new != user.name);
    if let Some(new) = &change.name {
        check_name(app, by, user, new)?;
    }
    let servers = app.store.servers().of(user.id);
    let entry = by.entry(Action::UserChange).on_user(user);
    let entry = entry
        .with_some("name", change.name.as_ref())
        .with_some("admin", change.admin);
    let is_other = change.auth_state != NewAuthState::Same;
    let entry = entry.with_some("auth_state", is_other.then_some("changed"));
    let store = app.store.noting(entry);
    let changed = store.users().change(user.id, change).await?;
    if changed.name != user.name {
        for server in servers {
            let old = ServerId::new(user.name.clone(), server.name.clone());
            app.servers.forget(&old);
        }
    }
    Ok(changed)
}

/// Whether the flag of `user` may be set to `admin`.
fn check_admin(app: &App, by: &By<'_>, user: &User, admin: bool) -> Result<(), Refused> {
    if admin != user.admin && !by.caller.is_admin(&app.directory) {
        let message = "Only an admin can make an admin, or make one an ordinary user.";
        return Err(Refused::Forbidden(message.into()));
    }
    if !admin && app.directory.is_named_admin(&user.name) {
        return Err(Refused::Invalid(format!(
            "The configuration makes {} an admin; take the name out of auth.admin_users there.",
            user.name
        )));
    }
    Ok(())
}

/// Whether `user` may be called `new` from now on.
fn check_name(app: &App, by: &By<'_>, user: &User, new: &UserName) -> Result<(), Refused> {
    // A right over one name is none over another.
    let groups = &app.directory.groups_of(new);
    let target = Target::User { name: new, groups };
    if !by
        .caller
        .rights
        .allows(ScopeName::AdminUsers, target)
        .is_yes()
    {
        return Err(Refused::NotFound);
    }
    if app.store.users().by_name(new).is_some() {
        return Err(Refused::Invalid(format!("The name {new} is taken.")));
    }
    for name in [&user.name, new] {
        if let Some(key) = app.directory.key_naming(name) {
            return Err(Refused::Invalid(format!(
                "The configuration names {name} in {key}, so that name cannot be given or taken here."
            )));
        }
    }
    for server in app.store.servers().of(user.id) {
        let id = ServerId::new(user.name.clone(), server.name.clone());
        if app.servers.look(&id).place != Place::Stopped {
            return Err(Refused::Invalid(format!(
                "{id} is not stopped; stop it before {} is renamed.",
                user.name
            )));
        }
    }
    Ok(())
}

/// Deletes a user with their servers, which are stopped first. Nobody deletes themselves. While a
/// server is still being stopped nothing else happens.
pub(crate) async fn delete(app: &App, by: &By<'_>, user: &User) -> Result<Stopped, Refused> {
    if by.caller.user().is_some_and(|own| own.id == user.id) {
        return Err(Refused::Invalid("You cannot delete yourself.".into()));
    }
    let servers = app.servers.by(by.actor.clone());
    let deleted = servers.delete_user(user, app.slow_stop_timeout).await;
    deleted.map_err(|error| Refused::Stop {
        of: user.name.clone(),
        error,
    })
}
