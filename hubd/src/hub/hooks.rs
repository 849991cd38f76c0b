//! `pre_spawn_hook` and `post_stop_hook` of the configuration: commands of the administrator that run
//! before each start and after each run, as the hub's own account.
//!
//! They are run as they are written, never by a shell. They see a small environment of their own: who
//! and which server, and no secret. Their time is bounded by the owner task, which drops the hook when
//! it is over; that ends the command with its whole process group.

use std::fmt;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use spawner_core::{BoxError, Ending, Launch, Outcome, ServerId, SpawnError, SpawnHooks};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{Instant, timeout_at};

/// Variables of the hub that a command inherits.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ"];
/// How much of the end of standard error is looked at.
const TAIL_MAX: usize = 4096;
/// How much of its last line a user is shown, in characters.
const LINE_MAX: usize = 300;
/// How long standard error is read on after the command has ended: what it said is there by then,
/// and what a process that it left behind may still say is not waited for.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The configured commands.
pub(super) struct CommandHooks {
    /// Before each start.
    pub(super) pre_spawn: Option<Vec<String>>,
    /// After each run.
    pub(super) post_stop: Option<Vec<String>>,
    /// The hub's base URL.
    pub(super) base_url: String,
}

/// A command that ended badly, or did not begin.
#[derive(Debug, thiserror::Error)]
enum HookError {
    #[error("{program} cannot be run")]
    NotRun {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("{program} failed with {status}: {last_line}")]
    Failed {
        program: String,
        status: ExitStatus,
        last_line: String,
    },
}

/// A running command. Dropped before the command has ended it takes the whole group along.
struct Group {
    child: Child,
    /// Of the group, while its leader is not waited for and so cannot be anybody else's.
    id: Option<Pid>,
}

/// The end of what a command says on standard error.
struct LastWords {
    /// None once it is closed.
    pipe: Option<ChildStderr>,
    tail: Vec<u8>,
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let _ = killpg(id, Signal::SIGKILL);
        }
    }
}

impl CommandHooks {
    async fn run(
        &self,
        argv: &[String],
        server: &ServerId,
        more: &[(&str, String)],
    ) -> Result<(), HookError> {
        let Some((program, arguments)) = argv.split_first() else {
            return Ok(());
        };
        let not_run = |source| HookError::NotRun {
            program: program.clone(),
            source,
        };
        let mut command = Command::new(program);
        command.args(arguments).env_clear();
        for name in INHERITED {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let prefix = spawner_core::service_prefix(&self.base_url, server);
        command
            .env("JUPYTERHUB_USER", server.user.as_str())
            .env("JUPYTERHUB_SERVER_NAME", server.server.as_str())
            .env("JUPYTERHUB_SERVICE_PREFIX", prefix)
            .envs(more.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().map_err(not_run)?;
        let mut words = LastWords::of(child.stderr.take());
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let mut group = Group {
            child,
            id: id.map(Pid::from_raw),
        };
        let status = loop {
            tokio::select! {
                status = group.child.wait() => break status.map_err(not_run)?,
                () = words.listen(), if words.is_open() => {}
            }
        };
        group.id = None;
        let until = Instant::now() + LAST_WORDS;
        while words.is_open() && timeout_at(until, words.listen()).await.is_ok() {}
        if status.success() {
            return Ok(());
        }
        Err(HookError::Failed {
            program: program.clone(),
            status,
            last_line: words.last_line(),
        })
    }
}

impl LastWords {
    fn of(pipe: Option<ChildStderr>) -> Self {
        Self {
            pipe,
            tail: Vec::new(),
        }
    }

    fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Takes in what comes next. Cancel-safe.
    async fn listen(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut buffer = [0; 1024];
        match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => self.pipe = None,
            Ok(length) => {
                self.tail.extend_from_slice(&buffer[..length]);
                let too_many = self.tail.len().saturating_sub(TAIL_MAX);
                self.tail.drain(..too_many);
            }
        }
    }

    /// The last line that is not blank, without control characters.
    fn last_line(&self) -> String {
        let text = String::from_utf8_lossy(&self.tail);
        let mut lines = text.lines().rev().map(str::trim);
        let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
        let shown = line.chars().filter(|c| !c.is_control());
        shown.take(LINE_MAX).collect()
    }
}

#[async_trait]
impl SpawnHooks for CommandHooks {
    async fn pre_spawn_hook(&self, launch: &mut Launch) -> Result<(), SpawnError> {
        let Some(argv) = &self.pre_spawn else {
            return Ok(());
        };
        let (server, launch_id) = (&launch.ctx.server, launch.ctx.launch_id.as_str().to_owned());
        let more = [
            ("HUBD_HOOK", "pre_spawn".to_owned()),
            ("HUBD_LAUNCH_ID", launch_id),
        ];
        self.run(argv, server, &more).await.map_err(|error| {
            let message = match &error {
                HookError::Failed { last_line, .. } if !last_line.is_empty() => last_line.clone(),
                _ => "The preparation of your server failed. Ask your administrator.".to_owned(),
            };
            SpawnError::other(message).with_source(error)
        })
    }

