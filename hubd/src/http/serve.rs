//! The accept loop: from a listening socket to requests, until told to stop.
//!
//! ```text
//! permit --> accept --> task per connection: HTTP/1.1, one request after the other
//!   |           |           |- 10 s for the first head, 75 s between requests
//!   |           |           \- an upgraded socket leaves with its permit
//!   |           \- no descriptors: wait, do not spin
//!   \- as many connections as the process has descriptors for, and a reserve
//!
//! shutdown: stop accepting --> idle connections close, running requests end --> grace is over: cut
//! ```
//!
//! - Heads are limited in size (431), count of headers (431) and time. Bodies are not: they stream
//!   to servers that take gigabytes, and the hub's own routes set their own limits.
//! - A connection task is owned by the loop. When [`serve`] returns there is none left.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::door::{Door, Socket, connection_limit, is_shortage};

/// The longest head, request line included.
const MAX_HEAD: usize = 64 * 1024;
/// Where a pause begins when there are no descriptors, and where it ends up.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// What a connection may do to us.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// How many are open at once.
    connections: usize,
    /// How long a new one may take to send its first head: who just opened it has something to
    /// say.
    first_head: Duration,
    /// How long one may stay silent between two requests, and how long a later head may take.
    idle: Duration,
}

impl Limits {
    /// The idle time is longer than the ten seconds at which JupyterLab polls, or each poll would
    /// meet a connection that is just being closed.
    fn of_this_process() -> Self {
        Self {
            connections: connection_limit(),
            first_head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
        }
    }
}

/// Serves HTTP/1.1 on `listener` until `shutdown`, then lets running requests end for at most
/// `grace`. Returns when every connection is closed; upgraded ones are their upgrader's.
pub(crate) async fn serve<S, F, B>(
    listener: TcpListener,
    service: S,
    shutdown: CancellationToken,
    grace: Duration,
) where
    S: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    serve_within(
        Limits::of_this_process(),
        listener,
        service,
        shutdown,
        grace,
    )
    .await;
}

async fn serve_within<S, F, B>(
    limits: Limits,
    listener: TcpListener,
    service: S,
    shutdown: CancellationToken,
    grace: Duration,
) where
    S: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_header_size(MAX_HEAD);
    let mut door = Door::new(listener, limits.connections);
    let mut connections = JoinSet::new();
    let mut pause = PAUSE.0;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
            accepted = door.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = PAUSE.0;
                connections.spawn(converse(
                    http.clone(),
                    limits.first_head,
                    stream,
                    peer,
                    service.clone(),
                    // One of its own: a token is polled whenever its connection is, under a lock.
                    shutdown.child_token(),
                ));
            }
            Err(error) if is_shortage(&error) => {
                warn!(%error, "cannot accept connections");
                let _: Option<()> = shutdown
                    .run_until_cancelled(tokio::time::sleep(pause))
                    .await;
                pause = (pause * 2).min(PAUSE.1);
            }
            // The client was gone before it was accepted; the next one is another matter.
            Err(error) => debug!(%error, "a connection was not accepted"),
        }
    }
    drop(door);
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(grace, all_ended).await.is_err() {
        info!(
            connections = connections.len(),
            "grace is over, connections are cut"
        );
        connections.shutdown().await;
    }
}

/// One connection from its first byte to its last, or to its upgrade.
async fn converse<S, F, B>(
    http: http1::Builder,
    first_head: Duration,
    socket: Socket,
    peer: SocketAddr,
    service: S,
    shutdown: CancellationToken,
) where
    S: Fn(Request<Incoming>, SocketAddr) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
{
    if let Err(error) = socket.set_nodelay() {
        debug!(%peer, %error, "connection was gone at once");
        return;
    }
    let has_asked = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request| {
        has_asked.store(true, Ordering::Relaxed);
        let response = service(request, peer);
        async { Ok::<_, Infallible>(response.await) }
    });
    let connection = http.serve_connection(TokioIo::new(socket), service);
    let mut connection = pin!(connection.with_upgrades());
    let mut first_head = pin!(tokio::time::sleep(first_head));
    let (mut is_waiting, mut is_draining) = (true, false);
    let ended = loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => break ended,
            () = first_head.as_mut(), if is_waiting => {
                if !has_asked.load(Ordering::Relaxed) {
                    debug!(%peer, "no request came");
                    return;
                }
                is_waiting = false;
            }
            () = shutdown.cancelled(), if !is_draining => {
                is_draining = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    };
    if let Err(error) = ended {
        debug!(%peer, %error, "connection broke off");
    }
}

