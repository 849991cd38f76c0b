//! What a probe server does, in a process or in a task.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::address::{Address, address};
use super::behaviour_in;
use crate::conformance::backend::Behaviour;

/// How long a port that is taken is waited for, and the pause between two tries.
const BIND_WITHIN: Duration = Duration::from_secs(10);
const BIND_AGAIN: Duration = Duration::from_millis(10);

/// What a probe server was given: all that there is of it. For a backend whose servers are no
/// processes:
///
/// ```
/// use std::collections::BTreeMap;
/// use spawner_core::conformance::{Behaviour, Ending, Probe, Program};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let recipe = Probe::new(["probe".to_owned()]).recipe(Behaviour::Exit(3));
/// let program = Program::read(recipe.cmd, BTreeMap::new()).expect("the kit wrote it");
/// assert_eq!(program.behaviour, Behaviour::Exit(3));
/// assert_eq!(program.run().await?, Ending::Exit(3));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// What it does.
    pub behaviour: Behaviour,
    /// The arguments after the one that says what it does.
    pub args: Vec<String>,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// The whole command line.
    pub command: Vec<String>,
    /// The process of the tests that it belongs to.
    pub(super) tests: Option<u32>,
}

/// How a probe server ends by itself; [`Program`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With this exit code.
    Exit(i32),
    /// By a signal (SIGABRT).
    Abort,
}

/// What a probe server tells of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Inside {
    pub(in super::super) command: Vec<String>,
    pub(in super::super) args: Vec<String>,
    pub(in super::super) env: BTreeMap<String, String>,
    pub(in super::super) pid: u32,
}

impl Program {
    /// Reads a command line that [`Probe::recipe`](super::Probe::recipe) began. `None` if it is none of them.
    pub fn read(command: Vec<String>, env: BTreeMap<String, String>) -> Option<Self> {
        let (at, word) = behaviour_in(&command)?;
        let (word, tests) = word.split_once('@').unwrap_or((word, ""));
        let behaviour = match word {
            "serve" => Behaviour::Serve,
            "family" => Behaviour::Family,
            "deaf" => Behaviour::Deaf,
            "silent" => Behaviour::Silent,
            "missing" => Behaviour::Missing,
            word => Behaviour::Exit(word.strip_prefix("exit-")?.parse().ok()?),
        };
        Some(Self {
            behaviour,
            args: command[at + 1..].to_vec(),
            env,
            tests: tests.parse().ok(),
            command,
        })
    }

    /// Behaves, until it is asked over HTTP to end. For `Family` the second process, and for `Deaf`
    /// the deafness, are the caller's.
    pub async fn run(&self) -> io::Result<Ending> {
        match self.behaviour {
            Behaviour::Exit(code) => Ok(Ending::Exit(code.into())),
            Behaviour::Silent | Behaviour::Missing => std::future::pending().await,
            Behaviour::Serve | Behaviour::Family | Behaviour::Deaf => self.serve().await,
        }
    }

    async fn serve(&self) -> io::Result<Ending> {
        let url = self.env.get("JUPYTERHUB_SERVICE_URL").map(String::as_str);
        let not_an_address = || {
            let message = format!("JUPYTERHUB_SERVICE_URL is {url:?}");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        };
        let (ended, mut ending) = mpsc::channel(1);
        let mut visits = JoinSet::new();
        let accept = async {
            match address(url.unwrap_or_default()).ok_or_else(not_an_address)? {
                Address::Tcp(address) => {
                    let listener = bind(&address).await?;
                    loop {
                        let (stream, _) = listener.accept().await?;
                        visits.spawn(visit(stream, self.clone(), ended.clone()));
                    }
                }
                Address::Unix(path) => {
                    let listener = UnixListener::bind(path)?;
                    loop {
                        let (stream, _) = listener.accept().await?;
                        visits.spawn(visit(stream, self.clone(), ended.clone()));
                    }
                }
            }
        };
        tokio::select! {
            failed = accept => failed,
            Some(ending) = ending.recv() => Ok(ending),
        }
    }

    fn inside(&self) -> Inside {
        Inside {
            command: self.command.clone(),
            args: self.args.clone(),
            env: self.env.clone(),
            pid: std::process::id(),
        }
    }

