//! A real hub in a folder of its own.
//!
//! ```text
//!   Setup --start--> TestHub --kill/terminate--> (down) --start_again--> TestHub
//!     |                 |
//!     '--refusal        '-- drop: report if the test failed, end the hub, then all it made
//! ```
//!
//! The folder holds everything of the test: `hubd.toml`, `hub.log` and the hub's state. A hub that
//! is started again has the same folder and the same port, as it would for the people who use it.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::api::Api;
use crate::browser::Browser;
use crate::processes::{self, Process};
use crate::report;
use crate::setup::{ADMIN_TOKEN, Setup, text};
use crate::wait::{until, within};

/// What the hub prints when it serves; the origin follows.
const READY: &str = "hubd is serving at ";

/// A hub that serves, or one that a test has just taken down.
#[derive(Debug)]
pub struct TestHub {
    // The order matters: the processes end before their folder goes.
    process: Option<Child>,
    origin: String,
    setup: Setup,
    folder: TempDir,
}

/// How a hub that refused to start ended.
#[derive(Debug)]
pub struct Refusal {
    /// Its exit status.
    pub status: ExitStatus,
    /// All that it printed.
    pub output: String,
}

impl Setup {
    /// Starts the hub and returns when it serves.
    pub async fn start(self) -> TestHub {
        let folder = private_folder();
        let mut hub = TestHub {
            process: None,
            origin: String::new(),
            setup: self,
            folder,
        };
        hub.start_again().await;
        hub
    }

    /// Starts a hub that must refuse; `prepare` may put things into its folder first.
    pub async fn refusal(self, prepare: impl FnOnce(&Path)) -> Refusal {
        let folder = private_folder();
        prepare(folder.path());
        let mut hub = TestHub {
            process: None,
            origin: String::new(),
            setup: self,
            folder,
        };
        match hub.launch().await {
            Ok(()) => panic!("the hub serves although it should refuse"),
            Err(refusal) => refusal,
        }
    }
}

impl TestHub {
    /// A hub as [`Setup::new`] has it.
    pub async fn start() -> Self {
        Setup::new().start().await
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// A fresh browser.
    pub fn browser(&self) -> Browser {
        Browser::new(&self.origin)
    }

    /// The program that may do everything.
    pub fn admin(&self) -> Api {
        self.api(Some(ADMIN_TOKEN))
    }

    /// A program with this token.
    pub fn api(&self, token: Option<&str>) -> Api {
        Api::new(&self.origin, token)
    }

    /// The folder of the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The hub's program.
    pub(crate) fn program(&self) -> &Path {
        self.setup.binary()
    }

    /// The hub's own state.
    pub fn state_dir(&self) -> PathBuf {
        self.folder().join("state")
    }

    /// All that the hub has logged and printed.
    pub fn log(&self) -> String {
        report::log(self.folder())
    }

    /// The entries of the audit log, the latest first, as `hubd audit` prints them with these arguments.
    pub async fn audit(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        let mut command = tokio::process::Command::new(self.setup.binary());
        command
            .args(["audit", "--json", "--limit", "1000"])
            .args(arguments)
            .current_dir(self.folder());
        let ran = within("`hubd audit` to end", command.output()).await;
        let ran = ran.expect("hubd");
        assert!(ran.status.success(), "{ran:?}");
        let lines = ran.stdout.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_slice(line).expect("an object a line"))
            .collect()
    }

    /// The live processes of all servers.
    pub fn servers(&self) -> Vec<Process> {
        processes::servers_of(self.folder())
    }

    /// Waits until no process of any server is left.
    pub async fn until_no_server_is_left(&self) {
        until("all server processes to end", async || {
            let left = self.servers();
            if left.is_empty() {
                Ok(())
            } else {
                Err(format!("{left:#?}"))
            }
        })
        .await;
    }

