//! Servers that outlive the hub: found again, and never mistaken for a stranger.

mod common;

use std::io::BufRead;
use std::process::{Command, Stdio};

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
    assert_eq!(state.version, 1);

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
        instance: "test".into(),
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