    /// The answer to a request of `path`.
    fn answer(&self, path: &str) -> (u16, String, Option<Ending>) {
        let prefix = self.env.get("JUPYTERHUB_SERVICE_PREFIX");
        let Some(page) = prefix.and_then(|prefix| path.strip_prefix(prefix.as_str())) else {
            // Not a status below 500: the hub must not take another server for this one.
            return (503, format!("{path} is not below {prefix:?}"), None);
        };
        match page {
            "api" => (200, "{}".into(), None),
            "conformance" => {
                let inside = serde_json::to_string(&self.inside()).unwrap_or_default();
                (200, inside, None)
            }
            "conformance/abort" => (200, "{}".into(), Some(Ending::Abort)),
            page => {
                let number = |what| page.strip_prefix(what)?.parse::<u64>().ok();
                let code = number("conformance/exit/").and_then(|code| code.try_into().ok());
                if let Some(code) = code {
                    (200, "{}".into(), Some(Ending::Exit(code)))
                } else if let Some(bytes) = number("conformance/allocate/") {
                    (allocate(bytes), String::new(), None)
                } else {
                    (404, String::new(), None)
                }
            }
        }
    }
}

/// Uses so much memory for a moment, if the system gives it.
fn allocate(bytes: u64) -> u16 {
    let mut memory: Vec<u8> = Vec::new();
    match bytes
        .try_into()
        .map(|bytes| (bytes, memory.try_reserve_exact(bytes)))
    {
        Ok((bytes, Ok(()))) => {
            // Not zero: pages of zeroes are shared until somebody writes.
            memory.resize(bytes, 1);
            std::hint::black_box(memory);
            200
        }
        _ => 507,
    }
}

/// Between the choice of a port and this moment another program can take it, most often for an
/// instant: a connection of its own, say.
async fn bind(address: &str) -> io::Result<TcpListener> {
    let free = async {
        loop {
            match TcpListener::bind(address).await {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    tokio::time::sleep(BIND_AGAIN).await;
                }
                bound => return bound,
            }
        }
    };
    tokio::time::timeout(BIND_WITHIN, free).await?
}

async fn visit(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    program: Program,
    ended: mpsc::Sender<Ending>,
) {
    let answer = service_fn(|request: Request<hyper::body::Incoming>| {
        let (status, body, ending) = program.answer(request.uri().path());
        if let Some(ending) = ending {
            let _ = ended.try_send(ending);
        }
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status.try_into().unwrap_or_default();
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    // Visitors come and go as they like.
    let _ = connection.await;
}

#[cfg(test)]
mod tests {
    use super::super::Probe;
    use super::*;
    use crate::conformance::client::get;
    use crate::endpoint::Endpoint;

    fn program(behaviour: Behaviour, env: &[(&str, &str)]) -> Program {
        let mut command = Probe::new(["probe".to_owned()]).recipe(behaviour).cmd;
        command.push("an argument".into());
        let env = env.iter().map(|&(n, v)| (n.into(), v.into())).collect();
        Program::read(command, env).unwrap()
    }

    #[test]
    fn command_lines_are_read_as_they_were_written() {
        for behaviour in [
            Behaviour::Serve,
            Behaviour::Family,
            Behaviour::Deaf,
            Behaviour::Silent,
            Behaviour::Exit(255),
            Behaviour::Missing,
        ] {
            let program = program(behaviour, &[]);
            assert_eq!(program.behaviour, behaviour);
            assert_eq!(program.args, ["an argument"]);
        }
        for word in ["", "behave=", "behave=dance", "behave=exit-256", "serve"] {
            assert_eq!(Program::read(vec![word.into()], BTreeMap::new()), None);
        }
    }

    #[tokio::test]
    async fn it_tells_what_it_was_given_and_ends_when_asked() {
        let port = crate::free_port(None).unwrap();
        let url = format!("http://127.0.0.1:{port}/user/tee/");
        let endpoint = Endpoint::Tcp {
            host: "127.0.0.1".into(),
            port,
        };
        let program = program(
            Behaviour::Serve,
            &[
                ("JUPYTERHUB_SERVICE_URL", &url),
                ("JUPYTERHUB_SERVICE_PREFIX", "/user/tee/"),
            ],
        );
        let visitor = async {
            while get(&endpoint, "/user/tee/api").await.is_err() {
                tokio::task::yield_now().await;
            }
            let (status, body) = get(&endpoint, "/user/tee/conformance").await.unwrap();
            let inside: Inside = serde_json::from_slice(&body).unwrap();
            assert_eq!((status, inside.args), (200, vec!["an argument".into()]));
            assert_eq!(get(&endpoint, "/user/bob/api").await.unwrap().0, 503);
            assert_eq!(get(&endpoint, "/user/tee/nope").await.unwrap().0, 404);
            let _ = get(&endpoint, "/user/tee/conformance/exit/3").await;
        };
        let (ending, ()) = tokio::join!(program.run(), visitor);
        assert_eq!(ending.unwrap(), Ending::Exit(3));
    }
}
