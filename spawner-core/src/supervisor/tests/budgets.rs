//! Nothing of a start is pending for ever, and a stop waits for none of it.

use super::*;

/// The calls of a start that can hang, the phase they belong to, what the sentence names, and the
/// seconds that they are given.
const HANGING: [(&str, StartPhase, &str, u64); 8] = [
    ("listen_on", StartPhase::Preparing, "prepare_timeout", 30),
    ("pre_spawn_hook", StartPhase::Hooks, "hook_timeout", 30),
    ("start", StartPhase::Launching, "start_timeout", 60),
    ("probe", StartPhase::Waiting, "http_timeout", 30),
    ("check_listener", StartPhase::Waiting, "Who listens", 5),
    ("book starting", StartPhase::Preparing, "save its state", 30),
    (
        "book checkpoint",
        StartPhase::Launching,
        "start_timeout",
        60,
    ),
    ("book ready", StartPhase::Waiting, "save its state", 30),
];

fn hanging(call: &'static str, config: SpawnerConfig) -> Bench {
    let bench = bench(Setup {
        hooks: true,
        config,
        ..Setup::default()
    });
    bench.world.set_trap(call, Trap::Hangs, usize::MAX);
    bench
}

#[tokio::test(start_paused = true)]
async fn every_phase_is_bounded() {
    for (call, phase, named, seconds) in HANGING {
        let bench = hanging(call, SpawnerConfig::default());
        let began = Instant::now();
        let failed = failure(bench.start().await);
        assert_eq!(failed.phase, phase, "{call}");
        assert!(failed.message.contains(named), "{call}: {}", failed.message);
        let took = began.elapsed();
        let bound = Duration::from_secs(seconds);
        assert!(
            took >= bound && took < bound + Duration::from_secs(1),
            "{call}: {took:?}"
        );
        assert!(!bench.world.alive());
        assert!(bench.handle.phase().is_stopped());
    }
}

#[tokio::test(start_paused = true)]
async fn all_phases_together_are_bounded() {
    for (call, phase, ..) in HANGING {
        let config = SpawnerConfig {
            total_timeout: Some(Duration::from_secs(3)),
            ..SpawnerConfig::default()
        };
        let bench = hanging(call, config);
        let began = Instant::now();
        let failed = failure(bench.start().await);
        assert_eq!(failed.phase, phase, "{call}");
        assert!(
            failed.message.contains("3 s (total_timeout)"),
            "{call}: {}",
            failed.message
        );
        assert!(began.elapsed() < Duration::from_secs(4), "{call}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_cancels_every_phase_within_a_second() {
    for (call, ..) in HANGING {
        let bench = hanging(call, SpawnerConfig::default());
        let stop = async {
            bench.until(|phase| !phase.is_stopped()).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            let began = Instant::now();
            bench.handle.stop(StopMode::Graceful).await.unwrap();
            began.elapsed()
        };
        let (started, took) = tokio::join!(bench.start(), stop);
        assert!(took < Duration::from_secs(1), "{call}: {took:?}");
        assert!(matches!(started, Err(StartError::Failed(o)) if o.ending == Ending::Stopped));
        assert!(!bench.world.alive() && bench.handle.phase().is_stopped());
        assert_eq!(bench.world.count("post_stop_hook stopped"), 1, "{call}");
        assert_eq!(bench.fired(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_the_look_into_a_failure() {
    for call in ["poll", "log_tail"] {
        let bench = hanging(call, SpawnerConfig::default());
        bench.world.set_trap("check_listener", Trap::Panics, 1);
        let stop = async {
            bench
                .until(|phase| matches!(phase, Phase::Waiting { .. }))
                .await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let began = Instant::now();
            bench.handle.stop(StopMode::Now).await.unwrap();
            began.elapsed()
        };
        let (failed, took) = tokio::join!(bench.start(), stop);
        assert!(
            failure(failed)
                .message
                .contains("`check_listener` panicked")
        );
        assert!(took < Duration::from_secs(1), "{call}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_is_given_up_and_made_again() {
    let bench = hanging("probe", SpawnerConfig::default());
    bench.world.set_trap("probe", Trap::Hangs, 3);
    let began = Instant::now();
    bench.start().await.unwrap();
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(6) && took < Duration::from_secs(7),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn progress_replays_from_the_beginning_to_every_viewer() {
    let bench = bench(Setup::default());
    bench.start().await.unwrap();
    let log = bench.handle.progress().unwrap();
    let mut viewers = [log.read(), bench.handle.progress().unwrap().read()];
    for viewer in &mut viewers {
        for expected in log.events() {
            assert_eq!(viewer.next().await, Some(expected));
        }
        assert_eq!(viewer.next().await, None);
    }
    let first = ProgressEvent::Step {
        percent: 0,
        message: "Server requested".into(),
    };
    assert_eq!(log.events().first(), Some(&first));
}
