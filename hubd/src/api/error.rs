//! What the API answers when it does not do what was asked.

use std::borrow::Cow;
use std::error::Error;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use serde::Serialize;
use spawner_core::error_chain;
use utoipa::ToSchema;

use super::failure::refused_stop;
use crate::people::Refused;
use crate::store::StoreError;

/// The longest message, in characters. Some repeat what a client sent.
const MESSAGE_MAX: usize = 1000;

/// An answer that is not 2xx: `{"status": 404, "message": "..."}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    status: StatusCode,
    message: Cow<'static, str>,
    /// In seconds.
    retry_after: Option<u64>,
}

/// Why a request was not done.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct ErrorBody {
    /// The status of the answer once more.
    status: u16,
    /// A sentence for whoever wrote the client.
    #[schema(value_type = String)]
    message: Cow<'static, str>,
}

impl ApiError {
    /// An answer with a sentence for whoever wrote the client.
    pub(super) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        let message = shorten(message.into());
        Self {
            status,
            message,
            retry_after: None,
        }
    }

    /// 400: the request cannot be meant as it is.
    pub(super) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 403: it is not for this caller.
    pub(super) fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 404: the one answer to what is not there and to what the caller may not know of.
    pub(super) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "There is nothing of that name, or it is not yours to see.",
        )
    }

    /// 500: a mistake in hubd. The cause goes to the log and to nobody else.
    pub(super) fn internal(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = error_chain(error), "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
    }

    /// Says when it may be worth to ask again.
    #[must_use]
    pub(super) fn retry_after(self, seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable { .. } => {
                tracing::warn!(error = error_chain(&error), "a change was not saved");
                let message = format!("{}. Try again later.", capitalised(&error.to_string()));
                Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
            }
            StoreError::NotFound(_) => Self::not_found(),
            StoreError::Conflict(_) => Self::new(StatusCode::CONFLICT, sentence(&error)),
            StoreError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, sentence(&error))
            }
            StoreError::Internal(_) => Self::internal(&error),
        }
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Forbidden(message) => Self::forbidden(message),
            Refused::NotFound => Self::not_found(),
            Refused::Invalid(message) => Self::bad_request(message),
            Refused::Conflict(message) => Self::new(StatusCode::CONFLICT, message),
            Refused::Stop { of, error } => refused_stop(&of, error),
            Refused::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status;
        let body = ErrorBody {
            status: status.as_u16(),
            message: self.message,
        };
        let mut response = (status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// An error's fragment as a sentence.
pub(super) fn sentence(error: &impl ToString) -> String {
    let mut text = capitalised(&error.to_string());
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn shorten(message: Cow<'static, str>) -> Cow<'static, str> {
    match message.char_indices().nth(MESSAGE_MAX) {
        None => message,
        Some((end, _)) => Cow::Owned(format!("{}...", &message[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Trouble;

    #[test]
    fn trouble_of_the_store_has_a_status() {
        let busy = StoreError::Unavailable {
            trouble: Trouble::Busy,
            source: None,
        };
        let large = StoreError::TooLarge {
            what: "the choice of options",
            size: 3,
            max: 2,
        };
        for (error, status, words) in [
            (
                busy,
                503,
                "The hub cannot save changes at the moment: too many",
            ),
            (StoreError::NotFound("user"), 404, "nothing of that name"),
            (
                StoreError::Conflict("the server is not stopped"),
                409,
                "The server is not stopped.",
            ),
            (large, 413, "The choice of options has 3 bytes"),
            (
                StoreError::Internal("no such table".into()),
                500,
                "Internal Server Error",
            ),
        ] {
            let answer = ApiError::from(error);
            assert_eq!(answer.status.as_u16(), status);
            assert!(answer.message.contains(words), "{answer:?}");
        }
    }

    #[test]
    fn messages_are_bounded() {
        let long = ApiError::bad_request("é".repeat(1_000_000));
        assert_eq!(long.message.chars().count(), MESSAGE_MAX + 3);
    }
}
