//! What is answered instead of a page: the way to the login form, or an error page.

use std::error::Error;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use spawner_core::error_chain;

use super::super::headers::SECURITY_HEADERS;
use super::super::render::TemplateError;
use super::super::state::PagesState;
use super::super::views::{Chrome, ErrorView, Viewer};
use super::visit::manages;
use crate::app::NotAdmitted;
use crate::auth::caller::BadCredentials;
use crate::auth::local_path::LocalPath;
use crate::people::Refused;
use crate::servers::StopRefused;
use crate::store::StoreError;

/// Why a handler shows no page of its own.
#[derive(Debug, Clone)]
pub(super) enum Instead {
    /// Nobody is logged in: this way.
    LogIn(LocalPath),
    /// An error page; [`frame`] renders it.
    Error {
        view: ErrorView,
        /// After how many seconds trying again makes sense.
        retry_after: Option<u64>,
    },
}

impl Instead {
    /// The error page of a status, in its own words.
    pub(super) fn status(status: StatusCode) -> Self {
        Self::view(ErrorView::new(status))
    }

    /// An error page with a sentence of its own.
    pub(super) fn error(status: StatusCode, message: impl Into<String>) -> Self {
        Self::view(ErrorView::with_message(status, message))
    }

    /// Something that is no visitor's fault: logged under the reference that the page shows.
    pub(super) fn fault(error: &(dyn Error + 'static)) -> Self {
        let reference = format!("{:08x}", rand::random::<u32>());
        let error = error_chain(error);
        tracing::error!(reference, error, "a page cannot be shown");
        Self::view(ErrorView {
            reference: Some(reference),
            ..ErrorView::new(StatusCode::INTERNAL_SERVER_ERROR)
        })
    }

    /// Not now; again in `seconds`.
    pub(super) fn busy(status: StatusCode, message: impl Into<String>, seconds: u64) -> Self {
        Self::Error {
            view: ErrorView::with_message(status, message),
            retry_after: Some(seconds),
        }
    }

    /// Adds a link to where the visitor may go on.
    #[must_use]
    pub(super) fn leading_to(mut self, url: LocalPath) -> Self {
        if let Self::Error { view, .. } = &mut self {
            view.retry_url = Some(url);
        }
        self
    }

    fn view(view: ErrorView) -> Self {
        Self::Error {
            view,
            retry_after: None,
        }
    }
}

impl From<BadCredentials> for Instead {
    fn from(bad: BadCredentials) -> Self {
        NotAdmitted::from(bad).into()
    }
}

impl From<NotAdmitted> for Instead {
    fn from(refused: NotAdmitted) -> Self {
        if refused.may_pass() {
            let message = sentence(&refused.to_string());
            return Self::busy(StatusCode::SERVICE_UNAVAILABLE, message, 5);
        }
        Self::error(StatusCode::FORBIDDEN, sentence(&refused.to_string()))
    }
}

impl From<TemplateError> for Instead {
    fn from(error: TemplateError) -> Self {
        Self::fault(&error)
    }
}

impl From<StoreError> for Instead {
    fn from(error: StoreError) -> Self {
        let status = match &error {
            StoreError::Unavailable { .. } => {
                tracing::error!(error = error_chain(&error), "a change was not saved");
                let message = sentence(&error.to_string());
                return Self::busy(StatusCode::SERVICE_UNAVAILABLE, message, 5);
            }
            StoreError::Internal(_) => return Self::fault(&error),
            StoreError::NotFound(_) => StatusCode::NOT_FOUND,
            StoreError::Conflict(_) => StatusCode::CONFLICT,
            StoreError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        };
        Self::error(status, sentence(&error.to_string()))
    }
}

impl From<Refused> for Instead {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Forbidden(message) => Self::error(StatusCode::FORBIDDEN, message),
            Refused::NotFound => Self::status(StatusCode::NOT_FOUND),
            Refused::Invalid(message) => Self::error(StatusCode::BAD_REQUEST, message),
            Refused::Conflict(message) => Self::error(StatusCode::CONFLICT, message),
            Refused::Stop { error, .. } => match error {
                StopRefused::Failed(error) => {
                    let message = format!("A server of this user could not be stopped: {error}");
                    Self::error(StatusCode::CONFLICT, message)
                }
                StopRefused::Store(error) => error.into(),
                refused @ StopRefused::ShuttingDown => {
                    let message = sentence(&refused.to_string());
                    Self::busy(StatusCode::SERVICE_UNAVAILABLE, message, 30)
                }
            },
            Refused::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for Instead {
    fn into_response(self) -> Response {
        match self {
            Self::LogIn(url) => redirect(StatusCode::FOUND, &url),
            error @ Self::Error { .. } => Extension(error).into_response(),
        }
    }
}

/// A reply that leads somewhere else on this host.
pub(super) fn redirect(status: StatusCode, to: &LocalPath) -> Response {
    (status, [(LOCATION, to.to_header())]).into_response()
}

/// The words of an error as a sentence.
pub(super) fn sentence(words: &str) -> String {
    let mut characters = words.chars();
    let Some(first) = characters.next() else {
        return String::new();
    };
    let end = if words.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    format!("{}{}{end}", first.to_uppercase(), characters.as_str())
}

/// Puts the security headers on every reply, and the page into those that have only an error.
pub(super) async fn frame(
    State(state): State<PagesState>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers().clone();
    let mut response = next.run(request).await;
    if let Some(Instead::Error { view, retry_after }) = response.extensions_mut().remove() {
        put_page(&state, &headers, &mut response, &view);
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
    }
    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    response
}

/// Error pages have no form, so they carry no token, and set no cookie.
fn put_page(state: &PagesState, headers: &HeaderMap, response: &mut Response, view: &ErrorView) {
    let caller = state.app.visitor(headers).ok().flatten();
    let viewer = caller.as_ref().and_then(|caller| {
        let user = caller.user()?;
        Some(Viewer {
            name: user.name.to_string(),
            admin: state.app.directory.is_admin(user),
            manages: manages(caller),
        })
    });
    let chrome = Chrome::new(&state.links, viewer, "");
    let (kind, body) = match state.templates.render(&chrome, view) {
        Ok(page) => ("text/html; charset=utf-8", page),
        Err(error) => {
            tracing::error!(error = error_chain(&error), "not even the error page");
            ("text/plain; charset=utf-8", view.reason.to_owned())
        }
    };
    *response.status_mut() =
        StatusCode::from_u16(view.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    *response.body_mut() = Body::from(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_sentences() {
        for (words, expected) in [
            ("this token is unknown", "This token is unknown."),
            ("Done.", "Done."),
            ("ökonomie?", "Ökonomie?"),
            ("", ""),
        ] {
            assert_eq!(sentence(words), expected);
        }
    }
}
