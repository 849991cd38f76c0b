//! The list.

use std::collections::HashSet;

use axum::response::Response;
use http::StatusCode;
use spawner_core::UserName;

use super::super::super::views::admin::{AddForm, AdminView, Choice, Sorting};
use super::super::instead::Instead;
use super::super::visit::{Member, Visit, manages};
use super::listing::Listing;
use super::part::{PAGE, part, start, tabs};
use super::rows::row;
use crate::app::App;
use crate::scopes::{ScopeName, Target, VisibleUsers};
use crate::store::UserQuery;

pub(in super::super) async fn show(visit: Visit) -> Result<Response, Instead> {
    let listing = Listing::asked(&visit);
    page(&visit, StatusCode::OK, &listing, None)
}

/// The list, with the form for new users as it was `typed`.
pub(super) fn page(
    visit: &Visit,
    status: StatusCode,
    listing: &Listing,
    typed: Option<AddForm>,
) -> Result<Response, Instead> {
    let member = expect_manager(visit)?;
    let app = visit.app();
    let mut query = UserQuery {
        sort: listing.sort(),
        descending: listing.descending,
        name_filter: Some(listing.filter.clone()).filter(|text| !text.is_empty()),
        state: listing.state(),
        within: visible(app, member)?,
        offset: listing.offset,
        limit: PAGE,
    };
    let mut found = app.store.users().list(&query);
    if found.users.is_empty() && found.total > 0 {
        // The last page, after those who were on this one have been deleted.
        query.offset = start(query.offset, found.total);
        found = app.store.users().list(&query);
    }
    let base = visit.links().admin();
    let link = |offset: usize| listing.at(offset).url(&base);
    let names = found.users.iter().map(|user| ("user", user.name.as_str()));
    let view = AdminView {
        tabs: tabs(visit, member),
        here: link(query.offset),
        filter: listing.filter.clone(),
        states: listing
            .states()
            .map(|(value, label, chosen)| Choice {
                value,
                label,
                chosen,
            })
            .collect(),
        sorts: listing
            .sorts()
            .map(|(label, other, current)| Sorting {
                label,
                url: other.url(&base),
                current,
            })
            .collect(),
        sort: listing.sort_word(),
        part: part(query.offset, found.total, link),
        events_url: visit.links().admin_events().with_query(names),
        rows: found
            .users
            .iter()
            .map(|user| row(visit, member, user))
            .collect(),
        add: typed.or_else(|| add_form(visit, member)),
        list_url: base,
    };
    visit.page(status, &view)
}

/// Who may see the page.
pub(super) fn expect_manager(visit: &Visit) -> Result<Member<'_>, Instead> {
    let member = visit.expect_member()?;
    if manages(member.caller) {
        Ok(member)
    } else {
        Err(Instead::status(StatusCode::FORBIDDEN))
    }
}

/// Whom the visitor may see; `None` is everybody.
pub(super) fn visible(app: &App, member: Member<'_>) -> Result<Option<HashSet<UserName>>, Instead> {
    match member.caller.rights.visible_users() {
        VisibleUsers::All => Ok(None),
        VisibleUsers::Only { users, groups } => {
            let members = groups
                .iter()
                .flat_map(|group| app.directory.groups().members(group));
            Ok(Some(users.iter().cloned().chain(members).collect()))
        }
        VisibleUsers::Nobody => Err(Instead::status(StatusCode::FORBIDDEN)),
    }
}

/// The empty form for new users, for those who may make some.
pub(super) fn add_form(visit: &Visit, member: Member<'_>) -> Option<AddForm> {
    let rights = &member.caller.rights;
    let may = rights.allows(ScopeName::AdminUsers, Target::Everything);
    may.is_yes().then(|| AddForm {
        url: visit.links().admin_add(),
        names: String::new(),
        admins: false,
        may_admins: visit.app().directory.is_admin(member.user),
        error: None,
    })
}
