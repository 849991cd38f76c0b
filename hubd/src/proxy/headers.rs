//! Which headers cross the proxy, in both directions. Pure functions on header maps.
//!
//! | direction | goes | stays |
//! |---|---|---|
//! | to a server | everything end to end, `Host` as it came | hop-by-hop headers and those that `Connection` names; forwarding and identity headers that a client made up, their underscore twins too; the hub's login cookie |
//! | to the browser | everything end to end | hop-by-hop headers; headers that would bind the whole origin; cookies out of scope |

use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, STRICT_TRANSPORT_SECURITY, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

use super::answer::Refusal;
use super::client::{
    Forwarded, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PORT, X_FORWARDED_PROTO, X_REAL_IP,
};
use super::cookies::{self, Scope};
use super::framing::{Wish, tokens};

/// Headers between two neighbours only.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Headers by which a proxy tells a server who is asking. From a client they are a lie, and what
/// is true of them is written anew.
const CLAIMS: [&str; 10] = [
    "forwarded",
    "proxy",
    "remote-user",
    "remote-groups",
    "x-real-ip",
    "x-remote-group",
    "x-remote-user",
    "x-scheme",
    "x-client-ip",
    "true-client-ip",
];
/// As [`CLAIMS`], for whatever follows.
const CLAIMS_BY_PREFIX: [&str; 2] = ["x-forwarded-", "x-auth-request-"];

/// End-to-end headers that decide who is asking for what: naming one in `Connection` would have it
/// stripped on the way, so that the server decides without it.
const NEVER_HOP_BY_HOP: [&str; 12] = [
    "accept",
    "authorization",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "origin",
    "range",
    "referer",
    "x-xsrftoken",
];
/// As [`NEVER_HOP_BY_HOP`], for whatever follows.
const NEVER_HOP_BY_HOP_PREFIX: [&str; 2] = ["sec-", "x-forwarded-"];

/// Response headers that act on the whole origin, which all servers share, or on a front server.
const ORIGIN_WIDE: [HeaderName; 12] = [
    HeaderName::from_static("alt-svc"),
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("expect-ct"),
    HeaderName::from_static("nel"),
    HeaderName::from_static("public-key-pins"),
    HeaderName::from_static("public-key-pins-report-only"),
    HeaderName::from_static("report-to"),
    HeaderName::from_static("reporting-endpoints"),
    HeaderName::from_static("service-worker-allowed"),
    HeaderName::from_static("set-login"),
    STRICT_TRANSPORT_SECURITY,
    HeaderName::from_static("x-sendfile"),
];
/// As [`ORIGIN_WIDE`], for whatever follows: nginx obeys these from any server behind it.
const ACCEL: &str = "x-accel-";

/// Removes the claims of a client. The hub is told who asks by a typed extension, and a server by
/// [`to_server`].
pub(super) fn drop_claims(headers: &mut HeaderMap) {
    let claims: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_claim(name.as_str()))
        .cloned()
        .collect();
    for name in claims {
        headers.remove(name);
    }
}

/// Makes a request's headers fit for a user's server.
///
/// # Errors
/// A `Connection` that names an end-to-end header is refused rather than ignored: nobody sends
/// that by accident, and a front server may have obeyed it already.
pub(super) fn to_server(
    headers: &mut HeaderMap,
    forwarded: Forwarded,
    wish: Wish,
) -> Result<(), Refusal> {
    let named = named_in_connection(headers);
    if named.iter().any(|name| is_end_to_end(name.as_str())) {
        return Err(Refusal::malformed(
            "The Connection header names a header that is meant for the server.",
        ));
    }
    remove_all(headers, &named);
    remove_all(headers, &HOP_BY_HOP);
    drop_claims(headers);
    cookies::hide_login(headers);
    headers.insert(X_FORWARDED_FOR, forwarded.chain);
    headers.insert(X_REAL_IP, forwarded.real_ip);
    // Always http or https, also on upgrades: servers ignore any other word (and then take a page
    // behind TLS for one in the clear).
    headers.insert(X_FORWARDED_PROTO, forwarded.proto);
    headers.insert(X_FORWARDED_HOST, forwarded.host);
    headers.insert(X_FORWARDED_PORT, forwarded.port);
    match wish {
        Wish::WebSocket => ask_for_websocket(headers),
        // Said in so many words, or hyper takes a GET to have no body.
        Wish::Exchange { chunked: true } => {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        Wish::Exchange { chunked: false } => {}
    }
    Ok(())
}

/// Makes a response's headers fit for the browser.
pub(super) fn to_browser(headers: &mut HeaderMap, scope: Scope<'_>) {
    // The chunks were decoded, so a length beside them is somebody else's reading.
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    let named = named_in_connection(headers);
    remove_all(headers, &named);
    remove_all(headers, &HOP_BY_HOP);
    remove_all(headers, &ORIGIN_WIDE);
    let accel: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(ACCEL))
        .cloned()
        .collect();
    remove_all(headers, &accel);
    cookies::confine(headers, scope);
}

/// The two headers of an upgrade, for either side.
pub(super) fn ask_for_websocket(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

fn named_in_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    tokens(headers, &CONNECTION)
        .filter_map(|token| token.parse().ok())
        .collect()
}

fn remove_all(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}

/// Whether a name is one of [`CLAIMS`], with dashes or, as CGI and WSGI read it, underscores.
fn is_claim(name: &str) -> bool {
    let dashed;
    let name = if name.contains('_') {
        dashed = name.replace('_', "-");
        // The twin of any header that decides something is a claim, too.
        if is_end_to_end(&dashed) {
            return true;
        }
        &dashed
    } else {
        name
    };
    CLAIMS.contains(&name) || starts_with_any(name, &CLAIMS_BY_PREFIX)
}

