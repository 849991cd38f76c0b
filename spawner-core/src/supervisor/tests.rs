//! The owner task under simulated time, with a spawner that does what a test scripts.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::*;
use crate::context::tests::context;
use crate::{
    BoxError, Ending, Endpoint, ExitStatus, Journal, Launch, LaunchId, Outcome, PollStatus,
    ProgressEvent, ServerId, SpawnContext, SpawnError, SpawnErrorKind, Spawner, SpawnerConfig,
    SpawnerState, StartPhase, StateError, StopMode,
};

/// The pretend world that a scripted spawner acts on and a test looks at.
#[derive(Debug, Default)]
struct World {
    /// Whether the server lives, and how it ended.
    status: Mutex<Option<PollStatus>>,
    ended: Notify,
    /// What the next polls say before the truth is told again.
    polls: Mutex<VecDeque<Result<PollStatus, &'static str>>>,
    /// Failures that the next stops meet.
    failing_stops: AtomicUsize,
    /// How long a graceful stop takes.
    stop_takes: Mutex<Duration>,
    /// What happened, in order.
    log: Mutex<Vec<String>>,
}

impl World {
    fn note(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push(what.into());
    }
    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
    fn saw(&self, what: &str) -> bool {
        self.log.lock().unwrap().iter().any(|entry| entry == what)
    }
    fn set(&self, status: PollStatus) {
        *self.status.lock().unwrap() = Some(status);
        if let PollStatus::Exited(_) = status {
            self.ended.notify_waiters();
        }
    }
    fn end(&self, status: ExitStatus) {
        self.set(PollStatus::Exited(status));
    }
    fn alive(&self) -> bool {
        *self.status.lock().unwrap() == Some(PollStatus::Running)
    }
}

/// What a scripted start does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Script {
    Works,
    Fails,
    Hangs,
    HangsUntilCancelled,
}

#[derive(Debug)]
struct Scripted {
    world: Arc<World>,
    config: SpawnerConfig,
    script: Script,
    hears: bool,
}

fn endpoint() -> Endpoint {
    Endpoint::Tcp {
        host: "there".into(),
        port: 1,
    }
}

#[async_trait]
impl Spawner for Scripted {
    fn config(&self) -> &SpawnerConfig {
        &self.config
    }
    async fn start(&mut self, launch: Launch) -> Result<Endpoint, SpawnError> {
        self.world.note("start");
        launch.report(20, "scripted");
        match self.script {
            Script::Works => {}
            Script::Fails => {
                return Err(SpawnError::new(
                    SpawnErrorKind::NotFound,
                    "There is no such program.",
                ));
            }
            Script::Hangs => std::future::pending().await,
            Script::HangsUntilCancelled => {
                launch.cancelled().await;
                self.world.note("cancelled");
                return Err(SpawnError::cancelled());
            }
        }
        self.world.set(PollStatus::Running);
        launch.checkpoint(&self.get_state()).await?;
        Ok(endpoint())
    }
    async fn stop(&mut self, mode: StopMode) -> Result<(), SpawnError> {
        self.world.note(format!("stop {mode:?}"));
        let failing = &self.world.failing_stops;
        if failing
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
            .is_ok()
        {
            return Err(SpawnError::new(
                SpawnErrorKind::StillAlive,
                "It does not end.",
            ));
        }
        if mode == StopMode::Graceful {
            let takes = *self.world.stop_takes.lock().unwrap();
            tokio::time::sleep(takes).await;
        }
        if self.world.alive() {
            self.world.end(ExitStatus::Signal(15));
        }
        Ok(())
    }
    async fn poll(&mut self) -> Result<PollStatus, SpawnError> {
        if let Some(scripted) = self.world.polls.lock().unwrap().pop_front() {
            return scripted.map_err(SpawnError::other);
        }
        let status = *self.world.status.lock().unwrap();
        Ok(status.unwrap_or(PollStatus::Exited(ExitStatus::Unknown)))
    }
    async fn exited(&mut self) -> ExitStatus {
        if !self.hears {
            std::future::pending::<()>().await;
        }
        loop {
            let ended = self.world.ended.notified();
            if let Some(PollStatus::Exited(status)) = *self.world.status.lock().unwrap() {
                return status;
            }
            ended.await;
        }
    }
    fn get_state(&self) -> SpawnerState {
        SpawnerState {
            version: 1,
            data: serde_json::Map::from_iter([("id".into(), 7.into())]),
        }
    }
    fn load_state(&mut self, state: &SpawnerState) -> Result<(), StateError> {
        if state.version == 1 {
            Ok(())
        } else {
            Err(StateError::Invalid("no".into()))
        }
    }
    fn clear_state(&mut self) {
        self.world.note("clear_state");
    }
    async fn log_tail(&self, _: usize) -> Vec<String> {
        vec!["last words".into()]
    }
}

