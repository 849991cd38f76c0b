//! A thousand servers under one process: how quickly they start, what the process needs to hold
//! them, what it does while nothing happens, and how soon it notices an end.
//!
//! `cargo bench -p spawner-local --bench thousand --profile fastrel`, with the number of servers as
//! an argument after `--`, and `off` beside it for servers without control groups.
//!
//! The servers are this very program, which then answers every request with 200. What the kernel
//! needs for them is measured in the same run: they are started by `posix_spawn`, as many at a time,
//! and asked until they answer.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde_json::{Map, Value};
use spawner_core::{
    BackendSetup, BoxError, Deps, Endpoint, HttpProbe, HubUrls, Journal, LaunchId, OauthClient,
    Probe, Secret, ServerHandle, ServerId, SpawnContext, SpawnerConfig, SpawnerFactory,
    SpawnerState, StopMode, UserName, UserOptions, free_port, supervise,
};
use spawner_local::LocalFactory;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The argument that makes this program a server.
const SERVE: &str = "serve";
/// The argument that does without control groups.
const OFF: &str = "off";
/// How many starts go on at the same time: what a hub allows by default.
const AT_A_TIME: usize = 100;
/// How long one probe of the floor may take, as with the owner tasks.
const ONE_PROBE: Duration = Duration::from_secs(2);
/// How long idleness is watched: two polls of each server.
const IDLE: Duration = Duration::from_secs(60);
/// How much time lies between two ends, on average.
const BETWEEN_ENDS: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(SERVE) {
        return serve();
    }
    // cargo adds `--bench` when it means it; otherwise this only shows that it runs.
    let measured = std::env::args().any(|arg| arg == "--bench");
    let given = std::env::args().find_map(|arg| arg.parse().ok());
    let servers = given.unwrap_or(if measured { 1_000 } else { 2 });
    let idle = if measured { IDLE } else { Duration::ZERO };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let grouped = !std::env::args().any(|arg| arg == OFF);
    runtime.block_on(run(servers, idle, grouped));
    ExitCode::SUCCESS
}

/// The server: one thread, one request at a time.
fn serve() -> ExitCode {
    let url = std::env::var("JUPYTERHUB_SERVICE_URL").unwrap_or_default();
    let address = url.trim_start_matches("http://").split('/').next();
    let Ok(listener) = TcpListener::bind(address.unwrap_or_default()) else {
        return ExitCode::FAILURE;
    };
    for stream in listener.incoming().flatten() {
        // A visitor that sends nothing must not keep the next one waiting.
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let mut lines = BufReader::new(&stream).lines();
        while lines
            .next()
            .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
        {}
        let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    }
    ExitCode::SUCCESS
}

async fn run(count: usize, idle: Duration, grouped: bool) {
    let groups = if grouped { "with" } else { "without" };
    println!("{count} servers, {AT_A_TIME} starts at a time, {groups} control groups");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let fleet = Fleet::new(count, dir.path(), grouped);
    let before = resident();
    let began = Instant::now();
    fleet.start().await;
    rate("started by their owner tasks", count, began.elapsed());
    let after = resident();
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let each = (after - before) / count as f64;
    println!("{:<44} {each:>9.1} KiB", "resident memory for each");
    println!(
        "{:<44} {:>9.1} MiB",
        "resident memory of the process",
        after / 1024.0
    );

    let (busy, began) = (cpu_time(), Instant::now());
    sleep(idle).await;
    let used = cpu_time().saturating_sub(busy).as_secs_f64();
    if !idle.is_zero() {
        let share = 100.0 * used / began.elapsed().as_secs_f64();
        println!(
            "{:<44} {share:>9.2} % of a core",
            "idle for 60 s, each polled every 30 s"
        );
    }

    let (noticed, called_back) = fleet.ends((count / 4).max(1)).await;
    spread("from its end to the journal", noticed);
    spread("from its end to the callback", called_back);

    let began = Instant::now();
    let left = fleet.stop().await;
    rate("stopped at once", left, began.elapsed());

    // Last, because it leaves memory behind that the servers would be found to need.
    by_hand(count).await;
}

