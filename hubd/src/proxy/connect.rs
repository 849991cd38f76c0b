//! Connections to one server: opened when needed, kept while warm, never shared between routes.
//!
//! ```text
//! send --> an idle connection that is ready --------------------------> response + Lease
//!     \--> none: connect (TCP or unix socket, 5 s), handshake ------/        |
//!                                                                            |
//! idle <--------- the lease is given back at the end of the response --------+
//! (closed)  <---- or dropped: half a body, an upload that was not read, an upgrade
//! ```
//!
//! - Each route has its own pool. A port that another user's server gets later is another pool, so
//!   a connection to an old process can never carry a stranger's request.
//! - A request is sent once. It goes to a second connection only if the first turned out closed
//!   before a single byte was written; hyper hands the request back exactly then.
//! - There is no limit on how long a response takes: cells run for hours.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use spawner_core::Endpoint;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::body::Upload;

/// A server on this host or network answers a connect at once, or is not well.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than the keep-alive of common servers (Node and uvicorn hang up after 5 s), so that a
/// request rarely meets a connection that is being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// Enough that a busy server does not lose connections between two requests.
const MAX_IDLE: usize = 1024;

/// The connections of one route.
#[derive(Debug)]
pub(super) struct Pool {
    endpoint: Endpoint,
    idle: Mutex<Vec<Idle>>,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<Upload>,
    since: Instant,
}

/// A connection on loan until the response has ended.
#[derive(Debug)]
pub(super) struct Lease {
    sender: SendRequest<Upload>,
    pool: Arc<Pool>,
    /// Whether the request's body was taken in full; nothing if it had none.
    uploaded: Option<Arc<AtomicBool>>,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("cannot connect to the server")]
    Connect(#[source] io::Error),
    #[error("the server hung up or sent no sound response")]
    Http(#[source] hyper::Error),
}

impl SendError {
    /// Whether this tells about the server, and not about a shortage of our own.
    pub(super) fn is_refusal(&self) -> bool {
        use io::ErrorKind as Kind;
        matches!(self, Self::Connect(error) if matches!(
            error.kind(),
            Kind::ConnectionRefused
                | Kind::ConnectionReset
                | Kind::ConnectionAborted
                | Kind::NotFound
                | Kind::TimedOut
                | Kind::HostUnreachable
                | Kind::NetworkUnreachable
        ))
    }
}

impl Pool {
    pub(super) fn new(endpoint: Endpoint, tasks: TaskTracker) -> Self {
        Self {
            endpoint,
            idle: Mutex::default(),
            tasks,
        }
    }

    /// Sends a request in origin form and waits for the head of its response.
    pub(super) async fn send(
        self: &Arc<Self>,
        mut request: Request<Upload>,
        uploaded: Option<Arc<AtomicBool>>,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        loop {
            let (mut sender, is_reused) = match self.take() {
                Some(sender) => (sender, true),
                None => (self.connect().await?, false),
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let lease = Lease {
                        sender,
                        pool: Arc::clone(self),
                        uploaded,
                    };
                    return Ok((response, lease));
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if is_reused => request = unsent,
                    _ => return Err(SendError::Http(error.into_error())),
                },
            }
        }
    }

    /// Closes connections that were idle for too long.
    pub(super) fn reap(&self) {
        let now = Instant::now();
        self.idle()
            .retain(|idle| !idle.sender.is_closed() && now - idle.since < IDLE_TIMEOUT);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last and is ready for the next request.
    fn take(&self) -> Option<SendRequest<Upload>> {
        let mut idle = self.idle();
        let mut at = idle.len();
        while at > 0 {
            at -= 1;
            if idle[at].since.elapsed() >= IDLE_TIMEOUT {
                // Those before it have been idle for longer.
                idle.drain(..=at);
                return None;
            }
            if idle[at].sender.is_closed() {
                idle.remove(at);
            } else if idle[at].sender.is_ready() {
                return Some(idle.remove(at).sender);
            }
        }
        None
    }

    async fn connect(&self) -> Result<SendRequest<Upload>, SendError> {
        let connecting = async {
            match &self.endpoint {
                Endpoint::Tcp { host, port } => {
                    let stream = TcpStream::connect((host.as_str(), *port))
                        .await
                        .map_err(SendError::Connect)?;
                    stream.set_nodelay(true).map_err(SendError::Connect)?;
                    self.shake_hands(stream).await
                }
                Endpoint::Unix { path } => {
                    let stream = UnixStream::connect(path).await;
                    self.shake_hands(stream.map_err(SendError::Connect)?).await
                }
            }
        };
        tokio::time::timeout(CONNECT_TIMEOUT, connecting)
            .await
            .unwrap_or_else(|_| Err(SendError::Connect(io::ErrorKind::TimedOut.into())))
    }

    /// Gives the connection a task of its own, which ends with it.
    async fn shake_hands<S>(&self, stream: S) -> Result<SendRequest<Upload>, SendError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(SendError::Http)?;
        self.tasks.spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                debug!(%error, "connection to a server ended");
            }
        });
        Ok(sender)
    }
}

impl Lease {
    /// The response has ended: the connection can serve again, unless the server answered before
    /// it had read the whole request.
    pub(super) fn give_back(self) {
        let uploaded = self
            .uploaded
            .is_none_or(|done| done.load(Ordering::Acquire));
        if !uploaded || self.sender.is_closed() {
            return;
        }
        let mut idle = self.pool.idle();
        if idle.len() < MAX_IDLE {
            idle.push(Idle {
                sender: self.sender,
                since: Instant::now(),
            });
        }
    }
}