/// Books that write into the world's log, and can be made to fail.
#[derive(Debug)]
struct Books(Arc<World>, Mutex<Option<&'static str>>);

impl Books {
    fn entry(&self, what: &'static str) -> Result<(), BoxError> {
        self.0.note(format!("book {what}"));
        if *self.1.lock().unwrap() == Some(what) {
            Err("disk full".into())
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl Journal for Books {
    async fn starting(&self, _: &SpawnContext) -> Result<(), BoxError> {
        self.entry("starting")
    }
    async fn checkpoint(
        &self,
        _: &ServerId,
        _: &LaunchId,
        _: &SpawnerState,
    ) -> Result<(), BoxError> {
        self.entry("checkpoint")
    }
    async fn ready(
        &self,
        _: &ServerId,
        _: &LaunchId,
        _: &Endpoint,
        _: &SpawnerState,
    ) -> Result<(), BoxError> {
        self.entry("ready")
    }
    async fn stopping(&self, _: &ServerId, _: &LaunchId) -> Result<(), BoxError> {
        self.entry("stopping")
    }
    async fn stopped(&self, _: &ServerId, _: &LaunchId, _: &Outcome) -> Result<(), BoxError> {
        self.entry("stopped")
    }
}

/// Answers after a while, or never.
#[derive(Debug)]
struct After(Option<Duration>);

#[async_trait]
impl Probe for After {
    async fn answers(&self, _: &Endpoint, path: &str) -> Result<(), BoxError> {
        assert_eq!(path, "/user/tee/api");
        match self.0 {
            Some(wait) => tokio::time::sleep(wait).await,
            None => std::future::pending().await,
        }
        Ok(())
    }
}

struct Bench {
    world: Arc<World>,
    handle: ServerHandle,
    fired: Arc<AtomicUsize>,
    books: Arc<Books>,
    tasks: JoinSet<()>,
}

struct Setup {
    script: Script,
    hears: bool,
    answers: Option<Duration>,
    config: SpawnerConfig,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            script: Script::Works,
            hears: true,
            answers: Some(Duration::from_millis(1)),
            config: SpawnerConfig::default(),
        }
    }
}

fn bench(setup: Setup) -> Bench {
    let world = Arc::new(World::default());
    let Setup {
        script,
        hears,
        answers,
        config,
    } = setup;
    let spawner = Scripted {
        world: Arc::clone(&world),
        config,
        script,
        hears,
    };
    let books = Arc::new(Books(Arc::clone(&world), Mutex::new(None)));
    let deps = Deps {
        journal: Arc::clone(&books) as _,
        probe: Arc::new(After(answers)),
    };
    let (handle, task) = supervise(context("tee", "").server, Box::new(spawner), deps);
    let fired = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&fired);
    handle.add_poll_callback(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        async { Ok(()) }
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(task);
    Bench {
        world,
        handle,
        fired,
        books,
        tasks,
    }
}

impl Bench {
    async fn start(&self) -> Result<Endpoint, StartError> {
        self.handle.start(context("tee", "")).await
    }
    async fn until(&self, phase: impl FnMut(&Phase) -> bool) {
        self.handle.watch().wait_for(phase).await.unwrap();
    }
    async fn stopped(&self) -> Arc<Outcome> {
        self.until(|phase| matches!(phase, Phase::Stopped { last: Some(_) }))
            .await;
        let Phase::Stopped { last: Some(last) } = self.handle.phase() else {
            panic!("just was")
        };
        last
    }
    fn fired(&self) -> usize {
        self.fired.load(Ordering::Relaxed)
    }
}

fn failure(result: Result<Endpoint, StartError>) -> crate::Failure {
    match result {
        Err(StartError::Failed(outcome)) => match &outcome.ending {
            Ending::Failed(failure) => failure.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

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
    let bench = bench(Setup {
        hears: false,
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

fn saved(ready: bool) -> Saved {
    let state = SpawnerState {
        version: 1,
        data: serde_json::Map::from_iter([("id".into(), 7.into())]),
    };
    let mut saved = Saved::new(LaunchId::random(), state, "/user/tee/".into());
    saved.ready = ready;
    saved.endpoint = Some(endpoint());
    saved
}

#[tokio::test(start_paused = true)]
async fn a_living_server_is_taken_up_again() {
    let bench = bench(Setup {
        answers: None,
        ..Setup::default()
    });
    bench.world.set(PollStatus::Running);
    // The backend is away for a while: nothing is concluded from that.
    bench.world.polls.lock().unwrap().extend([Err("away"); 4]);
    bench.handle.recover(saved(true)).await.unwrap();
    bench
        .until(|phase| {
            *phase
                == Phase::Running {
                    endpoint: endpoint(),
                }
        })
        .await;
    assert_eq!(
        bench.world.log(),
        ["book ready"],
        "it was not probed, stopped or cleared"
    );
    bench.world.end(ExitStatus::Unknown);
    bench.stopped().await;
    bench.handle.poll().await.unwrap();
    assert_eq!(bench.fired(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_died_meanwhile_is_noticed() {
    let bench = bench(Setup::default());
    bench.world.end(ExitStatus::Unknown);
    bench.handle.recover(saved(true)).await.unwrap();
    assert!(matches!(bench.stopped().await.ending, Ending::Exited(_)));
    bench.handle.poll().await.unwrap();
    assert_eq!(bench.fired(), 1);
    assert!(bench.world.saw("book stopped"));
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_start_goes_on() {
    let bench = bench(Setup::default());
    bench.world.set(PollStatus::Running);
    bench.handle.recover(saved(false)).await.unwrap();
    bench
        .until(|phase| matches!(phase, Phase::Running { .. }))
        .await;
    assert!(bench.world.saw("book ready"));
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_start_that_leads_nowhere_is_a_failed_start() {
    for (alive, endpoint_known) in [(false, true), (true, false)] {
        let bench = bench(Setup::default());
        let status = PollStatus::Exited(ExitStatus::Unknown);
        bench
            .world
            .set(if alive { PollStatus::Running } else { status });
        let mut saved = saved(false);
        saved.endpoint = saved.endpoint.filter(|_| endpoint_known);
        bench.handle.recover(saved).await.unwrap();
        let last = bench.stopped().await;
        assert!(
            matches!(&last.ending, Ending::Failed(failure) if failure.message.contains("restarted"))
        );
        assert!(!bench.world.alive());
        bench.handle.poll().await.unwrap();
        assert_eq!(bench.fired(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_stop_is_carried_out() {
    let bench = bench(Setup::default());
    bench.world.set(PollStatus::Running);
    bench
        .handle
        .recover(Saved {
            stopping: true,
            ..saved(true)
        })
        .await
        .unwrap();
    assert_eq!(bench.stopped().await.ending, Ending::Stopped);
    assert!(!bench.world.alive());
}

#[tokio::test(start_paused = true)]
async fn a_state_that_cannot_be_read_stops_nothing() {
    let bench = bench(Setup::default());
    bench.world.set(PollStatus::Running);
    let mut saved = saved(true);
    saved.state.version = 9;
    bench.handle.recover(saved).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(matches!(bench.handle.phase(), Phase::Unknown { .. }));
    assert!(bench.handle.poll().await.is_err());
    assert_eq!(bench.world.log(), Vec::<String>::new());
    bench
        .handle
        .stop(StopMode::Graceful)
        .await
        .expect("an admin can end it");
    assert!(bench.handle.phase().is_stopped());
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
