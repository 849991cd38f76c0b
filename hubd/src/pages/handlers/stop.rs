//! `/hub/stop/USER[/SERVER]`: stops a server, or ends its start.
//! `/hub/remove/USER/SERVER`: forgets a named server that is stopped.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use spawner_core::{FormData, StopMode, error_chain};

use super::super::failure::{FailedPhase, Failure};
use super::super::views::FailedView;
use super::form;
use super::instead::{Instead, redirect, sentence};
use super::named::Named;
use super::visit::Visit;
use crate::auth::local_path::LocalPath;
use crate::scopes::ScopeName;
use crate::servers::{Place, StopRefused};

/// How long a stop is waited for; the home page shows one that takes longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The page of ours that a form came from and wants to go back to, or home.
fn back(visit: &Visit, form: &FormData) -> LocalPath {
    let next = form.first("next").and_then(|next| visit.local(next));
    next.unwrap_or_else(|| visit.links().home())
}

/// Removes a named server that is stopped. One that is not is left alone: a stop is asked for first.
pub(super) async fn remove(visit: Visit, named: Named, body: Body) -> Result<Response, Instead> {
    let form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    let goal = visit.goal(named, ScopeName::DeleteServers)?;
    let (app, server) = (visit.app(), &goal.server);
    if server.server.is_default() {
        let message = "The default server cannot be removed, only stopped.";
        return Err(Instead::error(StatusCode::BAD_REQUEST, message));
    }
    if app.store.servers().find(server).is_none() {
        return Err(Instead::status(StatusCode::NOT_FOUND));
    }
    let list = back(&visit, &form);
    if app.servers.look(server).place != Place::Stopped {
        let message = "This server is not stopped. Stop it first, then remove it.";
        return Err(Instead::error(StatusCode::CONFLICT, message).leading_to(list));
    }
    let servers = app.servers.by(visit.actor(goal.member));
    servers.remove(server).await?;
    Ok(redirect(StatusCode::SEE_OTHER, &list))
}

pub(super) async fn submit(visit: Visit, named: Named, body: Body) -> Result<Response, Instead> {
    let form = form::read(&visit.parts.headers, body, form::SMALL).await?;
    visit.check_xsrf(&form)?;
    let goal = visit.goal(named, ScopeName::DeleteServers)?;
    let server = &goal.server;
    let servers = visit.app().servers.by(visit.actor(goal.member));
    let stopped = servers.stop(server, StopMode::Graceful, PATIENCE);
    match stopped.await {
        Ok(_) => Ok(redirect(StatusCode::SEE_OTHER, &back(&visit, &form))),
        Err(StopRefused::Failed(error)) => {
            tracing::warn!(%server, error = error_chain(&error), "a stop failed");
            let view = FailedView {
                server: visit.card(server, false, None),
                failure: Failure::new(FailedPhase::Stopping, error.to_string()),
            };
            visit.page(StatusCode::INTERNAL_SERVER_ERROR, &view)
        }
        Err(StopRefused::Store(error)) => Err(error.into()),
        Err(refused @ StopRefused::ShuttingDown) => {
            let message = sentence(&refused.to_string());
            Err(Instead::busy(StatusCode::SERVICE_UNAVAILABLE, message, 30))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Site, id};
    use crate::servers::Place;

    #[tokio::test]
    async fn a_stop_leads_home() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        for server in ["", "proj"] {
            site.start("alice", server).await;
            let path = format!("/hub/stop/alice/{server}");
            let reply = alice.post(path.trim_end_matches('/'), &[]).await;
            assert_eq!(reply.leads(), (303, "/hub/home"));
            let place = site.app.servers.look(&id("alice", server)).place;
            assert_eq!(place, Place::Stopped);
        }
        let reply = alice.post("/hub/stop/alice", &[]).await;
        assert_eq!(reply.leads(), (303, "/hub/home"), "nothing runs");
    }

    #[tokio::test]
    async fn a_stop_that_fails_says_so() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        site.start("alice", "").await;
        site.direct(|script| script.stuck = true);
        let reply = alice.post("/hub/stop/alice", &[]).await;
        assert_eq!(reply.status, 500);
        assert_eq!(reply.heading(), "Your server could not be stopped");
        assert_eq!(reply.texts("[role=alert]"), ["It does not <i>end</i>."]);
        assert_eq!(reply.texts("main .button"), ["Home"]);
    }

    #[tokio::test]
    async fn only_a_form_stops() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        site.start("alice", "").await;
        let reply = alice.get("/hub/stop/alice").await;
        assert_eq!(
            (reply.status, &reply.headers["allow"]),
            (405, &"POST".parse().unwrap())
        );
        assert_eq!(
            site.browser().post("/hub/stop/alice", &[]).await.status,
            403
        );
        let place = site.app.servers.look(&id("alice", "")).place;
        assert_eq!(place, Place::Ready);
    }
}
