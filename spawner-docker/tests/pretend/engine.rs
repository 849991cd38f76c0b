//! The socket, and what becomes of a request.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::answer::{self, Answer};
use super::fault::Fault;
use super::script::Pull;
use super::verb::Verb;
use super::world::World;

/// Where the machine's engine is when nothing says otherwise.
const LOCAL: &str = "unix:///var/run/docker.sock";

/// The engine. It is gone when it is dropped.
pub(crate) struct Pretend {
    folder: TempDir,
    inner: Arc<Inner>,
    listening: Mutex<JoinSet<()>>,
}

struct Inner {
    faults: Mutex<HashMap<Verb, Fault>>,
    /// Faults of the next call alone.
    once: Mutex<HashMap<Verb, Fault>>,
    /// How often things were mended.
    healed: watch::Sender<u32>,
    calls: watch::Sender<Vec<Call>>,
    world: World,
    /// The machine's engine, if it is behind this one.
    real: Option<String>,
}

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) verb: Verb,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
}

impl Pretend {
    /// One with a world of its own, which has the image `lab`.
    pub(crate) fn open() -> Self {
        Self::new(None)
    }

    /// One with the machine's engine behind it; `None` if that is not at a socket of this host.
    pub(crate) fn before_the_real_one() -> Option<Self> {
        let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| LOCAL.to_owned());
        Some(Self::new(Some(host.strip_prefix("unix://")?.to_owned())))
    }

    fn new(real: Option<String>) -> Self {
        let pretend = Self {
            folder: tempfile::tempdir().unwrap(),
            inner: Arc::new(Inner {
                faults: Mutex::default(),
                once: Mutex::default(),
                healed: watch::Sender::default(),
                calls: watch::Sender::default(),
                world: World::new(),
                real,
            }),
            listening: Mutex::default(),
        };
        pretend.up();
        pretend
    }

    /// As a configuration names it.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("engine.sock")
    }

    /// Listens again.
    pub(crate) fn up(&self) {
        let listener = UnixListener::bind(self.socket()).unwrap();
        let inner = Arc::clone(&self.inner);
        self.listening.lock().unwrap().spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(connection(Arc::clone(&inner), stream));
            }
        });
    }

    /// Closes every connection and the socket. Containers live on.
    pub(crate) async fn down(&self) {
        let mut listening = std::mem::take(&mut *self.listening.lock().unwrap());
        listening.shutdown().await;
        std::fs::remove_file(self.socket()).unwrap();
    }

    /// From now on, calls of `verb` go wrong like that.
    pub(crate) fn fail(&self, verb: Verb, fault: Fault) {
        self.inner.faults.lock().unwrap().insert(verb, fault);
    }

    /// The next call of `verb` goes wrong like that.
    pub(crate) fn fail_once(&self, verb: Verb, fault: Fault) {
        self.inner.once.lock().unwrap().insert(verb, fault);
    }

    /// From now on, every call goes wrong like that.
    pub(crate) fn fail_all(&self, fault: &Fault) {
        for verb in Verb::ALL {
            self.fail(verb, fault.clone());
        }
    }

    /// From now on, nothing goes wrong. Calls that hang are closed, as by an engine that was
    /// restarted.
    pub(crate) fn heal(&self) {
        self.inner.faults.lock().unwrap().clear();
        self.inner.healed.send_modify(|healed| *healed += 1);
    }

    /// Calls of `verb` go well again.
    pub(crate) fn mend(&self, verb: Verb) {
        self.inner.faults.lock().unwrap().remove(&verb);
    }

    /// From here on, nothing was asked so far.
    pub(crate) fn forget_calls(&self) {
        self.inner.calls.send_modify(Vec::clear);
    }

    /// What was asked so far.
    pub(crate) fn calls(&self, verb: Verb) -> Vec<Call> {
        let calls = self.inner.calls.borrow();
        calls
            .iter()
            .filter(|call| call.verb == verb)
            .cloned()
            .collect()
    }

    /// How much was asked so far, by whoever waits for an answer.
    pub(crate) fn number_of_calls(&self) -> usize {
        let calls = self.inner.calls.borrow();
        calls
            .iter()
            .filter(|call| call.verb != Verb::Events)
            .count()
    }

    /// Returns when `verb` was called so often.
    pub(crate) async fn called(&self, verb: Verb, times: usize) {
        let mut calls = self.inner.calls.subscribe();
        let often = |calls: &Vec<Call>| calls.iter().filter(|c| c.verb == verb).count() >= times;
        calls.wait_for(often).await.unwrap();
    }

    /// What a registry does when this image is pulled.
    pub(crate) fn registry_has(&self, image: &str, pull: Pull) {
        self.inner.world.registry_has(image, pull);
    }

    /// Returns when so many pulls are under way.
    pub(crate) async fn pulling(&self, number: usize) {
        self.inner.world.pulling(number).await;
    }

    /// The names of the containers that there are, each with whether it runs.
    pub(crate) fn containers(&self) -> Vec<(String, bool)> {
        self.inner.world.containers()
    }

    /// Ends what runs in a container, as if it had ended by itself.
    pub(crate) fn ends(&self, name: &str, code: i64) {
        self.inner.world.ends(name, code);
    }
}

