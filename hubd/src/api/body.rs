//! The JSON body of a request.

use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{ApiError, sentence};
use super::strict_json;

/// The longest body that is read, in bytes.
pub(super) const BODY_MAX: usize = 1024 * 1024;

/// Reads a body that must be there. What it may hold is in `T`, which denies unknown fields.
pub(super) async fn required<T: DeserializeOwned>(request: Request) -> Result<T, ApiError> {
    let bytes = read(request).await?;
    if bytes.is_empty() {
        return Err(ApiError::bad_request(
            "There is no body; it must be a JSON object.",
        ));
    }
    fit(parse(&bytes)?)
}

/// Reads a body that may be missing, or `null`.
pub(super) async fn optional<T: DeserializeOwned>(request: Request) -> Result<Option<T>, ApiError> {
    let bytes = read(request).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    match parse(&bytes)? {
        Value::Null => Ok(None),
        value => fit(value).map(Some),
    }
}

/// Reads a whole body, as far as its length is allowed.
pub(super) async fn read(request: Request) -> Result<Bytes, ApiError> {
    let too_long = || {
        let message = format!("The body is longer than {BODY_MAX} bytes.");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    let announced = request.headers().get(CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > BODY_MAX as u64) {
        return Err(too_long());
    }
    let body = to_bytes(request.into_body(), BODY_MAX);
    body.await.map_err(|error| {
        let cause = std::error::Error::source(&error);
        match cause {
            Some(cause) if cause.is::<LengthLimitError>() => too_long(),
            _ => ApiError::bad_request("The body did not arrive in full."),
        }
    })
}

fn fit<T: DeserializeOwned>(value: Value) -> Result<T, ApiError> {
    // A struct can also be read from a list of its fields, which nobody means.
    if !value.is_object() {
        return Err(ApiError::bad_request("The body must be a JSON object."));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let what = error.into_inner().to_string();
        ApiError::bad_request(match path.as_str() {
            "." => format!("The body cannot be used: {what}."),
            field => format!("The body cannot be used: {field}: {what}."),
        })
    })
}

fn parse(bytes: &[u8]) -> Result<Value, ApiError> {
    strict_json::parse(bytes).map_err(|error| {
        let error = format!("the body is not JSON: {error}");
        ApiError::bad_request(sentence(&error))
    })
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use crate::api::testing::Hub;

    #[tokio::test]
    async fn bodies_that_cannot_be_meant() {
        let hub = Hub::new().await;
        let deep = format!("{}1", r#"{"usernames":["#.repeat(50_000));
        for (body, words) in [
            (&b""[..], "no body"),
            (b"null", "must be a JSON object"),
            (b"[]", "must be a JSON object"),
            (b"[[\"a\"], true]", "must be a JSON object"),
            (b"\"x\"", "must be a JSON object"),
            (b"1", "must be a JSON object"),
            (b"{", "not JSON: EOF"),
            (deep.as_bytes(), "recursion limit"),
            (b"{\"usernames\":[\"a\"]} x", "trailing"),
            (
                b"{\"usernames\":[\"a\"],\"usernames\":[\"b\"]}",
                "is there twice",
            ),
            (b"{\"usernames\":[\"\xff\"]}", "not JSON"),
            (b"{\"usernames\":[\"\\ud800\"]}", "hex escape"),
            (b"\xef\xbb\xbf{\"usernames\":[\"a\"]}", "not JSON"),
            (b"{\"usernames\":NaN}", "not JSON"),
            (b"{\"usernames\":[1e999]}", "out of range"),
            (b"{\"usernames\":\"a\"}", "usernames: invalid type: string"),
            (
                b"{\"usernames\":[null]}",
                "usernames[0]: invalid type: null",
            ),
            (
                b"{\"usernames\":[\"a\"],\"admin\":1}",
                "admin: invalid type",
            ),
            (b"{\"usernames\":[\"a\"],\"x\":1}", "unknown field `x`"),
            (b"{\"admin\":false}", "missing field `usernames`"),
        ] {
            let reply = hub.post("/users").admin().body(body).send().await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]);
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{shown}");
            assert!(
                reply.message().contains(words),
                "{shown}: {}",
                reply.message()
            );
        }
        assert_eq!(hub.app.store.users().count(), 3, "nobody was made of them");
    }

    #[tokio::test]
    async fn long_bodies_are_not_read() {
        let hub = Hub::new().await;
        let long = vec![b' '; 10 * 1024 * 1024];
        let reply = hub.post("/users").admin().body(&long).send().await;
        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(reply.json["status"], 413);
        // The same without an announced length.
        let reply = hub.post("/users").admin().chunked(&long).send().await;
        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
        let unread = hub.post("/users").chunked(b"{}").send().await;
        assert_eq!(
            unread.status,
            StatusCode::FORBIDDEN,
            "not read for a stranger"
        );
    }
}
