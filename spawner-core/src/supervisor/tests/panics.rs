//! Whatever panics around a server: its owner task lives on and says so.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_start_in_which_something_panics_fails_and_is_cleared() {
    for (call, phase) in [
        ("check_options", StartPhase::Preparing),
        ("check_limits", StartPhase::Preparing),
        ("book starting", StartPhase::Preparing),
        ("listen_on", StartPhase::Preparing),
        ("get_args", StartPhase::Preparing),
        ("get_env", StartPhase::Preparing),
        ("pre_spawn_hook", StartPhase::Hooks),
        ("start", StartPhase::Launching),
        ("get_state", StartPhase::Launching),
        ("book checkpoint", StartPhase::Launching),
        ("probe", StartPhase::Waiting),
        ("check_listener", StartPhase::Waiting),
        ("book ready", StartPhase::Waiting),
    ] {
        let bench = bench(Setup {
            hooks: true,
            ..Setup::default()
        });
        bench.world.set_trap(call, Trap::Panics, 1);
        let failed = failure(bench.start().await);
        assert_eq!(failed.phase, phase, "{call}");
        assert!(
            failed.message.contains("panicked"),
            "{call}: {}",
            failed.message
        );
        assert!(
            bench.world.saw("stop Now") && bench.world.saw("book stopped"),
            "{call}"
        );
        assert!(!bench.world.alive());
        bench.start().await.expect("the task lives on");
    }
}

#[tokio::test(start_paused = true)]
async fn what_panics_on_the_way_down_holds_nothing_up() {
    for call in [
        "clear_state",
        "post_stop_hook",
        "log_tail",
        "book stopping",
        "book stopped",
    ] {
        let bench = bench(Setup {
            hooks: true,
            ..Setup::default()
        });
        bench.start().await.unwrap();
        bench.world.set_trap(call, Trap::Panics, 1);
        bench.world.end(ExitStatus::Code(1));
        assert!(
            matches!(bench.stopped().await.ending, Ending::Exited(_)),
            "{call}"
        );
        bench.start().await.expect("the task lives on");
        assert_eq!(bench.fired(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_panics_cannot_tell() {
    let bench = bench(Setup {
        hears: false,
        ..Setup::default()
    });
    bench.start().await.unwrap();
    bench.world.set_trap("poll", Trap::Panics, 3);
    assert!(bench.handle.poll().await.is_err());
    assert!(matches!(bench.handle.phase(), Phase::Unknown { .. }));
    bench
        .until(|phase| matches!(phase, Phase::Running { .. }))
        .await;
    assert!(bench.world.alive() && !bench.world.saw("clear_state"));
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_panics_is_tried_again() {
    let bench = bench(Setup::default());
    bench.start().await.unwrap();
    bench.world.set_trap("stop", Trap::Panics, 2);
    let error = bench.handle.stop(StopMode::Graceful).await.unwrap_err();
    assert!(error.to_string().contains("`stop` panicked"), "{error}");
    assert!(bench.world.alive() && !bench.world.saw("clear_state"));
    let began = Instant::now();
    bench.stopped().await;
    assert_eq!(began.elapsed(), Duration::from_secs(1 + 2));
    assert!(!bench.world.alive());
}

#[tokio::test(start_paused = true)]
async fn an_end_that_cannot_be_heard_for_a_panic_is_polled() {
    let bench = bench(Setup::default());
    bench.world.set_trap("exited", Trap::Panics, usize::MAX);
    bench.start().await.unwrap();
    bench.world.end(ExitStatus::Code(2));
    assert_eq!(bench.stopped().await.status(), Some(ExitStatus::Code(2)));
}

#[tokio::test(start_paused = true)]
async fn a_config_that_panics_leaves_the_defaults() {
    let bench = bench(Setup {
        script: Script::Hangs,
        config: SpawnerConfig {
            start_timeout: Duration::from_secs(1),
            ..SpawnerConfig::default()
        },
        ..Setup::default()
    });
    bench.world.set_trap("config", Trap::Panics, usize::MAX);
    let failed = failure(bench.start().await);
    assert!(
        failed.message.contains("60 s (start_timeout)"),
        "{}",
        failed.message
    );
}

#[tokio::test(start_paused = true)]
async fn a_recovery_in_which_something_panics_concludes_nothing() {
    for call in ["load_state", "endpoint", "poll", "get_state", "book ready"] {
        let bench = bench(Setup::default());
        bench.world.set(PollStatus::Running);
        bench.world.set_trap(call, Trap::Panics, 1);
        bench.handle.recover(recovery::saved(true)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(bench.world.alive(), "{call}");
        // A state that could not be read waits for an admin; all else is asked again.
        match bench.handle.phase() {
            Phase::Unknown { .. } => assert_eq!(call, "load_state"),
            Phase::Running { .. } => assert_ne!(call, "load_state"),
            other => panic!("{call}: {other:?}"),
        }
        assert!(!bench.world.saw("clear_state") && !bench.world.saw("stop Now"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_never_comes_cannot_be_told() {
    let bench = bench(Setup::default());
    bench.world.set(PollStatus::Running);
    bench.world.set_trap("endpoint", Trap::Hangs, 1);
    bench.handle.recover(recovery::saved(true)).await.unwrap();
    bench
        .until(|phase| matches!(phase, Phase::Running { .. }))
        .await;
}
