//! Does the server answer over HTTP?

use std::fmt;
use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::endpoint::Endpoint;
use crate::error::BoxError;

/// How long one probe may take, whatever the server does.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// The pause after the first probe that failed; it doubles up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LAST_PAUSE: Duration = Duration::from_millis(250);

/// Asks a server once whether it is up.
///
/// ```
/// use spawner_core::{BoxError, Endpoint, Probe};
///
/// /// For servers that speak no HTTP: up is who accepts.
/// #[derive(Debug)]
/// struct Accepts;
///
/// #[async_trait::async_trait]
/// impl Probe for Accepts {
///     async fn answers(&self, endpoint: &Endpoint, _: &str) -> Result<(), BoxError> {
///         let Endpoint::Tcp { host, port } = endpoint else {
///             return Err("not a TCP endpoint".into());
///         };
///         tokio::net::TcpStream::connect((host.as_str(), *port)).await?;
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait Probe: fmt::Debug + Send + Sync + 'static {
    /// `Ok` when the server answers a `GET` of `path` like one that is up. The owner task bounds
    /// the call and repeats it.
    ///
    /// Example: see [`Probe`](crate::Probe).
    async fn answers(&self, endpoint: &Endpoint, path: &str) -> Result<(), BoxError>;
}

/// The probe of JupyterHub: `GET {prefix}api`, where any status below 500 means up.
///
/// Example: see [`Probe`](crate::Probe).
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpProbe;

#[async_trait]
impl Probe for HttpProbe {
    async fn answers(&self, endpoint: &Endpoint, path: &str) -> Result<(), BoxError> {
        let status = match endpoint {
            Endpoint::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                get(stream, &format!("{host}:{port}"), path).await?
            }
            Endpoint::Unix { path: socket } => {
                get(UnixStream::connect(socket).await?, "localhost", path).await?
            }
        };
        if status.as_u16() < 500 {
            Ok(())
        } else {
            Err(format!("it answers {status}").into())
        }
    }
}

async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    host: &str,
    path: &str,
) -> Result<StatusCode, BoxError> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path)
        .header(hyper::header::HOST, host)
        .header(hyper::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let mut connection = pin!(connection);
    let mut response = pin!(sender.send_request(request));
    // The connection is driven here rather than by a task of its own: dropping the probe ends it.
    tokio::select! {
        response = &mut response => Ok(response?.status()),
        ended = &mut connection => {
            ended?;
            Ok(response.await?.status())
        }
    }
}

/// Probes until the server answers.
pub(super) async fn until_up(probe: &dyn Probe, endpoint: &Endpoint, path: &str) {
    let mut pause = FIRST_PAUSE;
    loop {
        match tokio::time::timeout(PROBE_LIMIT, probe.answers(endpoint, path)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => tracing::trace!(%endpoint, %error, "not up yet"),
            Err(_elapsed) => tracing::debug!(%endpoint, "the server accepts but does not answer"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// A server that answers one request with `reply` and tells what it was asked.
    async fn one_answer(reply: &str) -> (Result<(), BoxError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let endpoint = Endpoint::Tcp {
            host: "127.0.0.1".into(),
            port,
        };
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                seen.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(reply.as_bytes()).await.unwrap();
            String::from_utf8(seen).unwrap()
        };
        tokio::join!(HttpProbe.answers(&endpoint, "/user/tee/api"), serve)
    }

    #[tokio::test]
    async fn any_status_below_500_is_up() {
        for (reply, up) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true),
            (
                "HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",
                true,
            ),
            ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", true),
            ("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", false),
            ("HTTP/1.1 503 Oh\r\ncontent-length: 0\r\n\r\n", false),
            ("SSH-2.0-OpenSSH\r\n\r\n", false),
            ("", false),
        ] {
            let (answer, seen) = one_answer(reply).await;
            assert_eq!(answer.is_ok(), up, "{reply:?}: {answer:?}");
            assert!(seen.starts_with("GET /user/tee/api HTTP/1.1\r\n"), "{seen}");
        }
    }

    /// Sends a byte of a header from time to time, without end, but not to the third who asks.
    #[derive(Debug, Default)]
    struct Trickle(std::sync::atomic::AtomicUsize);

    #[async_trait]
    impl Probe for Trickle {
        async fn answers(&self, _: &Endpoint, path: &str) -> Result<(), BoxError> {
            if self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 2 {
                return Ok(());
            }
            let (ours, mut theirs) = tokio::io::duplex(1024);
            let trickle = async {
                theirs.read_u8().await.unwrap();
                theirs.write_all(b"HTTP/1.1 200 OK\r\nx: ").await.unwrap();
                loop {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    theirs.write_all(b"x").await.unwrap();
                }
            };
            tokio::select! {
                status = get(ours, "localhost", path) => panic!("{status:?}"),
                () = trickle => unreachable!("it never ends"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_trickles_for_ever_is_left_after_two_seconds() {
        let endpoint = Endpoint::Unix { path: "/x".into() };
        let began = tokio::time::Instant::now();
        until_up(&Trickle::default(), &endpoint, "/api").await;
        let took = began.elapsed();
        assert!(took >= 2 * PROBE_LIMIT && took < 2 * PROBE_LIMIT + Duration::from_secs(1));
    }

    #[tokio::test]
    async fn nobody_there_is_not_up() {
        let endpoint = Endpoint::Tcp {
            host: "127.0.0.1".into(),
            port: 1,
        };
        assert!(HttpProbe.answers(&endpoint, "/").await.is_err());
        let endpoint = Endpoint::Unix {
            path: "/nonexistent/socket".into(),
        };
        assert!(HttpProbe.answers(&endpoint, "/").await.is_err());
    }
}
