//! Start, poll, end and stop of one process.

mod common;

use common::{Place, context, launch_as, lives, pid, script, within, words};
use serde_json::json;
use spawner_core::{
    Endpoint, Env, ExitStatus, Launch, PollStatus, SpawnErrorKind, Spawner, StopMode,
};
use spawner_local::LocalFactory;

const GONE: PollStatus = PollStatus::Exited(ExitStatus::Unknown);

#[tokio::test]
async fn a_server_runs_until_it_is_stopped() {
    let place = Place::simple();
    let mut spawner = place.spawner();
    assert_eq!(spawner.poll().await.unwrap(), GONE);
    let endpoint = within(spawner.start(launch_as("tee", &["sleep", "1000"]))).await;
    assert_eq!(
        endpoint.unwrap(),
        Endpoint::Tcp {
            host: "127.0.0.1".into(),
            port: 4321
        }
    );
    let pid = pid(&spawner);
    assert_eq!(spawner.poll().await.unwrap(), PollStatus::Running);
    assert!(lives(pid));
    within(spawner.stop(StopMode::Graceful)).await.unwrap();
    assert!(!lives(pid));
    // `sleep` knows nothing better to do with SIGINT.
    let status = ExitStatus::Signal(libc::SIGINT);
    assert_eq!(spawner.poll().await.unwrap(), PollStatus::Exited(status));
    assert_eq!(spawner.poll().await.unwrap(), PollStatus::Exited(status));
    assert_eq!(within(spawner.exited()).await, status);
    spawner.clear_state();
    assert!(spawner.get_state().is_empty());
    assert_eq!(spawner.poll().await.unwrap(), GONE);
}

#[tokio::test]
async fn a_spawner_goes_through_many_runs() {
    let place = Place::simple();
    let mut spawner = place.spawner();
    for run in 0..3 {
        let printing = format!("echo run {run}; exit {run}");
        within(spawner.start(script(&printing))).await.unwrap();
        assert_eq!(within(spawner.exited()).await, ExitStatus::Code(run));
        assert_eq!(spawner.log_tail(10).await, [format!("run {run}")]);
        within(spawner.stop(StopMode::Graceful)).await.unwrap();
        spawner.clear_state();
        assert_eq!(spawner.log_tail(10).await, [format!("run {run}")]);
    }
}

#[tokio::test]
async fn the_end_is_heard_with_its_status() {
    let place = Place::simple();
    for (ending, status) in [
        ("exit 0", ExitStatus::Code(0)),
        ("exit 3", ExitStatus::Code(3)),
        ("exit 255", ExitStatus::Code(255)),
        ("kill -SEGV $$", ExitStatus::Signal(libc::SIGSEGV)),
        ("kill -KILL $$", ExitStatus::Signal(libc::SIGKILL)),
    ] {
        let mut spawner = place.spawner();
        within(spawner.start(script(ending))).await.unwrap();
        assert_eq!(within(spawner.exited()).await, status, "{ending}");
        let exited = PollStatus::Exited(status);
        assert_eq!(spawner.poll().await.unwrap(), exited, "{ending}");
        // Nothing was taken from whoever asks next.
        assert_eq!(spawner.poll().await.unwrap(), exited, "{ending}");
    }
}

#[tokio::test]
async fn a_server_that_never_ran_never_exits() {
    let place = Place::simple();
    let mut spawner = place.spawner();
    tokio::select! {
        biased;
        status = spawner.exited() => panic!("{status}"),
        () = tokio::task::yield_now() => {}
    }
}

