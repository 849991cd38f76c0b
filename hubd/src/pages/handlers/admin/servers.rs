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

/// How long a start is waited for; the list shows how it goes on.
const PATIENCE: Duration = Duration::from_millis(200);

/// Starts a server with the options of its last start.
pub(in super::super) async fn start(
    visit: Visit,
    named: Named,
    body: Body,
) -> Result<Response, Instead> {
    let (goal, list) = expect_goal(&visit, named, body, ScopeName::StartServers).await?;
    let (servers, server) = (&visit.app().servers, &goal.server);
    let waiting = Waiting::InLine;
    let begun = servers.start(&goal.owner, server, None, waiting, PATIENCE);
    match begun.await {
        Ok(_) => {
            tracing::info!(by = %goal.member.user.name, %server, "a server was started by an admin");
            Ok(redirect(StatusCode::SEE_OTHER, &list))
        }
        // Somebody else was faster; the list shows it.
        Err(StartRefused::Running(_)) => Ok(redirect(StatusCode::SEE_OTHER, &list)),
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
        tracing::info!(by = %visitor, %server, "somebody else's server was opened");
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
