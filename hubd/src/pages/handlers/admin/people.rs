//! New users, users who go, and who is an admin.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use spawner_core::{FormData, UserName};

use super::super::super::views::admin::{AddForm, DeleteUserView};
use super::super::form;
use super::super::instead::{Instead, redirect, sentence};
use super::super::named::Named;
use super::super::visit::{Member, Visit};
use super::list::{add_form, expect_manager, page};
use super::listing::Listing;
use crate::auth::local_path::LocalPath;
use crate::people::{Refused, users};
use crate::scopes::{ScopeName, Target};
use crate::servers::{Place, Stopped};
use crate::store::{User, UserChange};

/// The most users that one form is about.
const NAMES_MAX: usize = 1000;

/// Makes the users that the form names, one a line or with spaces and commas between them. Those
/// who exist already stay as they are.
pub(in super::super) async fn add(visit: Visit, body: Body) -> Result<Response, Instead> {
    let form = form::read(&visit.parts.headers, body, form::LARGE).await?;
    visit.check_xsrf(&form)?;
    let member = expect_manager(&visit)?;
    let empty = add_form(&visit, member).ok_or_else(|| Instead::status(StatusCode::FORBIDDEN))?;
    let typed = form.first("names").unwrap_or_default();
    let admins = form.first("admins").is_some();
    let again = |error: String, status| {
        let typed = AddForm {
            names: typed.to_owned(),
            admins,
            error: Some(error),
            ..empty.clone()
        };
        page(&visit, status, &Listing::default(), Some(typed))
    };
    let names = match read_names(typed) {
        Ok(names) => names,
        Err(error) => return again(error, StatusCode::BAD_REQUEST),
    };
    let (app, by) = (visit.app(), visit.by(member));
    match users::create(app, &by, names, admins).await {
        Ok(_) => {
            let list = Listing::newest().url(&visit.links().admin());
            Ok(redirect(StatusCode::SEE_OTHER, &list))
        }
        Err(Refused::Conflict(error)) => again(error, StatusCode::CONFLICT),
        Err(Refused::Forbidden(error)) => again(error, StatusCode::FORBIDDEN),
        Err(refused) => Err(refused.into()),
    }
}

/// The names in a field, one a line or with spaces and commas between them.
pub(super) fn read_names(typed: &str) -> Result<Vec<UserName>, String> {
    let words = typed.split(|c: char| c.is_whitespace() || c == ',' || c == ';');
    let words = words.filter(|word| !word.is_empty());
    let names = words.map(|word| {
        UserName::new(word).map_err(|error| {
            let shown: String = word.chars().take(60).collect();
            format!(
                "“{shown}” cannot be a user name: {}",
                sentence(&error.to_string())
            )
        })
    });
    let names = names.collect::<Result<Vec<_>, _>>()?;
    match names.len() {
        0 => Err("Write at least one name.".to_owned()),
        count if count > NAMES_MAX => {
            Err(format!("At most {NAMES_MAX} names can be given at once."))
        }
        _ => Ok(names),
    }
}

/// Makes somebody an admin (`admin=true`), or no longer one.
pub(in super::super) async fn set_rights(
    visit: Visit,
    named: Named,
    body: Body,
) -> Result<Response, Instead> {
    let form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    let (member, user) = expect_user(&visit, named, ScopeName::AdminUsers)?;
    let admin = match form.first("admin") {
        Some("true") => true,
        Some("false") => false,
        _ => return Err(Instead::status(StatusCode::BAD_REQUEST)),
    };
    if user.id == member.user.id {
        let message = "You cannot change your own rights; another admin can.";
        return Err(Instead::error(StatusCode::BAD_REQUEST, message));
    }
    let change = UserChange {
        admin: Some(admin),
        ..UserChange::default()
    };
    users::change(visit.app(), &visit.by(member), &user, change).await?;
    Ok(redirect(StatusCode::SEE_OTHER, &back(&visit, &form)))
}

/// Asks whether to delete a user.
pub(in super::super) async fn ask(visit: Visit, named: Named) -> Result<Response, Instead> {
    let (_, user) = expect_user(&visit, named, ScopeName::DeleteUsers)?;
    let (app, links) = (visit.app(), visit.links());
    let servers = super::rows::servers_of(app, &user);
    let running = servers
        .iter()
        .filter(|(server, _)| app.servers.look(server).place != Place::Stopped);
    let list = visit.next().unwrap_or_else(|| links.admin());
    let view = DeleteUserView {
        name: user.name.to_string(),
        servers: servers.len(),
        running: running.count(),
        action: links.admin_delete(&user.name),
        list_url: list,
    };
    visit.page(StatusCode::OK, &view)
}

/// Deletes a user, after their servers have been stopped.
pub(in super::super) async fn delete(
    visit: Visit,
    named: Named,
    body: Body,
) -> Result<Response, Instead> {
    let form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    let (member, user) = expect_user(&visit, named, ScopeName::DeleteUsers)?;
    let list = back(&visit, &form);
    match users::delete(visit.app(), &visit.by(member), &user).await {
        Ok(Stopped::Done) => Ok(redirect(StatusCode::SEE_OTHER, &list)),
        Ok(Stopped::Pending) => {
            let message = "A server of this user is still being stopped. Try again in a moment.";
            Err(Instead::busy(StatusCode::CONFLICT, message, 5).leading_to(list))
        }
        Err(refused) => Err(Instead::from(refused).leading_to(list)),
    }
}

/// The page that a form came from.
pub(super) fn back(visit: &Visit, form: &FormData) -> LocalPath {
    let next = form.first("next").and_then(|next| visit.local(next));
    next.unwrap_or_else(|| visit.links().admin())
}

/// The user that the path names, for a manager who holds `scope` for them. One whom the manager may
/// do nothing about is not found, the same as one who is not there.
pub(super) fn expect_user(
    visit: &Visit,
    named: Named,
    scope: ScopeName,
) -> Result<(Member<'_>, Arc<User>), Instead> {
    let member = expect_manager(visit)?;
    let app = visit.app();
    let user = named.user.and_then(|name| {
        let groups = app.directory.groups_of(&name);
        let (name, groups) = (&name, &*groups);
        let target = Target::User { name, groups };
        let may = member.caller.rights.allows(scope, target).is_yes();
        app.store.users().by_name(name).filter(|_| may)
    });
    let user = user.ok_or_else(|| Instead::status(StatusCode::NOT_FOUND))?;
    Ok((member, user))
}
