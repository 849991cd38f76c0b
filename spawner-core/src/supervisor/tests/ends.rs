//! Ends: noticed, polled, asked for; and what cannot be told.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_end_is_heard_and_fires_once_for_each_run() {
    let bench = bench(Setup::default());
    for run in 1..=2 {
        bench.start().await.unwrap();
        bench.world.end(ExitStatus::Code(3));
        let last = bench.stopped().await;
        let Ending::Exited(ended) = &last.ending else {
            panic!("{last:?}")
        };
        assert_eq!(ended.status, ExitStatus::Code(3));
        assert_eq!(ended.log_tail, ["last words"]);
        // The callbacks run after the phase changed; a poll waits for the task to be free again.
        let polled = bench.handle.poll().await.unwrap();
        assert_eq!(polled, PollStatus::Exited(ExitStatus::Code(3)));
        assert_eq!(bench.fired(), run);
    }
    assert!(bench.world.saw("stop Now"), "what is left of it is cleared");
}

#[tokio::test(start_paused = true)]
async fn an_end_is_polled_when_it_cannot_be_heard() {
    let config = SpawnerConfig {
        poll_jitter: 0.0,
        ..SpawnerConfig::default()
    };
    let bench = bench(Setup {
        hears: false,
        config,
        ..Setup::default()
    });
    bench.start().await.unwrap();
    let began = Instant::now();
    bench.world.end(ExitStatus::Signal(9));
    bench.stopped().await;
    assert_eq!(began.elapsed(), SpawnerConfig::default().poll_interval);
    bench.handle.poll().await.unwrap();
    assert_eq!(bench.fired(), 1);
}

#[tokio::test(start_paused = true)]
async fn polling_can_be_off() {
    let config = SpawnerConfig {
        poll_interval: Duration::ZERO,
        ..SpawnerConfig::default()
    };
    let off = bench(Setup {
        hears: false,
        config,
        ..Setup::default()
    });
    let stopped = bench(Setup {
        hears: false,
        ..Setup::default()
    });
    stopped.handle.stop_polling();
    for bench in [off, stopped] {
        bench.start().await.unwrap();
        bench.world.end(ExitStatus::Code(0));
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        assert!(matches!(bench.handle.phase(), Phase::Running { .. }));
        assert_eq!(
            bench.handle.poll().await.unwrap(),
            PollStatus::Exited(ExitStatus::Code(0))
        );
        assert!(bench.handle.wait_for_death(Duration::ZERO).await);
    }
}

#[tokio::test(start_paused = true)]
async fn cannot_tell_is_not_gone() {
    let bench = bench(Setup {
        hears: false,
        ..Setup::default()
    });
    bench.start().await.unwrap();
    bench.world.polls.lock().unwrap().extend([Err("away"); 5]);
    bench
        .until(|phase| matches!(phase, Phase::Unknown { .. }))
        .await;
    assert!(matches!(
        bench.start().await,
        Err(StartError::Denied(Denied::Checking))
    ));
    bench
        .until(|phase| matches!(phase, Phase::Running { .. }))
        .await;
    assert!(bench.world.alive());
    assert_eq!(bench.fired(), 0);
    assert!(!bench.world.saw("clear_state"));
}

#[tokio::test(start_paused = true)]
async fn a_failed_stop_keeps_the_server_and_is_tried_again() {
    let bench = bench(Setup::default());
    bench.start().await.unwrap();
    bench.world.failing_stops.store(3, Ordering::Relaxed);
    let error = bench.handle.stop(StopMode::Graceful).await.unwrap_err();
    assert_eq!(error.kind(), SpawnErrorKind::StillAlive);
    assert_eq!(
        bench.handle.phase(),
        Phase::Stopping {
            mode: StopMode::Graceful
        }
    );
    assert!(!bench.world.saw("clear_state"));
    let began = Instant::now();
    bench.stopped().await;
    assert_eq!(began.elapsed(), Duration::from_secs(1 + 2 + 4));
}

#[tokio::test(start_paused = true)]
async fn now_pre_empts_a_graceful_stop() {
    let bench = bench(Setup::default());
    *bench.world.stop_takes.lock().unwrap() = Duration::from_secs(60);
    bench.start().await.unwrap();
    let began = Instant::now();
    let urgent = async {
        bench
            .until(|phase| matches!(phase, Phase::Stopping { .. }))
            .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.handle.stop(StopMode::Now).await
    };
    let (patient, urgent) = tokio::join!(bench.handle.stop(StopMode::Graceful), urgent);
    patient.and(urgent).unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn callbacks_are_isolated() {
    let bench = bench(Setup::default());
    let later = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&later);
    bench
        .handle
        .add_poll_callback(|_| async { panic!("on purpose") });
    bench
        .handle
        .add_poll_callback(|_| async { Err("on purpose".into()) });
    bench.handle.add_poll_callback(|_| std::future::pending());
    bench.handle.add_poll_callback(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        async { Ok(()) }
    });
    bench.start().await.unwrap();
    bench.world.end(ExitStatus::Code(0));
    bench.stopped().await;
    bench.handle.poll().await.unwrap();
    assert_eq!((bench.fired(), later.load(Ordering::Relaxed)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_handles_leaves_the_server_alone() {
    let mut bench = bench(Setup::default());
    bench.start().await.unwrap();
    drop(bench.handle);
    bench.tasks.join_next().await.unwrap().unwrap();
    assert!(bench.world.alive());
    assert!(!bench.world.saw("stop Now") && !bench.world.saw("stop Graceful"));
}