/// The floor: the same program, without anybody who looks after it.
async fn by_hand(count: usize) {
    let began = Instant::now();
    let program = std::env::current_exe().expect("the path of this program");
    let room = Arc::new(Semaphore::new(AT_A_TIME));
    let mut starts = JoinSet::new();
    for _ in 0..count {
        let (room, program) = (Arc::clone(&room), program.clone());
        starts.spawn(async move {
            let _room = room.acquire_owned().await.expect("it is never closed");
            loop {
                if let Some(child) = start_by_hand(&program).await {
                    return child;
                }
            }
        });
    }
    let mut children: Vec<Child> = starts.join_all().await;
    rate(
        "floor: posix_spawn until each answers",
        count,
        began.elapsed(),
    );
    for child in &mut children {
        child.kill().expect("our own child");
        child.wait().expect("our own child");
    }
}

/// Starts one server and asks it until it answers; `None` if another program had its port.
async fn start_by_hand(program: &Path) -> Option<Child> {
    let port = free_port(None).expect("a free port");
    let mut child = Command::new(program)
        .arg(SERVE)
        .env(
            "JUPYTERHUB_SERVICE_URL",
            format!("http://127.0.0.1:{port}/"),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("this program");
    let host = "127.0.0.1".to_owned();
    let endpoint = Endpoint::Tcp { host, port };
    let mut pause = Duration::from_millis(2);
    let answers = || timeout(ONE_PROBE, HttpProbe.answers(&endpoint, "/api"));
    while !matches!(answers().await, Ok(Ok(()))) {
        if child.try_wait().expect("our own child").is_some() {
            return None;
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(250));
    }
    Some(child)
}

/// The servers and their owner tasks.
struct Fleet {
    handles: Vec<ServerHandle>,
    owners: JoinSet<()>,
    books: Arc<Books>,
}

impl Fleet {
    fn new(count: usize, dir: &Path, grouped: bool) -> Self {
        let program = std::env::current_exe().expect("the path of this program");
        let program = program.into_os_string().into_string().expect("UTF-8");
        let config = SpawnerConfig {
            cmd: vec![program, SERVE.to_owned()],
            poll_interval: Duration::from_secs(30),
            ..SpawnerConfig::default()
        };
        let cgroup = if grouped { "auto" } else { OFF };
        let factory = LocalFactory::simple(BackendSetup {
            config,
            settings: Map::from_iter([("cgroup".to_owned(), cgroup.into())]),
            state_dir: dir.into(),
            instance: "bench".into(),
        })
        .expect("the default settings");
        let books = Arc::new(Books::default());
        let mut fleet = Self {
            handles: Vec::new(),
            owners: JoinSet::new(),
            books: Arc::clone(&books),
        };
        for number in 0..count {
            let name = UserName::new(&format!("user{number}")).expect("a name");
            let id = ServerId::default_of(name);
            let deps = Deps {
                journal: Arc::clone(&books) as _,
                ..Deps::default()
            };
            let (handle, owner) = supervise(id.clone(), factory.create(&id), deps);
            fleet.handles.push(handle);
            fleet.owners.spawn(owner);
        }
        fleet
    }

    async fn start(&self) {
        let room = Arc::new(Semaphore::new(AT_A_TIME));
        let mut starts = JoinSet::new();
        for handle in &self.handles {
            let (room, handle) = (Arc::clone(&room), handle.clone());
            starts.spawn(async move {
                let _room = room.acquire_owned().await.expect("it is never closed");
                let mut again = 0;
                // Between the choice of a port and the server's bind, another program can take it.
                while let Err(error) = handle.start(context(handle.id())).await {
                    again += 1;
                    assert!(again < 10, "{error}");
                }
                again
            });
        }
        let again: usize = starts.join_all().await.into_iter().sum();
        if again > 0 {
            println!("{again} starts had to be made again: their port was taken");
        }
    }

    /// Kills so many servers, one after the other, at irregular moments. How long each took to be
    /// noticed, and to be called back for.
    async fn ends(&self, count: usize) -> (Vec<Duration>, Vec<Duration>) {
        let (heard, mut ends) = mpsc::unbounded_channel();
        for handle in &self.handles {
            let (heard, id) = (heard.clone(), handle.id().clone());
            handle.add_poll_callback(move |_| {
                let _ = heard.send((id.clone(), Instant::now()));
                async { Ok(()) }
            });
        }
        let mut killed = HashMap::new();
        let mut next = Instant::now();
        for (turn, handle) in self.handles.iter().take(count).enumerate() {
            // Between nothing and twice the average, without a rhythm that something could keep to.
            let share = u32::try_from(turn * 7_919 % 2_000).expect("a small number");
            next += BETWEEN_ENDS * share / 1_000;
            sleep_until(next).await;
            let pid = self.books.pid(handle.id());
            killed.insert(handle.id().clone(), Instant::now());
            kill(Pid::from_raw(pid), Signal::SIGKILL).expect("our own child");
        }
        let (mut noticed, mut called_back) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (id, at) = ends.recv().await.expect("a callback for each");
            called_back.push(at - killed[&id]);
            noticed.push(self.books.ended(&id) - killed[&id]);
        }
        (noticed, called_back)
    }

    async fn stop(mut self) -> usize {
        let running = |handle: &&ServerHandle| handle.phase().endpoint().is_some();
        let left = self.handles.iter().filter(running).count();
        let mut stops = JoinSet::new();
        for handle in self.handles.drain(..) {
            stops.spawn(async move {
                // With so many at the same time one can take longer than `kill_timeout`.
                while handle.stop(StopMode::Now).await.is_err() {}
            });
        }
        stops.join_all().await;
        while self.owners.join_next().await.is_some() {}
        left
    }
}

