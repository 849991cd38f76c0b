//! What the tests share: a factory in a folder of its own, launches of shell scripts, and events to
//! wait for.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary compiles it and uses a part"
)]

use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};
use spawner_core::{
    BackendSetup, Env, HubUrls, LaunchId, ListenOn, OauthClient, Secret, ServerId, SpawnContext,
    SpawnerConfig, UserName, UserOptions,
};
use spawner_core::{Launch, Spawner};
use spawner_local::{LocalFactory, LocalProcessSpawner};
use tempfile::TempDir;

/// A folder with a factory that keeps everything in it. `simple` unless said otherwise.
pub struct Place {
    pub dir: TempDir,
    pub factory: LocalFactory,
}

/// A named pipe: what a script writes into it is an event that a test can wait for.
pub struct Fifo(pub PathBuf);

impl Place {
    pub fn simple() -> Self {
        Self::with(&LocalFactory::simple, json!({}))
    }

    pub fn local(settings: Value) -> Self {
        Self::with(&LocalFactory::local, settings)
    }

    pub fn with(
        build: &dyn Fn(BackendSetup) -> Result<LocalFactory, spawner_core::SetupError>,
        settings: Value,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Short, for servers that do not listen to reason; each can be set otherwise.
        let mut all = Map::new();
        for name in ["interrupt_timeout", "term_timeout"] {
            all.insert(name.into(), json!(0.1));
        }
        all.insert("kill_timeout".into(), json!(20));
        let Value::Object(settings) = settings else {
            panic!("settings are a table")
        };
        all.extend(settings);
        let factory = build(BackendSetup {
            config: SpawnerConfig::default(),
            settings: all,
            state_dir: dir.path().join("state"),
            // Tests run side by side, and each is a hub of its own.
            instance: dir.path().display().to_string(),
        });
        Self {
            factory: factory.unwrap(),
            dir,
        }
    }

    pub fn spawner(&self) -> LocalProcessSpawner {
        self.factory.spawner(&server("tee"))
    }

    pub fn fifo(&self, name: &str) -> Fifo {
        let path = self.dir.path().join(name);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        Fifo(path)
    }

    pub fn log(&self) -> PathBuf {
        self.dir.path().join("state/logs/tee.log")
    }
}

impl Fifo {
    /// What one writer wrote, once it has closed its end.
    pub async fn read(&self) -> String {
        let path = self.0.clone();
        let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path));
        within(read).await.unwrap().unwrap().trim().to_owned()
    }

    /// Lets one reader go on.
    pub async fn write(&self) {
        let path = self.0.clone();
        let write = tokio::task::spawn_blocking(move || std::fs::write(path, "go\n"));
        within(write).await.unwrap().unwrap();
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

pub fn server(user: &str) -> ServerId {
    ServerId::default_of(UserName::new(user).unwrap())
}

pub fn context(user: &str) -> SpawnContext {
    SpawnContext {
        server: server(user),
        launch_id: LaunchId::random(),
        token: Secret::new("the-token"),
        options: UserOptions::default(),
        listen: Some(ListenOn::Tcp {
            ip: None,
            port: 4321,
        }),
        hub: HubUrls {
            base_url: "/".into(),
            api_url: "http://127.0.0.1:8000/hub/api".into(),
            host: String::new(),
            public_url: None,
        },
        oauth: OauthClient {
            client_id: "jupyterhub-user-tee".into(),
            access_scopes: Vec::new(),
            allowed_scopes: Vec::new(),
        },
    }
}

pub fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// A launch of `cmd` with nothing but a PATH.
pub fn launch_as(user: &str, cmd: &[&str]) -> Launch {
    let mut env = Env::default();
    env.set("PATH", "/usr/local/bin:/usr/bin:/bin");
    Launch::new(words(cmd), Vec::new(), env, context(user))
}

/// A launch of a shell script.
pub fn script(script: &str) -> Launch {
    launch_as("tee", &["sh", "-c", script])
}

/// Waits for an event that is sure to come; a test that waits in vain fails instead of hanging.
pub async fn within<F: Future>(event: F) -> F::Output {
    tokio::time::timeout(Duration::from_mins(1), event)
        .await
        .expect("it did not happen")
}

/// Whether a test that needs the rights of root can run; says so if not.
pub fn is_root(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        skipped(&format!("{test} takes root"));
    }
    root
}

/// On the real standard error, which the test harness does not keep to itself.
pub fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// The pid that a spawner keeps.
pub fn pid(spawner: &impl Spawner) -> i32 {
    let pid = spawner.get_state().data["pid"].as_i64().unwrap();
    i32::try_from(pid).unwrap()
}

/// Whether a process is there, and is not a zombie.
pub fn lives(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let state = stat.rsplit(')').next().unwrap().trim_start();
        !state.starts_with('Z') && !state.starts_with('X')
    })
}
