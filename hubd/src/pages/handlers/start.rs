//! A start, and what its visitor sees when there is none.

use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use spawner_core::{Ending, OptionsError, UserOptions};

use super::super::views::{SpawnView, label};
use super::instead::{Instead, redirect};
use super::named::Goal;
use super::options;
use super::visit::Visit;
use crate::auth::local_path::LocalPath;
use crate::servers::{Begun, StartRefused};

/// How long a start is waited for before the visitor is sent to watch it: a mistake shows at once.
const PATIENCE: Duration = Duration::from_secs(1);
/// When a hub that has too many starts under way is asked again, in seconds.
const BUSY: u64 = 30;

/// Starts the server and goes where that is watched; without options it takes the last ones.
pub(super) async fn start(
    visit: &Visit,
    goal: &Goal<'_>,
    options: Result<Option<UserOptions>, OptionsError>,
    next: Option<LocalPath>,
) -> Result<Response, Instead> {
    let (servers, server) = (&visit.app().servers, &goal.server);
    let begun = match options {
        Ok(options) => servers.start(&goal.owner, server, options, PATIENCE).await,
        Err(error) => Err(error.into()),
    };
    match begun {
        Ok(Begun::Failed(outcome)) if outcome.ending != Ending::Stopped => {
            visit.over(server, Some(&outcome), next.as_ref()).await
        }
        Ok(_) => {
            let pending = visit.links().spawn_pending(server, next.as_ref());
            Ok(redirect(StatusCode::FOUND, &pending))
        }
        Err(StartRefused::Options(error)) => match options::form(visit.app(), server).await? {
            Some(form) => form_page(visit, goal, form, next.as_ref(), Some(&error)),
            None => Err(Instead::error(StatusCode::BAD_REQUEST, error.message)),
        },
        Err(refused) => Err(not_started(visit, goal, &refused, next.as_ref())),
    }
}

/// The options form, again with what was wrong with the options that it brought.
pub(super) fn form_page(
    visit: &Visit,
    goal: &Goal<'_>,
    options_form: String,
    next: Option<&LocalPath>,
    error: Option<&OptionsError>,
) -> Result<Response, Instead> {
    let status = match error {
        None => StatusCode::OK,
        Some(_) => StatusCode::BAD_REQUEST,
    };
    let view = SpawnView {
        server: visit.card(&goal.server, true, next),
        options_form,
        error: error.map(ToString::to_string),
    };
    visit.page(status, &view)
}

/// Refuses a named server where there are none: a form for it would only waste time.
pub(super) fn expect_allowed(visit: &Visit, goal: &Goal<'_>) -> Result<(), Instead> {
    if visit.app().servers.named_servers_per_user() == 0 && !goal.server.server.is_default() {
        let refused = StartRefused::NamedServers(0);
        return Err(not_started(visit, goal, &refused, None));
    }
    Ok(())
}

fn not_started(
    visit: &Visit,
    goal: &Goal<'_>,
    refused: &StartRefused,
    next: Option<&LocalPath>,
) -> Instead {
    let doing = match refused {
        StartRefused::Running(_) => "is already running",
        StartRefused::Stopping(_) => "is being stopped",
        StartRefused::Checking(_) => "is being checked",
        StartRefused::Options(_) | StartRefused::NamedServers(_) => {
            return Instead::error(StatusCode::BAD_REQUEST, refused.to_string());
        }
        StartRefused::Busy => {
            return Instead::busy(StatusCode::TOO_MANY_REQUESTS, refused.to_string(), BUSY);
        }
        StartRefused::Full(_) => {
            return Instead::error(StatusCode::TOO_MANY_REQUESTS, refused.to_string());
        }
        StartRefused::ShuttingDown => {
            let message = "The hub is shutting down. Try again in a moment.";
            return Instead::busy(StatusCode::SERVICE_UNAVAILABLE, message, BUSY);
        }
        StartRefused::Store(error) => return error.clone().into(),
    };
    in_the_way(visit, goal, doing, next)
}

/// There is a run already; the page leads to it.
pub(super) fn in_the_way(
    visit: &Visit,
    goal: &Goal<'_>,
    doing: &str,
    next: Option<&LocalPath>,
) -> Instead {
    let mine = goal.server.user == goal.member.user.name;
    let message = format!("{} {doing}.", label(&goal.server, mine));
    let pending = visit.links().spawn_pending(&goal.server, next);
    Instead::error(StatusCode::BAD_REQUEST, message).leading_to(pending)
}
