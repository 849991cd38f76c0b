//! Bodies of forms: bounded, read to the end, and decoded without guessing.
//!
//! What browsers make of a form is always well formed, so what is not is refused (400) instead of
//! repaired: no half escapes, nothing that is not UTF-8, no NUL, no field without a name.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use http_body_util::LengthLimitError;
use percent_encoding::percent_decode_str;
use spawner_core::FormData;

use super::instead::{Instead, sentence};

/// The hub's own forms: a name, a password, a handful of scopes.
pub(super) const SMALL: usize = 64 * 1024;
/// A spawner's form, which may take a script or a list of packages.
pub(super) const LARGE: usize = 1024 * 1024;

/// The most fields of one form.
const FIELDS_MAX: usize = 1000;
/// How long the whole body may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why fields cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadForm {
    #[error("the form has more than {FIELDS_MAX} fields")]
    TooMany,
    #[error("a field of the form has no name")]
    NoName,
    #[error("the form is not encoded as browsers do it")]
    Escape,
    #[error("the form is not text in UTF-8")]
    NotText,
}

impl From<BadForm> for Instead {
    fn from(bad: BadForm) -> Self {
        Self::error(StatusCode::BAD_REQUEST, sentence(&bad.to_string()))
    }
}

/// Reads the body of a form of at most `limit` bytes.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<FormData, Instead> {
    let announced = headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    let bytes = collect(body, limit).await?;
    if bytes.is_empty() {
        return Ok(FormData::default());
    }
    if !is_urlencoded(headers) {
        return Err(Instead::error(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "A form is sent as application/x-www-form-urlencoded, in UTF-8.",
        ));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| BadForm::NotText)?;
    Ok(fields(text)?)
}

async fn collect(body: Body, limit: usize) -> Result<Vec<u8>, Instead> {
    let Ok(collected) = tokio::time::timeout(PATIENCE, to_bytes(body, limit)).await else {
        return Err(Instead::error(
            StatusCode::REQUEST_TIMEOUT,
            "The form did not arrive in time. Go back and send it again.",
        ));
    };
    collected.map(Vec::from).map_err(|error| {
        if error.into_inner().is::<LengthLimitError>() {
            return too_large(limit);
        }
        Instead::error(
            StatusCode::BAD_REQUEST,
            "The form did not arrive as a whole. Go back and send it again.",
        )
    })
}

fn too_large(limit: usize) -> Instead {
    let message = format!(
        "This form takes at most {} KiB. Go back and send less.",
        limit / 1024
    );
    Instead::error(StatusCode::PAYLOAD_TOO_LARGE, message)
}

fn is_urlencoded(headers: &HeaderMap) -> bool {
    let Some(Ok(kind)) = headers.get(CONTENT_TYPE).map(|kind| kind.to_str()) else {
        return false;
    };
    let mut parts = kind.split(';').map(str::trim);
    let is_form = parts
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded"));
    is_form
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => charset
                .trim()
                .trim_matches('"')
                .eq_ignore_ascii_case("utf-8"),
            _ => true,
        })
}

/// The fields of a form or query, decoded.
pub(super) fn fields(text: &str) -> Result<FormData, BadForm> {
    let mut form = FormData::default();
    let pieces = text.split('&').filter(|piece| !piece.is_empty());
    for (count, piece) in pieces.enumerate() {
        if count == FIELDS_MAX {
            return Err(BadForm::TooMany);
        }
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if name.is_empty() {
            return Err(BadForm::NoName);
        }
        form.push(name, value);
    }
    Ok(form)
}

