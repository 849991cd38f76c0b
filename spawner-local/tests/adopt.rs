//! Servers that outlive the hub: found again, and never mistaken for a stranger.

mod common;

use std::io::BufRead;
use std::process::{Child, Command, Stdio};

use common::{Place, launch_as, lives, pid, script, within};
use serde_json::{Value, json};
use spawner_core::{
    Endpoint, ExitStatus, LaunchId, PollStatus, Spawner, SpawnerState, StateError, StopMode,
};

const GONE: PollStatus = PollStatus::Exited(ExitStatus::Unknown);

#[tokio::test]
async fn another_instance_takes_over() {
    let place = Place::simple();
    let ready = place.fifo("ready");
    let mut first = place.spawner();
    let text = format!(
        "echo hello; echo > {}; exec sleep 1000",
        ready.path().display()
    );
    let endpoint = within(first.start(script(&text))).await;
    ready.read().await;
    let state = first.get_state();
    assert_eq!(state.version, 2);

    let mut second = place.spawner();
    second.load_state(&state).unwrap();
    assert_eq!(second.get_state(), state);
    assert_eq!(second.poll().await.unwrap(), PollStatus::Running);
    assert_eq!(second.endpoint().await.unwrap(), Some(endpoint.unwrap()));
    within(second.stop(StopMode::Graceful)).await.unwrap();
    assert!(!lives(pid(&first)));
    assert_eq!(second.log_tail(1).await, ["hello"]);
    assert!(matches!(first.poll().await.unwrap(), PollStatus::Exited(_)));
}

#[tokio::test]
async fn an_empty_state_means_nothing_runs() {
    let place = Place::simple();
    let mut spawner = place.spawner();
    spawner.load_state(&SpawnerState::default()).unwrap();
    assert_eq!(spawner.poll().await.unwrap(), GONE);
    assert_eq!(spawner.endpoint().await.unwrap(), None::<Endpoint>);
}

#[tokio::test]
async fn a_damaged_state_is_refused_and_nothing_is_touched() {
    let place = Place::simple();
    let mut running = place.spawner();
    within(running.start(launch_as("tee", &["sleep", "1000"])))
        .await
        .unwrap();
    for (field, value) in [
        ("pid", json!(1)),
        ("boot_id", json!("x")),
        ("pid", json!([])),
    ] {
        let mut state = running.get_state();
        state.data.insert(field.into(), value);
        let mut spawner = place.spawner();
        assert!(matches!(
            spawner.load_state(&state),
            Err(StateError::Invalid(_) | StateError::Damaged(_))
        ));
        within(spawner.stop(StopMode::Now)).await.unwrap();
    }
    assert_eq!(running.poll().await.unwrap(), PollStatus::Running);
    within(running.stop(StopMode::Now)).await.unwrap();
}

#[tokio::test]
async fn a_stranger_with_our_number_is_left_alone() {
    let place = Place::simple();
    let mut stranger = place.spawner();
    within(stranger.start(launch_as("tee", &["sleep", "1000"])))
        .await
        .unwrap();
    // It has our pid and leads a session of that number, and is still not the one we started.
    let other = |field: &str, value: Value| {
        let mut state = stranger.get_state();
        let launch = LaunchId::random().to_string();
        state.data.insert("launch_id".into(), launch.into());
        // Its name would give it away at once.
        state.data.insert("cgroup".into(), Value::Null);
        state.data.insert(field.into(), value);
        state
    };
    let start_time = stranger.get_state().data["start_time"].as_u64().unwrap();
    for state in [
        other("start_time", (start_time + 1).into()),
        other("start_time", (start_time - 1).into()),
        other("boot_id", "00000000-0000-0000-0000-000000000000".into()),
    ] {
        let mut spawner = place.spawner();
        spawner.load_state(&state).unwrap();
        assert_eq!(spawner.poll().await.unwrap(), GONE);
        assert_eq!(within(spawner.exited()).await, ExitStatus::Unknown);
        for mode in [StopMode::Graceful, StopMode::Now] {
            within(spawner.stop(mode)).await.unwrap();
        }
        assert_eq!(stranger.poll().await.unwrap(), PollStatus::Running);
    }
    within(stranger.stop(StopMode::Now)).await.unwrap();
}

