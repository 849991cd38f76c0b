//! The options form of a server.

use http::StatusCode;
use spawner_core::{FormContext, OptionsForm, ServerId, SpawnErrorKind, UserOptions, error_chain};

use super::instead::Instead;
use crate::app::App;
use crate::servers::NoForm;
use crate::tasks::NoAnswer;

/// When a form that was not made is asked for again, in seconds.
const AGAIN: u64 = 5;

/// The form that is filled before a start of `server`; `None` without one. It shows `typed`, or else
/// the options of the last start.
pub(super) async fn form(
    app: &App,
    server: &ServerId,
    typed: Option<UserOptions>,
) -> Result<Option<String>, Instead> {
    let last = || app.store.servers().find(server)?.user_options.clone();
    let ctx = FormContext {
        server: server.clone(),
        previous: typed.or_else(last).unwrap_or_default(),
    };
    match app.servers.options_form(ctx).await {
        Ok(OptionsForm::None) => Ok(None),
        Ok(OptionsForm::Html(html)) => Ok(Some(html)),
        Err(error) => Err(not_made(server, &error)),
    }
}

/// Whether there is a form. If that cannot be told there is: its page says what is wrong.
pub(super) async fn has_form(app: &App, server: &ServerId) -> bool {
    let form = form(app, server, None).await;
    form.map_or(true, |form| form.is_some())
}

fn not_made(server: &ServerId, error: &NoForm) -> Instead {
    tracing::warn!(%server, error = error_chain(error), "cannot make the options form");
    match error {
        NoForm::NoAnswer(NoAnswer::Late(_)) => Instead::busy(
            StatusCode::SERVICE_UNAVAILABLE,
            "The options could not be listed in time. Try again in a moment.",
            AGAIN,
        ),
        NoForm::NoAnswer(NoAnswer::Panicked) => Instead::error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The options could not be listed. Ask your administrator.",
        ),
        NoForm::Spawner(error) => match error.kind() {
            SpawnErrorKind::Refused | SpawnErrorKind::NotFound => {
                Instead::error(StatusCode::BAD_REQUEST, error.to_string())
            }
            SpawnErrorKind::Unavailable | SpawnErrorKind::Timeout => {
                Instead::busy(StatusCode::SERVICE_UNAVAILABLE, error.to_string(), AGAIN)
            }
            _ => Instead::error(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use spawner_core::{SpawnError, SpawnErrorKind};

    use super::super::super::testing::{FormAct, Site};

    fn fail(kind: SpawnErrorKind) -> FormAct {
        FormAct::Fail(Arc::new(move || {
            SpawnError::new(kind, "The list is <lost>.")
        }))
    }

    #[tokio::test]
    async fn a_form_that_is_not_made_is_a_page_with_a_sentence() {
        let site = Site::new().await;
        let mut alice = site.logged_in("alice").await;
        // Waiting is simulated from here on.
        tokio::time::pause();
        for (act, status, words, again) in [
            (FormAct::Hang, 503, "in time", true),
            (FormAct::Panic, 500, "Ask your administrator", false),
            (
                fail(SpawnErrorKind::Refused),
                400,
                "The list is <lost>.",
                false,
            ),
            (
                fail(SpawnErrorKind::Unavailable),
                503,
                "The list is <lost>.",
                true,
            ),
            (
                fail(SpawnErrorKind::Other),
                500,
                "The list is <lost>.",
                false,
            ),
        ] {
            site.direct(|script| script.form_act = act);
            let reply = alice.get("/hub/spawn").await;
            assert_eq!(reply.status, status, "{words}");
            let lead = reply.texts(".lead").concat();
            assert!(lead.contains(words), "{lead}");
            assert_eq!(reply.headers.contains_key("retry-after"), again, "{lead}");
            assert!(!reply.body.contains("<lost>"));
            // The home page only asks whether there is one.
            assert_eq!(alice.get("/hub/home").await.status, 200);
        }
        assert!(site.started().is_empty());
    }
}
