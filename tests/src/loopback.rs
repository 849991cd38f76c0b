//! A small HTTP server on the loopback interface: what `fakesu` is made of, and what the harness
//! tests itself against.
//!
//! A handler answers each request at once, and may leave something to do for when the connection
//! is over: that is when an upgraded connection becomes a WebSocket, and when an answer is known
//! to have left before a process ends itself.

use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a handler gives back.
pub struct Answer {
    response: Response<Full<Bytes>>,
    then: Option<BoxFuture<'static, ()>>,
}

impl Answer {
    /// An answer with this status and text.
    pub fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let mut response = Response::new(Full::new(body.into()));
        *response.status_mut() = status;
        Self {
            response,
            then: None,
        }
    }

    /// 200 with a JSON value.
    pub fn json(value: &serde_json::Value) -> Self {
        Self::new(StatusCode::OK, value.to_string()).header("content-type", "application/json")
    }

    /// A redirect.
    pub fn found(location: &str) -> Self {
        Self::new(StatusCode::FOUND, "").header("location", location)
    }

    /// Adds a header; one name may come several times.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = value
            .parse()
            .expect("a header value without control characters");
        self.response.headers_mut().append(name, value);
        self
    }

    /// Runs `work` when the connection of this answer is over or has been upgraded.
    #[must_use]
    pub fn then(mut self, work: impl Future<Output = ()> + Send + 'static) -> Self {
        self.then = Some(Box::pin(work));
        self
    }
}

/// A server that lives as long as this value.
pub struct Loopback {
    address: SocketAddr,
    _server: JoinSet<()>,
}

impl Loopback {
    /// Serves `handler` on a port of its own.
    pub async fn start<H, F>(handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let mut server = JoinSet::new();
        server.spawn(serve(listener, handler));
        Self {
            address,
            _server: server,
        }
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Serves `handler` until the returned future is dropped.
pub async fn serve<H, F>(listener: TcpListener, handler: H)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // A failed accept is a client that left, or no descriptor: the next one may do better.
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(connection(stream, handler.clone()));
        }
    }
}

async fn connection<H, F>(stream: TcpStream, handler: H)
where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Answer> + Send + 'static,
{
    type Work = BoxFuture<'static, ()>;
    let after: Arc<Mutex<Option<Work>>> = Arc::default();
    let keep = after.clone();
    let service = service_fn(move |request| {
        let answer = handler(request);
        let keep = keep.clone();
        async move {
            let Answer { response, then } = answer.await;
            if then.is_some() {
                *keep.lock().unwrap_or_else(PoisonError::into_inner) = then;
            }
            Ok::<_, Infallible>(response)
        }
    });
    // How a connection ended is its client's affair.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    let work = after.lock().unwrap_or_else(PoisonError::into_inner).take();
    work.unwrap_or_else(|| Box::pin(ready(()))).await;
}