/// Books that keep what this program wants to know.
#[derive(Debug, Default)]
struct Books(Mutex<HashMap<ServerId, Entry>>);

#[derive(Debug, Default, Clone, Copy)]
struct Entry {
    pid: i32,
    ended: Option<Instant>,
}

impl Books {
    fn write(&self, server: &ServerId, change: impl FnOnce(&mut Entry)) {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(rows.entry(server.clone()).or_default());
    }

    fn read(&self, server: &ServerId) -> Entry {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows[server]
    }

    fn pid(&self, server: &ServerId) -> i32 {
        self.read(server).pid
    }

    fn ended(&self, server: &ServerId) -> Instant {
        self.read(server).ended.expect("it was noticed")
    }
}

#[async_trait]
impl Journal for Books {
    async fn checkpoint(
        &self,
        server: &ServerId,
        _: &LaunchId,
        state: &SpawnerState,
    ) -> Result<(), BoxError> {
        let pid = state.data.get("pid").and_then(Value::as_i64);
        let pid = pid.and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.ok_or("a state without a pid")?;
        self.write(server, |entry| entry.pid = pid);
        Ok(())
    }

    async fn stopping(&self, server: &ServerId, _: &LaunchId) -> Result<(), BoxError> {
        self.write(server, |entry| entry.ended = Some(Instant::now()));
        Ok(())
    }
}

fn context(server: &ServerId) -> SpawnContext {
    SpawnContext {
        server: server.clone(),
        launch_id: LaunchId::random(),
        token: Secret::new("token"),
        options: UserOptions::default(),
        listen: None,
        hub: HubUrls {
            base_url: "/".into(),
            api_url: "http://127.0.0.1:1/hub/api".into(),
            host: String::new(),
            public_url: None,
        },
        oauth: OauthClient {
            client_id: "bench".into(),
            access_scopes: Vec::new(),
            allowed_scopes: Vec::new(),
        },
    }
}

/// The resident memory of this process, in KiB.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.expect("VmRSS").trim().trim_end_matches(" kB");
    kib.parse().expect("a number of kB")
}

/// The processor time that this process has used.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc");
    // Counted behind the name, which may hold anything: user and system time are the 14th and 15th.
    let rest = stat.rsplit_once(')').expect("a name in parentheses").1;
    let fields = rest.split_ascii_whitespace().skip(11).take(2);
    let ticks: u32 = fields
        .map(|field| field.parse::<u32>().expect("ticks"))
        .sum();
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    Duration::from_secs(1) * ticks / u32::try_from(per_second).expect("a few ticks a second")
}

fn rate(what: &str, count: usize, took: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = count as f64 / took.as_secs_f64();
    println!("{what:<44} {rate:>9.1} /s, {took:.2?} for {count}");
}

fn spread(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let Some((min, max)) = times.first().zip(times.last()) else {
        return;
    };
    let median = times[times.len() / 2];
    println!(
        "{what:<44} min {min:.2?}  median {median:.2?}  max {max:.2?} of {}",
        times.len()
    );
}
