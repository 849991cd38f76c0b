//! Starts: what they record, how they fail, how they are cancelled.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_run_from_start_to_stop() {
    let bench = bench(Setup::default());
    assert_eq!(bench.start().await.unwrap(), endpoint());
    assert_eq!(
        bench.handle.phase(),
        Phase::Running {
            endpoint: endpoint()
        }
    );
    bench.handle.stop(StopMode::Graceful).await.unwrap();
    assert_eq!(bench.stopped().await.ending, Ending::Stopped);
    assert_eq!(
        bench.world.log(),
        [
            "book starting",
            "start",
            "book checkpoint",
            "book checkpoint",
            "book ready",
            "book stopping",
            "stop Graceful",
            "clear_state",
            "book stopped"
        ]
    );
    assert_eq!(bench.fired(), 0, "an explicit stop fires no callback");
    let events = bench.handle.progress().unwrap().events();
    assert_eq!(events.last(), Some(&ProgressEvent::Ready));
    assert!(events.contains(&ProgressEvent::Step {
        percent: 20,
        message: "scripted".into()
    }));
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_says_why_and_is_cleared() {
    let bench = bench(Setup {
        script: Script::Fails,
        ..Setup::default()
    });
    let failure = failure(bench.start().await);
    assert_eq!(failure.phase, StartPhase::Launching);
    assert_eq!(failure.message, "There is no such program.");
    assert_eq!(failure.log_tail, ["last words"]);
    assert!(bench.world.saw("stop Now") && bench.world.saw("book stopped"));
    assert_eq!(bench.fired(), 0);
    let events = bench.handle.progress().unwrap().events();
    let last = ProgressEvent::Failed {
        message: "There is no such program.".into(),
    };
    assert_eq!(events.last(), Some(&last));
}

