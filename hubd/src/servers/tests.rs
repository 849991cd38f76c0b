//! Servers over an empty store, with a spawner whose servers live in this process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;
use spawner_core::{
    Ending, Endpoint, ExitStatus, Found, HubUrls, Known, Launch, LaunchId, Outcome, PollStatus,
    ServerId, ServerName, SpawnError, SpawnErrorKind, Spawner, SpawnerConfig, SpawnerFactory,
    SpawnerState, StateError, StopMode, UserName, UserOptions,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::*;
use crate::metrics::Metrics;
use crate::store::{Digest, Server, ServerRowId, Stage, Store, User, UserId};
use crate::tasks::Tasks;

mod reap;

const PATIENCE: Duration = Duration::from_secs(60);

/// Where the pretend servers live, so that they outlive a pretend hub.
#[derive(Debug, Default)]
struct World {
    alive: watch::Sender<HashMap<u64, (AbortHandle, Endpoint)>>,
    /// Whose each of them is.
    marks: watch::Sender<HashMap<u64, Known>>,
    /// How many looks for what is left were begun.
    looks: watch::Sender<usize>,
    /// Up to which of them looks are answered.
    answered: watch::Sender<usize>,
    /// How many of them fail.
    blind: AtomicUsize,
    made: AtomicUsize,
    tokens: Mutex<Vec<String>>,
}

impl World {
    /// An empty one, in which looks are answered at once.
    fn new() -> Self {
        let world = Self::default();
        world.answered.send_replace(usize::MAX);
        world
    }
    fn end_all(&self) {
        for (_, (task, _)) in self.alive.send_replace(HashMap::new()) {
            task.abort();
        }
    }
    fn count(&self) -> usize {
        self.alive.borrow().len()
    }
}

fn state_of(id: Option<u64>) -> SpawnerState {
    SpawnerState {
        version: 1,
        data: serde_json::Map::from_iter([("id".into(), json!(id))]),
    }
}

#[derive(Debug)]
struct Pretend {
    world: Arc<World>,
    tasks: Tasks,
    config: SpawnerConfig,
    id: Option<u64>,
}

struct Pretends {
    world: Arc<World>,
    tasks: Tasks,
}

#[async_trait]
impl SpawnerFactory for Pretends {
    fn create(&self, _: &ServerId) -> Box<dyn Spawner> {
        Box::new(Pretend {
            world: Arc::clone(&self.world),
            tasks: self.tasks.clone(),
            config: SpawnerConfig::default(),
            id: None,
        })
    }
    async fn reap(&self, known: &[Known]) -> Result<Vec<Found>, SpawnError> {
        let world = &self.world;
        let alive: Vec<u64> = world.alive.borrow().keys().copied().collect();
        let mut look = 0;
        world.looks.send_modify(|looks| {
            *looks += 1;
            look = *looks;
        });
        let mut answered = world.answered.subscribe();
        let _ = answered.wait_for(|answered| *answered >= look).await;
        let blind = |left: usize| left.checked_sub(1);
        if (world.blind)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, blind)
            .is_ok()
        {
            return Err(SpawnError::other("It is dark."));
        }
        let marks = world.marks.borrow();
        let found = alive.iter().filter(|id| !known.contains(&marks[id]));
        let found = found.map(|id| Found {
            server: marks[id].server.clone(),
            launch_id: marks[id].launch_id.clone(),
            state: state_of(Some(*id)),
        });
        Ok(found.collect())
    }
}

/// Answers every request with an empty 200.
async fn answer(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut head = [0; 1024];
        let _ = stream.read(&mut head).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await;
    }
}