/// Plays the hub in the next test: starts a server, says what it would have saved, and waits to be
/// killed.
#[tokio::test]
#[ignore = "run by a_server_outlives_the_hub"]
async fn hub_that_is_killed() {
    let (Ok(go), Ok(told)) = (std::env::var("TEST_GO"), std::env::var("TEST_TOLD")) else {
        return;
    };
    let place = Place::simple();
    let mut spawner = place.spawner();
    let text =
        format!("echo before; read line < {go}; echo after; echo $$ > {told}; exec sleep 1000");
    spawner.start(script(&text)).await.unwrap();
    let state = serde_json::to_string(&spawner.get_state()).unwrap();
    println!("\nstate {} {state}", place.dir.path().display());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_server_outlives_the_hub() {
    let here = Place::simple();
    let (go, told) = (here.fifo("go"), here.fifo("told"));
    let mut hub = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hub_that_is_killed", "--ignored", "--nocapture"])
        .env("TEST_GO", go.path())
        .env("TEST_TOLD", told.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(hub.stdout.take().unwrap()).lines();
    let (dir, state) = lines
        .find_map(|line| {
            let line = line.unwrap();
            let (dir, state) = line.strip_prefix("state ")?.split_once(' ')?;
            let state: SpawnerState = serde_json::from_str(state).unwrap();
            Some((std::path::PathBuf::from(dir), state))
        })
        .unwrap();
    hub.kill().unwrap();
    hub.wait().unwrap();

    let factory = spawner_local::LocalFactory::simple(spawner_core::BackendSetup {
        config: spawner_core::SpawnerConfig::default(),
        settings: serde_json::Map::new(),
        state_dir: dir.join("state"),
        instance: dir.display().to_string(),
    });
    let mut spawner = factory.unwrap().spawner(&common::server("tee"));
    spawner.load_state(&state).unwrap();
    assert_eq!(spawner.poll().await.unwrap(), PollStatus::Running);
    go.write().await;
    assert_eq!(told.read().await, pid(&spawner).to_string());
    assert_eq!(spawner.log_tail(9).await, ["before", "after"]);
    // Its end is heard although it is not our child; how it ended, only newer kernels tell.
    Command::new("kill")
        .args(["-TERM", &pid(&spawner).to_string()])
        .status()
        .unwrap();
    let status = within(spawner.exited()).await;
    let terminated = ExitStatus::Signal(libc::SIGTERM);
    assert!(
        [terminated, ExitStatus::Unknown].contains(&status),
        "{status}"
    );
    eprintln!("the status of somebody else's child: {status}");
    assert_eq!(spawner.poll().await.unwrap(), PollStatus::Exited(status));
    within(spawner.stop(StopMode::Graceful)).await.unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

/// A saved server that is the child of somebody else: of a shell that first starts it by `script`,
/// where `$1` is a pipe that takes its number.
async fn somebody_elses(place: &Place, script: &str) -> (Child, SpawnerState) {
    let told = place.fifo("told");
    let mut parent = Command::new("sh");
    parent.args(["-c", script, "sh"]).arg(told.path());
    let parent = parent.spawn().unwrap();
    let pid: i32 = told.read().await.parse().unwrap();
    // A state to put it in.
    let mut model = place.spawner();
    let sleep = launch_as("tee", &["sleep", "1000"]);
    within(model.start(sleep)).await.unwrap();
    let mut state = model.get_state();
    within(model.stop(StopMode::Now)).await.unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let started = stat.rsplit(')').next().unwrap().split_whitespace().nth(19);
    let started: u64 = started.unwrap().parse().unwrap();
    state.data.insert("pid".into(), pid.into());
    state.data.insert("start_time".into(), started.into());
    (parent, state)
}

/// Whether this kernel tells how a process ended that somebody else has buried (Linux 6.15).
fn kernel_tells() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|number| number.parse().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(15))
}

#[tokio::test]
async fn how_somebody_elses_child_ended_is_told_where_the_kernel_does() {
    for (signal, told) in [
        ("USR1", ExitStatus::Code(7)),
        ("TERM", ExitStatus::Signal(libc::SIGTERM)),
        ("KILL", ExitStatus::Signal(libc::SIGKILL)),
    ] {
        let place = Place::simple();
        let server = "trap 'exit 7' USR1; echo $$ > \"$1\"; while :; do sleep 0.01; done";
        // The shell waits for it, and so buries it.
        let text = format!("sh -c '{}' sh \"$1\" & wait", server.replace('\'', "'\\''"));
        let (mut parent, state) = somebody_elses(&place, &text).await;
        let mut spawner = place.spawner();
        spawner.load_state(&state).unwrap();
        assert_eq!(spawner.poll().await.unwrap(), PollStatus::Running);
        Command::new("kill")
            .args([&format!("-{signal}"), &pid(&spawner).to_string()])
            .status()
            .unwrap();
        let status = within(spawner.exited()).await;
        let expected = if kernel_tells() {
            told
        } else {
            ExitStatus::Unknown
        };
        assert_eq!(status, expected, "SIG{signal}");
        // Whoever looks when it is long gone cannot know.
        let mut late = place.spawner();
        late.load_state(&state).unwrap();
        parent.wait().unwrap();
        assert_eq!(late.poll().await.unwrap(), GONE);
    }
}

#[tokio::test]
async fn one_that_is_not_buried_has_ended_in_a_way_unknown() {
    let place = Place::simple();
    // What the shell becomes does not know that it has a child.
    let text = "sleep 1000 & echo $! > \"$1\"; exec sleep 1000";
    let (mut parent, state) = somebody_elses(&place, text).await;
    let mut spawner = place.spawner();
    spawner.load_state(&state).unwrap();
    assert_eq!(spawner.poll().await.unwrap(), PollStatus::Running);
    Command::new("kill")
        .args(["-KILL", &pid(&spawner).to_string()])
        .status()
        .unwrap();
    assert_eq!(within(spawner.exited()).await, ExitStatus::Unknown);
    assert_eq!(spawner.poll().await.unwrap(), GONE);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid(&spawner))).unwrap();
    assert!(stat.contains(") Z "), "{stat}");
    within(spawner.stop(StopMode::Graceful)).await.unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
}
