//! The hub's side of a start: fork, wait until the state is saved, let the child go on.
//!
//! ```text
//!  hub task        thread of the start            child
//!     │ begin ───────> fork ───────────────────────> own group and session, nothing inherited
//!     │ <──── pid ─────┤ <── "at the gate" ──────────┤ reads the gate pipe ...
//!     │ save identity  │ reads the report pipe       │
//!     │ open ─────────────────────────────────────>  │ ... one byte: goes on
//!     │                │                             │ ids, directory, execve
//!     │ <── settled ───┤ <── end of file, or the step that failed
//! ```
//!
//! - The gate is opened for a child that waits there, and not before. One that got its way opened
//!   earlier could be found neither by its group nor by its environment, as long as the machine is too
//!   busy for it to run.
//! - Dropping the [`Gate`] unopened ends the child: it reads end of file. So does the hub's death.
//! - The thread lives until the child runs its program or is gone and reaped. It has to: the kernel
//!   counts the end of the *thread* that forked as the end of the parent.
//! - Whoever drops a start half way keeps the [`Forking`] and waits for it, and then knows.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Pid, WaitOptions, waitpid};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::sys::{self, AT_GATE, Failed, Plan};

/// A start that is under way.
#[derive(Debug)]
pub(crate) struct Forking {
    thread: JoinHandle<Result<(), StartError>>,
}

/// What a child waits at.
#[derive(Debug)]
pub(crate) struct Gate {
    pid: oneshot::Receiver<Pid>,
    writer: PipeWriter,
    /// With a reader of our own, writing cannot raise SIGPIPE should the child be gone.
    _reader: PipeReader,
}

/// Why a child does not run its program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// There is no child.
    #[error("no process could be made")]
    Fork(#[source] io::Error),
    /// There was one, and it ended at this step.
    #[error("step {:?}: {}", .0.step, io::Error::from_raw_os_error(.0.errno))]
    Step(Failed),
}

/// Opens what a child reads: nothing.
pub(crate) fn no_input() -> io::Result<OwnedFd> {
    above_stdio(File::open("/dev/null")?.into())
}

/// The same file under a number that is none of stdin, stdout and stderr.
pub(crate) fn above_stdio(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    if descriptor.as_raw_fd() > 2 {
        return Ok(descriptor);
    }
    Ok(fcntl_dupfd_cloexec(&descriptor, 3)?)
}

/// Starts a thread that forks. Must be called within a runtime.
pub(crate) fn begin(plan: Plan) -> io::Result<(Forking, Gate)> {
    let (gate_reader, writer) = io::pipe()?;
    let (report_reader, report_writer) = io::pipe()?;
    let gate_of_child = above_stdio(gate_reader.try_clone()?.into())?;
    let report_of_child = above_stdio(report_writer.into())?;
    let (pid_sender, pid) = oneshot::channel();
    let thread = spawn_blocking(move || {
        let child = sys::fork(&plan, gate_of_child.as_fd(), report_of_child.as_fd())
            .map_err(StartError::Fork)?;
        drop((gate_of_child, report_of_child));
        let mut report = report_reader;
        let mut first = [0];
        // An error of this read is impossible; end of file means that the child was killed.
        let length = report.read(&mut first).unwrap_or_default();
        if first[..length] == [AT_GATE] {
            // If nobody listens, the start was dropped and the gate with it: the child sees that.
            let _ = pid_sender.send(child);
            return wait_for_exec(child, report);
        }
        let mut bytes = first[..length].to_vec();
        let _ = report.read_to_end(&mut bytes);
        bury(child);
        let killed = || StartError::Fork(io::Error::other("it was killed before it began"));
        Err(Failed::read(&bytes).map_or_else(killed, StartError::Step))
    });
    let gate = Gate {
        pid,
        writer,
        _reader: gate_reader,
    };
    Ok((Forking { thread }, gate))
}

