//! The control group of a run: it holds all of it, ends all of it, and is gone with it.

mod common;

use std::path::{Path, PathBuf};

use common::{Place, launch_as, lives, pid, script, skipped, within};
use serde_json::json;
use spawner_core::{
    BackendSetup, ExitStatus, LaunchId, PollStatus, SpawnErrorKind, Spawner, SpawnerConfig,
    SpawnerFactory, SpawnerState, StateError, StopMode,
};
use spawner_local::{LocalFactory, LocalProcessSpawner};

/// Leaves its session, its environment and its parent behind, and listens to no signal but one.
const HIDE: &str = "setsid env -i setsid /bin/sh -c '\"$@\" & exit' sh";

/// The group of a run; `None`, said aloud, on a host where runs have none.
fn group(spawner: &LocalProcessSpawner) -> Option<PathBuf> {
    let state = spawner.get_state();
    let group = state
        .data
        .get("cgroup")
        .map(|dir| dir.as_str().unwrap().into());
    if group.is_none() {
        skipped("control groups (version 2) cannot be made here");
    }
    group
}

/// Starts a server and something that hides from it, and returns the pid of that.
async fn with_hidden(place: &Place) -> (LocalProcessSpawner, i32) {
    let fifo = place.fifo("helper");
    let helper = place.dir.path().join("helper.sh");
    let text = format!(
        "trap '' INT TERM HUP\necho $$ > {}\nwhile :; do /bin/sleep 1000; done\n",
        fifo.path().display()
    );
    std::fs::write(&helper, text).unwrap();
    let mut spawner = place.spawner();
    let text = format!("{HIDE} /bin/sh {}; exec sleep 1000", helper.display());
    within(spawner.start(script(&text))).await.unwrap();
    let pid = fifo.read().await.parse().unwrap();
    assert!(lives(pid));
    (spawner, pid)
}

fn is_in(pid: i32, group: &Path) -> bool {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"));
    Path::new(own.unwrap()).file_name() == group.file_name()
}

#[tokio::test]
async fn a_run_has_a_group_of_its_own_as_long_as_it_lasts() {
    let place = Place::simple();
    let mut spawner = place.spawner();
    let mut seen = Vec::new();
    for _ in 0..2 {
        within(spawner.start(launch_as("tee", &["sleep", "1000"])))
            .await
            .unwrap();
        let Some(group) = group(&spawner) else { return };
        assert!(group.is_dir() && is_in(pid(&spawner), &group));
        assert!(!seen.contains(&group));
        within(spawner.stop(StopMode::Now)).await.unwrap();
        spawner.clear_state();
        assert!(!group.exists(), "{} was left", group.display());
        seen.push(group);
    }
}

#[tokio::test]
async fn a_start_that_fails_leaves_no_group() {
    let place = Place::simple();
    let mut spawner = place.spawner();
    within(spawner.start(script("exit 0"))).await.unwrap();
    let Some(group) = group(&spawner) else { return };
    within(spawner.exited()).await;
    spawner.clear_state();
    assert!(!group.exists());
    let parent = group.parent().unwrap();
    for (home, cmd) in [("/no/such/home", "sh"), ("/", "/proc/self/mem")] {
        let mut launch = launch_as("tee", &[cmd]);
        launch.env.set("HOME", home);
        let left = parent.join(
            (group.file_name().unwrap().to_str().unwrap())
                .replace(&last_part(&group), launch.ctx.launch_id.as_str()),
        );
        within(spawner.start(launch)).await.unwrap_err();
        assert!(!left.exists(), "{} was left", left.display());
    }
}

/// The launch id at the end of a group's name.
fn last_part(group: &Path) -> String {
    let name = group.file_name().unwrap().to_str().unwrap();
    name.rsplit('-').next().unwrap().to_owned()
}

