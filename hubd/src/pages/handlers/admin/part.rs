//! A list is shown a page at a time.

use super::super::super::views::admin::{Part, Tabs};
use super::super::visit::{Member, Visit};
use crate::auth::local_path::LocalPath;
use crate::scopes::VisibleNames;

/// How many of a list a page shows.
pub(super) const PAGE: usize = 50;

/// Where the page begins that is asked for with `offset`: one behind the end means the last.
pub(super) fn start(offset: usize, total: usize) -> usize {
    if offset < total {
        offset
    } else {
        total.saturating_sub(1) / PAGE * PAGE
    }
}

/// The page of a list of `total` that begins at `offset`; `link` leads to others.
pub(super) fn part(offset: usize, total: usize, link: impl Fn(usize) -> LocalPath) -> Part {
    let last = offset.saturating_add(PAGE).min(total);
    Part {
        total,
        first: if total == 0 { 0 } else { offset + 1 },
        last,
        previous_url: (offset > 0).then(|| link(offset.saturating_sub(PAGE))),
        following_url: (last < total).then(|| link(last)),
    }
}

/// The offset that the query asks for; what is no number counts as not said.
pub(super) fn offset(visit: &Visit) -> usize {
    let offset = visit.query("offset").and_then(|offset| offset.parse().ok());
    offset.unwrap_or_default()
}

/// `list` from `offset` on.
pub(super) fn from(list: &LocalPath, offset: usize) -> LocalPath {
    match offset {
        0 => list.clone(),
        _ => list.with_query([("offset", offset.to_string().as_str())]),
    }
}

/// The way from one list to another.
pub(super) fn tabs(visit: &Visit, member: Member<'_>) -> Tabs {
    let groups = member.caller.rights.visible_groups() != VisibleNames::None;
    Tabs {
        users: visit.links().admin(),
        groups: groups.then(|| visit.links().admin_groups()),
        audit: (visit.app().directory.is_admin(member.user)).then(|| visit.links().admin_audit()),
    }
}
