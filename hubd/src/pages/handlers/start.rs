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
use crate::store::audit::{Action, Object};

/// How long a start is waited for before the visitor is sent to watch it: a mistake shows at once.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most that is given back of a form that was refused, in bytes of JSON.
const TYPED_MAX: usize = 64 * 1024;
/// When a hub that has too many starts under way is asked again, in seconds.
const BUSY: u64 = 30;

/// Starts the server and goes where that is watched; without options it takes the last ones. Where
/// they are refused the form is shown again with what it `brought`.
pub(super) async fn start(
    visit: &Visit,
    goal: &Goal<'_>,
    options: Result<Option<UserOptions>, OptionsError>,
    brought: Brought,
    next: Option<LocalPath>,
) -> Result<Response, Instead> {
    let server = &goal.server;
    let servers = visit.app().servers.by(visit.actor(goal.member));
    let wished = options.as_ref().ok().cloned().flatten();
    let begun = match options {
        Ok(options) => {
            if let Some(title) = &brought.display_name {
                create(visit, goal, title).await?;
            }
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
            match form {
                Some(form) => {
                    let refused = Some(error);
                    let brought = Brought { refused, ..brought };
                    form_page(visit, goal, form, next.as_ref(), brought)
                }
                None => Err(Instead::error(StatusCode::BAD_REQUEST, words(&error))),
            }
        }
        Err(refused) => Err(not_started(visit, goal, &refused, next.as_ref())),
    }
}

/// Makes a named server that does not exist yet, with what it is called.
pub(super) async fn create(visit: &Visit, goal: &Goal<'_>, title: &str) -> Result<(), Instead> {
    let (app, server) = (visit.app(), &goal.server);
    let checked = app.servers.check_named(&goal.owner, server);
    checked.map_err(|why| not_started(visit, goal, &why, None))?;
    let (user, name) = (goal.owner.id, server.server.clone());
    let entry = visit.entry(goal.member, Action::ServerCreate);
    let entry = entry.on(Object::server(None, server));
    let store = app.store.noting(entry.concerning(&goal.owner));
    let title = Some(title.to_owned());
    store.servers().ensure(user, name, title).await?;
    Ok(())
}

/// What came with a link or a form beside the options, to be shown again where they are refused.
#[derive(Default)]
pub(super) struct Brought {
    /// What a server is to be called that does not exist yet.
    pub(super) display_name: Option<String>,
    /// The form as it was sent.
    pub(super) typed: Option<FormData>,
    /// What is wrong with the options.
    pub(super) refused: Option<OptionsError>,
}

/// What is wrong with options, and with which field.
fn words(error: &OptionsError) -> String {
    match &error.field {
        Some(field) if !error.message.contains(field.as_str()) => {
            format!("{field}: {}", error.message)
        }
        _ => error.message.clone(),
    }
}

/// What the script of the page puts back into the fields, as JSON. A form that the spawner fills by
/// itself needs no script.
fn put_back(typed: &FormData) -> Option<String> {
    let fields: BTreeMap<_, _> = typed.iter().collect();
    let json = serde_json::to_string(&fields).ok()?;
    (json.len() <= TYPED_MAX).then_some(json)
}

/// The options form, again with what was wrong with the options that it brought.
pub(super) fn form_page(
    visit: &Visit,
    goal: &Goal<'_>,
    options_form: String,
    next: Option<&LocalPath>,
    brought: Brought,
) -> Result<Response, Instead> {
    let status = match brought.refused {
        None => StatusCode::OK,
        Some(_) => StatusCode::BAD_REQUEST,
    };
    let view = SpawnView {
        server: visit.card(&goal.server, true, next),
        options_form,
        display_name: brought.display_name,
        error: brought.refused.as_ref().map(words),
        typed: brought.typed.as_ref().and_then(put_back),
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