#[tokio::test]
async fn who_hides_from_everything_else_is_ended_with_the_group() {
    for mode in [StopMode::Graceful, StopMode::Now] {
        let place = Place::simple();
        let (mut spawner, helper) = with_hidden(&place).await;
        if let Some(group) = group(&spawner) {
            assert!(is_in(helper, &group));
            within(spawner.stop(mode)).await.unwrap();
            assert!(!lives(helper), "{mode:?}");
            spawner.clear_state();
            assert!(!group.exists());
        } else {
            end(helper);
            within(spawner.stop(mode)).await.unwrap();
        }
    }
}

fn end(pid: i32) {
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn the_group_is_found_again_after_a_restart() {
    let place = Place::simple();
    let (first, helper) = with_hidden(&place).await;
    let state = first.get_state();
    let server = pid(&first);
    let Some(group) = group(&first) else {
        end(helper);
        let mut first = first;
        within(first.stop(StopMode::Now)).await.unwrap();
        return;
    };
    // The hub goes, and the server stays.
    drop(first);
    assert!(group.is_dir() && lives(server));
    let mut second = place.spawner();
    second.load_state(&state).unwrap();
    assert_eq!(second.get_state(), state);
    assert_eq!(second.poll().await.unwrap(), PollStatus::Running);
    within(second.stop(StopMode::Now)).await.unwrap();
    assert!(!lives(server) && !lives(helper));
    second.clear_state();
    assert!(!group.exists());
}

#[tokio::test]
async fn a_run_that_was_left_behind_is_found_with_its_group() {
    let instance = LaunchId::random().to_string();
    let build = |setup| {
        let instance = instance.clone();
        LocalFactory::simple(BackendSetup { instance, ..setup })
    };
    let place = Place::with(&build, json!({}));
    let (mut lost, helper) = with_hidden(&place).await;
    let found = place.factory.reap(&[]).await.unwrap();
    let [found] = &found[..] else {
        panic!("{found:?}")
    };
    let saved = found.state.data.get("cgroup");
    assert_eq!(saved, lost.get_state().data.get("cgroup"));
    if group(&lost).is_some() {
        found.end(&place.factory).await.unwrap();
        assert!(!lives(helper));
    } else {
        end(helper);
    }
    within(lost.stop(StopMode::Now)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_gone_leaves_its_group_to_the_stop() {
    let place = Place::simple();
    let (mut spawner, helper) = with_hidden(&place).await;
    end(pid(&spawner));
    assert_eq!(within(spawner.exited()).await, ExitStatus::Signal(9));
    if group(&spawner).is_some() {
        assert!(lives(helper));
        within(spawner.stop(StopMode::Graceful)).await.unwrap();
        assert!(!lives(helper));
    } else {
        end(helper);
    }
}

#[tokio::test]
async fn a_state_from_before_there_were_groups_is_read() {
    let place = Place::with(&LocalFactory::simple, json!({"cgroup": "off"}));
    let mut first = place.spawner();
    within(first.start(launch_as("tee", &["sleep", "1000"])))
        .await
        .unwrap();
    let mut state = first.get_state();
    assert_eq!(state.data.get("cgroup"), None);
    state.version = 1;
    let mut second = place.spawner();
    second.load_state(&state).unwrap();
    assert_eq!(second.poll().await.unwrap(), PollStatus::Running);
    within(second.stop(StopMode::Now)).await.unwrap();
    assert!(!lives(pid(&first)));
}

#[tokio::test]
async fn a_group_that_is_not_the_runs_is_refused_and_nobody_in_it_is_touched() {
    let place = Place::simple();
    let mut running = place.spawner();
    within(running.start(launch_as("tee", &["sleep", "1000"])))
        .await
        .unwrap();
    let Some(group) = group(&running) else {
        within(running.stop(StopMode::Now)).await.unwrap();
        return;
    };
    let other = LaunchId::random();
    let refuse = |state: &SpawnerState| {
        let refused = place.spawner().load_state(state);
        assert!(matches!(
            refused,
            Err(StateError::Invalid(_) | StateError::Damaged(_))
        ));
    };
    // Another run's group, for one that has the right name and another launch id.
    let mut state = running.get_state();
    state.data.insert("launch_id".into(), json!(other.as_str()));
    refuse(&state);
    let parent = group.parent().unwrap().to_str().unwrap().to_owned();
    for bad in [
        json!(parent),
        json!("/"),
        json!(""),
        json!(7),
        json!("../x"),
    ] {
        let mut state = running.get_state();
        state.data.insert("cgroup".into(), bad);
        refuse(&state);
    }
    assert_eq!(running.poll().await.unwrap(), PollStatus::Running);
    within(running.stop(StopMode::Now)).await.unwrap();
}

#[tokio::test]
async fn limits_that_would_not_hold_refuse_every_start() {
    let dir = tempfile::tempdir().unwrap();
    let setup = |settings: serde_json::Value| {
        let config = SpawnerConfig {
            mem_limit: Some(1 << 30),
            ..SpawnerConfig::default()
        };
        let serde_json::Value::Object(settings) = settings else {
            panic!("settings are a table")
        };
        BackendSetup {
            config,
            settings,
            state_dir: dir.path().into(),
            instance: "test".into(),
        }
    };
    let factory = LocalFactory::simple(setup(json!({"cgroup": "off"}))).unwrap();
    let mut spawner = factory.spawner(&common::server("tee"));
    let started = within(spawner.start(script("exit 0"))).await;
    for error in [spawner.check_limits().unwrap_err(), started.unwrap_err()] {
        assert_eq!(error.kind(), SpawnErrorKind::Refused);
        assert!(
            error.to_string().starts_with("`mem_limit` cannot"),
            "{error}"
        );
    }
    assert_eq!(
        spawner.poll().await.unwrap(),
        PollStatus::Exited(ExitStatus::Unknown)
    );
    // What this very host says: yes only where the controller is.
    let factory = LocalFactory::simple(setup(json!({}))).unwrap();
    let checked = factory.spawner(&common::server("tee")).check_limits();
    if let Err(error) = checked {
        let message = error.to_string();
        assert!(message.contains("memory controller") || message.contains("no control groups"));
    }
}

/// A group of cgroup v1's freezer: what is frozen there does not end, whoever kills it.
struct Freezer(PathBuf);

impl Freezer {
    fn make() -> Option<Self> {
        let dir = format!("/sys/fs/cgroup/freezer/hubd-test-{}", std::process::id());
        std::fs::create_dir(&dir).ok()?;
        Some(Self(dir.into()))
    }

    fn set(&self, state: &str) {
        std::fs::write(self.0.join("freezer.state"), state).unwrap();
    }

    async fn is(&self, state: &str) {
        let reached = async {
            while std::fs::read_to_string(self.0.join("freezer.state")).unwrap() != state {
                tokio::task::yield_now().await;
            }
        };
        within(reached).await;
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        self.set("THAWED");
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[tokio::test]
async fn who_survives_a_kill_is_reported_and_not_forgotten() {
    let place = Place::with(&LocalFactory::simple, json!({"kill_timeout": 0.2}));
    let Some(freezer) = Freezer::make() else {
        skipped("there is no freezer of cgroup v1 to keep a process from ending");
        return;
    };
    let mut spawner = place.spawner();
    within(spawner.start(launch_as("tee", &["sleep", "1000"])))
        .await
        .unwrap();
    let (server, state) = (pid(&spawner), spawner.get_state());
    std::fs::write(freezer.0.join("cgroup.procs"), server.to_string()).unwrap();
    freezer.set("FROZEN");
    freezer.is("FROZEN\n").await;
    for mode in [StopMode::Now, StopMode::Graceful] {
        let error = within(spawner.stop(mode)).await.unwrap_err();
        assert_eq!(error.kind(), SpawnErrorKind::StillAlive, "{error}");
        assert_eq!(spawner.get_state(), state);
        assert_eq!(spawner.poll().await.unwrap(), PollStatus::Running);
    }
    freezer.set("THAWED");
    within(spawner.stop(StopMode::Now)).await.unwrap();
    assert!(!lives(server));
}
