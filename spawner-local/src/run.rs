//! One run of a server: what is saved of it, whether it is there, and how it is ended.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use spawner_core::{
    Endpoint, ExitStatus, LaunchId, PollStatus, SpawnError, SpawnErrorKind, SpawnerState,
    StateError, StopMode,
};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::cgroup::Group;
use crate::process::{Identity, Process};
use crate::settings::Patience;
use crate::socket;
use crate::tree::Tree;

/// The layout of [`Saved`]. The first one had no `cgroup`.
const VERSION: u32 = 2;
/// Linux gives out no larger pids (`PID_MAX_LIMIT`).
const PID_MAX: i32 = 1 << 22;

/// What is needed to find a server again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved {
    #[serde(flatten)]
    pub(crate) identity: Identity,
    pub(crate) launch_id: LaunchId,
    /// Unknown of a run that was found without its books.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<Endpoint>,
    /// Where this run begins in the server's log.
    pub(crate) log_from: u64,
    /// The account that its processes run under. Missing in what older hubs saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) uid: Option<u32>,
    /// The directory of its control group, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cgroup: Option<PathBuf>,
}

/// A run, from the moment its process waits at the gate until it is cleared.
#[derive(Debug)]
pub(crate) struct Run {
    saved: Saved,
    group: Option<Arc<Group>>,
    /// Whether it was we who killed it.
    killed: bool,
    /// Opened when it is first needed. `None` later on means that it was gone by then.
    process: Option<Process>,
    /// How it ended, once that is known: an answer that was given is not taken back.
    ended: Option<ExitStatus>,
}

impl Saved {
    /// Reads a state back; `None` if it says that nothing runs.
    pub(crate) fn read(state: &SpawnerState) -> Result<Option<Self>, StateError> {
        let Some(saved) = state.unpack::<Self>(VERSION)? else {
            return Ok(None);
        };
        let Identity {
            boot_id,
            pid,
            start_time,
        } = &saved.identity;
        let invalid = |what: String| Err(StateError::Invalid(what));
        if !(2..=PID_MAX).contains(pid) {
            return invalid(format!("{pid} is no process id of a server"));
        }
        if *start_time == 0 {
            return invalid("a server cannot have been started with the machine".into());
        }
        let uuid = |(at, byte): (usize, u8)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        };
        if boot_id.len() != 36 || !boot_id.bytes().enumerate().all(uuid) {
            return invalid(format!("{boot_id:?} is no boot id"));
        }
        Ok(Some(saved))
    }

    /// The state that [`Saved::read`] reads.
    pub(crate) fn state(&self) -> SpawnerState {
        SpawnerState::pack(VERSION, self)
    }
}

impl Run {
    /// A run that was saved earlier. Looks at nothing yet.
    pub(crate) fn adopt(saved: Saved, group: Option<Arc<Group>>) -> Self {
        Self {
            saved,
            group,
            killed: false,
            process: None,
            ended: None,
        }
    }

    /// A run whose process is a child of ours and waits at the gate.
    pub(crate) fn new(saved: Saved, group: Option<Arc<Group>>) -> io::Result<Self> {
        let mut run = Self::adopt(saved, group);
        run.process = run.saved.identity.open()?;
        Ok(run)
    }

    pub(crate) fn saved(&self) -> &Saved {
        &self.saved
    }

    /// Whether the server is there.
    pub(crate) async fn look(&mut self) -> io::Result<PollStatus> {
        if let Some(status) = self.ended {
            return Ok(PollStatus::Exited(status));
        }
        if self.process.is_none() {
            self.process = self.saved.identity.open()?;
        }
        let status = match &self.process {
            Some(process) if !process.is_over()? => return Ok(PollStatus::Running),
            Some(process) => self.reason(process.status().await),
            None => ExitStatus::Unknown,
        };
        self.ended = Some(status);
        Ok(PollStatus::Exited(status))
    }

    /// `status`, and whether it was for want of memory.
    fn reason(&self, status: ExitStatus) -> ExitStatus {
        let by_the_kernel = status == ExitStatus::Signal(libc::SIGKILL) && !self.killed;
        match &self.group {
            Some(group) if by_the_kernel && group.out_of_memory() => ExitStatus::OutOfMemory,
            _ => status,
        }
    }

