//! The owner task under simulated time, with a spawner that does what a test scripts.

mod address;
mod budgets;
mod day;
mod ends;
mod hooks;
mod panics;
mod recovery;
mod schedules;
mod starts;
mod streaks;

use std::collections::{BTreeMap, VecDeque};
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
    BoxError, Ending, Endpoint, Env, ExitStatus, Journal, Launch, LaunchId, ListenOn, OptionsError,
    Outcome, PollStatus, ProgressEvent, ServerId, SpawnContext, SpawnError, SpawnErrorKind,
    SpawnHooks, Spawner, SpawnerConfig, SpawnerState, StartPhase, StateError, StopMode,
    UserOptions, base_args, base_env,
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
    /// Who the next looks at the listener see, before it is the server's own.
    listeners: Mutex<VecDeque<SpawnErrorKind>>,
    /// Calls that go wrong, by name, and how often they still do.
    traps: Mutex<BTreeMap<&'static str, (Trap, usize)>>,
    /// What was started, in order.
    launches: Mutex<Vec<(SpawnContext, Env)>>,
    /// What happened, in order.
    log: Mutex<Vec<String>>,
}

/// What a call does instead of what it should.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trap {
    Panics,
    Hangs,
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
    fn count(&self, what: &str) -> usize {
        self.log().iter().filter(|entry| *entry == what).count()
    }
    fn set_trap(&self, call: &'static str, trap: Trap, times: usize) {
        self.traps.lock().unwrap().insert(call, (trap, times));
    }
    /// Where a call begins that may have been trapped.
    async fn enter(&self, call: &'static str) {
        if self.enter_sync(call) {
            std::future::pending::<()>().await;
        }
    }
    fn enter_sync(&self, call: &'static str) -> bool {
        let trap = match self.traps.lock().unwrap().get_mut(call) {
            Some((trap, left)) if *left > 0 => {
                *left -= 1;
                *trap
            }
            _ => return false,
        };
        assert!(trap != Trap::Panics, "{call} panics on purpose");
        true
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
    /// Spends five minutes that do not count, then works, or hangs if it says so.
    Prepares {
        then_hangs: bool,
    },
}

#[derive(Debug)]
struct Scripted {
    world: Arc<World>,
    config: SpawnerConfig,
    script: Script,
    hears: bool,
    port: u16,
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
        self.world.enter_sync("config");
        &self.config
    }
    async fn listen_on(&mut self, _: &SpawnContext) -> Result<ListenOn, SpawnError> {
        self.world.enter("listen_on").await;
        self.port += 1;
        Ok(ListenOn::Tcp {
            ip: None,
            port: self.port,
        })
    }
    async fn endpoint(&mut self) -> Result<Option<Endpoint>, SpawnError> {
        self.world.enter("endpoint").await;
        Ok(None)
    }
    async fn check_listener(&mut self, _: &Endpoint) -> Result<(), SpawnError> {
        self.world.enter("check_listener").await;
        match self.world.listeners.lock().unwrap().pop_front() {
            None => Ok(()),
            Some(kind) => Err(SpawnError::new(kind, "Somebody else listens there.")),
        }
    }
    fn get_env(&self, ctx: &SpawnContext) -> Env {
        self.world.enter_sync("get_env");
        base_env(&self.config, ctx)
    }
    fn get_args(&self, ctx: &SpawnContext) -> Vec<String> {
        self.world.enter_sync("get_args");
        base_args(&self.config, ctx)
    }
    fn check_options(&self, options: &UserOptions) -> Result<(), OptionsError> {
        self.world.enter_sync("check_options");
        options.text("size").map(drop)
    }
    fn check_limits(&self) -> Result<(), SpawnError> {
        self.world.enter_sync("check_limits");
        Ok(())
    }
    async fn start(&mut self, launch: Launch) -> Result<Endpoint, SpawnError> {
        self.world.note("start");
        self.world
            .launches
            .lock()
            .unwrap()
            .push((launch.ctx.clone(), launch.env.clone()));
        self.world.enter("start").await;
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
            Script::Prepares { then_hangs } => {
                let work = tokio::time::sleep(Duration::from_mins(5));
                launch.with_budget(Duration::from_mins(10), work).await;
                if then_hangs {
                    std::future::pending::<()>().await;
                }
            }
        }
        self.world.set(PollStatus::Running);
        launch.checkpoint(&self.get_state()).await?;
        Ok(endpoint())
    }
    async fn stop(&mut self, mode: StopMode) -> Result<(), SpawnError> {
        self.world.note(format!("stop {mode:?}"));
        self.world.enter("stop").await;
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
        self.world.enter("poll").await;
        if let Some(scripted) = self.world.polls.lock().unwrap().pop_front() {
            return scripted.map_err(SpawnError::other);
        }
        let status = *self.world.status.lock().unwrap();
        Ok(status.unwrap_or(PollStatus::Exited(ExitStatus::Unknown)))
    }
    async fn exited(&mut self) -> ExitStatus {
        self.world.enter("exited").await;
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
        self.world.enter_sync("get_state");
        SpawnerState {
            version: 1,
            data: serde_json::Map::from_iter([("id".into(), 7.into())]),
        }
    }
    fn load_state(&mut self, state: &SpawnerState) -> Result<(), StateError> {
        self.world.enter_sync("load_state");
        if state.version == 1 {
            Ok(())
        } else {
            Err(StateError::Invalid("no".into()))
        }
    }
    fn clear_state(&mut self) {
        self.world.note("clear_state");
        self.world.enter_sync("clear_state");
    }
    async fn log_tail(&self, _: usize) -> Vec<String> {
        self.world.enter("log_tail").await;
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
        self.0.enter("book starting").await;
        self.entry("starting")
    }
    async fn checkpoint(
        &self,
        _: &ServerId,
        _: &LaunchId,
        _: &SpawnerState,
    ) -> Result<(), BoxError> {
        self.0.enter("book checkpoint").await;
        self.entry("checkpoint")
    }
    async fn ready(
        &self,
        _: &ServerId,
        _: &LaunchId,
        _: &Endpoint,
        _: &SpawnerState,
    ) -> Result<(), BoxError> {
        self.0.enter("book ready").await;
        self.entry("ready")
    }
    async fn stopping(&self, _: &ServerId, _: &LaunchId) -> Result<(), BoxError> {
        self.0.enter("book stopping").await;
        self.entry("stopping")
    }
    async fn failed(&self, _: &ServerId, _: &LaunchId, _: &Outcome) -> Result<(), BoxError> {
        self.0.enter("book failed").await;
        self.entry("failed")
    }
    async fn stopped(&self, _: &ServerId, _: &LaunchId, _: &Outcome) -> Result<(), BoxError> {
        self.0.enter("book stopped").await;
        self.entry("stopped")
    }
}

