//! What the proxy costs: the same exchanges straight to a server and through the proxy.
//!
//! `cargo bench -p hubd --bench proxy [-- PART OF A NAME]`; everything runs in this process on loopback. Each line is
//! one scenario with the smallest, the middle and the largest of its rounds, and the processor time
//! of all three parties for each operation. The clients and the server do nothing but move bytes,
//! so the difference between "direct" and "proxied" is ours; the processor time of it says the
//! same on a busy machine as on a quiet one.
#![allow(
    dead_code,
    unused_imports,
    reason = "the modules are the hub's, which uses more of them than a bench does"
)]
#![allow(clippy::cast_precision_loss, reason = "times of a few seconds")]

#[path = "../src/http/door.rs"]
mod door;
#[path = "../src/proxy/mod.rs"]
mod proxy;
#[path = "../src/http/serve.rs"]
mod serve;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use spawner_core::{Endpoint, ServerId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::proxy::{Peer, Proxy, ProxyOptions, Route, Snapshot};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(400);
const MIB: usize = 1024 * 1024;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        let server = start_server(&mut tasks).await;
        let proxy = start_proxy(&mut tasks, server).await;
        // Four descriptors each, below the usual limit of 1024.
        let before = resident();
        let idle = idle_tunnels(proxy, 200).await;
        let each = resident().saturating_sub(before) / idle.len();
        println!("an idle WebSocket, its two ends in this process included: {each} bytes");
        drop(idle);
        let columns = ["min", "median", "max"].map(|column| format!("{column:>11}"));
        println!(
            "{:36}{}  {:13}{:>12}",
            "",
            columns.concat(),
            "",
            "processor"
        );
        for connections in [1, 16, 128] {
            for (way, address) in [("direct", server), ("proxied", proxy)] {
                let name = format!("GET, {connections} connections, {way}");
                measure(&name, "requests/s", || requests(address, connections)).await;
            }
        }
        for (way, address) in [("direct", server), ("proxied", proxy)] {
            let name = format!("download, {way}");
            measure(&name, "MiB/s", || download(address)).await;
        }
        for (way, address) in [("direct", server), ("proxied", proxy)] {
            let name = format!("WebSocket, 64 bytes and back, {way}");
            measure(&name, "trips/s", || echo(address, 16)).await;
        }
    });
}

/// Runs the rounds of one scenario, if it was asked for; each says how many operations it did.
async fn measure<F: Future<Output = u32>>(name: &str, unit: &str, round: impl Fn() -> F) {
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    if wanted.is_some_and(|wanted| !name.contains(&wanted)) {
        return;
    }
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (start, processor) = (Instant::now(), processor_time());
        let count = f64::from(round().await);
        rates.push(count / start.elapsed().as_secs_f64());
        costs.push((processor_time() - processor) * 1e6 / count);
    }
    rates.sort_by(f64::total_cmp);
    costs.sort_by(f64::total_cmp);
    let columns = [rates[0], rates[ROUNDS / 2], rates[ROUNDS - 1]];
    let columns = columns.map(|rate| format!("{rate:11.0}")).concat();
    println!("{name:36}{columns}  {unit:13}{:9.1} us", costs[ROUNDS / 2]);
}

/// Seconds of processor time that this process has used.
fn processor_time() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process");
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 * 1e-6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

const HEADERS: &str = "Host: hub.example:8000\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
    Accept: application/json\r\nAccept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\n\
    Referer: http://hub.example:8000/user/alice/lab\r\nX-XSRFToken: 2|0123456789abcdef\r\n\
    Cookie: jupyterhub-session-id=0123456789abcdef; _xsrf=2|0123456789abcdef; \
    jupyterhub-user-alice=\"2|1:0|10:1700000000|22:jupyterhub-user-alice|48:abc|def\"\r\n";

/// Requests over some connections, each asking again as soon as it has its answer.
async fn requests(address: SocketAddr, connections: usize) -> u32 {
    let mut clients = JoinSet::new();
    let start = Instant::now();
    for _ in 0..connections {
        clients.spawn(async move {
            let mut stream = connect(address).await;
            let request = format!("GET /user/alice/api/kernels HTTP/1.1\r\n{HEADERS}\r\n");
            let mut buffer = vec![0; 4096];
            let mut count = 0_u32;
            while start.elapsed() < ROUND {
                stream
                    .write_all(request.as_bytes())
                    .await
                    .expect("a listening server");
                read_until(&mut stream, &mut buffer, b"]\n").await;
                count += 1;
            }
            count
        });
    }
    clients.join_all().await.iter().sum()
}

