//! Bodies that go on for long, and who hangs up on whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Semaphore, mpsc};

use super::rig::{Rig, Server, route};

const MIB: usize = 1024 * 1024;
/// More than all sockets between the two ends hold, and far less than what is sent.
const IN_FLIGHT: usize = 32 * MIB;
const TOTAL: usize = 128 * MIB;

#[tokio::test]
async fn events_pass_one_by_one() {
    let next = Arc::new(Semaphore::new(0));
    let turn = Arc::clone(&next);
    let server = Server::start(move |mut wire| {
        let turn = Arc::clone(&turn);
        async move {
            wire.request().await;
            wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
                .await;
            for number in 0..3 {
                turn.acquire().await.unwrap().forget();
                wire.send(format!("data: {number}\n\n")).await;
            }
        }
    })
    .await;
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    let mut wire = rig.connect().await;
    wire.send("GET /user/alice/events HTTP/1.1\r\nHost: hub\r\n\r\n")
        .await;
    let head = wire.head().await;
    assert!(
        head.contains("\r\ntransfer-encoding: chunked\r\n"),
        "{head}"
    );
    for number in 0..3 {
        // The server says nothing more until this one has arrived.
        next.add_permits(1);
        let event = wire.until("\n\n\r\n").await;
        assert!(event.contains(&format!("data: {number}\n\n")), "{event}");
    }
    assert_eq!(wire.until("0\r\n\r\n").await, "0\r\n\r\n");
}

#[tokio::test]
async fn a_slow_browser_slows_the_server() {
    let written = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&written);
    let server = Server::start(move |mut wire| {
        let count = Arc::clone(&count);
        async move {
            wire.request().await;
            wire.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {TOTAL}\r\n\r\n"
            ))
            .await;
            let piece = vec![b'x'; 64 * 1024];
            for _ in 0..TOTAL / piece.len() {
                wire.send(&piece).await;
                count.fetch_add(piece.len(), Ordering::SeqCst);
            }
        }
    })
    .await;
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    let mut wire = rig.connect().await;
    wire.send("GET /user/alice/big HTTP/1.1\r\nHost: hub\r\n\r\n")
        .await;
    wire.head().await;
    let mut piece = vec![0; 256 * 1024];
    for read in (0..TOTAL).step_by(piece.len()) {
        for _ in 0..32 {
            tokio::task::yield_now().await;
        }
        let ahead = written.load(Ordering::SeqCst).saturating_sub(read);
        assert!(ahead < IN_FLIGHT, "{ahead} bytes are kept somewhere");
        wire.0.read_exact(&mut piece).await.unwrap();
        assert!(piece.iter().all(|byte| *byte == b'x'));
    }
}

#[tokio::test]
async fn a_slow_server_slows_the_browser() {
    let read = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&read);
    let server = Server::start(move |mut wire| {
        let count = Arc::clone(&count);
        async move {
            wire.head().await;
            let mut piece = vec![0; 256 * 1024];
            for _ in 0..TOTAL / piece.len() {
                for _ in 0..32 {
                    tokio::task::yield_now().await;
                }
                wire.0.read_exact(&mut piece).await.unwrap();
                count.fetch_add(piece.len(), Ordering::SeqCst);
            }
            wire.send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
                .await;
        }
    })
    .await;
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    let mut wire = rig.connect().await;
    let head =
        format!("PUT /user/alice/big HTTP/1.1\r\nHost: hub\r\nContent-Length: {TOTAL}\r\n\r\n");
    wire.send(head).await;
    let piece = vec![b'x'; 64 * 1024];
    for written in (0..TOTAL).step_by(piece.len()) {
        let ahead = written.saturating_sub(read.load(Ordering::SeqCst));
        assert!(ahead < IN_FLIGHT, "{ahead} bytes are kept somewhere");
        wire.0.write_all(&piece).await.unwrap();
    }
    let head = wire.head().await;
    assert!(head.starts_with("HTTP/1.1 201"), "{head}");
}

#[tokio::test]
async fn a_browser_that_leaves_takes_the_server_connection_with_it() {
    let (told, mut ends) = mpsc::channel(1);
    let server = Server::start(move |mut wire| {
        let told = told.clone();
        async move {
            let request = wire.head().await;
            if request.starts_with("GET /user/alice/events") {
                wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata\n\n")
                    .await;
            }
            wire.rest().await;
            told.send(()).await.unwrap();
        }
    })
    .await;
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    for (request, until) in [
        (
            "GET /user/alice/events HTTP/1.1\r\nHost: hub\r\n\r\n",
            "data\n\n",
        ),
        ("GET /user/alice/slow HTTP/1.1\r\nHost: hub\r\n\r\n", ""),
        (
            "PUT /user/alice/big HTTP/1.1\r\nHost: hub\r\nContent-Length: 9\r\n\r\npart",
            "",
        ),
    ] {
        let connections = server.connections();
        let mut wire = rig.connect().await;
        wire.send(request).await;
        wire.until(until).await;
        while server.connections() == connections {
            tokio::task::yield_now().await;
        }
        drop(wire);
        ends.recv().await.unwrap();
    }
}

#[tokio::test]
async fn a_removed_route_lets_what_is_open_end() {
    let next = Arc::new(Semaphore::new(0));
    let turn = Arc::clone(&next);
    let server = Server::start(move |mut wire| {
        let turn = Arc::clone(&turn);
        async move {
            wire.request().await;
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none")
                .await;
            turn.acquire().await.unwrap().forget();
            wire.send("two").await;
            wire.rest().await;
        }
    })
    .await;
    let rig = Rig::start(&[route("alice", &server.endpoint)]).await;
    let mut wire = rig.connect().await;
    wire.send("GET /user/alice/ HTTP/1.1\r\nHost: hub\r\n\r\n")
        .await;
    wire.head().await;
    assert_eq!(wire.until("one").await, "one");
    rig.publish(&[]);
    next.add_permits(1);
    assert_eq!(wire.until("two").await, "two");
    // The next request of the same connection finds the route gone.
    wire.send("GET /user/alice/ HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n")
        .await;
    let answer = wire.rest().await;
    assert!(answer.contains("hub GET /user/alice/\n"), "{answer}");
}
