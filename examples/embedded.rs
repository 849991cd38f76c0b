//! A daemon with spawner-core and spawner-local and no hub: no HTTP server, no database. It shows a
//! start, an end that is noticed by a callback, a restart of the daemon that finds its server again from
//! a state file, and a stop.
//!
//! `cargo run -p hubd-examples --example embedded`; it is its own server, so it needs nothing else.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hubd_examples::context;
use serde::{Deserialize, Serialize};
use spawner_core::{
    BackendSetup, BoxError, Deps, Endpoint, HttpProbe, Journal, LaunchId, Outcome, Phase, Saved,
    ServerHandle, ServerId, SpawnContext, SpawnerConfig, SpawnerFactory as _, SpawnerState,
    StopMode, UserName, UserOptions, service_prefix, supervise,
};
use spawner_local::LocalFactory;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What the daemon knows after a restart: one run, in a file.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    launch_id: LaunchId,
    state: SpawnerState,
    /// Where it answers, once it does.
    endpoint: Option<Endpoint>,
}

/// The books: a file that is there while a run is.
#[derive(Debug)]
struct StateFile(PathBuf);

impl StateFile {
    fn read(&self) -> Result<Option<Entry>, BoxError> {
        match fs::read(&self.0) {
            Ok(json) => Ok(Some(serde_json::from_slice(&json)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Durable when it returns, and never half written. One with many servers would not do this on
    /// an async thread.
    fn write(&self, entry: &Entry) -> Result<(), BoxError> {
        let new = self.0.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(entry)?)?;
        file.sync_all()?;
        Ok(fs::rename(new, &self.0)?)
    }
}

#[async_trait]
impl Journal for StateFile {
    async fn starting(&self, ctx: &SpawnContext) -> Result<(), BoxError> {
        self.write(&Entry {
            launch_id: ctx.launch_id.clone(),
            state: SpawnerState::default(),
            endpoint: None,
        })
    }

    async fn checkpoint(
        &self,
        _: &ServerId,
        launch: &LaunchId,
        state: &SpawnerState,
    ) -> Result<(), BoxError> {
        self.write(&Entry {
            launch_id: launch.clone(),
            state: state.clone(),
            endpoint: None,
        })
    }

    async fn ready(
        &self,
        _: &ServerId,
        launch: &LaunchId,
        endpoint: &Endpoint,
        state: &SpawnerState,
    ) -> Result<(), BoxError> {
        self.write(&Entry {
            launch_id: launch.clone(),
            state: state.clone(),
            endpoint: Some(endpoint.clone()),
        })
    }

    async fn stopped(&self, _: &ServerId, _: &LaunchId, _: &Outcome) -> Result<(), BoxError> {
        Ok(fs::remove_file(&self.0)?)
    }
}

/// A daemon with one server.
struct Daemon {
    handle: ServerHandle,
    /// What the callback tells.
    ends: mpsc::UnboundedReceiver<Arc<Outcome>>,
    /// The owner task. It ends with the daemon, and the server does not.
    tasks: JoinSet<()>,
}

impl Daemon {
    /// Comes up, and takes up what the state file knows.
    async fn new(cmd: &[String], dir: &Path) -> Result<Self, BoxError> {
        let factory = LocalFactory::simple(BackendSetup {
            config: SpawnerConfig {
                cmd: cmd.to_vec(),
                poll_interval: Duration::from_secs(5),
                ..SpawnerConfig::default()
            },
            settings: serde_json::Map::new(),
            state_dir: dir.to_owned(),
            instance: dir.display().to_string(),
        })?;
        factory.preflight().await?;
        let alice = alice()?;
        let books = StateFile(dir.join("alice.json"));
        let entry = books.read()?;
        let deps = Deps {
            journal: Arc::new(books),
            probe: Arc::new(HttpProbe),
        };
        let (handle, owner) = supervise(alice.clone(), factory.create(&alice), deps);
        let (tell, ends) = mpsc::unbounded_channel();
        handle.add_poll_callback(move |outcome| {
            let told = tell.send(outcome);
            async move { Ok(told?) }
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(owner);
        if let Some(entry) = entry {
            let prefix = service_prefix("/", &alice);
            let mut saved = Saved::new(entry.launch_id, entry.state, prefix);
            saved.ready = entry.endpoint.is_some();
            saved.endpoint = entry.endpoint;
            handle.recover(saved).await?;
        }
        Ok(Self {
            handle,
            ends,
            tasks,
        })
    }

    /// Waits until the server runs, or is over.
    async fn settled(&self) -> Result<Phase, BoxError> {
        let settled =
            |phase: &Phase| matches!(phase, Phase::Running { .. } | Phase::Stopped { .. });
        Ok(self.handle.watch().wait_for(settled).await?.clone())
    }
}

fn alice() -> Result<ServerId, BoxError> {
    Ok(ServerId::default_of(UserName::new("alice")?))
}

/// Two lives of a daemon in `dir`, whose server is `cmd`.
async fn story(cmd: Vec<String>, dir: &Path, mut tell: impl FnMut(String)) -> Result<(), BoxError> {
    fs::create_dir_all(dir)?;
    let mut daemon = Daemon::new(&cmd, dir).await?;
    if let Phase::Running { endpoint } = daemon.settled().await? {
        tell(format!("an earlier daemon left its server at {endpoint}"));
        daemon.handle.stop(StopMode::Graceful).await?;
    }
    let start = || Ok::<_, BoxError>(context(alice()?, UserOptions::default()));
    let endpoint = daemon.handle.start(start()?).await?;
    tell(format!("the server answers at {endpoint}"));

    ask(&endpoint, "/end").await?;
    let outcome = daemon.ends.recv().await.ok_or("nobody tells of ends")?;
    tell(format!("it ended by itself: {:?}", outcome.ending));
    daemon.settled().await?;

    let endpoint = daemon.handle.start(start()?).await?;
    tell(format!("another one answers at {endpoint}"));
    daemon.tasks.shutdown().await;
    drop(daemon);
    tell("the daemon is gone".to_owned());

    let daemon = Daemon::new(&cmd, dir).await?;
    let phase = daemon.settled().await?;
    tell(format!("a new daemon found it: {phase:?}"));
    ask(&endpoint, "/").await?;
    daemon.handle.stop(StopMode::Graceful).await?;
    tell("it was stopped, and nothing is left of it".to_owned());
    Ok(())
}

/// Sends a request to the server, and waits for the end of the answer.
async fn ask(endpoint: &Endpoint, path: &str) -> Result<(), BoxError> {
    let Endpoint::Tcp { host, port } = endpoint else {
        return Err("it listens on a port".into());
    };
    let mut stream = tokio::net::TcpStream::connect((host.as_str(), *port)).await?;
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// The server: it answers every request with 200, which is all that the probe asks for, and exits with
/// code 3 after one of `/end`.
fn serve() -> Result<(), BoxError> {
    let url = std::env::var("JUPYTERHUB_SERVICE_URL")?;
    let address = url.strip_prefix("http://").unwrap_or(&url);
    let address = address.split('/').next().unwrap_or_default();
    let listener = std::net::TcpListener::bind(address)?;
    for stream in listener.incoming() {
        let mut stream = BufReader::new(stream?);
        let mut request = String::new();
        let mut line = String::new();
        while stream.read_line(&mut line)? > 2 {
            request.push_str(&line);
            line.clear();
        }
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
        // Whoever asked may be gone.
        let _ = stream.get_mut().write_all(answer.as_bytes());
        drop(stream);
        if request.starts_with("GET /end ") {
            std::process::exit(3);
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return serve();
    }
    let myself = std::env::current_exe()?.display().to_string();
    let dir = std::env::current_dir()?.join("embedded-state");
    story(vec![myself, "serve".to_owned()], &dir, |line| {
        println!("{line}");
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "this is the server that the story starts"]
    fn server() {
        // All ignored tests may have been asked for.
        if std::env::var_os("JUPYTERHUB_SERVICE_URL").is_some() {
            serve().unwrap();
        }
    }

    #[tokio::test]
    async fn the_story_is_as_it_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let myself = std::env::current_exe().unwrap().display().to_string();
        let test = ["--exact", "tests::server", "--ignored", "--nocapture"];
        let cmd = std::iter::once(myself).chain(test.map(str::to_owned));
        let mut told = Vec::new();
        let told_by = story(cmd.collect(), dir.path(), |line| told.push(line)).await;
        told_by.unwrap();
        let expected = [
            "the server answers at http://127.0.0.1:",
            "it ended by itself: Exited(",
            "another one answers at http://127.0.0.1:",
            "the daemon is gone",
            "a new daemon found it: Running",
            "it was stopped",
        ];
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(expected), "{told}");
        }
        assert!(told[1].contains("Code(3)"), "{told:#?}");
        assert!(
            !dir.path().join("alice.json").exists(),
            "the books are empty"
        );
    }
}
