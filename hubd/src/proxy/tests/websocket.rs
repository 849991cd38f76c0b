//! WebSockets: the handshake, the tunnel, and what must not pass before the switch.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::super::Event;
use super::rig::{Rig, SWITCHED, Server, nobody, route};

const HANDSHAKE: &str = "GET /user/alice/api/kernels/1/channels?session_id=x HTTP/1.1\r\n\
    Host: hub:8000\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
    Origin: http://elsewhere\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v1.kernel\r\n\
    Cookie: jupyterhub-hub-login=secret\r\n\r\n";

#[tokio::test]
async fn bytes_flow_both_ways_and_count_as_use() {
    let folder = tempfile::tempdir().unwrap();
    for server in [
        Server::echo().await,
        Server::echo_on_unix(&folder.path().join("socket")),
    ] {
        let mut rig = Rig::start(&[route("alice", &server.endpoint)]).await;
        let mut wire = rig.connect().await;
        wire.send(HANDSHAKE).await;
        let head = wire.head().await.to_ascii_lowercase();
        for line in [
            "http/1.1 101 switching protocols\r\n",
            "\r\nconnection: upgrade\r\n",
            "\r\nupgrade: websocket\r\n",
            "\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n",
            "\r\nsec-websocket-protocol: v1.kernel\r\n",
        ] {
            assert!(head.contains(line), "{line:?} in {head}");
        }
        let sent: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        let mut back = vec![0; sent.len()];
        let (mut from, mut to) = wire.0.split();
        let (written, read) = tokio::join!(to.write_all(&sent), from.read_exact(&mut back));
        assert!(written.is_ok() && read.is_ok() && back == sent);
        let event = rig.events.recv().await;
        assert!(matches!(event, Some(Event::Activity { .. })), "{event:?}");
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn the_server_sees_the_handshake_as_it_was_sent() {
    let (told, mut heads) = mpsc::channel(1);
    let server = Server::start(move |mut wire| {
        let told = told.clone();
        async move {
            let head = wire.head().await;
            told.send(head).await.unwrap();
            wire.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\norigin")
                .await;
        }
    })
    .await;
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    let mut wire = rig.connect().await;
    wire.send(HANDSHAKE).await;
    // Nothing has switched: the answer is an ordinary one, and the connection goes on.
    let head = wire.head().await;
    assert!(head.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{head}");
    assert_eq!(wire.until("origin").await, "origin");
    wire.send("GET /hub/ HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n")
        .await;
    let answer = wire.rest().await;
    assert!(answer.contains("hub GET /hub/\n"), "{answer}");

    let head = heads.recv().await.unwrap();
    let mut lines: Vec<&str> = head.trim_end().split("\r\n").collect();
    assert_eq!(
        lines.remove(0),
        "GET /user/alice/api/kernels/1/channels?session_id=x HTTP/1.1"
    );
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "connection: Upgrade",
            "host: hub:8000",
            "origin: http://elsewhere",
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
            "sec-websocket-protocol: v1.kernel",
            "sec-websocket-version: 13",
            "upgrade: websocket",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: hub:8000",
            "x-forwarded-port: 8000",
            "x-forwarded-proto: http",
            "x-real-ip: 127.0.0.1",
        ]
    );
}

#[tokio::test]
async fn nothing_passes_before_the_switch() {
    let (told, mut rests) = mpsc::channel(1);
    let server = Server::start(move |mut wire| {
        let told = told.clone();
        async move {
            let head = wire.head().await;
            // What came right behind the handshake is not here.
            let mut early = [0; 64];
            let early = wire.0.try_read(&mut early).map_err(|error| error.kind());
            assert_eq!(early, Err(std::io::ErrorKind::WouldBlock));
            wire.send(if head.contains("/deny") {
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            } else {
                SWITCHED
            })
            .await;
            told.send(wire.until("x-secret: 1\r\n\r\n").await)
                .await
                .unwrap();
        }
    })
    .await;
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    let smuggled = "GET /user/alice/x HTTP/1.1\r\nHost: hub\r\nx-secret: 1\r\n\r\n";

    let mut wire = rig.connect().await;
    wire.send(format!("{HANDSHAKE}{smuggled}")).await;
    assert!(wire.head().await.starts_with("HTTP/1.1 101"));
    assert_eq!(
        rests.recv().await.unwrap(),
        smuggled,
        "it is the tunnel's now"
    );

    // Refused, it is an ordinary second request that went through every check.
    let mut wire = rig.connect().await;
    let denied = HANDSHAKE.replace("/api", "/deny");
    wire.send(denied + "GET /user/alice/../bob/ HTTP/1.1\r\nHost: hub\r\n\r\n")
        .await;
    assert!(wire.head().await.starts_with("HTTP/1.1 200"));
    assert!(wire.head().await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn other_upgrades_are_plain_requests() {
    let server = Server::echo().await;
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    for headers in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n",
        "Upgrade: websocket\r\n",
    ] {
        let answer = rig.get("/user/alice/", headers).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (_, seen) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            !seen.contains("upgrade") && !seen.contains("http2"),
            "{seen}"
        );
    }
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_is_no_answer() {
    for switched in [
        SWITCHED.replace("websocket", "h2c"),
        SWITCHED.replace("Upgrade: websocket\r\n", ""),
    ] {
        let server = Server::start(move |mut wire| {
            let switched = switched.clone();
            async move {
                wire.head().await;
                wire.send(switched).await;
                wire.rest().await;
            }
        })
        .await;
        let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
        let mut wire = rig.connect().await;
        wire.send(HANDSHAKE).await;
        let head = wire.head().await;
        assert!(head.starts_with("HTTP/1.1 502"), "{head}");
        let answer = rig.get("/user/alice/", "").await;
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    }
}

#[tokio::test]
async fn a_websocket_to_nobody_is_a_bare_503() {
    let rig = Rig::start(&[route("alice", &nobody().await)]).await;
    let mut wire = rig.connect().await;
    wire.send(HANDSHAKE).await;
    let head = wire.head().await;
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    assert!(head.contains("\r\ncontent-length: 0\r\n"), "{head}");
}

#[tokio::test]
async fn each_side_learns_that_the_other_has_left() {
    let (told, mut ends) = mpsc::channel(1);
    let server = Server::start(move |mut wire| {
        let told = told.clone();
        async move {
            let head = wire.head().await;
            wire.send(SWITCHED).await;
            if head.contains("/api") {
                wire.rest().await;
            }
            told.send(()).await.unwrap();
        }
    })
    .await;
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    let mut wire = rig.connect().await;
    wire.send(HANDSHAKE).await;
    wire.head().await;
    drop(wire);
    ends.recv().await.unwrap();

    let mut wire = rig.connect().await;
    wire.send(HANDSHAKE.replace("/api", "/bye")).await;
    wire.head().await;
    assert_eq!(wire.rest().await, "");
}

#[tokio::test]
async fn an_open_websocket_outlives_its_route_and_ends_with_the_proxy() {
    let server = Server::echo().await;
    let mut rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    let mut wire = rig.connect().await;
    wire.send(HANDSHAKE).await;
    wire.head().await;
    rig.publish(&[]);
    wire.send("still here").await;
    assert_eq!(wire.until("here").await, "still here");
    rig.stop().await;
    assert_eq!(wire.rest().await, "");
}
