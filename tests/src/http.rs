//! One HTTP exchange, and its whole answer.
//!
//! Each exchange has a connection of its own: a pooled one would outlive a killed hub and turn a
//! restart into an error of the client that is no fact about the hub.

use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wait::within;

static CLIENT: LazyLock<Client<HttpConnector, Full<Bytes>>> = LazyLock::new(|| {
    Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build_http()
});

/// What a server answered, read to the end.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Reply {
    /// The body as text, with a mark where it is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: expected JSON, got {self:?}"))
    }

    /// A header as text, or "" where there is none.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap_or("(not text)"))
    }

    /// Where the reply leads to, if it is a redirect.
    pub fn location(&self) -> Option<&str> {
        self.headers.get(LOCATION)?.to_str().ok()
    }

    /// The media type without its parameters.
    pub fn media_type(&self) -> &str {
        let value = self.header(CONTENT_TYPE.as_str());
        value.split(';').next().unwrap_or_default().trim()
    }
}

/// Sends one request and gives the answer with its body still to come.
pub async fn open(request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String> {
    let what = format!("{} {}", request.method(), request.uri());
    within(&what, CLIENT.request(request))
        .await
        .map_err(|error| format!("{what}: {}", chain(&error)))
}

/// Sends one request and reads the whole answer.
pub async fn try_send(request: Request<Full<Bytes>>) -> Result<Reply, String> {
    let what = format!("the body of {} {}", request.method(), request.uri());
    let (head, body) = open(request).await?.into_parts();
    let body = within(&what, body.collect()).await;
    Ok(Reply {
        status: head.status,
        headers: head.headers,
        body: body
            .map_err(|error| format!("{what}: {}", chain(&error)))?
            .to_bytes(),
    })
}

/// Like [`try_send`]; the test fails where no answer comes.
pub async fn send(request: Request<Full<Bytes>>) -> Reply {
    try_send(request)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Sends bytes as they are and reads until the server closes or has answered: for requests that no
/// client library would make. Gives the status, or `None` where the server just closed.
pub async fn raw(origin: &str, bytes: &[u8]) -> Option<StatusCode> {
    let answer = exchange(origin, bytes, |answer| answer.contains(&b'\n')).await;
    let status = answer.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    StatusCode::from_bytes(status.as_bytes()).ok()
}

/// Like [`raw`], with everything that comes back until the server closes, which the request has to
/// ask for.
pub async fn raw_reply(origin: &str, bytes: &[u8]) -> String {
    exchange(origin, bytes, |_| false).await
}

async fn exchange(origin: &str, bytes: &[u8], is_enough: impl Fn(&[u8]) -> bool) -> String {
    let address = origin
        .strip_prefix("http://")
        .expect("an origin like http://127.0.0.1:8000");
    let mut answer = Vec::new();
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        // A server may refuse and close before it has read everything; what it said counts.
        let _ = stream.write_all(bytes).await;
        while !is_enough(&answer) && stream.read_buf(&mut answer).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    let _ = within("an answer to raw bytes", exchange).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// An error with its causes: "connection refused" is never in the first one.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
