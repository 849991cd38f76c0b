//! The list of groups, and new ones.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;

use super::super::super::views::admin::{GroupRow, GroupsView, NewGroupForm};
use super::super::form;
use super::super::instead::{Instead, redirect, sentence};
use super::super::visit::{Member, Visit};
use super::list::expect_manager;
use super::part::{PAGE, from, offset, part, start, tabs};
use crate::auth::groups::Group;
use crate::config::check_name;
use crate::people;
use crate::scopes::{ScopeName, Target, VisibleNames};

pub(in super::super) async fn show(visit: Visit) -> Result<Response, Instead> {
    page(&visit, StatusCode::OK, None)
}

/// The list, with the form for a new group as it was `typed`.
fn page(
    visit: &Visit,
    status: StatusCode,
    typed: Option<NewGroupForm>,
) -> Result<Response, Instead> {
    let member = expect_manager(visit)?;
    let visible = member.caller.rights.visible_groups();
    if visible == VisibleNames::None {
        return Err(Instead::status(StatusCode::FORBIDDEN));
    }
    let mut groups = visit.app().directory.groups().all();
    groups.retain(|group| visible.shows(&group.name));
    let total = groups.len();
    let at = start(offset(visit), total);
    let list = visit.links().admin_groups();
    let shown = groups.into_iter().skip(at).take(PAGE);
    let view = GroupsView {
        tabs: tabs(visit, member),
        rows: shown.map(|group| row(visit, member, group)).collect(),
        part: part(at, total, |offset| from(&list, offset)),
        add: typed.or_else(|| new_group_form(visit, member)),
    };
    visit.page(status, &view)
}

fn row(visit: &Visit, member: Member<'_>, group: Group) -> GroupRow {
    let may = may(member, ScopeName::ReadGroups, &group.name);
    GroupRow {
        configured: group.stored.is_none(),
        url: may.then(|| visit.links().admin_group(&group.name)),
        members: may.then_some(group.users.len()),
        name: group.name,
    }
}

/// Whether the visitor holds `scope` for a group.
pub(super) fn may(member: Member<'_>, scope: ScopeName, group: &str) -> bool {
    let rights = &member.caller.rights;
    rights.allows(scope, Target::Group(group)).is_yes()
}

/// The empty form for a new group, for those who may make one of any name.
fn new_group_form(visit: &Visit, member: Member<'_>) -> Option<NewGroupForm> {
    let rights = &member.caller.rights;
    let may = rights.allows(ScopeName::AdminGroups, Target::Everything);
    may.is_yes().then(|| NewGroupForm {
        url: visit.links().admin_groups(),
        typed: String::new(),
        error: None,
    })
}

/// Makes a group and goes to its page, where people are put into it.
pub(in super::super) async fn create(visit: Visit, body: Body) -> Result<Response, Instead> {
    let form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    let member = expect_manager(&visit)?;
    let empty = new_group_form(&visit, member);
    let empty = empty.ok_or_else(|| Instead::status(StatusCode::FORBIDDEN))?;
    let name = form.first("name").unwrap_or_default().trim().to_owned();
    let again = |status, error: String| {
        let typed = NewGroupForm {
            typed: name.clone(),
            error: Some(error),
            ..empty.clone()
        };
        page(&visit, status, Some(typed))
    };
    if let Err(what) = check_name(&name) {
        return again(StatusCode::BAD_REQUEST, sentence(&what));
    }
    let (app, by) = (visit.app(), visit.by(member));
    match people::groups::create(app, &by, vec![name.clone()], Vec::new()).await {
        Ok(_) => {
            let group = visit.links().admin_group(&name);
            Ok(redirect(StatusCode::SEE_OTHER, &group))
        }
        Err(people::Refused::Conflict(error)) => again(StatusCode::CONFLICT, error),
        Err(refused) => Err(refused.into()),
    }
}