/// Returns when `child` runs its program; if it does not, when it is gone and reaped.
fn wait_for_exec(child: Pid, mut report: PipeReader) -> Result<(), StartError> {
    let mut bytes = Vec::new();
    // An error of this read is impossible; as an empty report it means that the child got through,
    // and if it did not, it is found dead in a moment.
    let _ = report.read_to_end(&mut bytes);
    match Failed::read(&bytes) {
        None => Ok(()),
        Some(failed) => {
            bury(child);
            Err(StartError::Step(failed))
        }
    }
}

/// Waits for a child that is about to end.
fn bury(child: Pid) {
    while let Err(rustix::io::Errno::INTR) = waitpid(Some(child), WaitOptions::empty()) {}
}

impl Forking {
    /// Returns when the child runs its program or is gone. Cancel-safe; not to be called again
    /// after it returned.
    pub(crate) async fn settled(&mut self) -> Result<(), StartError> {
        match (&mut self.thread).await {
            Ok(result) => result,
            Err(error) => Err(StartError::Fork(io::Error::other(error))),
        }
    }
}

impl Gate {
    /// The child that waits; `None` if there is none, which [`Forking::settled`] explains.
    pub(crate) async fn child(&mut self) -> Option<Pid> {
        (&mut self.pid).await.ok()
    }