#[async_trait]
impl Spawner for Pretend {
    fn config(&self) -> &SpawnerConfig {
        &self.config
    }
    async fn start(&mut self, launch: Launch) -> Result<Endpoint, SpawnError> {
        if launch.ctx.options.get("fail").is_some() {
            return Err(SpawnError::new(
                SpawnErrorKind::NotFound,
                "There is no such thing.",
            ));
        }
        if launch.ctx.options.get("hang").is_some() {
            launch.cancelled().await;
            return Err(SpawnError::cancelled());
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let endpoint = Endpoint::Tcp {
            host: "127.0.0.1".into(),
            port,
        };
        let id = self.world.made.fetch_add(1, Ordering::Relaxed) as u64 + 1;
        self.world
            .tokens
            .lock()
            .unwrap()
            .push(launch.ctx.token.expose().to_owned());
        let (sender, handle) = tokio::sync::oneshot::channel();
        self.tasks.spawn("pretend", async move {
            let mut set = tokio::task::JoinSet::new();
            let _ = sender.send(set.spawn(answer(listener)));
            set.join_next().await;
        });
        let entry = (handle.await.unwrap(), endpoint.clone());
        self.world.alive.send_modify(|alive| {
            alive.insert(id, entry);
        });
        self.id = Some(id);
        let mark = Known {
            server: launch.ctx.server.clone(),
            launch_id: launch.ctx.launch_id.clone(),
        };
        self.world.marks.send_modify(|marks| {
            marks.insert(id, mark);
        });
        if launch.ctx.options.get("cut_off").is_some() {
            std::future::pending::<()>().await;
        }
        launch.checkpoint(&self.get_state()).await?;
        Ok(endpoint)
    }
    async fn stop(&mut self, _: StopMode) -> Result<(), SpawnError> {
        if let Some(id) = self.id {
            self.world.alive.send_modify(|alive| {
                if let Some((task, _)) = alive.remove(&id) {
                    task.abort();
                }
            });
        }
        Ok(())
    }
    async fn poll(&mut self) -> Result<PollStatus, SpawnError> {
        let alive = self
            .id
            .is_some_and(|id| self.world.alive.borrow().contains_key(&id));
        Ok(if alive {
            PollStatus::Running
        } else {
            PollStatus::Exited(ExitStatus::Unknown)
        })
    }
    async fn exited(&mut self) -> ExitStatus {
        let Some(id) = self.id else {
            return ExitStatus::Unknown;
        };
        let mut alive = self.world.alive.subscribe();
        let _ = alive.wait_for(|alive| !alive.contains_key(&id)).await;
        ExitStatus::Unknown
    }
    fn get_state(&self) -> SpawnerState {
        state_of(self.id)
    }
    async fn endpoint(&mut self) -> Result<Option<Endpoint>, SpawnError> {
        let alive = self.world.alive.borrow();
        Ok(self.id.and_then(|id| Some(alive.get(&id)?.1.clone())))
    }
    fn load_state(&mut self, state: &SpawnerState) -> Result<(), StateError> {
        if state.version > 1 {
            let (found, supported) = (state.version, 1);
            return Err(StateError::Newer { found, supported });
        }
        self.id = state.data.get("id").and_then(serde_json::Value::as_u64);
        Ok(())
    }
    fn clear_state(&mut self) {
        self.id = None;
    }
}

/// A pretend hub over a store and a world that outlive it.
struct Bench {
    store: Store,
    world: Arc<World>,
    tasks: Tasks,
    servers: Servers,
    routes: Arc<Routes>,
    ends: Arc<AtomicUsize>,
}

fn bench(store: &Store, world: &Arc<World>, limits: Limits) -> Bench {
    let (tasks, routes) = (Tasks::default(), Arc::new(Routes::new("/")));
    let ends = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&ends);
    let servers = Servers::new(Setup {
        store: store.clone(),
        factory: Arc::new(Pretends {
            world: Arc::clone(world),
            tasks: tasks.clone(),
        }),
        tasks: tasks.clone(),
        metrics: Metrics::new(store.counters()),
        routes: Arc::clone(&routes),
        urls: HubUrls {
            base_url: "/".into(),
            api_url: "http://127.0.0.1:1/hub/api".into(),
            host: String::new(),
            public_url: None,
        },
        token_scopes: vec!["access:servers!server".into()],
        limits,
        named_servers_per_user: 1,
        on_end: vec![Arc::new(move |_, _: Arc<Outcome>| {
            counter.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Ok(()) })
        })],
    });
    Bench {
        store: store.clone(),
        world: Arc::clone(world),
        tasks,
        servers,
        routes,
        ends,
    }
}

async fn fresh() -> (Bench, Arc<User>) {
    let store = Store::open_in_memory().unwrap();
    let names = vec![UserName::new("ann").unwrap()];
    let user = store
        .users()
        .create(names, false, Timestamp::now())
        .await
        .unwrap()
        .remove(0);
    (
        bench(&store, &Arc::new(World::new()), Limits::new(0, 0)),
        user,
    )
}

fn server(name: &str) -> ServerId {
    ServerId::new(
        UserName::new("ann").unwrap(),
        ServerName::new(name).unwrap(),
    )
}

/// What the books say of a server in this stage, without a state.
pub(super) fn row(stage: Stage, launch: Option<&LaunchId>) -> Server {
    Server {
        id: ServerRowId(1),
        user: UserId(1),
        name: ServerName::default(),
        display_name: String::new(),
        stage,
        launch_id: launch.cloned(),
        state: SpawnerState::default(),
        endpoint: None,
        started: None,
        last_activity: None,
        user_options: None,
        last_failure: None,
        stop_reason: None,
        damage: Vec::new(),
    }
}

fn options(name: &str) -> UserOptions {
    UserOptions([(name.to_owned(), true.into())].into_iter().collect())
}