#[tokio::test]
async fn a_deaf_server_is_asked_three_times() {
    // Long enough for a shell on a busy machine to say what it heard.
    let patient = json!({"interrupt_timeout": 3, "term_timeout": 3});
    let place = Place::with(&LocalFactory::simple, patient);
    let heard = place.fifo("heard");
    let mut spawner = place.spawner();
    let deaf = format!(
        "trap 'echo INT' INT; trap 'echo TERM' TERM; echo ready > {}; \
         while :; do sleep 1000 & wait; done",
        heard.path().display()
    );
    within(spawner.start(script(&deaf))).await.unwrap();
    assert_eq!(heard.read().await, "ready");
    within(spawner.stop(StopMode::Graceful)).await.unwrap();
    let status = PollStatus::Exited(ExitStatus::Signal(libc::SIGKILL));
    assert_eq!(spawner.poll().await.unwrap(), status);
    assert_eq!(spawner.log_tail(9).await, ["INT", "TERM"]);
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_the_server_takes() {
    let patient = json!({"interrupt_timeout": 3600, "term_timeout": 3600});
    let place = Place::with(&LocalFactory::simple, patient);
    let ready = place.fifo("ready");
    let mut spawner = place.spawner();
    let polite = format!(
        "trap 'echo bye; exit 7' INT; echo ready > {}; while :; do sleep 1000 & wait; done",
        ready.path().display()
    );
    within(spawner.start(script(&polite))).await.unwrap();
    ready.read().await;
    within(spawner.stop(StopMode::Graceful)).await.unwrap();
    let status = PollStatus::Exited(ExitStatus::Code(7));
    assert_eq!(spawner.poll().await.unwrap(), status);
    assert_eq!(spawner.log_tail(9).await, ["bye"]);
}

#[tokio::test]
async fn a_stop_with_nothing_to_stop_is_done() {
    let place = Place::simple();
    let mut spawner = place.spawner();
    within(spawner.stop(StopMode::Graceful)).await.unwrap();
    within(spawner.stop(StopMode::Now)).await.unwrap();
    within(spawner.start(script("exit 0"))).await.unwrap();
    within(spawner.exited()).await;
    for mode in [StopMode::Graceful, StopMode::Now, StopMode::Now] {
        within(spawner.stop(mode)).await.unwrap();
    }
}

#[tokio::test]
async fn a_stop_that_was_dropped_can_be_followed_by_another() {
    let patient = json!({"interrupt_timeout": 3600});
    let place = Place::with(&LocalFactory::simple, patient);
    let told = place.fifo("told");
    let ready = place.fifo("ready");
    let mut spawner = place.spawner();
    let deaf = format!(
        "trap 'echo told > {}' INT; echo ready > {}; while :; do sleep 1000 & wait; done",
        told.path().display(),
        ready.path().display()
    );
    within(spawner.start(script(&deaf))).await.unwrap();
    ready.read().await;
    tokio::select! {
        stopped = spawner.stop(StopMode::Graceful) => panic!("{stopped:?}"),
        _ = told.read() => {}
    }
    assert_eq!(spawner.poll().await.unwrap(), PollStatus::Running);
    within(spawner.stop(StopMode::Now)).await.unwrap();
    let status = PollStatus::Exited(ExitStatus::Signal(libc::SIGKILL));
    assert_eq!(spawner.poll().await.unwrap(), status);
}

#[tokio::test]
async fn a_second_start_while_it_runs_is_refused() {
    let place = Place::simple();
    let mut spawner = place.spawner();
    within(spawner.start(script("exec sleep 1000")))
        .await
        .unwrap();
    let first = pid(&spawner);
    let error = within(spawner.start(script("exec sleep 1000"))).await;
    assert_eq!(error.unwrap_err().kind(), SpawnErrorKind::Refused);
    assert_eq!(pid(&spawner), first);
    within(spawner.stop(StopMode::Now)).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_started_is_told_in_a_sentence() {
    let place = Place::simple();
    let file = |name: &str, text: &[u8], mode: u32| {
        let path = place.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode))
            .unwrap();
        path.display().to_string()
    };
    let plain = file("plain", b"#!/bin/sh\n", 0o644);
    let orphaned = file("orphaned", b"#!/no/such/interpreter\n", 0o755);
    let noise = file("noise", b"\x7fELF but not quite", 0o755);
    for (cmd, kind, part) in [
        ("no-such-program", SpawnErrorKind::NotFound, "/usr/bin"),
        (
            "/no/such/program",
            SpawnErrorKind::NotFound,
            "/no/such/program",
        ),
        ("sleep 1000", SpawnErrorKind::NotFound, "write a list"),
        (&plain, SpawnErrorKind::Refused, "not executable"),
        (&orphaned, SpawnErrorKind::NotFound, "interpreter"),
        (&noise, SpawnErrorKind::Refused, "not a program"),
    ] {
        let mut spawner = place.spawner();
        let error = within(spawner.start(launch_as("tee", &[cmd]))).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(spawner.get_state().is_empty());
        within(spawner.stop(StopMode::Now)).await.unwrap();
        assert_eq!(spawner.poll().await.unwrap(), GONE);
    }
}

#[tokio::test]
async fn arguments_that_the_system_does_not_take_are_told_as_such() {
    let place = Place::simple();
    let mut env = Env::default();
    env.set("BIG", "x".repeat(3_000_000));
    let launch = Launch::new(words(&["/bin/true"]), Vec::new(), env, context("tee"));
    let error = within(place.spawner().start(launch)).await.unwrap_err();
    assert_eq!(error.kind(), SpawnErrorKind::Refused);
    assert!(error.to_string().contains("larger"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_start_at_once() {
    let place = Place::simple();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..40 {
        let mut spawner = place.factory.spawner(&common::server(&format!("user{n}")));
        tasks.spawn(async move {
            let user = format!("user{n}");
            spawner
                .start(launch_as(&user, &["sleep", "1000"]))
                .await
                .unwrap();
            let pid = pid(&spawner);
            assert!(lives(pid));
            spawner.stop(StopMode::Now).await.unwrap();
            assert!(!lives(pid));
        });
    }
    while let Some(done) = within(tasks.join_next()).await {
        done.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_prints_for_days_does_not_fill_the_disk() {
    use std::os::unix::fs::MetadataExt;
    const BOUND: u64 = 64 << 10;
    let place = Place::with(&LocalFactory::simple, json!({"log_max_bytes": BOUND}));
    let (printed, go_on) = (place.fifo("printed"), place.fifo("go_on"));
    let text = format!(
        "n=0; while :; do seq -f 'line %.0f' $n $((n + 99999)); n=$((n + 100000)); \
         echo $n > {}; read x < {}; done",
        printed.path().display(),
        go_on.path().display()
    );
    let mut spawner = place.spawner();
    within(spawner.start(script(&text))).await.unwrap();
    for _ in 0..3 {
        let lines: u64 = printed.read().await.parse().unwrap();
        let taken = || place.log().metadata().unwrap().blocks() * 512;
        assert!(taken() > BOUND);
        assert_eq!(spawner.poll().await.unwrap(), PollStatus::Running);
        assert!(taken() <= 2 * BOUND, "{} bytes", taken());
        // It is the same file, whose end is what was printed last.
        assert_eq!(
            spawner.log_tail(2).await,
            [lines - 2, lines - 1].map(|n| format!("line {n}"))
        );
        go_on.write().await;
    }
    within(spawner.stop(StopMode::Now)).await.unwrap();
}
