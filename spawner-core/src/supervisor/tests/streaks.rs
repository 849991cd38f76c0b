//! `consecutive_failure_limit`: starts that fail in a row are denied for a while.

use super::*;

fn limited(script: Script, limit: u32) -> Bench {
    bench(Setup {
        script,
        config: SpawnerConfig {
            consecutive_failure_limit: limit,
            ..SpawnerConfig::default()
        },
        ..Setup::default()
    })
}

fn denied(result: Result<Endpoint, StartError>) -> Duration {
    match result {
        Err(StartError::Denied(denied @ Denied::FailsRepeatedly { .. })) => {
            denied.retry_after().unwrap()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn after_so_many_failures_starts_are_denied_for_a_while() {
    let bench = limited(Script::Works, 2);
    for _ in 0..2 {
        bench.world.set_trap("start", Trap::Panics, 1);
        failure(bench.start().await);
    }
    let wait = denied(bench.start().await);
    assert_eq!(wait, Duration::from_secs(30));
    assert_eq!(bench.world.count("start"), 2, "nothing was begun");
    assert!(bench.handle.phase().is_stopped());
    // One trial is let through; it fails, and the pause grows.
    tokio::time::sleep(wait).await;
    bench.world.set_trap("start", Trap::Panics, 1);
    failure(bench.start().await);
    let wait = denied(bench.start().await);
    assert_eq!(wait, Duration::from_secs(60));
    // A success closes it.
    tokio::time::sleep(wait).await;
    bench.start().await.unwrap();
    bench.handle.stop(StopMode::Now).await.unwrap();
    bench.world.set_trap("start", Trap::Panics, 1);
    failure(bench.start().await);
    bench.start().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn refused_and_cancelled_starts_do_not_count() {
    let bench = limited(Script::Hangs, 1);
    for _ in 0..3 {
        let refused = failure(bench.start_with(serde_json::json!({"size": 1})).await);
        assert!(refused.refused);
        let stop = async {
            bench.until(|phase| *phase == Phase::Starting).await;
            bench.handle.stop(StopMode::Now).await.unwrap();
        };
        let (cancelled, ()) = tokio::join!(bench.start(), stop);
        assert!(matches!(cancelled, Err(StartError::Failed(o)) if o.ending == Ending::Stopped));
    }
    failure(bench.start().await);
    denied(bench.start().await);
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_every_start_is_tried() {
    let bench = limited(Script::Fails, 0);
    for _ in 0..20 {
        failure(bench.start().await);
    }
}