/// A panic in a handler ends its connection and no other; it must not end silently.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(failure) = ended
        && failure.is_panic()
    {
        error!(%failure, "a request handler panicked");
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::{Semaphore, mpsc};

    use super::*;

    const LONG: Duration = Duration::from_hours(1);
    const PATIENT: Limits = Limits {
        connections: 64,
        first_head: LONG,
        idle: LONG,
    };
    const HELLO: &str = "GET / HTTP/1.1\r\nHost: hub\r\n\r\n";

    /// A server whose handler tells of each request and waits for a permit to answer it.
    struct Rig {
        address: SocketAddr,
        asked: mpsc::Receiver<()>,
        may_answer: Arc<Semaphore>,
        shutdown: CancellationToken,
        task: JoinSet<()>,
    }

    async fn start(limits: Limits, grace: Duration) -> Rig {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, asked) = mpsc::channel(64);
        let may_answer = Arc::new(Semaphore::new(0));
        let permits = Arc::clone(&may_answer);
        let service = move |request: Request<Incoming>, _| {
            let (tell, permits) = (tell.clone(), Arc::clone(&permits));
            async move {
                tell.send(()).await.unwrap();
                assert!(request.uri().path() != "/panic", "as asked");
                permits.acquire().await.unwrap().forget();
                Response::new(Full::new(Bytes::from_static(b"hello")))
            }
        };
        let shutdown = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(serve_within(
            limits,
            listener,
            service,
            shutdown.clone(),
            grace,
        ));
        Rig {
            address,
            asked,
            may_answer,
            shutdown,
            task,
        }
    }

    impl Rig {
        async fn send(&self, bytes: &str) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(bytes.as_bytes()).await.unwrap();
            stream
        }

        async fn ended(&mut self) {
            self.task.join_next().await.unwrap().unwrap();
        }
    }

    async fn rest(mut stream: TcpStream) -> String {
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text).await;
        text
    }

    #[tokio::test]
    async fn heads_are_limited_in_size_and_count() {
        let rig = start(PATIENT, LONG).await;
        rig.may_answer.add_permits(8);
        let with = |line: String| {
            format!("GET / HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n{line}\r\n")
        };
        for (head, status) in [
            (with(String::new()), "200"),
            (with(format!("X-A: {}\r\n", "a".repeat(32 * 1024))), "200"),
            (with(format!("X-A: {}\r\n", "a".repeat(64 * 1024))), "431"),
            (with("X-A: a\r\n".repeat(1000)), "431"),
            (
                format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1024 * 1024)),
                "431",
            ),
        ] {
            let mut stream = TcpStream::connect(rig.address).await.unwrap();
            // The server may hang up before it has read everything.
            let _ = stream.write_all(head.as_bytes()).await;
            let answer = rest(stream).await;
            assert_eq!(answer.get(9..12), Some(status), "{} bytes", head.len());
        }
    }

    #[tokio::test]
    async fn a_connection_must_say_something_soon() {
        let limits = Limits {
            first_head: Duration::from_millis(5),
            ..PATIENT
        };
        let mut rig = start(limits, LONG).await;
        assert_eq!(rest(rig.send("").await).await, "");
        assert_eq!(rest(rig.send("GET / HTTP/1.1\r\nHos").await).await, "");
        let limits = Limits {
            idle: Duration::from_millis(5),
            ..PATIENT
        };
        rig = start(limits, LONG).await;
        rig.may_answer.add_permits(1);
        let answer = rest(rig.send(HELLO).await).await;
        assert!(answer.ends_with("hello"), "{answer}");
    }

    #[tokio::test]
    async fn a_request_in_progress_ends_before_the_server_does() {
        let mut rig = start(PATIENT, LONG).await;
        let idle = rig.send("").await;
        let busy = rig.send(HELLO).await;
        rig.asked.recv().await.unwrap();
        rig.shutdown.cancel();
        assert_eq!(rest(idle).await, "");
        rig.may_answer.add_permits(1);
        let answer = rest(busy).await;
        assert!(answer.ends_with("hello"), "{answer}");
        rig.ended().await;
        assert!(TcpStream::connect(rig.address).await.is_err());
    }

    #[tokio::test]
    async fn grace_is_not_for_ever() {
        let mut rig = start(PATIENT, Duration::from_millis(5)).await;
        let busy = rig.send(HELLO).await;
        rig.asked.recv().await.unwrap();
        rig.shutdown.cancel();
        rig.ended().await;
        assert_eq!(rest(busy).await, "");
    }

    #[tokio::test]
    async fn a_panic_is_one_connections_end() {
        let rig = start(PATIENT, LONG).await;
        rig.may_answer.add_permits(1);
        let answer = rest(rig.send(&HELLO.replace("/ ", "/panic ")).await).await;
        assert_eq!(answer, "");
        let hello = HELLO.replace("Host", "Connection: close\r\nHost");
        let answer = rest(rig.send(&hello).await).await;
        assert!(answer.ends_with("hello"), "{answer}");
    }

    #[tokio::test]
    async fn a_full_house_lets_nobody_in_until_somebody_leaves() {
        let limits = Limits {
            connections: 1,
            ..PATIENT
        };
        let mut rig = start(limits, LONG).await;
        let mut first = rig.send(HELLO).await;
        rig.asked.recv().await.unwrap();
        let second = rig.send(HELLO).await;
        rig.may_answer.add_permits(2);
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            answer.push(first.read_u8().await.unwrap());
        }
        assert!(rig.asked.try_recv().is_err());
        drop(first);
        rig.asked.recv().await.unwrap();
        drop(second);
    }
}
