//! How long the admin page takes with ten thousand users.
//!
//! `cargo bench -p hub-tests --bench users_page --profile fastrel`
//!
//! Each figure is min, median and max of the requests, which are made one after the other as a
//! browser makes them, each over a connection of its own; a page has 50 rows. The home page beside
//! them is the floor: what a page costs that has no list. The memory is the hub's, before and after.

use std::fs;
use std::time::{Duration, Instant};

use http::Method;
use hub_tests::setup::{PASSWORD, Setup};
use serde_json::json;

const USERS: usize = 10_000;
const ROUNDS: usize = 200;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(run());
}

async fn run() {
    let hub = Setup::new()
        .set("auth.admin_users", vec!["root"])
        .start()
        .await;
    let before = resident(hub.pid());
    let names: Vec<String> = (0..USERS).map(|n| format!("student{n:05}")).collect();
    let body = json!({ "usernames": names });
    let made = hub.admin().post("/users", Some(&body)).await;
    assert_eq!(made.status, 201, "{}", made.text());

    let mut root = hub.browser();
    root.log_in("/hub/login?next=/hub/admin", "root", PASSWORD)
        .await;
    let after = resident(hub.pid());
    for (what, path) in [
        ("home page (floor)", "/hub/home"),
        ("first page", "/hub/admin"),
        ("page in the middle", "/hub/admin?offset=5000"),
        ("last page", "/hub/admin?offset=9950"),
        ("by last activity", "/hub/admin?sort=-last_activity"),
        ("search that finds 1", "/hub/admin?name_filter=student04242"),
        (
            "search that finds 1,000",
            "/hub/admin?name_filter=student04",
        ),
        ("with a running server", "/hub/admin?state=ready"),
    ] {
        let mut runs = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let reply = root.fetch(Method::GET, path, None).await;
            runs.push(began.elapsed());
            assert!(reply.status.is_success() || reply.status.is_redirection());
        }
        print(what, &runs);
    }
    #[expect(clippy::cast_precision_loss, reason = "ten thousand")]
    let each = (after - before) / USERS as f64;
    println!("memory of a user {each:>30.2} KiB");
}

/// The resident memory of a process, in KiB.
fn resident(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.expect("VmRSS").trim().trim_end_matches(" kB");
    kib.parse().expect("a number of kB")
}

fn print(what: &str, runs: &[Duration]) {
    let mut millis: Vec<f64> = runs.iter().map(|run| run.as_secs_f64() * 1e3).collect();
    millis.sort_by(f64::total_cmp);
    let (min, max) = (millis[0], millis[millis.len() - 1]);
    let median = millis[millis.len() / 2];
    println!("{what:<26} min {min:>7.2} ms  median {median:>7.2} ms  max {max:>7.2} ms");
}
