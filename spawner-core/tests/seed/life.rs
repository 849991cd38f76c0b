//! The names around a server's life: timeouts, polling, callbacks, state.

use spawner_core::{
    Denied, Ending, ExitStatus, Phase, PollStatus, Saved, SpawnerConfig, SpawnerState, StartError,
    StartPhase, StopMode,
};
use tokio::time::Instant;

use crate::play::{Fault, Show, context, on_the_second, seconds};

async fn failed_in(config: SpawnerConfig, fault: Fault) -> (StartPhase, u64) {
    let show = Show::new(config, fault);
    let began = Instant::now();
    let Err(StartError::Failed(outcome)) = show.server.start(context()).await else {
        panic!("it started");
    };
    let Ending::Failed(failure) = &outcome.ending else {
        panic!("{outcome:?}");
    };
    (failure.phase, began.elapsed().as_secs())
}

/// The seed's `start_timeout`: for `start` to return, 60 s.
#[tokio::test(start_paused = true)]
async fn start_timeout() {
    let failed = failed_in(SpawnerConfig::default(), Fault::StartHangs).await;
    assert_eq!(failed, (StartPhase::Launching, 60));
    let config = SpawnerConfig {
        start_timeout: seconds(5),
        ..SpawnerConfig::default()
    };
    assert_eq!(failed_in(config, Fault::StartHangs).await.1, 5);
}

/// The seed's `http_timeout`: for the server to answer after that, 30 s.
#[tokio::test(start_paused = true)]
async fn http_timeout() {
    let failed = failed_in(SpawnerConfig::default(), Fault::NeverAnswers).await;
    assert_eq!(failed, (StartPhase::Waiting, 30));
    let config = SpawnerConfig {
        http_timeout: seconds(3),
        ..SpawnerConfig::default()
    };
    assert_eq!(failed_in(config, Fault::NeverAnswers).await.1, 3);
}

/// The seed's `poll_interval`: 30 s; nothing or less is off. A `Duration` cannot be less.
#[tokio::test(start_paused = true)]
async fn poll_interval() {
    let show = Show::new(on_the_second(), Fault::None);
    show.server.start(context()).await.unwrap();
    let before = show.stage.lock().unwrap().polls;
    tokio::time::sleep(seconds(95)).await;
    assert_eq!(show.stage.lock().unwrap().polls - before, 3);

    let off = SpawnerConfig {
        poll_interval: seconds(0),
        ..SpawnerConfig::default()
    };
    let show = Show::new(off, Fault::None);
    show.server.start(context()).await.unwrap();
    let before = show.stage.lock().unwrap().polls;
    tokio::time::sleep(seconds(86_400)).await;
    assert_eq!(show.stage.lock().unwrap().polls, before);
}

/// The seed's `add_poll_callback`: fires when an end is noticed, not on an explicit stop. The
/// callbacks stay registered.
#[tokio::test(start_paused = true)]
async fn add_poll_callback() {
    let show = Show::new(on_the_second(), Fault::None);
    let fired = show.count_callbacks();
    for expected in 1..=2 {
        show.server.start(context()).await.unwrap();
        show.ends(ExitStatus::Code(1));
        assert!(show.server.wait_for_death(seconds(40)).await);
        show.server.poll().await.unwrap();
        assert_eq!(*fired.lock().unwrap(), expected);
    }
    show.server.start(context()).await.unwrap();
    show.server.stop(StopMode::Graceful).await.unwrap();
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(*fired.lock().unwrap(), 2);
}

/// The seed's `start_polling` and `stop_polling`.
#[tokio::test(start_paused = true)]
async fn start_polling_and_stop_polling() {
    let show = Show::new(on_the_second(), Fault::None);
    show.server.start(context()).await.unwrap();
    show.server.stop_polling();
    tokio::time::sleep(seconds(1)).await;
    show.ends(ExitStatus::Code(0));
    assert!(!show.server.wait_for_death(seconds(3600)).await);
    show.server.start_polling();
    assert!(show.server.wait_for_death(seconds(31)).await);
}

/// The seed's `poll_and_notify`: a poll now that notifies.
#[tokio::test(start_paused = true)]
async fn poll_and_notify() {
    let show = Show::new(on_the_second(), Fault::None);
    let fired = show.count_callbacks();
    show.server.start(context()).await.unwrap();
    assert_eq!(show.server.poll().await.unwrap(), PollStatus::Running);
    show.ends(ExitStatus::Signal(9));
    let polled = show.server.poll().await.unwrap();
    assert_eq!(polled, PollStatus::Exited(ExitStatus::Signal(9)));
    show.server.poll().await.unwrap();
    assert_eq!(*fired.lock().unwrap(), 1, "once for each end");
}