fn decode(text: &str) -> Result<String, BadForm> {
    let is_whole = |escape: &str| {
        let digits = escape.as_bytes();
        digits.len() >= 2 && digits[..2].iter().all(u8::is_ascii_hexdigit)
    };
    if !text.split('%').skip(1).all(is_whole) {
        return Err(BadForm::Escape);
    }
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text)
        .decode_utf8()
        .map_err(|_| BadForm::NotText)?;
    if decoded.contains('\0') {
        return Err(BadForm::NotText);
    }
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use axum::extract::Request;
    use futures_util::stream;

    use super::*;

    fn posted(kind: &str, body: impl Into<Body>) -> Request {
        let request = Request::post("/").header(CONTENT_TYPE, kind);
        request.body(body.into()).unwrap()
    }

    const URLENCODED: &str = "application/x-www-form-urlencoded";

    async fn status_of(request: Request, limit: usize) -> u16 {
        let (parts, body) = request.into_parts();
        match read(&parts.headers, body, limit).await {
            Ok(_) => 200,
            Err(Instead::Error { view, .. }) => view.status,
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn fields_are_decoded_once() {
        let form = fields("a=1&b=x+y%2Bz&a=%C3%A9&&c&d=%2541=").unwrap();
        assert_eq!(form.all("a"), ["1", "é"]);
        assert_eq!(form.first("b"), Some("x y+z"));
        assert_eq!(form.first("c"), Some(""));
        assert_eq!(form.first("d"), Some("%41="));
        assert_eq!(fields("").unwrap(), FormData::default());
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for (text, bad) in [
            ("a=%", BadForm::Escape),
            ("a=%zz", BadForm::Escape),
            ("a=%u0041", BadForm::Escape),
            ("a%2=1", BadForm::Escape),
            ("a=%é1", BadForm::Escape),
            ("a=%ff", BadForm::NotText),
            ("a=%c0%ae", BadForm::NotText),
            ("a=%00", BadForm::NotText),
            ("=x", BadForm::NoName),
            ("=", BadForm::NoName),
        ] {
            assert_eq!(fields(text), Err(bad), "{text}");
        }
        assert!(fields(&"a=1&".repeat(FIELDS_MAX)).is_ok());
        assert_eq!(
            fields(&"a=1&".repeat(FIELDS_MAX + 1)),
            Err(BadForm::TooMany)
        );
    }

    #[tokio::test]
    async fn only_forms_are_read() {
        for (kind, status) in [
            (URLENCODED, 200),
            ("APPLICATION/X-WWW-FORM-URLENCODED; charset=\"UTF-8\"", 200),
            ("application/x-www-form-urlencoded;charset=utf-16", 415),
            ("application/x-www-form-urlencoded; charset=utf-7", 415),
            ("multipart/form-data; boundary=x", 415),
            ("multipart/form-data", 415),
            ("text/plain", 415),
            ("application/json", 415),
            ("", 415),
        ] {
            assert_eq!(
                status_of(posted(kind, "a=1"), SMALL).await,
                status,
                "{kind}"
            );
        }
        assert_eq!(status_of(posted("text/plain", ""), SMALL).await, 200);
        let without = Request::post("/").body(Body::from("a=1")).unwrap();
        assert_eq!(status_of(without, SMALL).await, 415);
        assert_eq!(
            status_of(posted(URLENCODED, &b"a=\xff"[..]), SMALL).await,
            400
        );
    }

    #[tokio::test]
    async fn bodies_are_bounded_whether_or_not_they_say_their_length() {
        let text = format!("a={}", "x".repeat(98));
        assert_eq!(status_of(posted(URLENCODED, text.clone()), 100).await, 200);
        assert_eq!(status_of(posted(URLENCODED, text.clone()), 99).await, 413);
        let pieces = stream::iter([text.clone(), text].map(Ok::<_, std::io::Error>));
        let body = Body::from_stream(pieces);
        assert_eq!(status_of(posted(URLENCODED, body), 150).await, 413);
        let mut announced = posted(URLENCODED, "");
        announced
            .headers_mut()
            .insert(CONTENT_LENGTH, 10_000_000_u32.into());
        assert_eq!(status_of(announced, LARGE).await, 413);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_is_not_waited_for() {
        let broken = stream::iter([Err::<String, _>(std::io::Error::other("reset"))]);
        let broken = posted(URLENCODED, Body::from_stream(broken));
        assert_eq!(status_of(broken, SMALL).await, 400);
        let never = stream::pending::<Result<String, std::io::Error>>();
        let never = posted(URLENCODED, Body::from_stream(never));
        assert_eq!(status_of(never, SMALL).await, 408);
    }
}
