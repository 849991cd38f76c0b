//! Names in the path of a request.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use spawner_core::ServerId;
use utoipa::IntoParams;

use super::error::ApiError;
use super::openapi::{ServerName, UserName};

/// Left as they are in a segment of a path: RFC 3986's unreserved characters and `@`.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'@');

/// The variable segments of the path, percent-decoded once and otherwise as they came.
#[derive(Debug)]
pub(super) struct Segments<T>(pub(super) T);

/// The segments that name one server: `users/{user}/server`, or `users/{user}/servers/{server}`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OneServer {
    /// The name of the user.
    #[param(value_type = UserName, inline)]
    pub(super) user: String,
    // Empty for the default server, which has paths of its own.
    /// The name of the server.
    #[serde(default)]
    #[param(value_type = ServerName, inline, required = true)]
    pub(super) server: String,
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(segments)) => Ok(Self(segments)),
            Err(_) => Err(ApiError::bad_request(
                "The address holds escapes that are not UTF-8.",
            )),
        }
    }
}

/// Where the start of a server is watched.
pub(super) fn progress_url(base_url: &str, server: &ServerId) -> String {
    let user = utf8_percent_encode(server.user.as_str(), SEGMENT);
    if server.server.is_default() {
        format!("{base_url}hub/api/users/{user}/server/progress")
    } else {
        let name = &server.server;
        format!("{base_url}hub/api/users/{user}/servers/{name}/progress")
    }
}

#[cfg(test)]
mod tests {
    use spawner_core::{ServerName, UserName};

    use super::*;

    #[test]
    fn progress_has_an_address() {
        let server = |user, name| {
            ServerId::new(UserName::new(user).unwrap(), ServerName::new(name).unwrap())
        };
        for (id, url) in [
            (server("u1", ""), "/hub/api/users/u1/server/progress"),
            (
                server("a+b@c", "proj"),
                "/hub/api/users/a%2Bb@c/servers/proj/progress",
            ),
        ] {
            assert_eq!(progress_url("/", &id), url);
            assert_eq!(progress_url("/jhub/", &id), format!("/jhub{url}"));
        }
    }
}
