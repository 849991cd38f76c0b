//! One process of this host, without mistaking another for it.
//!
//! A pid is a number that the kernel gives out again. What names a process for good is the boot it
//! lives in, its pid and the time it was started; a pidfd then holds on to exactly that process. So
//! the order is always: open a pidfd by number, read the start time behind it, and only if that is
//! the right one, believe the pidfd.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};
use serde::{Deserialize, Serialize};
use spawner_core::ExitStatus;
use tokio::io::unix::AsyncFd;

use crate::sys;

/// How long a process that ended may wait for its parent to take its exit status, before we do
/// without.
const REAPED_WITHIN: Duration = Duration::from_secs(1);

/// The kernel's flag for a process that did not run a program yet.
const PF_FORKNOEXEC: u32 = 0x40;

/// Which process of which boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The kernel's `boot_id`.
    pub(crate) boot_id: String,
    /// Its number.
    pub(crate) pid: i32,
    /// When it was started, in clock ticks since the boot.
    pub(crate) start_time: u64,
}

/// Number and start time: which process, within one boot.
pub(crate) type Key = (i32, u64);

/// What `/proc/PID/stat` says, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: i32,
    /// One letter: `R`unning, `S`leeping, s`T`opped, `Z`ombie and more.
    pub(crate) state: u8,
    pub(crate) parent: i32,
    pub(crate) session: i32,
    pub(crate) start_time: u64,
    /// Whether it was forked and still runs the program of its parent.
    pub(crate) forked: bool,
    /// Whether it has an environment that we may read.
    pub(crate) environment: bool,
}

/// A process that was proven to be the one meant, held by pidfd. It may have ended.
#[derive(Debug)]
pub(crate) struct Process {
    pid: i32,
    start_time: u64,
    pidfd: AsyncFd<OwnedFd>,
}

/// The id of the boot that we live in.
pub(crate) fn boot_id() -> io::Result<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.trim_end().to_owned())
}

impl Identity {
    /// The identity of a process that cannot end, or change its number, while this looks at it: a
    /// child that waits at its gate.
    pub(crate) fn of(pid: Pid) -> io::Result<Self> {
        let pid = pid.as_raw_nonzero().get();
        let stat = Stat::of(pid)?.ok_or(io::ErrorKind::NotFound)?;
        Ok(Self {
            boot_id: boot_id()?,
            pid,
            start_time: stat.start_time,
        })
    }

    /// Opens the process; `None` if it is gone, whatever has its number now.
    pub(crate) fn open(&self) -> io::Result<Option<Process>> {
        if self.boot_id != boot_id()? {
            return Ok(None);
        }
        Process::open(self.pid, self.start_time)
    }
}

impl Stat {
    /// Looks at the process that has the number `pid` now; `None` if there is none.
    pub(crate) fn of(pid: i32) -> io::Result<Option<Self>> {
        // Twice what 52 numbers and a name can need. This is read very often, and in one piece.
        let mut line = [0; 2048];
        let read =
            File::open(format!("/proc/{pid}/stat")).and_then(|mut stat| stat.read(&mut line));
        let length = match read {
            Ok(length) => length,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let stat = Self::parse(pid, &line[..length]).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Some(stat))
    }

    /// Which process it is about.
    pub(crate) fn key(&self) -> Key {
        (self.pid, self.start_time)
    }

    fn parse(pid: i32, line: &[u8]) -> Option<Self> {
        // The second field is the program's name in parentheses, and may hold anything.
        let name_end = line.iter().rposition(|&byte| byte == b')')?;
        let rest = str::from_utf8(line.get(name_end + 1..)?).ok()?;
        // Counted from the third: state, parent, process group, session, two more, flags (the 9th),
        // ... start time (the 22nd).
        let mut fields = rest.split_ascii_whitespace();
        Some(Self {
            pid,
            state: *fields.next()?.as_bytes().first()?,
            parent: fields.next()?.parse().ok()?,
            session: fields.nth(1)?.parse().ok()?,
            forked: fields.nth(2)?.parse::<u32>().ok()? & PF_FORKNOEXEC != 0,
            start_time: fields.nth(12)?.parse().ok()?,
            // Where it begins (the 50th), which is 0 for those who may not look into the memory.
            environment: fields.nth(27)? != "0",
        })
    }
}