    async fn post_stop_hook(&self, server: &ServerId, outcome: &Outcome) -> Result<(), BoxError> {
        let Some(argv) = &self.post_stop else {
            return Ok(());
        };
        let ending = match outcome.ending {
            Ending::Stopped => "stopped",
            Ending::Exited(_) => "exited",
            Ending::Failed(_) => "failed",
        };
        let status = outcome.status().map(|status| status.as_i32().to_string());
        let more = [
            ("HUBD_HOOK", "post_stop".to_owned()),
            ("HUBD_LAUNCH_ID", outcome.launch_id.as_str().to_owned()),
            ("HUBD_ENDING", ending.to_owned()),
            ("HUBD_EXIT_STATUS", status.unwrap_or_default()),
        ];
        Ok(self.run(argv, server, &more).await?)
    }
}

// An argument can be a secret.
impl fmt::Debug for CommandHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandHooks")
            .field("pre_spawn", &self.pre_spawn.is_some())
            .field("post_stop", &self.post_stop.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use spawner_core::UserName;
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);

    fn hooks() -> CommandHooks {
        CommandHooks {
            pre_spawn: None,
            post_stop: None,
            base_url: "/".to_owned(),
        }
    }

    fn shell(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
    }

    async fn run(argv: &[String]) -> Result<(), HookError> {
        let ann = ServerId::default_of(UserName::new("ann").unwrap());
        let more = [("HUBD_HOOK", "pre_spawn".to_owned())];
        let hooks = hooks();
        let ran = timeout(PATIENCE, hooks.run(argv, &ann, &more)).await;
        ran.expect("it ends")
    }

    async fn words(argv: &[String]) -> String {
        match run(argv).await {
            Err(HookError::Failed { last_line, .. }) => last_line,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_command_knows_for_whom_it_runs_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        let script = format!("/usr/bin/env > '{}'", path.display());
        run(&shell(&script)).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        for line in [
            "JUPYTERHUB_USER=ann",
            "JUPYTERHUB_SERVER_NAME=",
            "JUPYTERHUB_SERVICE_PREFIX=/user/ann/",
            "HUBD_HOOK=pre_spawn",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}: {text}");
        }
        let known = |name: &str| {
            INHERITED.contains(&name)
                || ["PWD", "SHLVL", "_", "OLDPWD"].contains(&name)
                || name.starts_with("JUPYTERHUB_")
                || name.starts_with("HUBD_")
        };
        for line in text.lines() {
            let name = line.split('=').next().unwrap();
            assert!(known(name), "{line}");
        }
    }

    #[tokio::test]
    async fn the_last_line_says_why_it_failed() {
        let script = "echo first >&2; printf 'no room \\033[31mleft\\n \\n' >&2; exit 3";
        assert_eq!(words(&shell(script)).await, "no room [31mleft");
        assert_eq!(words(&shell("exit 3")).await, "");
        let long = words(&shell("yes x | head -c 100000 | tr -d '\\n' >&2; exit 1")).await;
        assert_eq!(long, "x".repeat(LINE_MAX));
        let nothing = run(&["/nowhere/hook".to_owned()]).await.unwrap_err();
        assert_eq!(nothing.to_string(), "/nowhere/hook cannot be run");
    }

    #[tokio::test]
    async fn no_shell_reads_it_and_an_open_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("$(id); x");
        let argv = ["/bin/mkdir".to_owned(), odd.display().to_string()];
        run(&argv).await.unwrap();
        assert!(odd.is_dir());
        // What stays behind keeps standard error open.
        let pid = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > '{}'", pid.display());
        run(&shell(&script)).await.unwrap();
        let left: i32 = std::fs::read_to_string(&pid)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        nix::sys::signal::kill(Pid::from_raw(left), Signal::SIGKILL).unwrap();
    }

    #[tokio::test]
    async fn a_hook_that_is_dropped_takes_its_group_along() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("alive");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // Both hold the pipe open, and say so; its other end closes when both are gone.
        let script = format!(
            "exec 9> '{}'; trap '' TERM INT; (trap '' TERM; echo in >&9; sleep 1000) & \
             echo out >&9; wait; sleep 1000",
            fifo.display()
        );
        let argv = shell(&script);
        let mut running = Box::pin(run(&argv));
        let mut pipe = open(&fifo);
        let mut said = String::new();
        tokio::select! {
            ended = &mut running => panic!("{ended:?}"),
            () = said_twice(&mut pipe, &mut said) => {}
        }
        drop(running);
        let mut rest = Vec::new();
        timeout(PATIENCE, pipe.read_to_end(&mut rest))
            .await
            .expect("both are gone")
            .unwrap();
    }

    fn open(fifo: &Path) -> tokio::net::unix::pipe::Receiver {
        tokio::net::unix::pipe::OpenOptions::new()
            .open_receiver(fifo)
            .unwrap()
    }

    async fn said_twice(pipe: &mut tokio::net::unix::pipe::Receiver, said: &mut String) {
        let mut buffer = [0; 64];
        while !(said.contains("in") && said.contains("out")) {
            pipe.readable().await.unwrap();
            match pipe.try_read(&mut buffer) {
                // Nobody has opened the other end yet.
                Ok(0) => tokio::task::yield_now().await,
                Ok(length) => said.push_str(std::str::from_utf8(&buffer[..length]).unwrap()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}
