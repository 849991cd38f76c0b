//! One reading of a request's head, or none.
//!
//! hyper parses strictly: broken lines, odd or differing lengths, a transfer coding that does not
//! end in `chunked`. Of a request with both `Content-Length` and `Transfer-Encoding` it drops the
//! length, reads the chunks and closes the connection afterwards, so nobody behind us ever sees
//! the length. What is left to doubt is refused here, before anything looks at the request: which
//! host is meant, which form the target has, how the body is coded, and what an upgrade is to.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Request, StatusCode, Uri, Version};

use super::answer::Refusal;
use super::client::is_host;

/// What a sound head asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// A plain exchange; `chunked` says how the request's body came and must travel on.
    Exchange { chunked: bool },
    /// A WebSocket. Every other upgrade is ignored, as HTTP allows.
    WebSocket,
}

/// Checks the head and brings its target into the origin form.
pub(super) fn check<B>(request: &mut Request<B>) -> Result<Wish, Refusal> {
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Refusal::plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "CONNECT and TRACE are not served here.",
        ));
    }
    let host = sole(request.headers(), &HOST)?
        .and_then(|host| host.to_str().ok())
        .filter(|host| is_host(host))
        .ok_or(Refusal::malformed(
            "The request has no Host header, or one that is not a host with an optional port.",
        ))?;
    if let Some(target) = origin_form(request.uri(), host)? {
        *request.uri_mut() = target;
    }
    let chunked = is_chunked(request.headers())?;
    if !wants_websocket(request) {
        return Ok(Wish::Exchange { chunked });
    }
    if chunked || has_length(request.headers()) {
        return Err(Refusal::malformed(
            "A WebSocket handshake cannot have a body.",
        ));
    }
    Ok(Wish::WebSocket)
}

/// The comma-separated tokens of every line of a header, trimmed; empty ones left out.
pub(super) fn tokens<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'h str> {
    headers
        .get_all(name)
        .into_iter()
        .flat_map(|line| line.to_str().unwrap_or_default().split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

/// The only value of a header that must not come twice.
fn sole<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h http::HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Refusal::malformed(
            "A header that can come only once came twice.",
        ));
    }
    Ok(first)
}

/// The target as a path, if it came in another form.
fn origin_form(uri: &Uri, host: &str) -> Result<Option<Uri>, Refusal> {
    let Some(authority) = uri.authority() else {
        return if uri.path().starts_with('/') {
            Ok(None)
        } else {
            Err(Refusal::malformed("The request target is not a path."))
        };
    };
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    if !web || !authority.as_str().eq_ignore_ascii_case(host) {
        return Err(Refusal::malformed(
            "The request target names another host than the Host header.",
        ));
    }
    let target = uri.path_and_query().cloned().map(Uri::from);
    Ok(Some(target.unwrap_or_default()))
}

/// `chunked` is the one transfer coding that is decoded here, so it is the one that is accepted.
fn is_chunked(headers: &HeaderMap) -> Result<bool, Refusal> {
    let Some(coding) = sole(headers, &TRANSFER_ENCODING)? else {
        return Ok(false);
    };
    if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") || headers.contains_key(CONTENT_LENGTH) {
        return Err(Refusal::malformed(
            "The request's body is coded in a way that is not served here.",
        ));
    }
    Ok(true)
}

fn has_length(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_LENGTH)
        .is_some_and(|length| length.as_bytes() != b"0")
}

fn wants_websocket<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let has = |name, wanted| tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted));
    headers.contains_key(UPGRADE)
        && request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && has(&UPGRADE, "websocket")
        && has(&CONNECTION, "upgrade")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn sound_heads_pass_in_origin_form() {
        const HUB: (&str, &str) = ("host", "hub:8000");
        const PLAIN: Wish = Wish::Exchange { chunked: false };
        for (method, uri, headers, target, wish) in [
            ("GET", "/a?b", &[HUB][..], "/a?b", PLAIN),
            (
                "POST",
                "/a",
                &[HUB, ("transfer-encoding", "Chunked")],
                "/a",
                Wish::Exchange { chunked: true },
            ),
            ("GET", "http://HUB:8000/a?b", &[HUB], "/a?b", PLAIN),
            ("GET", "http://hub:8000", &[HUB], "/", PLAIN),
            (
                "GET",
                "/ws",
                &[
                    HUB,
                    ("upgrade", "WebSocket"),
                    ("connection", "keep-alive, Upgrade"),
                ],
                "/ws",
                Wish::WebSocket,
            ),
            ("GET", "/ws", &[HUB, ("upgrade", "websocket")], "/ws", PLAIN),
            (
                "POST",
                "/ws",
                &[HUB, ("upgrade", "websocket"), ("connection", "upgrade")],
                "/ws",
                PLAIN,
            ),
            (
                "GET",
                "/",
                &[HUB, ("upgrade", "h2c"), ("connection", "upgrade")],
                "/",
                PLAIN,
            ),
        ] {
            let mut request = request(method, uri, headers);
            assert_eq!(check(&mut request), Ok(wish), "{method} {uri} {headers:?}");
            assert_eq!(request.uri().to_string(), target);
        }
    }

    #[test]
    fn doubtful_heads_are_refused() {
        const HUB: (&str, &str) = ("host", "hub:8000");
        for (method, uri, headers, status) in [
            ("GET", "/", &[][..], 400),
            ("GET", "/", &[HUB, HUB], 400),
            ("GET", "/", &[("host", "")], 400),
            ("GET", "/", &[("host", "hub/x")], 400),
            ("GET", "/", &[("host", "a@hub")], 400),
            ("GET", "/", &[("host", "a,b")], 400),
            ("GET", "http://evil/", &[HUB], 400),
            ("GET", "http://hub/", &[HUB], 400),
            ("GET", "http://a@hub:8000/", &[HUB], 400),
            ("GET", "ftp://hub:8000/", &[HUB], 400),
            ("OPTIONS", "*", &[HUB], 400),
            ("GET", "hub:8000", &[HUB], 400),
            ("CONNECT", "hub:8000", &[HUB], 405),
            ("TRACE", "/", &[HUB], 405),
            (
                "POST",
                "/",
                &[HUB, ("transfer-encoding", "gzip, chunked")],
                400,
            ),
            (
                "POST",
                "/",
                &[HUB, ("transfer-encoding", "chunked, chunked")],
                400,
            ),
            (
                "POST",
                "/",
                &[
                    HUB,
                    ("transfer-encoding", "chunked"),
                    ("transfer-encoding", "chunked"),
                ],
                400,
            ),
            (
                "POST",
                "/",
                &[
                    HUB,
                    ("transfer-encoding", "chunked"),
                    ("content-length", "5"),
                ],
                400,
            ),
            (
                "GET",
                "/",
                &[
                    HUB,
                    ("upgrade", "websocket"),
                    ("connection", "upgrade"),
                    ("content-length", "5"),
                ],
                400,
            ),
        ] {
            let refusal = check(&mut request(method, uri, headers)).unwrap_err();
            assert_eq!(refusal.status, status, "{method} {uri} {headers:?}");
        }
    }
}