impl Process {
    /// Opens the process that has the number `pid` and was started at `start_time`; `None` if it is
    /// gone.
    pub(crate) fn open(pid: i32, start_time: u64) -> io::Result<Option<Self>> {
        let Some(number) = Pid::from_raw(pid) else {
            return Ok(None);
        };
        let pidfd = match pidfd_open(number, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            // The last two: the number is a thread's now, of some other process.
            Err(Errno::SRCH | Errno::NOENT | Errno::INVAL) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Read after opening: if the number was given away before, the start time says so, and if
        // it is given away later, the pidfd does not follow.
        match Stat::of(pid)? {
            Some(stat) if stat.start_time == start_time => Ok(Some(Self {
                pid,
                start_time,
                pidfd: sys::watch(pidfd)?,
            })),
            _ => Ok(None),
        }
    }

    /// Which process it is.
    pub(crate) fn key(&self) -> Key {
        (self.pid, self.start_time)
    }

    /// Whether it has ended; a zombie has.
    pub(crate) fn is_over(&self) -> io::Result<bool> {
        let mut wanted = [PollFd::new(&self.pidfd, PollFlags::IN)];
        // A signal can interrupt even a poll that does not wait.
        Ok(retry_on_intr(|| poll(&mut wanted, Some(&Timespec::default())))? > 0)
    }

    /// Returns when it has ended. Cancel-safe.
    pub(crate) async fn over(&self) {
        while !self.is_over().unwrap_or(false) {
            match self.pidfd.readable().await {
                Ok(mut ready) => ready.clear_ready(),
                // The runtime is being shut down: there will be no more events.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Sends a signal; one that has ended needs none.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// How it ended, once it has. A child of ours stays a zombie, so that its number, which is also
    /// its session's, is not given away before the session was looked through.
    pub(crate) async fn status(&self) -> ExitStatus {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if let Ok(Some(status)) = waitid(WaitId::PidFd(self.pidfd.as_fd()), options) {
            if let Some(code) = status.exit_status() {
                return ExitStatus::Code(code);
            }
            if let Some(signal) = status.terminating_signal() {
                return ExitStatus::Signal(signal);
            }
        }
        let info = tokio::time::timeout(REAPED_WITHIN, self.reaped_status());
        info.await
            .ok()
            .flatten()
            .map_or(ExitStatus::Unknown, decode)
    }

    /// The wait status that somebody else's child left, once that somebody has taken it.
    async fn reaped_status(&self) -> Option<i32> {
        loop {
            if let Some(status) = sys::exit_info(self.pidfd.as_fd()) {
                return Some(status);
            }
            // A pidfd hangs up when its process is reaped.
            let mut ready = self.pidfd.readable().await.ok()?;
            if ready.ready().is_read_closed() {
                return sys::exit_info(self.pidfd.as_fd());
            }
            ready.clear_ready();
        }
    }

    /// Lets the kernel forget a child of ours that has ended; does nothing to any other process.
    pub(crate) fn reap(&self) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), options);
    }
}

/// The account that started the process `pid`, whatever a program with special rights made of it
/// since; `None` if it is gone.
pub(crate) fn real_uid(pid: i32) -> io::Result<Option<u32>> {
    let status = match std::fs::read(format!("/proc/{pid}/status")) {
        Ok(status) => status,
        Err(error) if is_gone(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    // The program's name stands in it too; the kernel lets no name begin another line.
    let line = status
        .split(|&byte| byte == b'\n')
        .find_map(|line| str::from_utf8(line).ok()?.strip_prefix("Uid:"));
    Ok(line.and_then(|uids| uids.split_ascii_whitespace().next()?.parse().ok()))
}

/// Reads a status as `wait` has it.
fn decode(status: i32) -> ExitStatus {
    match status & 0x7f {
        0 => ExitStatus::Code(status >> 8 & 0xff),
        signal => ExitStatus::Signal(signal),
    }
}

/// Whether reading below `/proc/PID` failed because the process is not there any more.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_pid() -> i32 {
        rustix::process::getpid().as_raw_nonzero().get()
    }

    #[test]
    fn a_name_cannot_forge_the_other_fields() {
        let fields = "S 7 8 9 0 -1 4194624 1 0 0 0 0 0 0 0 20 0 1 0 12345 3 4 5 6 7 8 9 10 0 0 4096 \
                      0 0 0 0 17 1 0 0 0 0 0 11 12 13 14 15";
        for (environment, readable) in [("140", true), ("0", false)] {
            let line = format!("42 (a) S 1 1 1 (b) {fields} {environment} 160 0\n");
            assert_eq!(
                Stat::parse(42, line.as_bytes()),
                Some(Stat {
                    pid: 42,
                    state: b'S',
                    parent: 7,
                    session: 9,
                    start_time: 12345,
                    forked: true,
                    environment: readable,
                })
            );
        }
        assert_eq!(Stat::parse(42, b"42 (a) S 1"), None);
        assert_eq!(Stat::parse(42, b""), None);
    }

    #[tokio::test]
    async fn only_the_process_meant_is_opened() {
        let myself = Identity::of(rustix::process::getpid()).unwrap();
        let process = myself.open().unwrap().unwrap();
        assert!(!process.is_over().unwrap());
        let later = Identity {
            start_time: myself.start_time + 1,
            ..myself.clone()
        };
        assert!(later.open().unwrap().is_none());
        let before = Identity {
            boot_id: "00000000-0000-0000-0000-000000000000".into(),
            ..myself
        };
        assert!(before.open().unwrap().is_none());
        assert!(Process::open(i32::MAX, 1).unwrap().is_none());
        assert!(Process::open(0, 1).unwrap().is_none());
        assert_eq!(process.key().0, own_pid());
    }

    #[test]
    fn a_number_that_a_thread_has_now_is_no_process() {
        std::thread::spawn(|| {
            let tid = rustix::thread::gettid().as_raw_nonzero().get();
            assert_ne!(tid, own_pid());
            let stat = Stat::of(tid).unwrap().unwrap();
            assert!(Process::open(tid, stat.start_time).unwrap().is_none());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn the_account_of_a_process_is_the_one_that_started_it() {
        let myself = rustix::process::getuid().as_raw();
        assert_eq!(real_uid(own_pid()).unwrap(), Some(myself));
        assert_eq!(real_uid(i32::MAX).unwrap(), None);
    }

    #[test]
    fn wait_statuses_are_read() {
        assert_eq!(decode(3 << 8), ExitStatus::Code(3));
        assert_eq!(decode(9), ExitStatus::Signal(9));
        assert_eq!(
            decode(0x80 | libc::SIGSEGV),
            ExitStatus::Signal(libc::SIGSEGV)
        );
        assert_eq!(decode(0), ExitStatus::Code(0));
    }
}