    /// Returns when the server has ended. Cancel-safe.
    pub(crate) async fn exited(&mut self) -> ExitStatus {
        loop {
            match self.look().await {
                Ok(PollStatus::Exited(status)) => return status,
                Ok(PollStatus::Running) => {
                    if let Some(process) = &self.process {
                        process.over().await;
                    }
                }
                // Cannot tell: the poll will, later.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Ends the server and everything it started.
    pub(crate) async fn stop(
        &mut self,
        mode: StopMode,
        patience: Patience,
    ) -> Result<(), SpawnError> {
        let cannot_tell = |source: io::Error| {
            SpawnError::other("The hub cannot see the server's processes.").with_source(source)
        };
        let status = self.look().await.map_err(cannot_tell)?;
        if self.saved.identity.boot_id != crate::process::boot_id().map_err(cannot_tell)? {
            // Nothing outlives the machine.
            return self.remove_socket().await;
        }
        // Looked at before anything ends, as long as parents still tell their children.
        let mut tree = Tree::new(
            &self.saved.identity,
            &self.saved.launch_id,
            self.saved.uid,
            self.group.clone(),
        );
        tree.look().await.map_err(cannot_tell)?;
        if mode == StopMode::Graceful {
            if let (PollStatus::Running, Some(server)) = (status, &self.process) {
                // Only the server: it ends its kernels in its own way.
                if let Err(error) = server.signal(Signal::INT) {
                    tracing::warn!(pid = server.key().0, %error, "cannot interrupt a server");
                }
                let _ = timeout(patience.interrupt, server.over()).await;
                tree.look().await.map_err(cannot_tell)?;
            }
            tree.terminate(patience.term).await.map_err(cannot_tell)?;
        }
        self.killed = true;
        let left = tree.kill(patience.kill).await.map_err(cannot_tell)?;
        if left > 0 {
            let message = format!(
                "The server was stopped, but {left} of its processes did not end. They may be \
                 waiting for a disk or network share that does not answer."
            );
            return Err(SpawnError::new(SpawnErrorKind::StillAlive, message));
        }
        self.look().await.map_err(cannot_tell)?;
        // Its session was looked through: the number may be given away now.
        self.reap();
        self.remove_socket().await
    }

    /// Removes what the server listened at, if that is a file.
    async fn remove_socket(&self) -> Result<(), SpawnError> {
        let Some(Endpoint::Unix { path }) = self.saved.endpoint.clone() else {
            return Ok(());
        };
        let launch = self.saved.launch_id.clone();
        let (removed, path) = spawn_blocking(move || (socket::remove_place(&path, &launch), path))
            .await
            .map_err(|error| {
                SpawnError::other("The server's socket could not be removed.").with_source(error)
            })?;
        removed.map_err(|source| socket::unusable(&path, source))
    }

    /// See [`Process::reap`].
    fn reap(&self) {
        if let Some(process) = &self.process {
            process.reap();
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.reap();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn saved() -> Saved {
        Saved {
            identity: Identity {
                boot_id: "5f35150a-49e4-4fc0-98b3-dc9503844b07".into(),
                pid: 4242,
                start_time: 1,
            },
            launch_id: LaunchId::random(),
            endpoint: Some(Endpoint::Tcp {
                host: "127.0.0.1".into(),
                port: 1,
            }),
            log_from: 7,
            uid: Some(1000),
            cgroup: None,
        }
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let state = saved().state();
        assert_eq!(state.version, VERSION);
        assert_eq!(
            Saved::read(&state).unwrap().unwrap(),
            Saved {
                launch_id: serde_json::from_value(state.data["launch_id"].clone()).unwrap(),
                ..saved()
            }
        );
        assert_eq!(Saved::read(&SpawnerState::default()).unwrap(), None);
    }

    #[test]
    fn a_state_that_cannot_be_meant_is_refused() {
        for (field, value) in [
            ("pid", json!(0)),
            ("pid", json!(1)),
            ("pid", json!(-1)),
            ("pid", json!(i32::MAX)),
            ("pid", json!(1_u64 << 40)),
            ("pid", json!("4242")),
            ("start_time", json!(0)),
            ("start_time", json!(-1)),
            ("boot_id", json!("")),
            ("boot_id", json!("../../../etc/passwd")),
            ("boot_id", json!("5f35150a-49e4-4fc0-98b3-dc9503844b0g")),
            ("launch_id", json!("nonsense")),
            ("endpoint", json!({"tcp": {"host": "x", "port": 70_000}})),
            ("uid", json!(-1)),
            ("uid", json!("root")),
        ] {
            let mut state = saved().state();
            state.data.insert(field.into(), value.clone());
            assert!(Saved::read(&state).is_err(), "{field}: {value}");
            state.data.remove(field);
            // What was added later, or is not known of every run, can be missing.
            let optional = ["endpoint", "uid"].contains(&field);
            assert_eq!(Saved::read(&state).is_ok(), optional, "without {field}");
        }
        let mut newer = saved().state();
        newer.version = VERSION + 1;
        assert!(matches!(
            Saved::read(&newer),
            Err(StateError::Newer { found: 3, .. })
        ));
    }
}