fn is_end_to_end(name: &str) -> bool {
    NEVER_HOP_BY_HOP.contains(&name) || starts_with_any(name, &NEVER_HOP_BY_HOP_PREFIX)
}

fn starts_with_any(name: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Wish = Wish::Exchange { chunked: false };

    fn map(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn forwarded() -> Forwarded {
        let value = HeaderValue::from_static;
        Forwarded {
            chain: value("1.2.3.4"),
            real_ip: value("1.2.3.4"),
            proto: value("http"),
            host: value("hub"),
            port: value("80"),
        }
    }

    /// The headers that reach a server, without those that every request gets.
    fn reaching(list: &[(&'static str, &'static str)], wish: Wish) -> Vec<String> {
        let mut headers = map(list);
        to_server(&mut headers, forwarded(), wish).unwrap();
        for (name, value) in [
            ("x-forwarded-for", "1.2.3.4"),
            ("x-real-ip", "1.2.3.4"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "hub"),
            ("x-forwarded-port", "80"),
        ] {
            let values: Vec<_> = headers.get_all(name).iter().cloned().collect();
            assert_eq!(values, [value], "{name}");
            headers.remove(name);
        }
        lines(&headers)
    }

    fn lines(headers: &HeaderMap) -> Vec<String> {
        let mut lines: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn end_to_end_headers_reach_the_server_as_they_came() {
        let list = [
            ("authorization", "token x"),
            ("cookie", "a=1; jupyterhub-session-id=s"),
            ("host", "Hub.Example:8000"),
            ("origin", "https://elsewhere"),
            ("sec-websocket-key", "k"),
            ("sec-websocket-protocol", "v1.kernel"),
            ("te_x", "1"),
            ("x-scheme-2", "1"),
        ];
        let expected: Vec<String> = list.iter().map(|(n, v)| format!("{n}: {v}")).collect();
        assert_eq!(reaching(&list, PLAIN), expected);
    }

    #[test]
    fn hop_by_hop_headers_and_claims_stay_here() {
        let list = [
            ("connection", "close, X-Mine, http2-settings"),
            ("connection", "keep-alive"),
            ("http2-settings", "x"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "x"),
            ("proxy-connection", "x"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-mine", "1"),
            ("cookie", "jupyterhub-hub-login=x"),
            ("forwarded", "for=6.6.6.6"),
            ("proxy", "http://6.6.6.6"),
            ("remote-user", "root"),
            ("remote_user", "root"),
            ("x-auth-request-user", "root"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-host", "evil"),
            ("x-forwarded-prefix", "/evil"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-user", "root"),
            ("x-real-ip", "6.6.6.6"),
            ("x-remote-user", "root"),
            ("x-scheme", "https"),
            ("x_forwarded_for", "6.6.6.6"),
            ("x_forwarded-for", "6.6.6.6"),
            ("x_real_ip", "6.6.6.6"),
            ("content_length", "5"),
        ];
        assert_eq!(reaching(&list, PLAIN), Vec::<String>::new());
    }

    #[test]
    fn the_body_keeps_its_framing_and_a_websocket_its_upgrade() {
        let chunked = Wish::Exchange { chunked: true };
        assert_eq!(
            reaching(&[("transfer-encoding", "chunked")], chunked),
            ["transfer-encoding: chunked"]
        );
        let list = [
            ("connection", "keep-alive, upgrade"),
            ("upgrade", "WebSocket, h2c"),
        ];
        assert_eq!(
            reaching(&list, Wish::WebSocket),
            ["connection: Upgrade", "upgrade: websocket"]
        );
    }

    #[test]
    fn connection_cannot_take_the_servers_headers_away() {
        for named in [
            "cookie",
            "Authorization",
            "keep-alive, Host",
            "close,x-forwarded-for",
            "Sec-WebSocket-Key",
            "content-length",
            "origin",
            "x-xsrftoken",
        ] {
            let mut headers = map(&[]);
            headers.insert(CONNECTION, named.parse().unwrap());
            let refusal = to_server(&mut headers, forwarded(), PLAIN).unwrap_err();
            assert_eq!(
                (refusal.status.as_u16(), refusal.close),
                (400, true),
                "{named}"
            );
        }
    }

    #[test]
    fn a_server_answers_for_itself_only() {
        let scope = Scope {
            prefix: "/user/al/",
            path: "/user/al/lab",
            prefix_end: "/user/al".len(),
        };
        let mut headers = map(&[
            ("access-control-allow-origin", "*"),
            ("content-length", "5"),
            ("content-security-policy", "sandbox"),
            ("location", "/user/al/lab?"),
            ("set-cookie", "a=1; Path=/user/al/"),
            ("set-cookie", "b=1; Path=/user/al/"),
            ("x-jupyterhub-version", "6.1.1"),
        ]);
        let expected = lines(&headers);
        to_browser(&mut headers, scope);
        assert_eq!(lines(&headers), expected);

        let mut headers = map(&[
            ("alt-svc", "h3=\":443\""),
            ("clear-site-data", "\"*\""),
            ("connection", "close, x-mine"),
            ("content-length", "5"),
            ("keep-alive", "timeout=5"),
            ("nel", "{}"),
            ("proxy-authenticate", "Basic"),
            ("report-to", "{}"),
            ("reporting-endpoints", "x"),
            ("service-worker-allowed", "/"),
            ("set-cookie", "jupyterhub-session-id=x"),
            ("strict-transport-security", "max-age=1"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-accel-redirect", "/etc"),
            ("x-mine", "1"),
            ("x-sendfile", "/etc/passwd"),
        ]);
        to_browser(&mut headers, scope);
        assert_eq!(lines(&headers), Vec::<String>::new());
    }
}