impl Bench {
    async fn start(&self, user: &User, name: &str) -> Result<Begun, StartRefused> {
        self.servers
            .start(user, &server(name), None, Waiting::Never, PATIENCE)
            .await
    }
    /// Begins a start, or joins the line.
    async fn begin(&self, user: &User, name: &str, wish: &str) {
        let (server, wish) = (server(name), Some(options(wish)));
        let begun = self
            .servers
            .start(user, &server, wish, Waiting::InLine, Duration::ZERO);
        assert!(matches!(begun.await, Ok(Begun::Pending)));
    }
    /// Waits until the books say so of the last start.
    async fn told(&self, name: &str, failure: bool) {
        let row = || self.store.servers().find(&server(name)).unwrap();
        while row().last_failure.is_some() != failure {
            tokio::task::yield_now().await;
        }
    }
    fn stage(&self, name: &str) -> Stage {
        self.store.servers().find(&server(name)).unwrap().stage
    }
}

#[tokio::test]
async fn a_start_and_a_stop_keep_row_route_and_token_together() {
    let (bench, user) = fresh().await;
    assert!(matches!(bench.start(&user, "").await, Ok(Begun::Ready)));
    assert_eq!(bench.servers.look(&server("")).place, Place::Ready);
    assert_eq!(bench.stage(""), Stage::Running);
    assert!(bench.routes.get(&server("")).is_some());
    let token = Digest::of(&bench.world.tokens.lock().unwrap()[0]);
    assert!(
        bench
            .store
            .tokens()
            .find(&token, Timestamp::now())
            .is_some()
    );
    let client = bench.store.clients().find("jupyterhub-user-ann").unwrap();
    assert_eq!(client.redirect_uri, "/user/ann/oauth_callback");
    assert!(matches!(
        bench.start(&user, "").await,
        Err(StartRefused::Running(_))
    ));

    let stopped = bench
        .servers
        .stop(&server(""), StopMode::Graceful, PATIENCE)
        .await;
    assert_eq!(stopped.unwrap(), Stopped::Done);
    assert_eq!((bench.stage(""), bench.world.count()), (Stage::Stopped, 0));
    assert!(bench.routes.get(&server("")).is_none());
    assert!(
        bench
            .store
            .tokens()
            .find(&token, Timestamp::now())
            .is_none()
    );
    assert!(bench.store.clients().find("jupyterhub-user-ann").is_none());
    assert_eq!(bench.ends.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_end_takes_the_route_and_calls_back_once() {
    let (bench, user) = fresh().await;
    bench.start(&user, "").await.unwrap();
    bench.world.end_all();
    let place = bench
        .servers
        .changed(&server(""), Place::Ready, PATIENCE)
        .await;
    assert_ne!(place, Place::Ready);
    // A stop waits for the owner task, which runs the callbacks first.
    bench
        .servers
        .stop(&server(""), StopMode::Graceful, PATIENCE)
        .await
        .unwrap();
    assert!(bench.routes.get(&server("")).is_none());
    assert_eq!(bench.ends.load(Ordering::Relaxed), 1);
    let failure = bench
        .store
        .servers()
        .find(&server(""))
        .unwrap()
        .last_failure
        .clone()
        .unwrap();
    let outcome: Outcome = serde_json::from_value(failure).unwrap();
    assert!(matches!(outcome.ending, Ending::Exited(_)));
    assert!(
        matches!(bench.start(&user, "").await, Ok(Begun::Ready)),
        "it can be started again"
    );
}

#[tokio::test]
async fn a_failed_start_is_remembered_until_the_next() {
    let (bench, user) = fresh().await;
    let begun = bench
        .servers
        .start(
            &user,
            &server(""),
            Some(options("fail")),
            Waiting::Never,
            PATIENCE,
        )
        .await
        .unwrap();
    let Begun::Failed(outcome) = begun else {
        panic!("{begun:?}")
    };
    assert!(matches!(&outcome.ending, Ending::Failed(f) if f.message == "There is no such thing."));
    assert!(
        bench
            .store
            .servers()
            .find(&server(""))
            .unwrap()
            .last_failure
            .is_some()
    );
    assert_eq!(bench.stage(""), Stage::Stopped);
    // The options of the last start are taken again.
    assert!(matches!(bench.start(&user, "").await, Ok(Begun::Failed(_))));
    let none = Some(UserOptions::default());
    let begun = bench
        .servers
        .start(&user, &server(""), none, Waiting::Never, PATIENCE)
        .await;
    assert!(matches!(begun, Ok(Begun::Ready)));
    assert!(
        bench
            .store
            .servers()
            .find(&server(""))
            .unwrap()
            .last_failure
            .is_none()
    );
}

#[tokio::test]
async fn two_starts_are_one_and_a_stop_cancels_it() {
    let (bench, user) = fresh().await;
    let patience = Duration::ZERO;
    let first = bench
        .servers
        .start(
            &user,
            &server(""),
            Some(options("hang")),
            Waiting::Never,
            patience,
        )
        .await;
    assert!(matches!(first, Ok(Begun::Pending)));
    bench
        .servers
        .changed(&server(""), Place::Stopped, PATIENCE)
        .await;
    assert!(matches!(bench.start(&user, "").await, Ok(Begun::Pending)));
    let stopped = bench
        .servers
        .stop(&server(""), StopMode::Now, PATIENCE)
        .await;
    assert_eq!(stopped.unwrap(), Stopped::Done);
    assert_eq!((bench.stage(""), bench.world.count()), (Stage::Stopped, 0));
}

#[tokio::test]
async fn limits_refuse_and_names_are_counted() {
    let (bench_, user) = fresh().await;
    let bench = bench(&bench_.store, &bench_.world, Limits::new(0, 2));
    assert!(matches!(bench.start(&user, "").await, Ok(Begun::Ready)));
    assert!(matches!(bench.start(&user, "one").await, Ok(Begun::Ready)));
    assert!(matches!(
        bench.start(&user, "two").await,
        Err(StartRefused::NamedServers(1))
    ));
    bench
        .servers
        .stop(&server("one"), StopMode::Now, PATIENCE)
        .await
        .unwrap();
    bench.servers.remove(&server("one")).await.unwrap();
    assert!(matches!(bench.start(&user, "two").await, Ok(Begun::Ready)));
    let other = vec![UserName::new("bob").unwrap()];
    let bob = bench
        .store
        .users()
        .create(other, false, Timestamp::now())
        .await
        .unwrap()
        .remove(0);
    let bobs = ServerId::default_of(bob.name.clone());
    let refused = bench
        .servers
        .start(&bob, &bobs, None, Waiting::Never, PATIENCE)
        .await;
    assert!(matches!(refused, Err(StartRefused::Full(2))));
}

#[tokio::test]
async fn a_start_waits_in_line_and_is_not_lost_silently() {
    let (first, user) = fresh().await;
    let own = bench(&first.store, &first.world, Limits::new(1, 0));
    let bench = &own;
    let place = || bench.servers.look(&server("one")).place;
    bench.begin(&user, "", "hang").await;
    bench.begin(&user, "one", "").await;
    let spot = bench.servers.in_line(&server("one")).unwrap();
    assert_eq!(spot.standing().unwrap().position, 1);
    assert_eq!(place(), Place::Starting);
    bench.begin(&user, "one", "a second click joins").await;
    assert_eq!(bench.servers.waiting(), 1);

    // Cancel leaves the line, and nothing tells of a failure.
    let stop = |name| {
        let mode = StopMode::Graceful;
        async move {
            bench
                .servers
                .stop(&server(name), mode, PATIENCE)
                .await
                .unwrap()
        }
    };
    assert_eq!(stop("one").await, Stopped::Done);
    assert_eq!((place(), bench.servers.waiting()), (Place::Stopped, 0));
    bench.told("one", false).await;

    // A hub that ends meanwhile leaves word.
    bench.begin(&user, "one", "").await;
    bench.told("one", true).await;
    // Whoever is called begins, which takes that back.
    assert_eq!(stop("").await, Stopped::Done);
    bench
        .servers
        .changed(&server("one"), Place::Starting, PATIENCE)
        .await;
    assert_eq!(place(), Place::Ready);
    bench.told("one", false).await;

    stop("one").await;
    bench.begin(&user, "", "hang").await;
    bench.begin(&user, "one", "").await;
    bench.told("one", true).await;
    bench.tasks.stop(PATIENCE).await;
    bench.told("one", true).await;
    assert_eq!(bench.stage("one"), Stage::Stopped);
    assert_eq!(bench.world.count(), 0, "nothing was begun at the end");
}

#[tokio::test]
async fn the_next_hub_takes_up_what_runs() {
    let (first, user) = fresh().await;
    first.start(&user, "").await.unwrap();
    let endpoint = first.routes.get(&server("")).unwrap();

    let next = bench(&first.store, &first.world, Limits::new(0, 0));
    next.servers.recover(PATIENCE).await;
    assert_eq!(next.servers.look(&server("")).place, Place::Ready);
    assert_eq!(next.routes.get(&server("")), Some(endpoint));
    assert_eq!(next.world.count(), 1, "nothing was started or ended");

    let stopped = next.servers.delete_user(&user, PATIENCE).await;
    assert_eq!(stopped.unwrap(), Stopped::Done);
    assert_eq!(next.world.count(), 0);
    assert!(next.store.users().by_name(&user.name).is_none());
    assert_eq!(next.tasks.stop(PATIENCE).await, 0);
}
