//! One group: who is in it, who comes and who goes.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;

use super::super::super::state::PagesState;
use super::super::super::views::admin::{DeleteGroupView, GroupView, MemberRow, MembersForm};
use super::super::form;
use super::super::instead::{Instead, redirect};
use super::super::visit::{Member, Visit};
use super::groups::may;
use super::list::{expect_manager, visible};
use super::part::{PAGE, from, offset, part, start};
use super::people::{back, read_names};
use crate::auth::groups::Group;
use crate::people::groups;
use crate::scopes::ScopeName;
use crate::store::UserId;

/// The `{group}` of a path; empty if it is not even text, which names nothing.
pub(in super::super) struct InPath(String);

impl FromRequestParts<PagesState> for InPath {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &PagesState,
    ) -> Result<Self, Self::Rejection> {
        let params = RawPathParams::from_request_parts(parts, state).await.ok();
        let group = params.as_ref().and_then(|params| {
            let mut params = params.iter();
            params.find(|(name, _)| *name == "group")
        });
        Ok(Self(
            group.map_or_else(String::new, |(_, name)| name.to_owned()),
        ))
    }
}

pub(in super::super) async fn show(visit: Visit, name: InPath) -> Result<Response, Instead> {
    let (member, group) = expect_group(&visit, name, ScopeName::ReadGroups)?;
    page(&visit, StatusCode::OK, member, &group, None)
}

/// The page of `group`, with the form for new members as it was `typed`.
fn page(
    visit: &Visit,
    status: StatusCode,
    member: Member<'_>,
    group: &Group,
    typed: Option<MembersForm>,
) -> Result<Response, Instead> {
    let (app, links) = (visit.app(), visit.links());
    let own = links.admin_group(&group.name);
    let total = group.users.len();
    let at = start(offset(visit), total);
    let within = visible(app, member)?;
    let shown = group.users.iter().skip(at).take(PAGE);
    let members = shown.map(|name| {
        let visible = within.as_ref().is_none_or(|within| within.contains(name));
        let known = visible && app.store.users().by_name(name).is_some();
        MemberRow {
            name: name.to_string(),
            url: known.then(|| links.admin_user(name)),
        }
    });
    let roles = app.directory.roles().names_of_group(&group.name);
    let ours = group.stored.is_some();
    let changes = ours && may(member, ScopeName::Groups, &group.name);
    // One that the configuration gives something to keeps its place.
    let is_free = ours && app.directory.right_of_group(&group.name).is_none();
    let goes = is_free && may(member, ScopeName::DeleteGroups, &group.name);
    let view = GroupView {
        name: group.name.clone(),
        configured: !ours,
        members: members.collect(),
        part: part(at, total, |offset| from(&own, offset)),
        take_out_url: changes.then(|| links.admin_group_take_out(&group.name)),
        add: typed.or_else(|| changes.then(|| members_form(visit, group))),
        delete_url: goes.then(|| links.admin_group_delete(&group.name)),
        roles: roles.into_iter().map(str::to_owned).collect(),
        here: from(&own, at),
        list_url: links.admin_groups(),
    };
    visit.page(status, &view)
}

fn members_form(visit: &Visit, group: &Group) -> MembersForm {
    MembersForm {
        url: visit.links().admin_group_add(&group.name),
        names: String::new(),
        error: None,
    }
}

/// Adds the users that the form names.
pub(in super::super) async fn add(
    visit: Visit,
    name: InPath,
    body: Body,
) -> Result<Response, Instead> {
    let form = form::read(&visit.parts.headers, body, form::LARGE).await?;
    visit.check_xsrf(&form)?;
    let (member, group) = expect_group(&visit, name, ScopeName::Groups)?;
    let typed = form.first("names").unwrap_or_default();
    let users = match read_members(&visit, typed) {
        Ok(users) => users,
        Err(error) => {
            let typed = MembersForm {
                names: typed.to_owned(),
                error: Some(error),
                ..members_form(&visit, &group)
            };
            let status = StatusCode::BAD_REQUEST;
            return page(&visit, status, member, &group, Some(typed));
        }
    };
    groups::add(visit.app(), &visit.by(member), &group, users).await?;
    let own = visit.links().admin_group(&group.name);
    Ok(redirect(StatusCode::SEE_OTHER, &own))
}

fn read_members(visit: &Visit, typed: &str) -> Result<Vec<UserId>, String> {
    let users = visit.app().store.users();
    let found = read_names(typed)?.into_iter().map(|name| {
        let user = users.by_name(&name);
        let user = user.ok_or_else(|| format!("There is no user called “{name}”."))?;
        Ok(user.id)
    });
    found.collect()
}

/// Takes the user out that the pressed button names.
pub(in super::super) async fn take_out(
    visit: Visit,
    name: InPath,
    body: Body,
) -> Result<Response, Instead> {
    let form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    let (member, group) = expect_group(&visit, name, ScopeName::Groups)?;
    let user = form.first("user").unwrap_or_default();
    let users = read_members(&visit, user)
        .map_err(|error| Instead::error(StatusCode::BAD_REQUEST, error))?;
    groups::take_out(visit.app(), &visit.by(member), &group, users).await?;
    Ok(redirect(StatusCode::SEE_OTHER, &back(&visit, &form)))
}

/// Asks whether to delete a group.
pub(in super::super) async fn ask(visit: Visit, name: InPath) -> Result<Response, Instead> {
    let (_, group) = expect_group(&visit, name, ScopeName::DeleteGroups)?;
    let links = visit.links();
    let view = DeleteGroupView {
        members: group.users.len(),
        action: links.admin_group_delete(&group.name),
        group_url: links.admin_group(&group.name),
        name: group.name,
    };
    visit.page(StatusCode::OK, &view)
}

/// Deletes a group; its members stay users.
pub(in super::super) async fn delete(
    visit: Visit,
    name: InPath,
    body: Body,
) -> Result<Response, Instead> {
    let form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    let (member, group) = expect_group(&visit, name, ScopeName::DeleteGroups)?;
    let list = visit.links().admin_groups();
    match groups::delete(visit.app(), &visit.by(member), &group).await {
        Ok(()) => Ok(redirect(StatusCode::SEE_OTHER, &list)),
        Err(refused) => Err(Instead::from(refused).leading_to(list)),
    }
}

/// The group that the path names, for a manager who holds `scope` for it. One that is not theirs is
/// not found, the same as one that is not there.
fn expect_group(
    visit: &Visit,
    InPath(name): InPath,
    scope: ScopeName,
) -> Result<(Member<'_>, Group), Instead> {
    let member = expect_manager(visit)?;
    let group = visit.app().directory.groups().find(&name);
    let group = group.filter(|_| may(member, scope, &name));
    let group = group.ok_or_else(|| Instead::status(StatusCode::NOT_FOUND))?;
    Ok((member, group))
}
