//! Requests whose framing is in doubt, as raw bytes, against a server that counts what it sees.
//!
//! The one question: how many requests does the server see? Never more than the proxy meant to
//! send, whatever the two of them think of the bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::rig::{Rig, Server, route};

/// Bytes on one connection, what the first answer must be, and how many requests may pass.
struct Case {
    what: &'static str,
    bytes: String,
    status: u16,
    passes: usize,
}

fn case(what: &'static str, status: u16, passes: usize, bytes: impl Into<String>) -> Case {
    let bytes = bytes.into();
    Case {
        what,
        bytes,
        status,
        passes,
    }
}

/// A request to alice's server with these header lines, and what follows them.
fn to_alice(method: &str, rest: &str) -> String {
    format!("{method} /user/alice/ HTTP/1.1\r\nHost: hub\r\n{rest}")
}

/// A second request, hidden where one reader sees a body and another does not.
const HIDDEN: &str = "POST /user/alice/hidden HTTP/1.1\r\nHost: hub\r\nContent-Length: 0\r\n\r\n";

/// What follows every case: if it is read as a request of its own, it ends the connection.
const LAST: &str = "GET /hub/ HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n";

fn cases() -> Vec<Case> {
    let with = |line: &str| to_alice("POST", &format!("{line}\r\n\r\n"));
    let chunked = |body: &str| {
        let rest = format!("Transfer-Encoding: chunked\r\n\r\n{body}");
        to_alice("POST", &rest)
    };
    vec![
        case("a sound request", 200, 1, with("Content-Length: 0")),
        case("no host", 400, 0, "GET /user/alice/ HTTP/1.1\r\n\r\n"),
        case(
            "no host in 1.0",
            400,
            0,
            "GET /user/alice/ HTTP/1.0\r\n\r\n",
        ),
        case("two hosts", 400, 0, with("Host: evil")),
        case(
            "host with a path",
            400,
            0,
            "GET /user/alice/ HTTP/1.1\r\nHost: hub/x\r\n\r\n",
        ),
        case(
            "another host in the target",
            400,
            0,
            "GET http://evil/user/alice/ HTTP/1.1\r\nHost: hub\r\n\r\n",
        ),
        case(
            "a user in the target",
            400,
            0,
            "GET http://hub@evil/user/alice/ HTTP/1.1\r\nHost: hub\r\n\r\n",
        ),
        case(
            "the same host in the target",
            200,
            1,
            "GET http://hub/user/alice/ HTTP/1.1\r\nHost: hub\r\n\r\n",
        ),
        case(
            "asterisk",
            400,
            0,
            "OPTIONS * HTTP/1.1\r\nHost: hub\r\n\r\n",
        ),
        case(
            "connect",
            405,
            0,
            "CONNECT hub:443 HTTP/1.1\r\nHost: hub:443\r\n\r\n",
        ),
        case("trace", 405, 0, to_alice("TRACE", "\r\n")),
        case(
            "lengths that differ",
            400,
            0,
            with("Content-Length: 0\r\nContent-Length: 5"),
        ),
        case("length +5", 400, 0, with("Content-Length: +5")),
        case("length -1", 400, 0, with("Content-Length: -1")),
        case("length 0x5", 400, 0, with("Content-Length: 0x5")),
        case("length 5,5", 400, 0, with("Content-Length: 5,5")),
        case(
            "length of 20 digits",
            400,
            0,
            with("Content-Length: 99999999999999999999"),
        ),
        case(
            "the same length twice",
            200,
            1,
            with("Content-Length: 0\r\nContent-Length: 0"),
        ),
        // hyper drops the length and closes the connection behind the chunks (RFC 9112, 6.3).
        case(
            "length and chunks",
            200,
            1,
            to_alice(
                "POST",
                &format!(
                    "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}"
                ),
            ),
        ),
        case(
            "chunks and length",
            200,
            1,
            to_alice(
                "POST",
                &format!(
                    "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n{HIDDEN}"
                ),
            ),
        ),
        case(
            "chunked twice",
            400,
            0,
            with("Transfer-Encoding: chunked, chunked"),
        ),
        case(
            "chunked in two lines",
            400,
            0,
            with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        ),
        case("xchunked", 400, 0, with("Transfer-Encoding: xchunked")),
        case(
            "chunked, identity",
            400,
            0,
            with("Transfer-Encoding: chunked, identity"),
        ),
        case(
            "gzip, chunked",
            400,
            0,
            with("Transfer-Encoding: gzip, chunked"),
        ),
        case(
            "chunked with a control byte",
            400,
            0,
            with("Transfer-Encoding: chunked\x0b"),
        ),
        case(
            "chunked in 1.0",
            400,
            0,
            format!(
                "POST /user/alice/ HTTP/1.0\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}"
            ),
        ),
        case("chunks", 200, 1, chunked("3;ext=1\r\nabc\r\n0\r\n\r\n")),
        case(
            "trailers",
            200,
            1,
            chunked("0\r\nX-A: 1\r\nContent-Length: 5\r\n\r\n"),
        ),
        case(
            "a broken trailer",
            0,
            1,
            chunked(&format!("0\r\nX-A 1\r\n\r\n{HIDDEN}")),
        ),
        // These break off in the body: the head has passed, the rest never does.
        case(
            "negative chunk",
            0,
            1,
            chunked(&format!("-1\r\n\r\n{HIDDEN}")),
        ),
        case(
            "chunk 0x3",
            0,
            1,
            chunked(&format!("0x3\r\nabc\r\n0\r\n\r\n{HIDDEN}")),
        ),
        case(
            "chunk overflow",
            0,
            1,
            chunked(&format!("fffffffffffffffff\r\nabc\r\n{HIDDEN}")),
        ),
        case(
            "chunk ended by a bare line feed",
            0,
            1,
            chunked(&format!("3\nabc\n0\n\n{HIDDEN}")),
        ),
        case(
            "folded header",
            400,
            0,
            with("X-A: 1\r\n Content-Length: 5"),
        ),
        case("space before the colon", 400, 0, with("Content-Length : 5")),
        case("a zero byte in a value", 400, 0, with("X-A: a\0b")),
        case(
            "a bare carriage return in a value",
            400,
            0,
            with("X-A: a\rContent-Length: 5"),
        ),
        case(
            "two spaces in the request line",
            400,
            0,
            "GET  /user/alice/ HTTP/1.1\r\nHost: hub\r\n\r\n",
        ),
        case("no version", 400, 0, "GET /user/alice/\r\n\r\n"),
        case(
            "version 3",
            400,
            0,
            "GET /user/alice/ HTTP/3.0\r\nHost: hub\r\n\r\n",
        ),
        case("http2 preface", 0, 0, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        case(
            "cookies by the hop",
            400,
            0,
            with("Cookie: a=1\r\nConnection: Cookie"),
        ),
        case(
            "length by the hop",
            400,
            0,
            with("Content-Length: 0\r\nConnection: content-length"),
        ),
        case(
            "websocket with a body",
            400,
            0,
            to_alice(
                "GET",
                &format!(
                    "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: {}\r\n\r\n{HIDDEN}",
                    HIDDEN.len()
                ),
            ),
        ),
        case(
            "two requests in a row",
            200,
            2,
            with("Content-Length: 0").repeat(2),
        ),
        case(
            "a refused request and another",
            400,
            0,
            format!("GET /user/../x HTTP/1.1\r\nHost: hub\r\n\r\n{HIDDEN}"),
        ),
        case(
            "100 headers and more",
            431,
            0,
            with(&"X-A: 1\r\n".repeat(200)),
        ),
    ]
}

#[tokio::test]
async fn the_server_sees_what_the_proxy_meant() {
    for case in cases() {
        let seen = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&seen);
        let server = Server::start(move |mut wire| {
            let count = Arc::clone(&count);
            async move {
                loop {
                    let head = wire.head().await;
                    if !head.ends_with("\r\n\r\n") {
                        break;
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                    if head.contains("transfer-encoding: chunked") {
                        let body = wire.until("0\r\n\r\n").await;
                        if !body.ends_with("0\r\n\r\n") {
                            break;
                        }
                    }
                    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                        .await;
                }
            }
        })
        .await;
        let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
        let mut wire = rig.connect().await;
        wire.send(case.bytes + LAST).await;
        let answer = wire.rest().await;
        let status = answer.get(9..12).and_then(|code| code.parse().ok());
        if case.status != 0 {
            assert_eq!(status, Some(case.status), "{}: {answer}", case.what);
        }
        let seen = seen.load(Ordering::SeqCst);
        assert!(seen <= case.passes, "{}: {seen} requests passed", case.what);
        if case.status == 200 {
            assert_eq!(seen, case.passes, "{}: {answer}", case.what);
        }
    }
}
