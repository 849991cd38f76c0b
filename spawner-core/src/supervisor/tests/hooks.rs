//! `pre_spawn_hook` and `post_stop_hook`.

use super::*;

fn hooked() -> Bench {
    bench(Setup {
        hooks: true,
        ..Setup::default()
    })
}

#[tokio::test(start_paused = true)]
async fn hooks_run_around_a_run() {
    let bench = hooked();
    bench.start().await.unwrap();
    let (_, env) = bench.world.launches.lock().unwrap()[0].clone();
    assert_eq!(
        env.get("HOOKED"),
        Some("1"),
        "it may change what is started"
    );
    bench.handle.stop(StopMode::Graceful).await.unwrap();
    let log = bench.world.log();
    let at = |what| log.iter().position(|entry| entry == what).unwrap();
    assert!(at("book starting") < at("pre_spawn_hook"));
    assert!(at("pre_spawn_hook") < at("start"));
    assert!(at("stop Graceful") < at("post_stop_hook stopped"));
    assert!(at("post_stop_hook stopped") < at("clear_state"));
    assert!(
        at("clear_state") < at("book stopped"),
        "its error is only logged"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pre_spawn_hook_that_fails_fails_the_start() {
    let bench = hooked();
    let failed = failure(bench.start_with(serde_json::json!({"refuse": 1})).await);
    assert_eq!(failed.phase, StartPhase::Hooks);
    assert_eq!(failed.message, "There is no home for you.");
    assert!(!bench.world.saw("start"));
    assert!(
        bench.world.saw("post_stop_hook failed"),
        "also after a failed start"
    );
}

#[tokio::test(start_paused = true)]
async fn the_post_stop_hook_runs_when_a_server_ended_by_itself() {
    let bench = hooked();
    bench.start().await.unwrap();
    bench.world.end(ExitStatus::Code(1));
    bench.stopped().await;
    assert_eq!(bench.world.count("post_stop_hook exited"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_post_stop_hook_that_hangs_is_left_behind() {
    let bench = hooked();
    bench.world.set_trap("post_stop_hook", Trap::Hangs, 2);
    bench.start().await.unwrap();
    let began = Instant::now();
    bench.handle.stop(StopMode::Graceful).await.unwrap();
    assert_eq!(began.elapsed(), SpawnerConfig::default().hook_timeout);
    assert!(bench.world.saw("book stopped"));

    bench.start().await.unwrap();
    let urgent = async {
        bench
            .until(|phase| matches!(phase, Phase::Stopping { .. }))
            .await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        bench.handle.stop(StopMode::Now).await
    };
    let began = Instant::now();
    let (patient, urgent) = tokio::join!(bench.handle.stop(StopMode::Graceful), urgent);
    patient.and(urgent).unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(3));
}
