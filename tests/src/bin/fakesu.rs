//! A pretend single-user server: small, quick, and wrong in every way a test asks for.
//!
//! It reads `JUPYTERHUB_SERVICE_URL` and `JUPYTERHUB_SERVICE_PREFIX` like the real one, listens at
//! once, and answers below its prefix:
//!
//! | path | answer |
//! |---|---|
//! | `api` | `{"version": ..}`, which is what a hub asks for to see whether it is up |
//! | `env` | its environment |
//! | `process` | pid, session, user, folder, arguments and inherited descriptors |
//! | `exit?code=N` | 200; then it exits with N |
//! | `echo` | a WebSocket that says everything back |
//! | anything else | the request as it arrived: method, target, headers, length of the body |
//!
//! Knobs are environment variables. They are also read, as lines `NAME=value`, from the file that
//! `FAKESU_KNOBS` names, so that a test can change its mind between two starts of one hub.
//!
//! | knob | effect |
//! |---|---|
//! | `FAKESU_SAY` | prints this line before anything else |
//! | `FAKESU_EXIT` | exits with this code instead of listening |
//! | `FAKESU_NEVER_LISTEN` | lives, and never listens |
//! | `FAKESU_DELAY_MS` | listens only after this time |
//! | `FAKESU_STATUS` | the status of `api` |
//! | `FAKESU_IGNORE_TERM` | takes no notice of SIGTERM and SIGINT |
//! | `FAKESU_CHILD` | starts a child that takes no notice of them; `own`: in a session of its own |

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, fs, process};

use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use hub_tests::loopback::{Answer, serve};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use nix::unistd::{getppid, getsid, setsid};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use url::{Url, form_urlencoded};

/// The argument that makes it the child of another one.
const CHILD: &str = "--child";

/// The descriptors that this process was born with, and what each leads to.
static INHERITED: OnceLock<BTreeMap<String, String>> = OnceLock::new();

fn main() -> ExitCode {
    // Before the runtime opens descriptors of its own.
    INHERITED.get_or_init(descriptors);
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(run())
}

async fn run() -> ExitCode {
    let knobs = Knobs::read();
    if env::args().any(|argument| argument == CHILD) {
        if knobs.get("CHILD") == Some("own") {
            setsid().expect("a child that leads no group yet");
        }
        return Signals::listen().last(true).await;
    }
    // Before it says anything, so that whoever heard it can send one.
    let signals = Signals::listen();
    if let Some(line) = knobs.get("SAY") {
        eprintln!("{line}");
    }
    if let Some(code) = knobs.get("EXIT") {
        return ExitCode::from(
            code.parse::<u8>()
                .expect("FAKESU_EXIT is a number up to 255"),
        );
    }
    if knobs.has("CHILD") {
        start_child();
    }
    tokio::select! {
        code = signals.last(knobs.has("IGNORE_TERM")) => code,
        () = listen(knobs) => unreachable!("it serves for ever"),
    }
}

#[expect(clippy::zombie_processes, reason = "it is there to be left behind")]
fn start_child() {
    let program = env::current_exe().expect("the path of this program");
    let child = Command::new(program)
        .arg(CHILD)
        .stdin(Stdio::null())
        .spawn();
    child.expect("a child");
}

/// The signals that end a server.
struct Signals {
    term: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Self {
        let term = signal(SignalKind::terminate()).expect("a handler for SIGTERM");
        let interrupt = signal(SignalKind::interrupt()).expect("a handler for SIGINT");
        Self { term, interrupt }
    }

    /// Waits for one of them; if they are to be ignored, for ever.
    async fn last(mut self, ignored: bool) -> ExitCode {
        loop {
            tokio::select! { _ = self.term.recv() => (), _ = self.interrupt.recv() => () }
            if !ignored {
                return ExitCode::SUCCESS;
            }
        }
    }
}