    /// Lets the child go on.
    pub(crate) fn open(mut self) -> io::Result<()> {
        self.writer.write_all(b"!")
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::io::BufRead;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::account::Credentials;
    use crate::cgroup::Entrance;
    use crate::process::{Identity, Stat};
    use crate::sys::Step;

    fn plan(script: &str, output: OwnedFd) -> Plan {
        let words = |words: &[&str]| -> Vec<CString> {
            words.iter().map(|&w| CString::new(w).unwrap()).collect()
        };
        Plan {
            program: c"/bin/sh".into(),
            argv: words(&["sh", "-c", script]),
            envp: words(&["PATH=/usr/bin:/bin"]),
            directory: c"/".into(),
            stdin: no_input().unwrap(),
            output: above_stdio(output).unwrap(),
            entrance: None,
            rlimits: Vec::new(),
            umask: 0o077,
            credentials: None,
            no_new_privileges: true,
            close_range: true,
        }
    }

    fn nowhere() -> OwnedFd {
        File::options()
            .write(true)
            .open("/dev/null")
            .unwrap()
            .into()
    }

    async fn failed_step(plan: Plan) -> Step {
        let (mut forking, mut gate) = begin(plan).unwrap();
        if gate.child().await.is_some() {
            gate.open().unwrap();
        }
        match forking.settled().await {
            Err(StartError::Step(failed)) => failed.step,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn nothing_runs_before_the_gate_is_opened() {
        let (reader, writer) = io::pipe().unwrap();
        let (mut forking, mut gate) = begin(plan("echo ran", writer.into())).unwrap();
        let child = Identity::of(gate.child().await.unwrap()).unwrap();
        let program = |pid: i32| std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        assert_eq!(program(child.pid), std::env::current_exe().unwrap());
        gate.open().unwrap();
        forking.settled().await.unwrap();
        let mut lines = io::BufReader::new(reader).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ran");
        child.open().unwrap().unwrap().over().await;
    }

    #[tokio::test]
    async fn a_dropped_gate_ends_the_child() {
        let (mut forking, mut gate) = begin(plan("echo ran", nowhere())).unwrap();
        let child = gate.child().await.unwrap().as_raw_nonzero().get();
        // Another child that waits must not hold this one's gate open.
        let (mut other, mut other_gate) = begin(plan("exit 0", nowhere())).unwrap();
        other_gate.child().await.unwrap();
        drop(gate);
        match forking.settled().await {
            Err(StartError::Step(failed)) => assert_eq!(failed.step, Step::Gate),
            other => panic!("{other:?}"),
        }
        assert_eq!(Stat::of(child).unwrap(), None, "it was not reaped");
        drop(other_gate);
        other.settled().await.unwrap_err();
    }

    #[tokio::test]
    async fn the_step_that_failed_is_told() {
        let mut missing = plan("", nowhere());
        missing.program = c"/nonexistent/program".into();
        assert_eq!(failed_step(missing).await, Step::Exec);
        let mut homeless = plan("", nowhere());
        homeless.directory = c"/nonexistent".into();
        assert_eq!(failed_step(homeless).await, Step::Directory);
        let mut outside = plan("", nowhere());
        outside.entrance = Some(Entrance::by_writing(Path::new("/dev/full")));
        assert_eq!(failed_step(outside).await, Step::ControlGroup);
    }

    #[tokio::test]
    async fn a_child_that_cannot_be_born_in_its_group_enters_it() {
        let procs = tempfile::NamedTempFile::new().unwrap();
        let mut plan = plan("exit 0", nowhere());
        plan.entrance = Some(Entrance::by_writing(procs.path()));
        let (mut forking, mut gate) = begin(plan).unwrap();
        gate.child().await.unwrap();
        assert_eq!(std::fs::read(procs.path()).unwrap(), b"0");
        gate.open().unwrap();
        forking.settled().await.unwrap();
    }

    #[tokio::test]
    async fn groups_that_cannot_be_set_refuse_the_start() {
        // More than any kernel takes (NGROUPS_MAX), or, without root, more than we may set.
        let mut crowded = plan("", nowhere());
        crowded.credentials = Some(Credentials {
            uid: 1,
            gid: 1,
            groups: (0..70_000).collect(),
        });
        assert_eq!(failed_step(crowded).await, Step::Groups);
    }

    #[tokio::test]
    async fn rights_that_are_not_those_asked_for_refuse_the_start() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        // The kernel sorts groups, so these do not come back as they were set.
        let mut unsorted = plan("", nowhere());
        unsorted.credentials = Some(Credentials {
            uid: 1,
            gid: 1,
            groups: vec![2, 1],
        });
        assert_eq!(failed_step(unsorted).await, Step::ReadBack);
    }

    #[tokio::test]
    async fn no_descriptor_is_inherited_with_and_without_close_range() {
        // Not close-on-exec, as a library in the hub's process might leave it.
        let leak = rustix::io::dup(io::stderr()).unwrap();
        assert!(rustix::io::fcntl_getfd(&leak).unwrap().is_empty());
        for close_range in [true, false] {
            let (reader, writer) = io::pipe().unwrap();
            let mut plan = plan("echo /proc/self/fd/* /proc/$$/fd/*", writer.into());
            plan.close_range = close_range;
            let (mut forking, mut gate) = begin(plan).unwrap();
            gate.child().await.unwrap();
            gate.open().unwrap();
            forking.settled().await.unwrap();
            let listed = io::BufReader::new(reader).lines().next().unwrap().unwrap();
            for path in listed.split(' ') {
                let number = path.rsplit('/').next().unwrap();
                // The shell opens the directory to list it, as 3.
                assert!(["0", "1", "2", "3"].contains(&number), "{listed}");
            }
        }
    }

    /// Plays the hub in the next test: forks, says so, and waits to be killed.
    #[tokio::test]
    #[ignore = "run by the_child_at_the_gate_ends_with_the_hub"]
    async fn hub_with_a_child_at_the_gate() {
        let (_forking, mut gate) = begin(plan("echo ran", nowhere())).unwrap();
        let child = Identity::of(gate.child().await.unwrap()).unwrap();
        println!("\nchild {} {}", child.pid, child.start_time);
        std::future::pending::<()>().await;
    }

    #[tokio::test]
    async fn the_child_at_the_gate_ends_with_the_hub() {
        let name = "gate::tests::hub_with_a_child_at_the_gate";
        let mut hub = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--ignored", "--nocapture"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = io::BufReader::new(hub.stdout.take().unwrap()).lines();
        let child = lines.find_map(|line| {
            let line = line.unwrap();
            let (pid, start_time) = line.strip_prefix("child ")?.split_once(' ')?;
            Some(Identity {
                boot_id: crate::process::boot_id().unwrap(),
                pid: pid.parse().unwrap(),
                start_time: start_time.parse().unwrap(),
            })
        });
        let child = child.unwrap().open().unwrap().unwrap();
        assert!(!child.is_over().unwrap());
        hub.kill().unwrap();
        hub.wait().unwrap();
        child.over().await;
    }
}
