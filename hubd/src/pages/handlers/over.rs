//! A run that is over: how it ended, from the books, so that a restart of the hub forgets nothing.

use axum::response::Response;
use http::StatusCode;
use serde::Deserialize as _;
use spawner_core::{Ending, Outcome, ServerId};

use super::super::failure::Failure;
use super::super::views::{FailedView, NotRunningView};
use super::instead::Instead;
use super::options::has_form;
use super::visit::Visit;
use crate::app::App;
use crate::auth::local_path::LocalPath;

/// How the last run of a server ended, if that is worth telling.
pub(super) fn last_outcome(app: &App, server: &ServerId) -> Option<Outcome> {
    let row = app.store.servers().find(server)?;
    match Outcome::deserialize(row.last_failure.as_ref()?) {
        Ok(outcome) => Some(outcome),
        Err(error) => {
            tracing::warn!(%server, %error, "cannot read how the last run ended");
            None
        }
    }
}

/// Whether the last start failed, so that going there shows why instead of a start button.
pub(super) fn start_failed(outcome: Option<&Outcome>) -> bool {
    outcome.is_some_and(|outcome| matches!(outcome.ending, Ending::Failed(_)))
}

impl Visit {
    /// The page of a server that does not run: why the last run failed, or a button to start it.
    pub(super) async fn over(
        &self,
        server: &ServerId,
        outcome: Option<&Outcome>,
        next: Option<&LocalPath>,
    ) -> Result<Response, Instead> {
        let card = self.card(server, has_form(self.app(), server).await, next);
        let told = outcome.and_then(|outcome| Some((outcome, Failure::of(outcome)?)));
        match told {
            None => self.page(StatusCode::OK, &NotRunningView { server: card }),
            Some((outcome, failure)) => {
                let view = FailedView {
                    server: card,
                    failure,
                };
                self.page(status_of(outcome), &view)
            }
        }
    }
}

/// A failed start is an error of the request or of the hub; an end of what ran is neither.
fn status_of(outcome: &Outcome) -> StatusCode {
    match &outcome.ending {
        Ending::Failed(failure) if failure.refused => StatusCode::BAD_REQUEST,
        Ending::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        Ending::Stopped | Ending::Exited(_) => StatusCode::OK,
    }
}
