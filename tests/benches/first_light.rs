//! How quickly the hub is there, how little it needs, and what it adds to the start of a server.
//!
//! `cargo bench -p hub-tests --bench first_light --profile fastrel`
//!
//! Each figure is min, median and max of the runs. The start of a server is measured beside its
//! floor in the same run, turn by turn: the same program started by hand and asked until it answers,
//! and how long the disk takes to keep one page, which a start waits for more than once.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use http::StatusCode;
use hub_tests::programs;
use hub_tests::setup::Setup;
use spawner_core::{Endpoint, HttpProbe, Probe as _};

const BOOTS: usize = 20;
const STARTS: usize = 50;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(run());
}

async fn run() {
    let setup = Setup::new().set("limits.slow_spawn_timeout", 60);
    let mut hub = setup.start().await;
    let admin = hub.admin();

    let mut boots = Vec::new();
    for _ in 0..BOOTS {
        hub.terminate().await;
        let began = Instant::now();
        hub.start_again().await;
        boots.push(began.elapsed());
    }
    print("exec to serving", &boots);
    println!("{:<34} {:>8.1} MiB", "resident, idle", resident(hub.pid()));

    let (mut through_hub, mut floor, mut overhead) = (Vec::new(), Vec::new(), Vec::new());
    let mut syncs = Vec::new();
    for turn in 0..STARTS {
        let name = format!("user{turn}");
        let made = admin.post(&format!("/users/{name}"), None).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());

        let by_hand = start_by_hand().await;
        syncs.push(sync_a_page(hub.folder()));
        let began = Instant::now();
        let started = admin.post(&format!("/users/{name}/server"), None).await;
        let by_hub = began.elapsed();
        assert_eq!(started.status, StatusCode::CREATED, "{}", started.text());
        admin.stop(&name).await;

        through_hub.push(by_hub);
        floor.push(by_hand);
        overhead.push(by_hub.saturating_sub(by_hand));
    }
    print("start through the hub", &through_hub);
    print("the same program by hand (floor)", &floor);
    print("what the hub adds", &overhead);
    print("one page kept by the disk", &syncs);
    println!(
        "{:<34} {:>8.1} MiB",
        "resident, after the starts",
        resident(hub.pid())
    );
}

/// Starts the pretend server as the hub would and asks it until it answers; how long that took.
async fn start_by_hand() -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    drop(listener);
    let endpoint = Endpoint::Tcp {
        host: "127.0.0.1".into(),
        port,
    };
    let began = Instant::now();
    let mut child = Command::new(programs::fakesu())
        .env(
            "JUPYTERHUB_SERVICE_URL",
            format!("http://127.0.0.1:{port}/user/hand/"),
        )
        .env("JUPYTERHUB_SERVICE_PREFIX", "/user/hand/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the pretend server");
    while HttpProbe
        .answers(&endpoint, "/user/hand/api")
        .await
        .is_err()
    {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    let took = began.elapsed();
    child.kill().expect("our own child");
    child.wait().expect("our own child");
    took
}

/// Appends a page to a file of `folder` and waits until the disk has it; how long that took.
fn sync_a_page(folder: &Path) -> Duration {
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(folder.join("sync"))
        .expect("a file of our own");
    file.write_all(&[0; 4096]).expect("room for a page");
    let began = Instant::now();
    file.sync_data().expect("the disk");
    began.elapsed()
}

/// The resident memory of a process, in MiB.
fn resident(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("VmRSS");
    let kib: f64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number of kB");
    kib / 1024.0
}

fn print(what: &str, runs: &[Duration]) {
    let mut millis: Vec<f64> = runs.iter().map(|run| run.as_secs_f64() * 1e3).collect();
    millis.sort_by(f64::total_cmp);
    let (min, max) = (millis[0], millis[millis.len() - 1]);
    let median = millis[millis.len() / 2];
    println!("{what:<34} min {min:>7.1} ms  median {median:>7.1} ms  max {max:>7.1} ms");
}
