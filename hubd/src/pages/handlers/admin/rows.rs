//! A user as the list shows them.

use std::fmt::Write as _;

use jiff::Timestamp;
use spawner_core::{ServerId, ServerName};

use super::super::super::failure::Failure;
use super::super::super::views::ServerState;
use super::super::super::views::admin::{ServerRow, UserRow};
use super::super::over::last_outcome;
use super::super::visit::{Member, Visit};
use crate::app::App;
use crate::scopes::{ScopeName, Target};
use crate::store::User;

/// A time for people.
pub(in super::super) fn when(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// The servers of a user, the default one first, also if it never ran.
pub(super) fn servers_of(app: &App, user: &User) -> Vec<(ServerId, String)> {
    let default = ServerId::default_of(user.name.clone());
    let mut servers = vec![(default, String::new())];
    for row in app.store.servers().of(user.id) {
        if !row.name.is_default() {
            let title = title(&row.name, &row.display_name);
            servers.push((ServerId::new(user.name.clone(), row.name.clone()), title));
        }
    }
    servers
}

/// What a person calls a named server.
pub(in super::super) fn title(name: &ServerName, display_name: &str) -> String {
    if display_name.is_empty() {
        name.to_string()
    } else {
        display_name.to_owned()
    }
}

/// What the servers of a user do, in one word: another one whenever one of them does something else.
pub(super) fn stamp(app: &App, user: &User) -> String {
    let mut stamp = String::new();
    for (server, _) in servers_of(app, user) {
        let state = ServerState::from(app.servers.look(&server).place);
        let _ = write!(stamp, "{}={} ", server.server, state.words());
    }
    stamp.truncate(stamp.trim_end().len());
    stamp
}

/// The row of `user` for this visitor.
pub(super) fn row(visit: &Visit, member: Member<'_>, user: &User) -> UserRow {
    let (app, links) = (visit.app(), visit.links());
    let groups = app.directory.groups_of(&user.name);
    let fields = member.caller.rights.user_fields(&user.name, &groups);
    let servers = servers_of(app, user).into_iter();
    UserRow {
        name: user.name.to_string(),
        stamp: stamp(app, user),
        admin: app.directory.is_admin(user),
        you: user.id == member.user.id,
        last_seen: user.last_activity.map(when),
        user_url: links.admin_user(&user.name),
        servers: servers
            .map(|(server, name)| server_row(visit, member, &server, name, &groups))
            .collect(),
        groups: if fields.groups { groups } else { Vec::new() },
    }
}

fn server_row(
    visit: &Visit,
    member: Member<'_>,
    server: &ServerId,
    name: String,
    groups: &[String],
) -> ServerRow {
    let (app, links) = (visit.app(), visit.links());
    let may = |scope| {
        let target = Target::Server { id: server, groups };
        member.caller.rights.allows(scope, target).is_yes()
    };
    let state = ServerState::from(app.servers.look(server).place);
    let (stopped, running) = (state == ServerState::Stopped, state == ServerState::Running);
    let may_stop = may(ScopeName::DeleteServers);
    let failed = stopped
        && last_outcome(app, server)
            .as_ref()
            .and_then(Failure::of)
            .is_some();
    ServerRow {
        words: state.words(),
        state,
        // The page that tells needs it.
        failure_url: (failed && may(ScopeName::Servers)).then(|| links.spawn_pending(server, None)),
        open_url: (running && may(ScopeName::AccessServers)).then(|| links.admin_open(server)),
        start_url: (stopped && may(ScopeName::StartServers)).then(|| links.admin_start(server)),
        stop_url: (may_stop && !stopped && state != ServerState::Stopping)
            .then(|| links.stop(server)),
        remove_url: (may_stop && stopped && !server.server.is_default())
            .then(|| links.remove(server)),
        name,
    }
}
