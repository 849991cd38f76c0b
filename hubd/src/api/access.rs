//! From a name in the path to the thing itself, for somebody who may know of it.
//!
//! The answer is settled before anything is looked up: 403 if the right is not held at all, 404 if
//! it is held for others only, so that nobody learns by asking which names exist.

use std::sync::Arc;

use spawner_core::{ServerId, ServerName, UserName};

use super::error::{ApiError, sentence};
use crate::app::App;
use crate::auth::groups::Group;
use crate::auth::services::Service;
use crate::scopes::{Access, ScopeName, ScopeSet, Target};
use crate::store::{Server, User};

/// A server that a request is about; it may never have run.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) user: Arc<User>,
    pub(super) id: ServerId,
    pub(super) row: Option<Arc<Server>>,
}

/// Lets a request go on if any one of `scopes` reaches `target`.
pub(super) fn require(
    rights: &ScopeSet,
    scopes: &[ScopeName],
    target: Target<'_>,
) -> Result<(), ApiError> {
    match rights.allows_any(scopes, target) {
        Access::Yes => Ok(()),
        Access::Filtered => Err(ApiError::not_found()),
        Access::No => Err(missing(scopes)),
    }
}

/// Lets a request go on if any one of `scopes` is held at all, whatever it reaches: asked before
/// saying anything about a name that nothing can have.
pub(super) fn require_some(rights: &ScopeSet, scopes: &[ScopeName]) -> Result<(), ApiError> {
    if rights.scopes().any(|held| scopes.contains(&held.name)) {
        Ok(())
    } else {
        Err(missing(scopes))
    }
}

/// The user called `raw`.
pub(super) fn user(
    app: &App,
    rights: &ScopeSet,
    scopes: &[ScopeName],
    raw: &str,
) -> Result<Arc<User>, ApiError> {
    let Ok(name) = UserName::new(raw) else {
        require_some(rights, scopes)?;
        return Err(ApiError::not_found());
    };
    require_user(app, rights, scopes, &name)?;
    let user = app.store.users().by_name(&name);
    user.ok_or_else(ApiError::not_found)
}

/// Lets a request go on if any one of `scopes` reaches a user of that name, there or not.
pub(super) fn require_user(
    app: &App,
    rights: &ScopeSet,
    scopes: &[ScopeName],
    name: &UserName,
) -> Result<(), ApiError> {
    let groups = app.directory.groups_of(name);
    let groups = &groups;
    require(rights, scopes, Target::User { name, groups })
}

/// The server called `raw_server` of the user called `raw_user`. A name that no server can have is
/// a 400 for somebody who may act on all servers of that user.
pub(super) fn server(
    app: &App,
    rights: &ScopeSet,
    scope: ScopeName,
    raw_user: &str,
    raw_server: &str,
) -> Result<Reached, ApiError> {
    let scopes = [scope];
    let Ok(name) = UserName::new(raw_user) else {
        require_some(rights, &scopes)?;
        return Err(ApiError::not_found());
    };
    let server = match ServerName::new(raw_server) {
        Ok(server) => server,
        Err(error) => {
            user(app, rights, &scopes, raw_user)?;
            return Err(ApiError::bad_request(sentence(&error)));
        }
    };
    let groups = app.directory.groups_of(&name);
    let id = ServerId::new(name, server);
    let target = Target::Server {
        id: &id,
        groups: &groups,
    };
    require(rights, &scopes, target)?;
    let user = app.store.users().by_name(&id.user);
    let user = user.ok_or_else(ApiError::not_found)?;
    let row = app.store.servers().find(&id);
    Ok(Reached { user, id, row })
}

/// The group called `raw`.
pub(super) fn group(
    app: &App,
    rights: &ScopeSet,
    scopes: &[ScopeName],
    raw: &str,
) -> Result<Group, ApiError> {
    require(rights, scopes, Target::Group(raw))?;
    let group = app.directory.groups().find(raw);
    group.ok_or_else(ApiError::not_found)
}

/// The service called `raw`.
pub(super) fn service(
    app: &App,
    rights: &ScopeSet,
    scopes: &[ScopeName],
    raw: &str,
) -> Result<Service, ApiError> {
    require(rights, scopes, Target::Service(raw))?;
    let service = app.directory.services().find(raw);
    service.ok_or_else(ApiError::not_found)
}

/// The answer to somebody who holds none of `scopes`.
pub(super) fn missing(scopes: &[ScopeName]) -> ApiError {
    let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let which = match names.as_slice() {
        [one] => format!("the scope {one}"),
        more => format!("one of the scopes {}", more.join(", ")),
    };
    ApiError::forbidden(format!("This needs {which}, and you do not hold it."))
}
