//! A number that the kernel gave out again, in a pid namespace where that can be brought about.
//!
//! Same number *and* same start time would take a kernel that goes through all its numbers within one
//! tick of its clock (10 ms); it gives them out in order, and there are at least 32,768.

mod common;

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use common::{Place, launch_as, pid, skipped, within};
use spawner_core::{ExitStatus, PollStatus, Spawner, SpawnerFactory, SpawnerState, StopMode};

const GONE: PollStatus = PollStatus::Exited(ExitStatus::Unknown);
/// Numbers that are far from those in use.
const NUMBERS: std::ops::Range<i32> = 20_000..30_000;

/// Runs a test of this file as the first process of a pid namespace of its own.
fn in_a_namespace(test: &str) {
    let mut unshare = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
    // The child's own proof that it may set numbers there.
    let allowed = Command::new(unshare.get_program())
        .args(unshare.get_args())
        .args(["sh", "-c", "echo 1000 > /proc/sys/kernel/ns_last_pid"])
        .output();
    let why = match allowed {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(why) = why {
        assert!(std::env::var_os("CI").is_none(), "no pid namespace: {why}");
        skipped(&format!("{test} takes a pid namespace: {why}"));
        return;
    }
    let output = unshare
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let shown = [output.stdout, output.stderr].concat();
    let shown = String::from_utf8_lossy(&shown);
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("1 passed"), "it did not run: {shown}");
}

/// A sleeper that leads a session of the number `wanted`, and was not started at `not_at`.
fn stranger(wanted: i32, not_at: u64) -> Child {
    // Threads take numbers, too, so it can be missed.
    for _ in 0..1000 {
        let before = (wanted - 1).to_string();
        std::fs::write("/proc/sys/kernel/ns_last_pid", before).unwrap();
        let mut sleep = Command::new("setsid");
        let mut child = sleep.args(["sleep", "1000"]).spawn().unwrap();
        if child.id() == u32::try_from(wanted).unwrap() && start_time(wanted) != not_at {
            return child;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    panic!("the number {wanted} cannot be had")
}

fn start_time(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit(')').next().unwrap();
    fields.split_whitespace().nth(19).unwrap().parse().unwrap()
}

/// Starts a server under a number from `NUMBERS` on.
async fn server(place: &Place, last: i32) -> spawner_local::LocalProcessSpawner {
    std::fs::write("/proc/sys/kernel/ns_last_pid", last.to_string()).unwrap();
    let mut spawner = place.spawner();
    within(spawner.start(launch_as("tee", &["sleep", "1000"])))
        .await
        .unwrap();
    assert!(NUMBERS.contains(&pid(&spawner)));
    spawner
}

#[test]
fn a_number_given_away_is_somebody_else() {
    in_a_namespace("number_given_away");
}

#[tokio::test]
#[ignore = "run by a_number_given_away_is_somebody_else"]
async fn number_given_away() {
    if std::process::id() != 1 {
        return;
    }
    let place = Place::simple();
    // The one that started it keeps its descriptor of the process; the books have a number only.
    let mut holder = server(&place, 20_000).await;
    let state = holder.get_state();
    let number = pid(&holder);
    let mut fresh = place.spawner();
    fresh.load_state(&state).unwrap();
    let mut looked = place.spawner();
    looked.load_state(&state).unwrap();
    assert_eq!(looked.poll().await.unwrap(), PollStatus::Running);
    within(holder.stop(StopMode::Now)).await.unwrap();

    let mut stranger = stranger(number, start_time_of(&state));
    for spawner in [&mut fresh, &mut looked, &mut holder] {
        assert!(matches!(
            spawner.poll().await.unwrap(),
            PollStatus::Exited(_)
        ));
        within(spawner.exited()).await;
        assert!(within(spawner.check_listener(&nowhere())).await.is_ok());
        for mode in [StopMode::Graceful, StopMode::Now] {
            within(spawner.stop(mode)).await.unwrap();
        }
    }
    assert_eq!(fresh.poll().await.unwrap(), GONE);
    assert_eq!(within(place.factory.reap(&[])).await.unwrap(), []);
    assert_eq!(stranger.try_wait().unwrap(), None, "a stranger was ended");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

fn start_time_of(state: &SpawnerState) -> u64 {
    state.data["start_time"].as_u64().unwrap()
}

fn nowhere() -> spawner_core::Endpoint {
    spawner_core::Endpoint::Tcp {
        host: "127.0.0.1".into(),
        port: 1,
    }
}

#[test]
fn a_server_that_nobody_buries_has_ended() {
    in_a_namespace("nobody_buries");
}

/// The first process of this namespace is the test, and takes no exit status of anybody.
#[tokio::test]
#[ignore = "run by a_server_that_nobody_buries_has_ended"]
async fn nobody_buries() {
    if std::process::id() != 1 {
        return;
    }
    let place = Place::simple();
    let state = {
        // A server whose parent, the hub, is gone: it comes to the first process.
        let ready = place.fifo("ready");
        let mut hub = Command::new("sh");
        let text = "setsid sh -c 'echo $$ > \"$READY\"; exec sleep 1000' & exit 0";
        hub.args(["-c", text])
            .env("READY", ready.path())
            .process_group(0);
        assert!(hub.status().unwrap().success());
        let orphan: i32 = ready.read().await.parse().unwrap();
        let mut model = server(&place, 20_000).await;
        let mut state = model.get_state();
        within(model.stop(StopMode::Now)).await.unwrap();
        state.data.insert("pid".into(), orphan.into());
        state
            .data
            .insert("start_time".into(), start_time(orphan).into());
        state
    };
    let mut spawner = place.spawner();
    spawner.load_state(&state).unwrap();
    assert_eq!(spawner.poll().await.unwrap(), PollStatus::Running);
    let number = nix::unistd::Pid::from_raw(pid(&spawner));
    nix::sys::signal::kill(number, nix::sys::signal::Signal::SIGKILL).unwrap();
    let status = within(spawner.exited()).await;
    let zombie = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap();
    assert!(zombie.contains(") Z "), "{zombie}");
    assert_eq!(spawner.poll().await.unwrap(), PollStatus::Exited(status));
    let mut later = place.spawner();
    later.load_state(&state).unwrap();
    assert!(matches!(later.poll().await.unwrap(), PollStatus::Exited(_)));
    within(later.stop(StopMode::Graceful)).await.unwrap();
}
