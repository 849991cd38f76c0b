//! The options form of a server.

use std::time::Duration;

use http::StatusCode;
use spawner_core::{FormContext, OptionsForm, ServerId, SpawnError, SpawnErrorKind, error_chain};

use super::instead::Instead;
use crate::app::App;

/// How long a spawner may take to make its form.
const PATIENCE: Duration = Duration::from_secs(10);

/// The form that is filled before a start of `server`; `None` without one.
pub(super) async fn form(app: &App, server: &ServerId) -> Result<Option<String>, Instead> {
    let row = app.store.servers().find(server);
    let ctx = FormContext {
        server: server.clone(),
        previous: row
            .and_then(|row| row.user_options.clone())
            .unwrap_or_default(),
    };
    let spawner = app.servers.spawner(server);
    match tokio::time::timeout(PATIENCE, spawner.options_form(&ctx)).await {
        Ok(Ok(OptionsForm::None)) => Ok(None),
        Ok(Ok(OptionsForm::Html(html))) => Ok(Some(html)),
        Ok(Err(error)) => Err(not_made(server, &error)),
        Err(_elapsed) => {
            let message = "The options could not be listed in time. Try again in a moment.";
            Err(Instead::error(StatusCode::SERVICE_UNAVAILABLE, message))
        }
    }
}

/// Whether there is a form. If that cannot be told there is: its page says what is wrong.
pub(super) async fn has_form(app: &App, server: &ServerId) -> bool {
    form(app, server).await.map_or(true, |form| form.is_some())
}

fn not_made(server: &ServerId, error: &SpawnError) -> Instead {
    tracing::warn!(%server, error = error_chain(error), "cannot make the options form");
    let status = match error.kind() {
        SpawnErrorKind::Refused | SpawnErrorKind::NotFound => StatusCode::BAD_REQUEST,
        SpawnErrorKind::Unavailable | SpawnErrorKind::Timeout => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Instead::error(status, error.to_string())
}