async fn download(address: SocketAddr) -> u32 {
    let mut stream = connect(address).await;
    let request = format!("GET /user/alice/big HTTP/1.1\r\n{HEADERS}\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a listening server");
    let mut buffer = vec![0; 256 * 1024];
    let mut left = 256 * MIB;
    while left > 0 {
        let length = stream.read(&mut buffer).await.expect("a body");
        left = left.saturating_sub(length);
    }
    256
}

async fn echo(address: SocketAddr, connections: usize) -> u32 {
    let mut clients = JoinSet::new();
    let start = Instant::now();
    for _ in 0..connections {
        clients.spawn(async move {
            let mut stream = open_websocket(address).await;
            let mut message = [7; 64];
            let mut count = 0_u32;
            while start.elapsed() < ROUND {
                stream.write_all(&message).await.expect("an open tunnel");
                stream.read_exact(&mut message).await.expect("an echo");
                count += 1;
            }
            count
        });
    }
    clients.join_all().await.iter().sum()
}

async fn idle_tunnels(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..count {
        open.push(open_websocket(address).await);
    }
    open
}

async fn open_websocket(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address).await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    let request = format!("GET /user/alice/ws HTTP/1.1\r\n{HEADERS}{upgrade}\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a listening server");
    read_until(&mut stream, &mut vec![0; 4096], b"\r\n\r\n").await;
    stream
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address)
        .await
        .expect("a listening server");
    stream.set_nodelay(true).expect("a TCP socket");
    stream
}

/// Reads one message, whose end nothing follows.
async fn read_until(stream: &mut TcpStream, buffer: &mut [u8], end: &[u8]) -> usize {
    let mut filled = 0;
    loop {
        let length = stream.read(&mut buffer[filled..]).await.expect("a message");
        filled += length;
        if length == 0 || buffer[..filled].ends_with(end) {
            return filled;
        }
    }
}

/// A server that answers with a few bytes, with many, or with whatever it is sent.
async fn start_server(tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    tasks.spawn(async move {
        let mut conversations = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.expect("enough descriptors");
            conversations.spawn(converse(stream));
        }
    });
    address
}

async fn converse(mut stream: TcpStream) {
    stream.set_nodelay(true).expect("a TCP socket");
    let mut buffer = vec![0; 4096];
    let big = vec![b'x'; MIB];
    loop {
        let length = read_until(&mut stream, &mut buffer, b"\r\n\r\n").await;
        let path = buffer[..length].split(|byte| *byte == b' ').nth(1);
        let sent = match path {
            None => return,
            Some(b"/user/alice/ws") => {
                let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                            Upgrade: websocket\r\n\r\n";
                if stream.write_all(head.as_bytes()).await.is_ok() {
                    drop((buffer, big));
                    echo_back(stream).await;
                }
                return;
            }
            Some(b"/user/alice/big") => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 256 * MIB);
                let mut sent = stream.write_all(head.as_bytes()).await;
                for _ in 0..256 {
                    sent = sent.and(stream.write_all(&big).await);
                }
                sent
            }
            Some(_) => {
                let head = "HTTP/1.1 200 OK\r\nServer: TornadoServer/6.5\r\n\
                            Content-Type: application/json\r\nDate: Fri, 21 Nov 2025 12:00:00 GMT\r\n\
                            X-Content-Type-Options: nosniff\r\nContent-Length: 43\r\n\r\n\
                            [{\"id\": \"0123456789abcdef\", \"name\": \"py\"}]\n";
                stream.write_all(head.as_bytes()).await
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn echo_back(mut stream: TcpStream) {
    let mut small = [0; 64];
    while let Ok(length @ 1..) = stream.read(&mut small).await {
        if stream.write_all(&small[..length]).await.is_err() {
            return;
        }
    }
}

async fn start_proxy(tasks: &mut JoinSet<()>, server: SocketAddr) -> SocketAddr {
    let id = ServerId::default_of("alice".parse().expect("a name"));
    let endpoint = Endpoint::Tcp {
        host: server.ip().to_string(),
        port: server.port(),
    };
    let routes = vec![Route::new("/", id, endpoint)];
    let (feed, snapshots) = watch::channel(Arc::new(Snapshot { version: 1, routes }));
    let (events, mut told) = mpsc::channel(16);
    let proxy = Proxy::new("/", snapshots, events, ProxyOptions::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let stop = CancellationToken::new();
    tasks.spawn({
        let (proxy, stop) = (proxy.clone(), stop.clone());
        async move {
            proxy.run(stop).await;
            drop(feed);
        }
    });
    tasks.spawn(async move { while told.recv().await.is_some() {} });
    let hub = axum::Router::new();
    let service = move |request, peer| {
        let (proxy, hub) = (proxy.clone(), hub.clone());
        async move { proxy.handle(request, Peer::plain(peer), hub).await }
    };
    tasks.spawn(serve::serve(listener, service, stop, Duration::ZERO));
    address
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kib.unwrap_or(0) * 1024
}
