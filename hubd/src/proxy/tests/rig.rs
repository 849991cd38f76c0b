//! What the stories share.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request as HubRequest;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use spawner_core::{Endpoint, ServerId, ServerName, UserName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::{ClientInfo, Event, Peer, Proxy, ProxyOptions, Route, Snapshot};

/// A proxy that listens, with a hub behind it that answers with what it was told.
pub(super) struct Rig {
    pub(super) address: std::net::SocketAddr,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) stop: CancellationToken,
    base: &'static str,
    feed: watch::Sender<Arc<Snapshot>>,
    tasks: JoinSet<()>,
    run: Option<tokio::task::AbortHandle>,
}

impl Rig {
    pub(super) async fn start(routes: &[Route]) -> Self {
        Self::start_below("/", routes, ProxyOptions::default()).await
    }

    pub(super) async fn start_below(
        base: &'static str,
        routes: &[Route],
        options: ProxyOptions,
    ) -> Self {
        let (feed, snapshots) = watch::channel(Arc::default());
        let (sender, events) = mpsc::channel(64);
        let activity_interval = Duration::from_millis(5);
        let options = ProxyOptions {
            activity_interval,
            ..options
        };
        let proxy = Proxy::new(base, snapshots, sender, options);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let run = tasks.spawn({
            let (proxy, stop) = (proxy.clone(), stop.clone());
            async move { proxy.run(stop).await }
        });
        tasks.spawn(front(listener, proxy));
        let rig = Self {
            address,
            events,
            stop,
            base,
            feed,
            tasks,
            run: Some(run),
        };
        rig.publish(routes);
        rig
    }

    /// Replaces the routes.
    pub(super) fn publish(&self, routes: &[Route]) {
        let version = self.feed.borrow().version + 1;
        let routes = routes.to_vec();
        self.feed
            .send_replace(Arc::new(Snapshot { version, routes }));
    }

    pub(super) fn route(&self, name: &str, endpoint: &Endpoint) -> Route {
        route_below(self.base, name, endpoint)
    }

    pub(super) async fn connect(&self) -> Wire<TcpStream> {
        Wire(TcpStream::connect(self.address).await.unwrap())
    }

    /// Sends bytes on a connection of their own and reads all that comes back.
    pub(super) async fn ask(&self, request: &str) -> String {
        let mut wire = self.connect().await;
        wire.send(request).await;
        wire.rest().await
    }

    /// A `GET` with some header lines, each ended by `\r\n`.
    pub(super) async fn get(&self, path: &str, headers: &str) -> String {
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n{headers}\r\n");
        self.ask(&head).await
    }

    /// Stops the proxy and waits until its `run` has returned.
    pub(super) async fn stop(&mut self) {
        self.stop.cancel();
        let run = self.run.take().unwrap().id();
        while let Some(ended) = self.tasks.join_next_with_id().await {
            if ended.unwrap().0 == run {
                return;
            }
        }
    }
}

/// A route of `alice` or `alice:proj` below `/`.
pub(super) fn route(name: &str, endpoint: &Endpoint) -> Route {
    route_below("/", name, endpoint)
}

fn route_below(base: &str, name: &str, endpoint: &Endpoint) -> Route {
    let (user, server) = name.split_once(':').unwrap_or((name, ""));
    let (user, server) = (UserName::new(user), ServerName::new(server));
    let id = ServerId::new(user.unwrap(), server.unwrap());
    Route::new(base, id, endpoint.clone())
}

async fn front(listener: TcpListener, proxy: Proxy) {
    let hub = Router::new().fallback(hub);
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer) = listener.accept().await.unwrap();
        let (proxy, hub) = (proxy.clone(), hub.clone());
        let service = service_fn(move |request| {
            let (proxy, hub) = (proxy.clone(), hub.clone());
            async move {
                let response = proxy.handle(request, Peer::plain(peer), hub).await;
                Ok::<_, Infallible>(response)
            }
        });
        connections.spawn(async move {
            // A client that breaks off is part of many stories.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
        });
    }
}

/// Says which request it got, from whom, and with which headers.
async fn hub(request: HubRequest) -> String {
    let client = request.extensions().get::<ClientInfo>().unwrap().clone();
    let who = format!("{} {} {}", client.ip, client.scheme.as_str(), client.host);
    let mut told = format!("hub {} {}\n{who}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        told.push_str(name.as_str());
        told.push_str(": ");
        told.push_str(value.to_str().unwrap());
        told.push('\n');
    }
    told
}

/// A connection whose bytes are written and read by hand.
pub(super) struct Wire<S>(pub(super) S);

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads to the end, however it comes.
    pub(super) async fn rest(&mut self) -> String {
        let mut all = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = self.0.read(&mut piece).await {
            all.extend_from_slice(&piece[..length]);
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Reads until `mark` was read; that and what came before it, or all there was.
    pub(super) async fn until(&mut self, mark: &str) -> String {
        let mut all = Vec::new();
        while !all.ends_with(mark.as_bytes()) {
            match self.0.read_u8().await {
                Ok(byte) => all.push(byte),
                Err(_) => break,
            }
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    /// One head, up to its empty line; empty if the connection ended instead.
    pub(super) async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// One request with its body as it was framed; nothing once the connection has ended.
    pub(super) async fn request(&mut self) -> Option<String> {
        let mut text = self.head().await;
        if !text.ends_with("\r\n\r\n") {
            return None;
        }
        let head = text.to_ascii_lowercase();
        if head.contains("\r\ntransfer-encoding: chunked\r\n") {
            text += &self.until("0\r\n\r\n").await;
        } else if let Some((_, length)) = head.split_once("\r\ncontent-length: ") {
            let length = length.split_once('\r').unwrap().0.parse().unwrap();
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).await.ok()?;
            text += &String::from_utf8_lossy(&body);
        }
        Some(text)
    }
}

/// A server that runs a closure for each connection, and counts them.
pub(super) struct Server {
    pub(super) endpoint: Endpoint,
    pub(super) connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(super) async fn start<F>(converse: impl Fn(Wire<TcpStream>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&connections);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut conversations = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                conversations.spawn(converse(Wire(stream)));
            }
        });
        Self {
            endpoint: Endpoint::Tcp {
                host: address.ip().to_string(),
                port: address.port(),
            },
            connections,
            _tasks: tasks,
        }
    }

    /// Answers every request with what it was.
    pub(super) async fn echo() -> Self {
        Self::start(echo).await
    }

    pub(super) fn echo_on_unix(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let connections = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&connections);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut conversations = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                conversations.spawn(echo(Wire(stream)));
            }
        });
        Self {
            endpoint: Endpoint::Unix { path: path.into() },
            connections,
            _tasks: tasks,
        }
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut wire: Wire<S>) {
    while let Some(request) = wire.request().await {
        if request
            .to_ascii_lowercase()
            .contains("\r\nupgrade: websocket")
        {
            wire.send(SWITCHED).await;
            let (mut from, mut to) = tokio::io::split(wire.0);
            let _ = tokio::io::copy(&mut from, &mut to).await;
            return;
        }
        let length = request.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        wire.send(head + &request).await;
    }
}

pub(super) const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    Sec-WebSocket-Protocol: v1.kernel\r\n\r\n";

/// An address at which nobody listens.
pub(super) async fn nobody() -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    Endpoint::Tcp {
        host: address.ip().to_string(),
        port: address.port(),
    }
}
