//! A start, and what its visitor sees when there is none.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use spawner_core::{Ending, FormData, OptionsError, UserOptions};

use super::super::views::{SpawnView, label};
use super::instead::{Instead, redirect};
use super::named::Goal;
use super::options;
use super::visit::Visit;
use crate::auth::local_path::LocalPath;
use crate::servers::{Begun, StartRefused, Waiting};

/// How long a start is waited for before the visitor is sent to watch it: a mistake shows at once.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most that is given back of a form that was refused, in bytes of JSON.
const TYPED_MAX: usize = 64 * 1024;
/// When a hub that has too many starts under way is asked again, in seconds.
const BUSY: u64 = 30;

/// Starts the server and goes where that is watched; without options it takes the last ones. Where
/// they are refused the form is shown again as it was `typed`.
pub(super) async fn start(
    visit: &Visit,
    goal: &Goal<'_>,
    options: Result<Option<UserOptions>, OptionsError>,
    typed: Option<FormData>,
    next: Option<LocalPath>,
) -> Result<Response, Instead> {
    let server = &goal.server;
    let servers = visit.app().servers.by(visit.actor(goal.member));
    let wished = options.as_ref().ok().cloned().flatten();
    let begun = match options {
        Ok(options) => {
            let waiting = Waiting::InLine;
            servers
                .start(&goal.owner, server, options, waiting, PATIENCE)
                .await
        }
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
        Err(StartRefused::Options(error)) => {
            let form = options::form(visit.app(), server, wished).await?;
            let refused = Refused { error, typed };
            match form {
                Some(form) => form_page(visit, goal, form, next.as_ref(), Some(&refused)),
                None => Err(Instead::error(StatusCode::BAD_REQUEST, refused.words())),
            }
        }
        Err(refused) => Err(not_started(visit, goal, &refused, next.as_ref())),
    }
}

/// Options that a start was refused for, and the form that they came in.
pub(super) struct Refused {
    error: OptionsError,
    typed: Option<FormData>,
}

impl Refused {
    /// What is wrong, and with which field.
    fn words(&self) -> String {
        let message = &self.error.message;
        match &self.error.field {
            Some(field) if !message.contains(field.as_str()) => format!("{field}: {message}"),
            _ => message.clone(),
        }
    }

    /// What the script of the page puts back into the fields, as JSON. A form that the spawner fills
    /// by itself needs no script.
    fn typed(&self) -> Option<String> {
        let fields: BTreeMap<_, _> = self.typed.as_ref()?.iter().collect();
        let json = serde_json::to_string(&fields).ok()?;
        (json.len() <= TYPED_MAX).then_some(json)
    }
}

/// The options form, again with what was wrong with the options that it brought.
pub(super) fn form_page(
    visit: &Visit,
    goal: &Goal<'_>,
    options_form: String,
    next: Option<&LocalPath>,
    refused: Option<&Refused>,
) -> Result<Response, Instead> {
    let status = match refused {
        None => StatusCode::OK,
        Some(_) => StatusCode::BAD_REQUEST,
    };
    let view = SpawnView {
        server: visit.card(&goal.server, true, next),
        options_form,
        error: refused.map(Refused::words),
        typed: refused.and_then(Refused::typed),
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

/// Why nothing was started, with the way to what is there instead.
pub(super) fn not_started(
    visit: &Visit,
    goal: &Goal<'_>,
    refused: &StartRefused,
    next: Option<&LocalPath>,
) -> Instead {
    let doing = match refused {
        StartRefused::Running(_) => "is already running",
        StartRefused::Stopping(_) => "is being stopped",
        StartRefused::Checking(_) => "is being checked",
        StartRefused::Options(_) | StartRefused::NamedServers(_) | StartRefused::HidesPage(_) => {
            return Instead::error(StatusCode::BAD_REQUEST, refused.to_string());
        }
        StartRefused::Busy => {
            return Instead::busy(StatusCode::TOO_MANY_REQUESTS, refused.to_string(), BUSY);
        }
        StartRefused::FailsRepeatedly { retry_after, .. } => {
            let pause = retry_after.as_secs() + 1;
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Instead::busy(status, refused.to_string(), pause);
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