/// The seed's `wait_for_death`: up to so many seconds.
#[tokio::test(start_paused = true)]
async fn wait_for_death() {
    let show = Show::new(on_the_second(), Fault::None);
    assert!(show.server.wait_for_death(seconds(0)).await, "nothing runs");
    show.server.start(context()).await.unwrap();
    let began = Instant::now();
    assert!(!show.server.wait_for_death(seconds(10)).await);
    assert_eq!(began.elapsed(), seconds(10));
    show.server.stop(StopMode::Now).await.unwrap();
    assert!(show.server.wait_for_death(seconds(0)).await);
}

/// The seed's `poll` of what was never started: an exit status, 0 if unknown.
#[tokio::test(start_paused = true)]
async fn poll_before_a_start() {
    let show = Show::new(on_the_second(), Fault::None);
    let PollStatus::Exited(status) = show.server.poll().await.unwrap() else {
        panic!("nothing was started");
    };
    assert_eq!(status.as_i32(), 0);
}

/// The seed's `get_state`, `load_state` and `clear_state`.
#[tokio::test(start_paused = true)]
async fn get_state_load_state_and_clear_state() {
    let show = Show::new(on_the_second(), Fault::None);
    show.stage.lock().unwrap().running = true;
    let state = SpawnerState::pack(1, &serde_json::json!({"pid": 7}));
    let mut saved = Saved::new(context().launch_id, state.clone(), "/user/tee/".into());
    saved.ready = true;
    saved.endpoint = Some(context().listen.unwrap().local_endpoint());
    show.server.recover(saved).await.unwrap();
    let running = |phase: &Phase| matches!(phase, Phase::Running { .. });
    show.server.watch().wait_for(running).await.unwrap();
    assert_eq!(show.stage.lock().unwrap().loaded, Some(state));
    assert_eq!(show.stage.lock().unwrap().cleared, 0);
    show.server.stop(StopMode::Graceful).await.unwrap();
    assert_eq!(show.stage.lock().unwrap().cleared, 1, "when it stops");
}

/// JupyterHub's `consecutive_failure_limit`, here of one server.
#[tokio::test(start_paused = true)]
async fn consecutive_failure_limit() {
    let config = SpawnerConfig {
        consecutive_failure_limit: 2,
        ..SpawnerConfig::default()
    };
    let show = Show::new(config, Fault::StartFails);
    for _ in 0..2 {
        let failed = show.server.start(context()).await;
        assert!(matches!(failed, Err(StartError::Failed(_))));
    }
    let denied = show.server.start(context()).await;
    assert!(matches!(
        denied,
        Err(StartError::Denied(Denied::FailsRepeatedly {
            failures: 2,
            ..
        }))
    ));
}

/// JupyterHub's `poll_jitter`.
#[tokio::test(start_paused = true)]
async fn poll_jitter() {
    assert!((SpawnerConfig::default().poll_jitter - 0.1).abs() < f64::EPSILON);
    let config = SpawnerConfig {
        poll_jitter: 1.0,
        ..SpawnerConfig::default()
    };
    let mut polled = Vec::new();
    for _ in 0..20 {
        let show = Show::new(config.clone(), Fault::None);
        show.server.start(context()).await.unwrap();
        show.ends(ExitStatus::Code(0));
        let began = Instant::now();
        assert!(show.server.wait_for_death(seconds(46)).await);
        polled.push(began.elapsed());
    }
    assert!(polled.iter().all(|after| *after >= seconds(15)));
    polled.sort();
    polled.dedup();
    assert!(polled.len() > 1, "all came at once: {polled:?}");
}

/// JupyterHub's `progress`: from 0 to what the hub alone says.
#[tokio::test(start_paused = true)]
async fn progress() {
    let show = Show::new(on_the_second(), Fault::None);
    assert!(show.server.progress().is_none());
    show.server.start(context()).await.unwrap();
    let events = show.server.progress().unwrap().events();
    assert!(events.last().unwrap().is_last());
    assert_eq!(events.iter().filter(|event| event.is_last()).count(), 1);
}
