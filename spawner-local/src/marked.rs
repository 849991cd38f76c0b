//! Runs known by a mark alone, for spawners that start processes in a way of their own.

use std::collections::HashSet;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use spawner_core::{
    Endpoint, ExitStatus, Known, Launch, LaunchId, PollStatus, ServerId, SpawnError,
    SpawnErrorKind, StopMode,
};
use tokio::process::Child;
use tokio::task::spawn_blocking;

use crate::process::{Key, Stat};
use crate::tree::{Tree, carries};

/// The variable that says all there is to know of a run, as JSON.
const MARK: &str = "HUBD_RUN";
/// How long processes that were killed may take to be gone.
const KILLED_WITHIN: Duration = Duration::from_secs(10);
/// How often a process is looked at that does not show its mark yet.
const LOOKS: usize = 1000;

/// One run of a server as processes of this host: all whose environment carries its mark, and what
/// these started.
///
/// It is what a spawner has to keep and to save of a run: it serialises to an object, for
/// [`SpawnerState::pack`](spawner_core::SpawnerState::pack), and reads back as the same run. The mark
/// stays with the processes whatever happens to the daemon, so [`MarkedRun::all`] finds runs that no
/// book knows.
///
/// Limits: it is for servers that run under the daemon's own account, and no other process is
/// believed; one of that account that wants to can forge a mark. [`LocalProcessSpawner`] does more. A
/// run that another instance started is called running as long as any process of it is there.
///
/// The crate `examples/custom-spawner` is a whole spawner on top of it.
///
/// [`LocalProcessSpawner`]: crate::LocalProcessSpawner
#[derive(Debug, Serialize, Deserialize)]
pub struct MarkedRun {
    instance: String,
    server: ServerId,
    launch_id: LaunchId,
    endpoint: Endpoint,
    /// The server, if this is the instance that started it: then its exit code is ours to know.
    #[serde(skip)]
    child: Option<Child>,
}

impl MarkedRun {
    /// The run of a launch, by the daemon `instance`. Nothing runs yet: keep it and save it, then
    /// [`spawn`](Self::spawn).
    pub fn new(launch: &Launch, instance: &str) -> Result<Self, SpawnError> {
        Ok(Self {
            instance: instance.to_owned(),
            server: launch.ctx.server.clone(),
            launch_id: launch.ctx.launch_id.clone(),
            endpoint: launch.local_endpoint()?,
            child: None,
        })
    }

    /// Every run of the daemon `instance` of which a process is there.
    pub async fn all(instance: &str) -> Result<Vec<Self>, SpawnError> {
        let runs = spawn_blocking(marks).await.map_err(io::Error::other);
        let mut runs = runs.flatten().map_err(cannot_look)?;
        let mut seen = HashSet::new();
        runs.retain(|run| run.instance == instance && seen.insert(run.launch_id.clone()));
        Ok(runs)
    }

    /// Which run it is.
    pub fn known(&self) -> Known {
        Known {
            server: self.server.clone(),
            launch_id: self.launch_id.clone(),
        }
    }

    /// Where the hub reaches the server.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The number of its first process, while it runs and this is the instance that started it.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Starts the server, usually with [`Launch::command`], in a process group of its own. When
    /// this returns, the run can be found by anybody.
    pub fn spawn(&mut self, command: Command) -> Result<(), SpawnError> {
        let mark = serde_json::to_string(self)
            .map_err(|error| SpawnError::other("The run cannot be named.").with_source(error))?;
        let program = command.get_program().display().to_string();
        let mut command = tokio::process::Command::from(command);
        command.env(MARK, mark).as_std_mut().process_group(0);
        let child = command.spawn().map_err(|source| {
            let kind = match source.kind() {
                io::ErrorKind::NotFound => SpawnErrorKind::NotFound,
                _ => SpawnErrorKind::Other,
            };
            let message = format!("\"{program}\" cannot be run: {source}.");
            SpawnError::new(kind, message).with_source(source)
        })?;
        self.child = Some(child);
        self.see_the_mark()
    }

