//! Connections to servers: when they are used again, and when never.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::rig::{Rig, Server, route};

#[tokio::test]
async fn a_request_is_sent_once() {
    let seen = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&seen);
    let server = Server::start(move |mut wire| {
        let count = Arc::clone(&count);
        async move {
            if wire.request().await.is_some() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    for (method, total) in [("GET", 1), ("POST", 2), ("DELETE", 3)] {
        let answer = rig
            .ask(&format!(
                "{method} /user/alice/ HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
        assert_eq!(seen.load(Ordering::SeqCst), total);
    }
}

#[tokio::test]
async fn a_warm_connection_is_used_again_and_a_closed_one_is_not() {
    let server = Server::echo().await;
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    let mut wire = rig.connect().await;
    for _ in 0..3 {
        wire.send("GET /user/alice/ HTTP/1.1\r\nHost: hub\r\n\r\n")
            .await;
        let head = wire.head().await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        wire.head().await;
    }
    assert!(server.connections() < 3);

    // One request a connection, although the server promises more.
    let server = Server::start(async |mut wire| {
        wire.request().await;
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await;
    })
    .await;
    rig.publish(&[route("alice", &server.endpoint)]);
    for _ in 0..20 {
        wire.send("POST /user/alice/ HTTP/1.1\r\nHost: hub\r\nContent-Length: 0\r\n\r\n")
            .await;
        let head = wire.head().await;
        // The server may hang up while the request is on its way; then it was sent, and is not
        // sent again.
        assert!(
            head.starts_with("HTTP/1.1 200") || head.starts_with("HTTP/1.1 502"),
            "{head}"
        );
        if head.starts_with("HTTP/1.1 502") {
            let (_, length) = head.split_once("content-length: ").unwrap();
            let length: usize = length.split_once('\r').unwrap().0.parse().unwrap();
            tokio::io::AsyncReadExt::read_exact(&mut wire.0, &mut vec![0; length])
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn a_server_that_answers_before_it_has_read_is_not_asked_again_on_that_connection() {
    let server = Server::start(async |mut wire| {
        wire.head().await;
        wire.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            .await;
        // A careless server would now take the body for the next request.
        let rest = wire.rest().await;
        assert!(!rest.contains("HTTP/1.1"), "{rest}");
    })
    .await;
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    for turn in 1..=3 {
        let mut wire = rig.connect().await;
        wire.send("POST /user/alice/ HTTP/1.1\r\nHost: hub\r\nContent-Length: 100\r\n\r\nGET /")
            .await;
        let head = wire.head().await;
        assert!(head.starts_with("HTTP/1.1 413"), "{head}");
        assert_eq!(server.connections(), turn);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_never_looks_complete() {
    for (head, end) in [
        ("Content-Length: 100\r\n\r\npart", ""),
        (
            "Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
            "0\r\n\r\n",
        ),
    ] {
        let server = Server::start(move |mut wire| async move {
            wire.request().await;
            wire.send(format!("HTTP/1.1 200 OK\r\n{head}")).await;
        })
        .await;
        let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
        let answer = rig.get("/user/alice/", "").await;
        assert!(answer.contains("part"), "{answer}");
        assert!(end.is_empty() || !answer.ends_with(end), "{answer}");
    }
}