/// Answers after a while, or never.
#[derive(Debug)]
struct After(Option<Duration>, Arc<World>);

#[async_trait]
impl Probe for After {
    async fn answers(&self, _: &Endpoint, path: &str) -> Result<(), BoxError> {
        assert_eq!(path, "/user/tee/api");
        self.1.enter("probe").await;
        match self.0 {
            Some(wait) => tokio::time::sleep(wait).await,
            None => std::future::pending().await,
        }
        Ok(())
    }
}

/// Hooks that write into the world's log.
#[derive(Debug)]
struct Hooks(Arc<World>);

#[async_trait]
impl SpawnHooks for Hooks {
    async fn pre_spawn_hook(&self, launch: &mut Launch) -> Result<(), SpawnError> {
        self.0.note("pre_spawn_hook");
        self.0.enter("pre_spawn_hook").await;
        launch.env.set("HOOKED", "1");
        match launch.ctx.options.get("refuse") {
            None => Ok(()),
            Some(_) => Err(SpawnError::other("There is no home for you.")),
        }
    }
    async fn post_stop_hook(&self, server: &ServerId, outcome: &Outcome) -> Result<(), BoxError> {
        assert_eq!(server.to_string(), "tee");
        self.0.note(match outcome.ending {
            Ending::Stopped => "post_stop_hook stopped",
            Ending::Exited(_) => "post_stop_hook exited",
            Ending::Failed(_) => "post_stop_hook failed",
        });
        self.0.enter("post_stop_hook").await;
        Err("logged, no more".into())
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
    hooks: bool,
    config: SpawnerConfig,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            script: Script::Works,
            hears: true,
            answers: Some(Duration::from_millis(1)),
            hooks: false,
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
        hooks,
        mut config,
    } = setup;
    if hooks {
        config.hooks = Some(Arc::new(Hooks(Arc::clone(&world))));
    }
    let spawner = Scripted {
        world: Arc::clone(&world),
        config,
        script,
        hears,
        port: 0,
    };
    let books = Arc::new(Books(Arc::clone(&world), Mutex::new(None)));
    let deps = Deps {
        journal: Arc::clone(&books) as _,
        probe: Arc::new(After(answers, Arc::clone(&world))),
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
    async fn start_with(&self, options: serde_json::Value) -> Result<Endpoint, StartError> {
        let mut ctx = context("tee", "");
        ctx.options = serde_json::from_value(options).unwrap();
        self.handle.start(ctx).await
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