    /// Whether the server is there.
    pub async fn poll(&mut self) -> Result<PollStatus, SpawnError> {
        if let Some(child) = &mut self.child {
            let ended = child.try_wait().map_err(cannot_look)?;
            return Ok(ended.map_or(PollStatus::Running, |status| {
                PollStatus::Exited(status.into())
            }));
        }
        let mut tree = self.tree()?;
        tree.look().await.map_err(cannot_look)?;
        Ok(match tree.left().map_err(cannot_look)? {
            0 => PollStatus::Exited(ExitStatus::Unknown),
            _ => PollStatus::Running,
        })
    }

    /// Returns when the server has ended, if that can be heard. Cancel-safe.
    pub async fn exited(&mut self) -> ExitStatus {
        if let Some(child) = &mut self.child
            && let Ok(status) = child.wait().await
        {
            return status.into();
        }
        // Cannot tell: the periodic poll will.
        std::future::pending().await
    }

    /// Ends the server and everything it started, with `term` for a graceful end.
    pub async fn stop(&mut self, mode: StopMode, term: Duration) -> Result<(), SpawnError> {
        let mut tree = self.tree()?;
        tree.look().await.map_err(cannot_look)?;
        if mode == StopMode::Graceful {
            tree.terminate(term).await.map_err(cannot_look)?;
        }
        let left = tree.kill(KILLED_WITHIN).await.map_err(cannot_look)?;
        if left == 0 {
            return Ok(());
        }
        let message = "Processes of the server are still there although they were killed.";
        Err(SpawnError::new(SpawnErrorKind::StillAlive, message))
    }

    fn tree(&self) -> Result<Tree, SpawnError> {
        let child = self.child_key().map_err(cannot_look)?;
        Ok(Tree::marked(child, &self.launch_id, our_account()))
    }

    /// The child as long as nobody took its exit status: so long its number is its own.
    fn child_key(&self) -> io::Result<Option<Key>> {
        let Some(pid) = self.child.as_ref().and_then(Child::id) else {
            return Ok(None);
        };
        let stat = Stat::of(pid.try_into().map_err(io::Error::other)?)?;
        Ok(stat.map(|stat| stat.key()))
    }

    /// The environment of a process can be read a moment after it was started. A daemon that came up
    /// in between would not find it; so nothing is awaited before.
    fn see_the_mark(&mut self) -> Result<(), SpawnError> {
        for _ in 0..LOOKS {
            let Some(child) = &mut self.child else { break };
            let ended = child.try_wait().map_err(cannot_look)?.is_some();
            let pid = child.id().and_then(|pid| pid.try_into().ok());
            if ended || pid.is_some_and(|pid| carries(pid, &self.launch_id, Some(our_account()))) {
                return Ok(());
            }
            std::thread::yield_now();
        }
        Err(SpawnError::other(
            "The server hides its environment, so it would get lost.",
        ))
    }
}

/// The runs whose marks processes of this host carry, each as often as that.
fn marks() -> io::Result<Vec<MarkedRun>> {
    let mut runs = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let pid = path
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        // What is gone by now, or not ours to see, carries no mark of ours.
        let Some(Ok(environment)) = pid.map(|_| std::fs::read(path.join("environ"))) else {
            continue;
        };
        let mut variables = environment.split(|&byte| byte == 0);
        let mark = variables
            .find_map(|variable| variable.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="));
        let run = mark.and_then(|mark| serde_json::from_slice::<MarkedRun>(mark).ok());
        if let (Some(pid), Some(run)) = (pid, run)
            && carries(pid, &run.launch_id, Some(our_account()))
        {
            runs.push(run);
        }
    }
    Ok(runs)
}

/// The account that the servers run under: nobody else can give a process that.
fn our_account() -> u32 {
    rustix::process::getuid().as_raw()
}

fn cannot_look(source: io::Error) -> SpawnError {
    SpawnError::other("The processes of this host cannot be seen.").with_source(source)
}
