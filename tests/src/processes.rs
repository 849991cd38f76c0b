//! The processes of one test, known by proof and not by name.
//!
//! A test's hub gives each server it starts one more environment variable, whose value is the path
//! of the test's own folder; children inherit it, kernels and all. So "the processes of this test"
//! is a question to `/proc` with an exact answer, also when the hub's books are wrong, which is
//! what a test wants to find out. The hub itself carries the folder in a second variable, which
//! servers must not inherit. A hub without a configuration file cannot hand out the first one; its
//! servers are known by their home, which is the folder then.
//!
//! A process is pid and start time together: a pid alone comes back after a while.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The variable of servers, set by the hub's configuration.
pub const SERVER_MARK: &str = "HUBD_TEST_SERVER_OF";
/// The variable of servers of a hub that has no configuration.
pub const HOME_MARK: &str = "HOME";
/// The variable of the hub itself; a server that has it inherited what it must not.
pub const HUB_MARK: &str = "HUBD_TEST_HUB_OF";

/// One process that is, or was, alive. Two are equal if they are the same process, whatever else
/// has changed about it: its parent does, when a hub ends.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its pid.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
    /// Its parent's pid.
    pub parent: i32,
    /// Its session's leader.
    pub session: i32,
    /// Its command line.
    pub command: String,
    /// Whether it is the hub, or has the hub's environment.
    pub of_hub: bool,
}

impl PartialEq for Process {
    fn eq(&self, other: &Self) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }
}

impl Eq for Process {}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pid,
            parent,
            session,
            command,
            ..
        } = self;
        write!(f, "pid {pid} parent {parent} session {session}: {command}")
    }
}

/// All live processes that carry the mark of the test in `folder`: its hubs and its servers.
pub fn of(folder: &Path) -> Vec<Process> {
    let mut found: Vec<_> = pids().filter_map(|pid| read(pid, folder)).collect();
    found.sort_by_key(|process| (process.started, process.pid));
    found
}

/// The servers of the test in `folder`, with all their descendants that still carry the mark.
pub fn servers_of(folder: &Path) -> Vec<Process> {
    let mut found = of(folder);
    found.retain(|process| !process.of_hub);
    found
}

/// Ends every process of the test in `folder` and returns when none is left. The control groups that a
/// hub made for them go too: no hub is there to remove them.
pub fn end_all(folder: &Path) {
    let mut groups = BTreeSet::new();
    loop {
        let alive = of(folder);
        if alive.is_empty() {
            break;
        }
        for process in alive {
            groups.extend(own_group(process.pid));
            end(&process, folder);
        }
    }
    for group in groups {
        let _ = fs::remove_dir(group);
    }
}

/// A variable in the environment of a process; `None` also when the process has ended.
pub fn variable(process: &Process, name: &str) -> Option<String> {
    let environment = fs::read(format!("/proc/{}/environ", process.pid)).ok()?;
    let value = environment
        .split(|byte| *byte == 0)
        .find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// Ends one process if it is still the one we mean, and waits for its end.
pub fn end(process: &Process, folder: &Path) {
    let pid = Pid::from_raw(process.pid).expect("a pid from /proc is positive");
    // The descriptor holds the process itself; what the pid named is asked again after that.
    let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    let same = read(process.pid, folder).is_some_and(|now| now == *process);
    if same && pidfd_send_signal(&held, Signal::KILL).is_ok() {
        let _ = retry_on_intr(|| poll(&mut [PollFd::new(&held, PollFlags::IN)], None));
    }
}

/// The directory of the control group that a hub made for the run of a process.
fn own_group(pid: i32) -> Option<PathBuf> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let mut mounts = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let mount = mounts.find(|mount| mount.get(2) == Some(&"cgroup2"))?;
    let of_run = path.rsplit('/').next()?.starts_with("hubd-");
    of_run.then(|| Path::new(mount[1]).join(path))
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").expect("/proc, which these tests need");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Reads a process if it is alive and of the test in `folder`.
fn read(pid: i32, folder: &Path) -> Option<Process> {
    let root = PathBuf::from(format!("/proc/{pid}"));
    let environment = fs::read(root.join("environ")).ok()?;
    let carries = |name: &str| {
        environment.split(|byte| *byte == 0).any(|pair| {
            let value = pair
                .strip_prefix(name.as_bytes())
                .and_then(|pair| pair.strip_prefix(b"="));
            value.map(OsStr::from_bytes) == Some(folder.as_os_str())
        })
    };
    let of_hub = carries(HUB_MARK);
    if !of_hub && !carries(SERVER_MARK) && !carries(HOME_MARK) {
        return None;
    }
    // The command name in parentheses may hold spaces and parentheses: fields start after the last.
    let stat = fs::read_to_string(root.join("stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    let command = fs::read(root.join("cmdline")).ok()?;
    let words = command
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy);
    Some(Process {
        pid,
        started: fields.get(19)?.parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        command: words.collect::<Vec<_>>().join(" ").trim().to_owned(),
        of_hub,
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// A process that lives until its standard input ends, which is when this test says so.
    fn cat(mark: &str, folder: &Path) -> std::process::Child {
        let mut command = Command::new("cat");
        command
            .env(mark, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        command.spawn().expect("cat")
    }

    #[test]
    fn finds_and_ends_the_processes_of_one_folder_only() {
        let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut server = cat(SERVER_MARK, ours.path());
        let mut hub = cat(HUB_MARK, ours.path());
        let mut foreign = cat(SERVER_MARK, other.path());

        let mut pids: Vec<_> = of(ours.path()).iter().map(|process| process.pid).collect();
        pids.sort_unstable();
        let mut expected = [server.id(), hub.id()].map(|pid| i32::try_from(pid).unwrap());
        expected.sort_unstable();
        assert_eq!(pids, expected);
        let servers = servers_of(ours.path());
        assert_eq!(servers.len(), 1);
        assert_eq!(
            (servers[0].command.as_str(), servers[0].of_hub),
            ("cat", false)
        );

        end_all(ours.path());
        assert!(of(ours.path()).is_empty());
        assert!(!server.wait().unwrap().success() && !hub.wait().unwrap().success());
        assert_eq!(of(other.path()).len(), 1, "the foreign one is still alive");
        drop(foreign.stdin.take());
        assert!(foreign.wait().unwrap().success());
    }
}
