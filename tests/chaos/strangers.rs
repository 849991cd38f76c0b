//! Processes that are none of the hub's business and look as if they were.
//!
//! Each leads a process group of its own, carries the name of a user and the launch id of nobody,
//! and some have the very pid that the hub's books name. Nothing that happens to a child is hidden
//! from its parent: a signal that ends, stops or continues one is seen here, and every signal that
//! a hub could send does one of the three.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use spawner_core::{LAUNCH_MARKER, LaunchId};

/// Where the kernel keeps the pid that it gave out last. Whoever may write there chooses the next.
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";
/// How many are kept; the oldest has to have survived so many kills, and goes.
const CROWD: usize = 40;

/// A crowd of them.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    crowd: Vec<Child>,
    /// How many there were.
    pub(crate) seen: usize,
    /// How many of them got a pid of the books.
    pub(crate) with_a_known_pid: usize,
}

impl Strangers {
    /// One more, as the user `name` might have started it.
    pub(crate) fn add(&mut self, name: &str) {
        let child = Command::new("sleep")
            .arg("86400")
            .env("JUPYTERHUB_USER", name)
            .env(LAUNCH_MARKER, LaunchId::random().as_str())
            .stdin(Stdio::null())
            .process_group(0)
            .spawn();
        self.crowd.push(child.expect("sleep"));
        self.seen += 1;
    }

    /// One more with this pid, if the kernel lets us choose and nobody else was quicker.
    pub(crate) fn add_as(&mut self, name: &str, pid: i32) {
        let _ = fs::write(LAST_PID, (pid - 1).to_string());
        self.add(name);
        let got = self.crowd.last().map(pid_of);
        self.with_a_known_pid += usize::from(got == Some(Pid::from_raw(pid)));
    }

    /// Nothing has happened to any of them.
    pub(crate) fn check(&mut self) {
        for child in &self.crowd {
            let pid = pid_of(child);
            let any = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED | WaitPidFlag::WCONTINUED;
            let status = waitpid(pid, Some(any));
            assert_eq!(
                status,
                Ok(WaitStatus::StillAlive),
                "a stranger was signalled"
            );
        }
        while self.crowd.len() > CROWD {
            end(&mut self.crowd.remove(0));
        }
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        self.crowd.iter_mut().for_each(end);
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a pid"))
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
