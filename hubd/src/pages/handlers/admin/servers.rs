//! Somebody's server, started and opened by somebody else.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use spawner_core::ServerId;

use super::super::form;
use super::super::instead::{Instead, redirect};
use super::super::named::{Goal, Named};
use super::super::start::not_started;
use super::super::visit::{Member, Visit};
use super::list::expect_manager;
use super::people::back;
use crate::scopes::ScopeName;
use crate::servers::{StartRefused, Waiting};
use crate::store::audit::{Action, Object};

/// How long a start is waited for; the list shows how it goes on.
const PATIENCE: Duration = Duration::from_millis(200);

/// Starts a server with the options of its last start.
pub(in super::super) async fn start(
    visit: Visit,
    named: Named,
    body: Body,
) -> Result<Response, Instead> {
    let (goal, list) = expect_goal(&visit, named, body, ScopeName::StartServers).await?;
    let server = &goal.server;
    let servers = visit.app().servers.by(visit.actor(goal.member));
    let waiting = Waiting::InLine;
    let begun = servers.start(&goal.owner, server, None, waiting, PATIENCE);
    match begun.await {
        // Somebody else may have been faster; the list shows it.
        Ok(_) | Err(StartRefused::Running(_)) => Ok(redirect(StatusCode::SEE_OTHER, &list)),
        Err(refused @ StartRefused::Options(_)) => {
            let form = visit.links().spawn(server, Some(&list));
            Err(not_started(&visit, &goal, &refused, None).leading_to(form))
        }
        Err(refused) => Err(not_started(&visit, &goal, &refused, None)),
    }
}

/// Goes to a server, after it has been noted who goes there.
pub(in super::super) async fn open(
    visit: Visit,
    named: Named,
    body: Body,
) -> Result<Response, Instead> {
    let (goal, _) = expect_goal(&visit, named, body, ScopeName::AccessServers).await?;
    note_visit(&visit, goal.member, &goal.server).await?;
    let server = visit.links().server(&goal.server);
    Ok(redirect(StatusCode::SEE_OTHER, &server))
}

/// Notes that somebody opens a server, if it is not their own.
pub(in super::super) async fn note_visit(
    visit: &Visit,
    member: Member<'_>,
    server: &ServerId,
) -> Result<(), Instead> {
    let visitor = &member.user.name;
    if *visitor == server.user {
        return Ok(());
    }
    let store = &visit.app().store;
    if let Some(row) = store.servers().find(server) {
        let entry = visit.entry(member, Action::ServerVisit);
        let entry = entry.on(Object::server(Some(row.id), server));
        let owner = store.users().by_id(row.user);
        let entry = match owner {
            Some(owner) => entry.concerning(&owner),
            None => entry,
        };
        let store = store.noting(entry);
        let visits = store.visits();
        visits
            .note(row.id, visitor.clone(), Timestamp::now())
            .await?;
    }
    Ok(())
}

async fn expect_goal(
    visit: &Visit,
    named: Named,
    body: Body,
    scope: ScopeName,
) -> Result<(Goal<'_>, crate::auth::local_path::LocalPath), Instead> {
    let form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    expect_manager(visit)?;
    Ok((visit.goal(named, scope)?, back(visit, &form)))
}
