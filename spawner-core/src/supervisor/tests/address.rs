//! Somebody else listens where the server was told to.

use super::*;

fn taken(bench: &Bench, times: usize) {
    let kinds = std::iter::repeat_n(SpawnErrorKind::AddressTaken, times);
    bench.world.listeners.lock().unwrap().extend(kinds);
}

#[tokio::test(start_paused = true)]
async fn another_address_is_tried_with_the_same_launch() {
    let bench = bench(Setup {
        hooks: true,
        ..Setup::default()
    });
    taken(&bench, 2);
    bench.start().await.unwrap();
    let launches = bench.world.launches.lock().unwrap().clone();
    let [first, second, third] = &launches[..] else {
        panic!("{} launches", launches.len())
    };
    for (ctx, env) in [second, third] {
        assert_eq!(ctx.launch_id, first.0.launch_id);
        assert_eq!(ctx.token.expose(), first.0.token.expose());
        assert_ne!(ctx.listen, first.0.listen);
        assert_eq!(env.get("JUPYTERHUB_SERVICE_URL"), Some(&*ctx.service_url()));
        assert_eq!(env.get("HOOKED"), Some("1"));
    }
    assert_eq!(bench.world.count("stop Now"), 2);
    assert_eq!(bench.world.count("book starting"), 1, "it is one run");
    assert_eq!(bench.world.count("book stopped"), 0);
    let said = bench.handle.progress().unwrap().events();
    let said = format!("{said:?}");
    assert!(
        said.contains("(2 of 3)") && said.contains("(3 of 3)"),
        "{said}"
    );
    assert!(matches!(bench.handle.phase(), Phase::Running { .. }));
}

#[tokio::test(start_paused = true)]
async fn three_taken_addresses_fail_the_start() {
    let bench = bench(Setup::default());
    taken(&bench, 3);
    let failed = failure(bench.start().await);
    assert_eq!(failed.phase, StartPhase::Waiting);
    assert_eq!(failed.message, "Somebody else listens there.");
    assert_eq!(bench.world.count("start"), 3);
    assert!(!bench.world.alive());
}

#[tokio::test(start_paused = true)]
async fn all_addresses_share_the_total() {
    let bench = bench(Setup {
        answers: Some(Duration::from_millis(1500)),
        config: SpawnerConfig {
            total_timeout: Some(Duration::from_secs(2)),
            ..SpawnerConfig::default()
        },
        ..Setup::default()
    });
    taken(&bench, 3);
    let failed = failure(bench.start().await);
    assert!(
        failed.message.contains("total_timeout"),
        "{}",
        failed.message
    );
    assert_eq!(bench.world.count("start"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ended_because_its_address_was_taken_gets_another() {
    let bench = bench(Setup {
        answers: None,
        ..Setup::default()
    });
    taken(&bench, 1);
    let run = async {
        bench
            .until(|phase| matches!(phase, Phase::Waiting { .. }))
            .await;
        bench.world.end(ExitStatus::Code(1));
        bench
            .until(|phase| {
                matches!(phase, Phase::Waiting { .. }) && bench.world.count("start") == 2
            })
            .await;
        bench.world.end(ExitStatus::Code(2));
    };
    let failed = failure(tokio::join!(bench.start(), run).0);
    assert_eq!(bench.world.count("start"), 2);
    assert_eq!(failed.status, Some(ExitStatus::Code(2)), "its own end");
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_cannot_be_told_fails_the_start() {
    let bench = bench(Setup::default());
    let kinds = [SpawnErrorKind::Unavailable];
    bench.world.listeners.lock().unwrap().extend(kinds);
    let failed = failure(bench.start().await);
    assert_eq!(failed.phase, StartPhase::Waiting);
    assert_eq!(bench.world.count("start"), 1);
    assert!(
        !bench.world.saw("book ready"),
        "nothing was routed to a stranger"
    );
}

#[tokio::test(start_paused = true)]
async fn an_address_that_cannot_be_left_fails_the_start() {
    let bench = bench(Setup::default());
    taken(&bench, 1);
    bench.world.failing_stops.store(2, Ordering::Relaxed);
    let failed = failure(bench.start().await);
    assert_eq!(failed.message, "It does not end.");
    assert_eq!(bench.world.count("start"), 1, "never two at once");
    assert!(!bench.world.alive());
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_an_address_is_left_ends_the_start() {
    let bench = bench(Setup::default());
    taken(&bench, 1);
    bench.world.set_trap("stop", Trap::Hangs, 1);
    let stop = async {
        bench
            .until(|phase| matches!(phase, Phase::Waiting { .. }))
            .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        bench.handle.stop(StopMode::Now).await.unwrap();
        began.elapsed()
    };
    let (started, took) = tokio::join!(bench.start(), stop);
    assert!(took < Duration::from_secs(1));
    assert!(matches!(started, Err(StartError::Failed(o)) if o.ending == Ending::Stopped));
    assert!(!bench.world.alive());
}
