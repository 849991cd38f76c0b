//! One user: what they are called, what they may do, which groups they are in.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use spawner_core::UserName;

use super::super::super::views::admin::{GroupOfUser, JoinForm, RenameForm, UserView};
use super::super::form;
use super::super::instead::{Instead, redirect, sentence};
use super::super::named::Named;
use super::super::visit::{Member, Visit};
use super::groups::may as may_group;
use super::list::{expect_manager, visible};
use super::people::{back, expect_user};
use super::rows::when;
use crate::people::{Refused, groups, users};
use crate::scopes::{ScopeName, Target};
use crate::store::{User, UserChange};

pub(in super::super) async fn show(visit: Visit, named: Named) -> Result<Response, Instead> {
    let member = expect_manager(&visit)?;
    let within = visible(visit.app(), member)?;
    let name = named
        .user
        .filter(|name| within.is_none_or(|within| within.contains(name)));
    let user = name.and_then(|name| visit.app().store.users().by_name(&name));
    let user = user.ok_or_else(|| Instead::status(StatusCode::NOT_FOUND))?;
    page(&visit, StatusCode::OK, member, &user, None)
}

/// The page of `user`, with the form for another name as it was `typed`.
fn page(
    visit: &Visit,
    status: StatusCode,
    member: Member<'_>,
    user: &User,
    typed: Option<RenameForm>,
) -> Result<Response, Instead> {
    let (directory, links) = (&visit.app().directory, visit.links());
    let in_groups = directory.groups_of(&user.name);
    let rights = &member.caller.rights;
    let may = |scope| {
        let (name, groups) = (&user.name, &*in_groups);
        let target = Target::User { name, groups };
        rights.allows(scope, target).is_yes()
    };
    let fields = rights.user_fields(&user.name, &in_groups);
    let (you, changes) = (user.id == member.user.id, may(ScopeName::AdminUsers));
    let named_by = directory.key_naming(&user.name);
    let named_admin = directory.is_named_admin(&user.name);
    let gives_admin = changes && directory.is_admin(member.user) && !named_admin && !you;
    let rename = || RenameForm {
        url: links.admin_rename(&user.name),
        typed: user.name.to_string(),
        error: None,
    };
    let view = UserView {
        name: user.name.to_string(),
        you,
        admin: directory.is_admin(user),
        created: when(user.created),
        last_seen: user.last_activity.map(when),
        roles: if fields.roles {
            directory.role_names_of(user)
        } else {
            Vec::new()
        },
        join: join_form(visit, member, &user.name, &in_groups),
        rename: typed.or_else(|| (changes && named_by.is_none()).then(rename)),
        named_by,
        named_admin,
        admin_url: gives_admin.then(|| links.admin_rights(&user.name)),
        delete_url: (may(ScopeName::DeleteUsers) && !you).then(|| links.admin_delete(&user.name)),
        here: links.admin_user(&user.name),
        list_url: visit.next().unwrap_or_else(|| links.admin()),
        groups: fields.groups.then(|| {
            let groups = in_groups.into_iter();
            groups
                .map(|group| group_row(visit, member, group))
                .collect()
        }),
    };
    visit.page(status, &view)
}

fn group_row(visit: &Visit, member: Member<'_>, name: String) -> GroupOfUser {
    let (known, links) = (visit.app().directory.groups(), visit.links());
    let configured = known.is_configured(&name);
    let changes = !configured && may_group(member, ScopeName::Groups, &name);
    let reads = may_group(member, ScopeName::ReadGroups, &name);
    GroupOfUser {
        configured,
        url: reads.then(|| links.admin_group(&name)),
        take_out_url: changes.then(|| links.admin_group_take_out(&name)),
        name,
    }
}

/// The groups that the visitor may put this user into, if there are any.
fn join_form(
    visit: &Visit,
    member: Member<'_>,
    user: &UserName,
    is_in: &[String],
) -> Option<JoinForm> {
    let all = visit.app().directory.groups().all().into_iter();
    let open = all.filter(|group| {
        group.stored.is_some()
            && !is_in.contains(&group.name)
            && may_group(member, ScopeName::Groups, &group.name)
    });
    let groups: Vec<String> = open.map(|group| group.name).collect();
    (!groups.is_empty()).then(|| JoinForm {
        url: visit.links().admin_join(user),
        groups,
    })
}

/// Gives a user another name.
pub(in super::super) async fn rename(
    visit: Visit,
    named: Named,
    body: Body,
) -> Result<Response, Instead> {
    let form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    let (member, user) = expect_user(&visit, named, ScopeName::AdminUsers)?;
    let typed = form.first("name").unwrap_or_default().trim();
    let again = |error| {
        let typed = RenameForm {
            url: visit.links().admin_rename(&user.name),
            typed: typed.to_owned(),
            error: Some(error),
        };
        page(&visit, StatusCode::BAD_REQUEST, member, &user, Some(typed))
    };
    let name = match UserName::new(typed) {
        Ok(name) => name,
        Err(error) => return again(sentence(&error.to_string())),
    };
    let change = UserChange {
        name: Some(name),
        ..UserChange::default()
    };
    match users::change(visit.app(), &visit.by(member), &user, change).await {
        Ok(changed) => {
            let own = visit.links().admin_user(&changed.name);
            Ok(redirect(StatusCode::SEE_OTHER, &own))
        }
        Err(Refused::Invalid(error)) => again(error),
        Err(refused) => Err(refused.into()),
    }
}

/// Puts a user into a group.
pub(in super::super) async fn join(
    visit: Visit,
    named: Named,
    body: Body,
) -> Result<Response, Instead> {
    let form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    let member = expect_manager(&visit)?;
    let app = visit.app();
    let group = form.first("group").unwrap_or_default();
    let group = app.directory.groups().find(group);
    let group = group.filter(|group| may_group(member, ScopeName::Groups, &group.name));
    let user = named.user.and_then(|name| app.store.users().by_name(&name));
    let (group, user) = group
        .zip(user)
        .ok_or_else(|| Instead::status(StatusCode::NOT_FOUND))?;
    groups::add(app, &visit.by(member), &group, vec![user.id]).await?;
    Ok(redirect(StatusCode::SEE_OTHER, &back(&visit, &form)))
}
