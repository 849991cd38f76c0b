//! What the REST API does with 10,000 users, over the real listener and proxy.
//!
//! `cargo bench -p hub-tests --bench ten_thousand --profile fastrel`
//!
//! Clients and hub share the machine, so the rate is that of both together. Beside it stands what the
//! hub alone needs of a processor for one request, which says the same on a busy machine as on a
//! quiet one.
#![allow(clippy::cast_precision_loss, reason = "figures of a few digits")]

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use hub_tests::api::Api;
use hub_tests::hub::TestHub;
use hub_tests::setup::ADMIN_TOKEN;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const USERS: usize = 10_000;
/// Users that one request makes, as a script would do it.
const BATCH: usize = 500;
const CONNECTIONS: usize = 16;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(run());
}

async fn run() {
    let mut hub = TestHub::start().await;
    let admin = hub.admin();
    // What the first requests allocate belongs to no user.
    warm(&hub).await;
    let empty = resident(hub.pid());
    for first in (0..USERS).step_by(BATCH) {
        let names: Vec<String> = (first..first + BATCH).map(name).collect();
        let body = json!({ "usernames": names });
        let made = admin.post("/users", Some(&body)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    }
    growth("memory for a user, made just now", empty, &hub);
    hub.terminate().await;
    hub.start_again().await;
    warm(&hub).await;
    growth("memory for a user, after a restart", empty, &hub);

    for query in [
        "limit=50",
        "limit=200",
        "limit=50&sort=-name",
        "limit=50&sort=last_activity",
        "limit=50&name_filter=99",
        "limit=50&state=inactive",
    ] {
        pages(&admin, query).await;
    }
    rate(&hub).await;
    growth("memory for a user, after all that", empty, &hub);
}

fn name(number: usize) -> String {
    format!("student-{number:05}")
}

async fn warm(hub: &TestHub) {
    for _ in 0..200 {
        let found = hub.admin().get("/users").await;
        assert_eq!(found.status, StatusCode::OK, "{}", found.text());
    }
}

/// Walks through a list page by page, or through the first hundred of its pages.
async fn pages(admin: &Api, query: &str) {
    let mut path = format!("/users?{query}");
    let (mut times, mut users) = (Vec::new(), 0);
    while times.len() < 100 {
        let accept = [("accept", "application/jupyterhub-pagination+json")];
        let began = Instant::now();
        let page = admin
            .send(Method::GET, &format!("/hub/api{path}"), &accept, "")
            .await;
        times.push(began.elapsed());
        assert_eq!(page.status, StatusCode::OK, "{}", page.text());
        let page: Value = page.json();
        users += page["items"].as_array().expect("items").len();
        let Some(next) = page["_pagination"]["next"]["url"].as_str() else {
            break;
        };
        let at = next.find("/users").expect("a path of the API");
        next[at..].clone_into(&mut path);
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    println!(
        "{:<36} median {:>6.2} ms  p95 {:>6.2} ms  max {:>6.2} ms  ({} pages, {users} users)",
        format!("GET /users?{query}"),
        at(50),
        at(95),
        at(100),
        times.len()
    );
}

/// `GET /users/N` on connections that stay open, each asking for another user each time.
async fn rate(hub: &TestHub) {
    let address = hub.origin().strip_prefix("http://").expect("an origin");
    let mut best = 0.0_f64;
    for _ in 0..ROUNDS {
        let (cpu, began) = (processor(hub.pid()), Instant::now());
        let until = began + ROUND;
        let mut clients = JoinSet::new();
        for client in 0..CONNECTIONS {
            clients.spawn(ask(address.to_owned(), client, until));
        }
        let counts = clients.join_all().await;
        let count: usize = counts.into_iter().map(|n| n.expect("answers")).sum();
        let took = began.elapsed().as_secs_f64();
        let each = (processor(hub.pid()) - cpu) / count as f64;
        let rate = count as f64 / took;
        best = best.max(rate);
        println!(
            "{:<36} {rate:>8.0} requests/s; the hub needs {:>5.1} us of a processor for each, so two do {:>6.0}/s",
            format!("GET /users/N, {CONNECTIONS} connections"),
            each * 1e6,
            2.0 / each
        );
    }
    println!("{:<36} {best:>8.0} requests/s", "the best of these");
}

/// Asks for one user after the other; says how often.
async fn ask(address: String, client: usize, until: Instant) -> io::Result<usize> {
    let mut stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let mut answer = Vec::with_capacity(4096);
    let mut count = 0;
    while Instant::now() < until {
        let user = name((client * 7919 + count * 31) % USERS);
        let request = format!(
            "GET /hub/api/users/{user} HTTP/1.1\r\nHost: {address}\r\nAuthorization: token {ADMIN_TOKEN}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        answer.clear();
        loop {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if whole(&answer, &user) {
                break;
            }
        }
        count += 1;
    }
    Ok(count)
}

/// Whether an answer is there to its end; it must be the right one.
fn whole(answer: &[u8], user: &str) -> bool {
    let text = str::from_utf8(answer).expect("text");
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    assert!(head.starts_with("HTTP/1.1 200 "), "{text}");
    let mut lines = head.lines();
    let length = lines
        .find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then_some(value)
        })
        .expect("a length");
    if body.len() < length.parse().expect("a number") {
        return false;
    }
    assert!(body.contains(user), "{text}");
    true
}

/// Prints by how much the hub has grown since it was `empty`, for each user.
fn growth(what: &str, empty: u64, hub: &TestHub) {
    let grown = resident(hub.pid()).saturating_sub(empty);
    println!("{what:<36} {:>8} bytes", grown / USERS as u64);
}

/// The resident memory of a process, in bytes.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("VmRSS");
    let kib: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number of kB");
    kib * 1024
}

/// The processor time that a process has used, in seconds.
fn processor(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a live process");
    let (_, rest) = stat.rsplit_once(')').expect("a name");
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // User and system time, in ticks of a hundredth of a second.
    let ticks = |at: usize| fields[at].parse::<u64>().expect("ticks");
    (ticks(11) + ticks(12)) as f64 / 100.0
}