    /// The hub's pid.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a hub that runs").id()
    }

    /// Ends the hub as a crash or the kernel would, with SIGKILL.
    pub async fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.ended().await;
    }

    /// Asks the hub to end, with SIGTERM, and waits until it has.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended().await
    }

    /// Presses Ctrl-C, and waits until the hub has ended.
    pub async fn interrupt(&mut self) -> ExitStatus {
        self.signal(Signal::SIGINT);
        self.ended().await
    }

    /// Starts the hub on the same folder and, if it has served before, on the same port.
    pub async fn start_again(&mut self) {
        assert!(self.process.is_none(), "the hub is still there");
        if let Err(refusal) = self.launch().await {
            panic!(
                "the hub refused to start with {}:\n{}",
                refusal.status, refusal.output
            );
        }
    }

    /// Starts the hub on the same folder, and kills it so long afterwards, whether it serves by then or
    /// not.
    pub async fn start_and_kill(&mut self, after: Duration) {
        assert!(self.process.is_none(), "the hub is still there");
        drop(self.spawn());
        tokio::time::sleep(after).await;
        self.kill().await;
    }

    /// Starts a second hub on the same state, which must refuse.
    pub async fn rival(&self) -> Refusal {
        let state = self.state_dir();
        let setup = self.setup.clone().set("hub.bind", "127.0.0.1:0");
        setup
            .set("hub.state_dir", text(&state))
            .refusal(|_| ())
            .await
    }

    async fn launch(&mut self) -> Result<(), Refusal> {
        let ready = self.spawn();
        if let Ok(origin) = within("the hub to serve or to refuse", ready).await {
            self.origin = origin;
            return Ok(());
        }
        Err(Refusal {
            status: self.ended().await,
            output: self.log(),
        })
    }

    /// Starts the process; the result is the origin once it serves, see [`watch`].
    fn spawn(&mut self) -> oneshot::Receiver<String> {
        if let Some(address) = self.origin.strip_prefix("http://") {
            self.setup = self.setup.clone().set("hub.bind", address);
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(report::log_path(self.folder()));
        let log = log.expect("a folder that can be written");
        let mut child = Command::new(self.setup.binary())
            .args(self.setup.arguments(self.folder()))
            .current_dir(self.folder())
            .envs(self.setup.places(self.folder()))
            .envs(self.setup.hub_environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().expect("one more descriptor"))
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.setup.binary().display()));
        let stdout = child.stdout.take().expect("a pipe was asked for");
        self.process = Some(child);
        watch(stdout, log)
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).expect("a pid");
        // Our own child, not yet waited for: its pid cannot be anybody else's.
        kill(Pid::from_raw(pid), signal).expect("a signal to our own child");
    }

    /// Waits until the hub has ended, for a reason that the test has seen to.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = self.process.as_mut().expect("a hub that runs");
        let status = until("the hub to end", async || {
            child
                .try_wait()
                .expect("our own child")
                .ok_or_else(|| "it runs".to_owned())
        })
        .await;
        self.process = None;
        status
    }
}

impl Drop for TestHub {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", report::write(self.folder()));
        }
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        processes::end_all(self.folder());
    }
}

fn private_folder() -> TempDir {
    let mut builder = tempfile::Builder::new();
    let private = builder
        .prefix("hubd-test-")
        .permissions(Permissions::from_mode(0o700));
    let folder = private.tempdir().expect("a temporary folder");
    // What the mark of a process says is compared byte for byte.
    let real = fs::canonicalize(folder.path()).expect("the folder just made");
    assert_eq!(real, folder.path(), "TMPDIR leads through a symbolic link");
    folder
}

/// Copies what the hub prints into its log; the result is the origin, once the hub has said it. It
/// fails when the hub closes its output without that.
fn watch(stdout: ChildStdout, mut log: File) -> oneshot::Receiver<String> {
    let (ready, receiver) = oneshot::channel();
    // It ends with the hub's output, for which nobody has to wait.
    thread::spawn(move || {
        let mut ready = Some(ready);
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = writeln!(log, "{line}");
            if let Some(origin) = line.strip_prefix(READY)
                && let Some(ready) = ready.take()
            {
                let _ = ready.send(origin.trim().trim_end_matches('/').to_owned());
            }
        }
    });
    receiver
}