#[tokio::test(start_paused = true)]
async fn why_a_start_failed_is_not_held_back_by_clearing_it() {
    let bench = bench(Setup {
        script: Script::Fails,
        ..Setup::default()
    });
    // As with a backend that is away: 1 s, 2 s and 4 s are between the attempts.
    bench.world.failing_stops.store(3, Ordering::Relaxed);
    let began = Instant::now();
    let failure = failure(bench.start().await);
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    assert_eq!(failure.message, "There is no such program.");
    let events = bench.handle.progress().unwrap().events();
    assert!(events.last().is_some_and(ProgressEvent::is_last));
    // It is in the books, what is left is not forgotten, and nothing is started beside it.
    assert!(bench.world.saw("book failed") && !bench.world.saw("book stopped"));
    let now = StopMode::Now;
    assert_eq!(bench.handle.phase(), Phase::Stopping { mode: now });
    let again = bench.start().await;
    assert!(matches!(again, Err(StartError::Denied(Denied::Stopping))));
    let ended = bench.stopped().await;
    assert_eq!(began.elapsed(), Duration::from_secs(1 + 2 + 4));
    assert!(matches!(&ended.ending, Ending::Failed(told) if *told == failure));
    assert_eq!(bench.world.count("book failed"), 1);
    assert_eq!(bench.world.count("book stopped"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_what_failed_is_answered_when_it_is_true() {
    let bench = bench(Setup {
        script: Script::Fails,
        ..Setup::default()
    });
    bench.world.set_trap("stop", Trap::Hangs, 1);
    failure(bench.start().await);
    let stopped = bench.handle.stop(StopMode::Now);
    // The attempt that hangs is given up after five minutes, and the next one succeeds.
    stopped.await.unwrap_err();
    assert!(matches!(bench.handle.phase(), Phase::Stopping { .. }));
    assert!(matches!(bench.stopped().await.ending, Ending::Failed(_)));
}

#[tokio::test(start_paused = true)]
async fn each_phase_of_a_start_has_its_timeout() {
    let hanging = bench(Setup {
        script: Script::Hangs,
        ..Setup::default()
    });
    let began = Instant::now();
    let failed = failure(hanging.start().await);
    assert_eq!(failed.phase, StartPhase::Launching);
    assert!(
        failed.message.contains("60 s (start_timeout)"),
        "{}",
        failed.message
    );
    assert!(began.elapsed() < Duration::from_secs(62));

    let silent = bench(Setup {
        answers: None,
        ..Setup::default()
    });
    let began = Instant::now();
    let failed = failure(silent.start().await);
    assert_eq!(failed.phase, StartPhase::Waiting);
    assert!(
        failed.message.contains("30 s (http_timeout)"),
        "{}",
        failed.message
    );
    assert!(began.elapsed() < Duration::from_secs(32));
    assert!(!silent.world.alive());
}

#[tokio::test(start_paused = true)]
async fn an_early_exit_ends_the_wait_at_once() {
    for hears in [true, false] {
        let bench = bench(Setup {
            answers: None,
            hears,
            ..Setup::default()
        });
        let began = Instant::now();
        let exit = async {
            bench
                .until(|phase| matches!(phase, Phase::Waiting { .. }))
                .await;
            bench.world.end(ExitStatus::Code(1));
        };
        let failed = failure(tokio::join!(bench.start(), exit).0);
        assert_eq!(failed.phase, StartPhase::Waiting);
        assert_eq!(failed.status, Some(ExitStatus::Code(1)));
        assert!(began.elapsed() <= Duration::from_secs(u64::from(!hears)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_spawner_has_better_words_for_an_early_exit() {
    let status = ExitStatus::Code(127);
    let bench = bench(Setup {
        answers: None,
        ..Setup::default()
    });
    let kind = SpawnErrorKind::Exited(status);
    bench.world.listeners.lock().unwrap().push_back(kind);
    let exit = async {
        bench
            .until(|phase| matches!(phase, Phase::Waiting { .. }))
            .await;
        bench.world.end(status);
    };
    let failed = failure(tokio::join!(bench.start(), exit).0);
    assert_eq!(failed.message, "Somebody else listens there.");
    assert_eq!(failed.status, Some(status));
}

#[tokio::test(start_paused = true)]
async fn a_stop_cancels_a_start_within_a_second() {
    for (script, answers) in [
        (Script::Hangs, None),
        (Script::HangsUntilCancelled, None),
        (Script::Works, None),
    ] {
        let bench = bench(Setup {
            script,
            answers,
            ..Setup::default()
        });
        let stop = async {
            bench.until(|phase| !phase.is_stopped()).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            let began = Instant::now();
            bench.handle.stop(StopMode::Now).await.unwrap();
            began.elapsed()
        };
        let (started, took) = tokio::join!(bench.start(), stop);
        assert!(took < Duration::from_secs(1), "{script:?}: {took:?}");
        assert!(matches!(started, Err(StartError::Failed(o)) if o.ending == Ending::Stopped));
        assert!(!bench.world.alive());
        assert_eq!(
            bench.world.saw("cancelled"),
            script == Script::HangsUntilCancelled
        );
        assert_eq!(bench.fired(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_do_not_fit_are_denied_at_once() {
    let bench = bench(Setup {
        script: Script::Hangs,
        ..Setup::default()
    });
    let second = async {
        bench.until(|phase| *phase == Phase::Starting).await;
        let second = bench.start().await;
        assert!(matches!(
            second,
            Err(StartError::Denied(Denied::AlreadyStarting))
        ));
        assert_eq!(bench.handle.poll().await.unwrap(), PollStatus::Running);
        bench.handle.stop(StopMode::Now).await.unwrap();
    };
    let _ = tokio::join!(bench.start(), second);
    bench
        .handle
        .stop(StopMode::Graceful)
        .await
        .expect("nothing to stop is fine");
}

#[tokio::test(start_paused = true)]
async fn books_that_fail_refuse_a_start_and_a_stop() {
    let bench = bench(Setup::default());
    *bench.books.1.lock().unwrap() = Some("starting");
    assert_eq!(failure(bench.start().await).phase, StartPhase::Preparing);
    assert!(!bench.world.saw("start"), "nothing was made");
    *bench.books.1.lock().unwrap() = Some("checkpoint");
    assert_eq!(failure(bench.start().await).phase, StartPhase::Launching);
    assert!(!bench.world.alive());
    *bench.books.1.lock().unwrap() = None;
    bench.start().await.unwrap();
    *bench.books.1.lock().unwrap() = Some("stopping");
    let error = bench.handle.stop(StopMode::Graceful).await.unwrap_err();
    assert_eq!(error.kind(), SpawnErrorKind::Unavailable);
    assert!(bench.world.alive());
    assert!(matches!(bench.handle.phase(), Phase::Running { .. }));
}

#[tokio::test(start_paused = true)]
async fn what_has_a_budget_of_its_own_does_not_count() {
    let works = bench(Setup {
        script: Script::Prepares { then_hangs: false },
        ..Setup::default()
    });
    assert_eq!(works.start().await.unwrap(), endpoint());

    let hangs = bench(Setup {
        script: Script::Prepares { then_hangs: true },
        ..Setup::default()
    });
    let began = Instant::now();
    let failed = failure(hangs.start().await);
    assert_eq!(failed.phase, StartPhase::Launching);
    assert!(failed.message.contains("60 s (start_timeout)"));
    let took = began.elapsed();
    assert!((360..=362).contains(&took.as_secs()), "{took:?}");
}