async fn listen(knobs: Knobs) {
    if knobs.has("NEVER_LISTEN") {
        std::future::pending::<()>().await;
    }
    if let Some(delay) = knobs.get("DELAY_MS") {
        let delay = delay.parse().expect("FAKESU_DELAY_MS is a number");
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let url =
        env::var("JUPYTERHUB_SERVICE_URL").expect("JUPYTERHUB_SERVICE_URL says where to listen");
    let url: Url = url.parse().expect("JUPYTERHUB_SERVICE_URL is an address");
    let addresses = url
        .socket_addrs(|| None)
        .expect("JUPYTERHUB_SERVICE_URL has host and port");
    let listener = TcpListener::bind::<&[SocketAddr]>(&addresses)
        .await
        .expect("the port is free");
    let prefix = env::var("JUPYTERHUB_SERVICE_PREFIX").unwrap_or_else(|_| "/".to_owned());
    let status = knobs.get("STATUS").map_or(StatusCode::OK, |status| {
        status.parse().expect("FAKESU_STATUS is a status")
    });
    serve(listener, move |request| {
        answer(request, prefix.clone(), status)
    })
    .await;
}

async fn answer(request: Request<Incoming>, prefix: String, status: StatusCode) -> Answer {
    let path = request.uri().path().to_owned();
    match path.strip_prefix(&prefix) {
        Some("api") => Answer::new(status, r#"{"version": "2.21.1"}"#),
        Some("env") => {
            let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
            let all: BTreeMap<_, _> = env::vars_os()
                .map(|(name, value)| (text(name), text(value)))
                .collect();
            Answer::json(&json!(all))
        }
        Some("process") => Answer::json(&this_process()),
        Some("exit") => {
            let query = request.uri().query().unwrap_or_default().as_bytes();
            let code = form_urlencoded::parse(query).find(|(name, _)| name == "code");
            let code = code.and_then(|(_, code)| code.parse().ok()).unwrap_or(0);
            // The connection is closed so that its end, at which we leave, comes at once.
            Answer::new(StatusCode::OK, "")
                .header("connection", "close")
                .then(async move { process::exit(code) })
        }
        Some("echo") if request.headers().contains_key("sec-websocket-key") => echo(request),
        _ => mirror(request).await,
    }
}

fn descriptors() -> BTreeMap<String, String> {
    let entries = fs::read_dir("/proc/self/fd").expect("/proc");
    let open = entries.flatten().filter_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?;
        // The one that this very listing reads from is no one else's.
        let listing = target.starts_with("/proc");
        let number = entry.file_name().to_string_lossy().into_owned();
        (!listing).then(|| (number, target.to_string_lossy().into_owned()))
    });
    open.collect()
}

fn this_process() -> Value {
    json!({
        "pid": process::id(),
        "parent": getppid().as_raw(),
        "session": getsid(None).map(nix::unistd::Pid::as_raw).unwrap_or_default(),
        "user": nix::unistd::geteuid().as_raw(),
        "folder": env::current_dir().unwrap_or_default(),
        "arguments": env::args().collect::<Vec<_>>(),
        "descriptors": INHERITED.get(),
    })
}

fn echo(request: Request<Incoming>) -> Answer {
    let key = request.headers()["sec-websocket-key"].as_bytes();
    let accept = derive_accept_key(key);
    let upgraded = hyper::upgrade::on(request);
    Answer::new(StatusCode::SWITCHING_PROTOCOLS, "")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-accept", &accept)
        .then(async move {
            let Ok(upgraded) = upgraded.await else { return };
            let io = TokioIo::new(upgraded);
            let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
            while let Some(Ok(message)) = socket.next().await {
                if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err()
                {
                    return;
                }
            }
        })
}

async fn mirror(request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let length = body.collect().await.map_or(0, |body| body.to_bytes().len());
    Answer::json(&json!({
        "method": head.method.as_str(),
        "target": head.uri.to_string(),
        "headers": pairs(&head.headers),
        "length": length,
    }))
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

/// The knobs: those of the file come before those of the environment.
struct Knobs(BTreeMap<String, String>);

impl Knobs {
    fn read() -> Self {
        let mut knobs: BTreeMap<_, _> = env::vars().collect();
        if let Some(path) = knobs.get("FAKESU_KNOBS") {
            let text = fs::read_to_string(path).unwrap_or_default();
            let lines = text.lines().filter_map(|line| line.split_once('='));
            knobs.extend(lines.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        Self(knobs)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&format!("FAKESU_{name}")).map(String::as_str)
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}
