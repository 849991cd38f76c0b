//! The hub's side: a bounded number of helper processes, each for one question.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::message::{Answer, Ask, Reply};
use crate::auth::turns::{Busy, Turns};

/// The subcommand that answers.
pub(crate) const HELPER: &str = "pam-helper";
/// The longest answer: the names of some thousand groups.
const ANSWER_MAX: u64 = 256 * 1024;
/// What modules that run programs find them with.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Asks PAM, a few questions at a time.
#[derive(Debug)]
pub(in crate::auth) struct Workers {
    program: PathBuf,
    turns: Turns,
    timeout: Duration,
}

/// Why PAM has given no answer. None of it is the fault of whoever logs in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PamError {
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error("the PAM helper {} cannot be run", program.display())]
    Spawn { program: PathBuf, source: io::Error },
    #[error("PAM has not answered within {} s", .0.as_secs_f64())]
    Silent(Duration),
    #[error("the PAM helper ended without an answer ({0}): a module may have crashed")]
    Crashed(ExitStatus),
    #[error("the PAM helper cannot be talked to")]
    Pipe(#[from] io::Error),
    #[error("{0}")]
    Failed(String),
}

/// The processes of one question, ended with this value.
struct Group(Option<Pid>);

impl Workers {
    pub(in crate::auth) fn new(program: PathBuf, parallel: usize, timeout: Duration) -> Self {
        Self {
            program,
            turns: Turns::new(parallel),
            timeout,
        }
    }

    /// Asks one question, in its turn. The time that it waits for its turn does not count.
    pub(in crate::auth) async fn ask(&self, ask: &Ask) -> Result<Answer, PamError> {
        let _turn = self.turns.take().await?;
        let mut child = self.spawn()?;
        let group = Group::of(&child);
        let asked = tokio::time::timeout(self.timeout, exchange(&mut child, ask)).await;
        // Before it is waited for: until then nobody else can have its number. One that is ending by
        // itself keeps its status.
        drop(group);
        let status = child.wait().await?;
        let text = asked.map_err(|_| PamError::Silent(self.timeout))??;
        match serde_json::from_slice::<Reply>(&text) {
            Ok(reply) => reply.map_err(PamError::Failed),
            Err(error) if status.success() => Err(PamError::Pipe(error.into())),
            Err(_) => Err(PamError::Crashed(status)),
        }
    }

    fn spawn(&self) -> Result<Child, PamError> {
        Command::new(&self.program)
            .arg(HELPER)
            .env_clear()
            .env("PATH", PATH)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| PamError::Spawn {
                program: self.program.clone(),
                source,
            })
    }
}

async fn exchange(child: &mut Child, ask: &Ask) -> io::Result<Vec<u8>> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let mut line = serde_json::to_vec(ask)?;
    line.push(b'\n');
    match stdin.write_all(&line).await {
        // One that has crashed already tells more by its status.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
        _ => {}
    }
    let mut text = Vec::new();
    stdout.take(ANSWER_MAX).read_to_end(&mut text).await?;
    // Its end tells the helper that the hub is gone, so it stays open until here.
    drop(stdin);
    Ok(text)
}

impl Group {
    fn of(child: &Child) -> Self {
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        Self(pid.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Who is gone already need not be ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