impl Inner {
    async fn answer(&self, verb: Verb, request: Request<Bytes>) -> io::Result<Answer> {
        match &self.real {
            None => Ok(self.world.answer(verb, request)),
            Some(socket) => forward(socket, request).await,
        }
    }
}

async fn connection(inner: Arc<Inner>, stream: UnixStream) {
    let service = service_fn(|request| respond(Arc::clone(&inner), request));
    // A fault that closes the connection is an error here.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(
    inner: Arc<Inner>,
    request: Request<Incoming>,
) -> Result<Response<answer::Body>, io::Error> {
    let verb = Verb::of(request.method(), request.uri().path());
    let once = inner.once.lock().unwrap().remove(&verb);
    let fault = once.or_else(|| inner.faults.lock().unwrap().get(&verb).cloned());
    let mut healed = inner.healed.subscribe();
    inner.calls.send_modify(|calls| {
        calls.push(Call {
            verb,
            target: request.uri().to_string(),
            headers: request.headers().clone(),
        });
    });
    // What is not to be answered is not to happen either.
    let reached = !matches!(
        fault,
        Some(Fault::Status(..) | Fault::Hangs | Fault::Resets | Fault::Garbage)
    );
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let request = Request::from_parts(parts, body);
    if matches!(fault, Some(Fault::Twice)) {
        let first = inner.answer(verb, request.clone()).await?;
        assert!(
            first.status().is_success(),
            "{first:?}",
            first = first.status()
        );
    }
    let whole = if reached {
        inner.answer(verb, request).await?
    } else {
        answer::empty()
    };
    let whole = if matches!(fault, Some(Fault::Garbage)) {
        answer::answer(200, "")
    } else {
        whole
    };
    let closed = || io::Error::other("closed, as the test wants it");
    let seen = match fault {
        None => whole,
        Some(fault) => tokio::select! {
            damaged = answer::damaged(whole, &fault) => damaged.ok_or_else(closed)?,
            _ = healed.changed() => return Err(closed()),
        },
    };
    Ok(answer::body(seen))
}

async fn forward(socket: &str, request: Request<Bytes>) -> io::Result<Answer> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let request = request.map(Full::new);
    // The connection lives in the body's stream, and with it.
    let mut connection = Box::pin(connection);
    let answer = tokio::select! {
        answer = sender.send_request(request) => answer.map_err(io::Error::other)?,
        ended = &mut connection => {
            return Err(io::Error::other(format!("the engine closed the connection: {ended:?}")));
        }
    };
    Ok(answer.map(|body| carried(connection, sender, body)))
}

/// A body with the connection that it comes over.
fn carried<C, S>(connection: C, sender: S, body: Incoming) -> answer::Pieces
where
    C: Future<Output = hyper::Result<()>> + Unpin + Send + 'static,
    S: Send + 'static,
{
    use futures_util::StreamExt as _;
    let pieces = answer::pieces(body);
    let state = (Some(connection), sender, pieces);
    futures_util::stream::unfold(state, |(mut connection, sender, mut pieces)| async move {
        loop {
            let Some(open) = &mut connection else {
                let piece = pieces.next().await?;
                return Some((piece, (connection, sender, pieces)));
            };
            tokio::select! {
                biased;
                piece = pieces.next() => return Some((piece?, (connection, sender, pieces))),
                _ = open => connection = None,
            }
        }
    })
    .boxed()
}
