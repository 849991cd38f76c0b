//! A stop ends all that a server started, however it hides: without control groups, which are tested
//! in `cgroup.rs`.

mod common;

use common::{Place, lives, script, within};
use serde_json::json;
use spawner_core::{ExitStatus, PollStatus, Spawner, StopMode};
use spawner_local::LocalFactory;

/// A place whose servers have to be searched for.
fn walked() -> Place {
    Place::with(&LocalFactory::simple, json!({"cgroup": "off"}))
}

/// Starts a server that starts a helper by `hide COMMAND`, and returns it with the helper's pid.
async fn with_helper(
    place: &Place,
    hide: &str,
    then: &str,
) -> (spawner_local::LocalProcessSpawner, i32) {
    let fifo = place.fifo("helper");
    let mut spawner = place.spawner();
    let helper = place.dir.path().join("helper.sh");
    let text = format!(
        "trap '' INT TERM HUP\necho $$ > {}\nwhile :; do sleep 1000; done\n",
        fifo.path().display()
    );
    std::fs::write(&helper, text).unwrap();
    let text = format!("{hide} /bin/sh {} & {then}", helper.display());
    within(spawner.start(script(&text))).await.unwrap();
    let pid = fifo.read().await.parse().unwrap();
    assert!(lives(pid));
    (spawner, pid)
}

#[tokio::test]
async fn helpers_are_ended_whatever_they_left_behind() {
    for (hide, then) in [
        // In the server's session.
        ("", "exec sleep 1000"),
        ("env -i", "exec sleep 1000"),
        // In a session of their own, as kernels are; without a parent, as daemons are.
        ("setsid", "exec sleep 1000"),
        ("setsid sh -c '\"$@\" & exit' sh", "exec sleep 1000"),
        // Without the marker, but with the server as parent.
        ("env -i setsid", "exec sleep 1000"),
        (
            "setsid env -i /bin/sh -c '\"$@\" & wait' sh",
            "exec sleep 1000",
        ),
        // The server itself is gone before the stop.
        ("", "exit 0"),
        ("env -i", "exit 0"),
        ("setsid", "exit 0"),
    ] {
        for mode in [StopMode::Graceful, StopMode::Now] {
            let place = walked();
            let (mut spawner, helper) = with_helper(&place, hide, then).await;
            if then == "exit 0" {
                assert_eq!(within(spawner.exited()).await, ExitStatus::Code(0));
                assert!(lives(helper));
            }
            within(spawner.stop(mode)).await.unwrap();
            assert!(!lives(helper), "{hide:?} {then:?} {mode:?}");
        }
    }
}

#[tokio::test]
async fn what_a_server_left_is_asked_before_it_is_killed() {
    // Killing would come in an hour.
    let patient = json!({"interrupt_timeout": 3600, "term_timeout": 3600, "cgroup": "off"});
    let place = Place::with(&LocalFactory::simple, patient);
    let ready = place.fifo("ready");
    let text = format!(
        "setsid sh -c 'echo $$ > {}; exec sleep 1000' & exit 0",
        ready.path().display()
    );
    let mut spawner = place.spawner();
    within(spawner.start(script(&text))).await.unwrap();
    let helper: i32 = ready.read().await.parse().unwrap();
    within(spawner.stop(StopMode::Graceful)).await.unwrap();
    assert!(!lives(helper));
}

#[tokio::test]
async fn a_server_that_multiplies_is_ended() {
    let place = walked();
    let ready = place.fifo("ready");
    let text = format!(
        "breed() {{ setsid sleep 1000 & sleep 0.001; }}; breed; echo ready > {}; \
         while :; do breed; done",
        ready.path().display()
    );
    let mut spawner = place.spawner();
    within(spawner.start(script(&text))).await.unwrap();
    ready.read().await;
    let launch = spawner.get_state().data["launch_id"].clone();
    within(spawner.stop(StopMode::Now)).await.unwrap();
    let marker = format!("HUBD_LAUNCH_ID={}", launch.as_str().unwrap());
    for entry in std::fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path().join("environ");
        let environment = std::fs::read(&path).unwrap_or_default();
        let mut variables = environment.split(|&byte| byte == 0);
        let left = variables.any(|variable| variable == marker.as_bytes());
        assert!(!left, "{} was left", path.display());
    }
    assert!(matches!(
        spawner.poll().await.unwrap(),
        PollStatus::Exited(_)
    ));
}
