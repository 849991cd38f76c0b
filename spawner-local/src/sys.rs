//! The system calls that need `unsafe`: the child's side of a start, and three small ones.
//!
//! Between `fork` and `execve` the child is a copy of one thread of a program with many. Any lock
//! may be held by a thread that does not exist here, so only async-signal-safe calls are made: no
//! allocation, no formatting, no drop. Everything the child needs was made before and is in
//! [`Plan`]; every step that fails is reported as its number and `errno`, and ends the child.
//!
//! The C library does not know of a child that [`fork_into`] makes, and counts the threads of its
//! parent. Its functions that set ids would wait until all of these have done the same, so these three
//! steps ask the kernel themselves.
//!
//! ```text
//!  signals -> control group -> stdio -> descriptors -> session -> [ gate ] -> resource limits
//!          -> groups -> group -> user -> read back -> privileges -> directory -> exec
//! ```
//!
//! Where the kernel can, the child is born in its control group. To move a process waits until every
//! processor has passed a quiet moment, which takes milliseconds, and all forks of the machine slow
//! down meanwhile.

#![allow(
    unsafe_code,
    reason = "fork, and system calls that no safe wrapper covers"
)]

use std::convert::Infallible;
use std::ffi::CString;
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

// With ids of 32 bits, which have numbers of their own where those of 16 bits came first.
#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
use libc::{SYS_setgroups as SETGROUPS, SYS_setresgid as SETRESGID, SYS_setresuid as SETRESUID};
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
use libc::{
    SYS_setgroups32 as SETGROUPS, SYS_setresgid32 as SETRESGID, SYS_setresuid32 as SETRESUID,
};
use libc::{c_char, c_int, c_ulong, gid_t, mode_t, pid_t};
use rustix::process::{Pid, Resource, getrlimit};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::account::Credentials;
use crate::cgroup::Entrance;
use crate::rlimits::Rlimit;

/// What a child becomes. Descriptors are 3 or higher, so that putting them in the places of stdin
/// and stdout overwrites none of them.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Absolute.
    pub(crate) program: CString,
    pub(crate) argv: Vec<CString>,
    pub(crate) envp: Vec<CString>,
    /// Entered with the rights of the account, not of the hub.
    pub(crate) directory: CString,
    pub(crate) stdin: OwnedFd,
    /// Becomes stdout and stderr.
    pub(crate) output: OwnedFd,
    pub(crate) entrance: Option<Entrance>,
    pub(crate) rlimits: Vec<Rlimit>,
    pub(crate) umask: mode_t,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) no_new_privileges: bool,
    /// Whether `close_range` may be tried; kernels before 5.9 and some sandboxes lack it.
    pub(crate) close_range: bool,
}

/// The steps of a child, by the number it reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    ControlGroup,
    Stdio,
    Descriptors,
    Session,
    Parent,
    Gate,
    ResourceLimits,
    Groups,
    Group,
    User,
    ReadBack,
    Privileges,
    Directory,
    Exec,
}

impl Step {
    /// All of them, each at its number.
    const ALL: [Self; 14] = [
        Self::ControlGroup,
        Self::Stdio,
        Self::Descriptors,
        Self::Session,
        Self::Parent,
        Self::Gate,
        Self::ResourceLimits,
        Self::Groups,
        Self::Group,
        Self::User,
        Self::ReadBack,
        Self::Privileges,
        Self::Directory,
        Self::Exec,
    ];
}

/// What a child reports when it waits at its gate: in its group, in a session of its own, tied to the
/// hub's life. It is no [`Step`].
pub(crate) const AT_GATE: u8 = u8::MAX;

/// A step that did not work, and the `errno` it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) step: Step,
    pub(crate) errno: i32,
}

/// How long a report is: the step, then `errno` in the machine's byte order.
const REPORT: usize = 1 + size_of::<c_int>();

impl Failed {
    /// Reads what a child reported; `None` if it reported nothing, which means that it got through.
    pub(crate) fn read(report: &[u8]) -> Option<Self> {
        let (&step, errno) = report.split_first()?;
        let errno = i32::from_ne_bytes(errno.try_into().ok()?);
        Some(Self {
            step: *Step::ALL.get(usize::from(step))?,
            errno,
        })
    }

    fn report(self) -> [u8; REPORT] {
        let [a, b, c, d] = self.errno.to_ne_bytes();
        [self.step as u8, a, b, c, d]
    }
}

/// Forks a child that goes through its steps up to the gate, reads one byte from `gate` and goes on
/// to `execve`. It ends if `gate` says end of file instead, or if the calling *thread* ends before
/// the gate was passed. [`AT_GATE`] is written to `report` when the child waits there, and a step that
/// fails; `execve` closes it.
///
/// `gate` and `report` are 3 or higher and close on exec.
pub(crate) fn fork(plan: &Plan, gate: BorrowedFd<'_>, report: BorrowedFd<'_>) -> io::Result<Pid> {
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        let pointers = strings.iter().map(|string| string.as_ptr());
        pointers.chain([ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(&plan.argv), pointers(&plan.envp));
    let groups = plan.credentials.as_ref().map_or(0, |ids| ids.groups.len());
    // One more than expected, so that a group too many is seen.
    let mut groups_found: Vec<gid_t> = vec![0; groups + 1];
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let mut child = Child {
        plan,
        argv: &argv,
        envp: &envp,
        groups_found: &mut groups_found,
        gate: gate.as_raw_fd(),
        report: report.as_raw_fd(),
        parent: rustix::process::getpid().as_raw_nonzero().get(),
        entered: false,
        descriptors: c_int::try_from(limit)
            .ok()
            .filter(|&limit| limit <= 1 << 20),
    };
    // No signal may be handled in the child before its handlers are gone: they are the hub's, and
    // write into descriptors that both still share.
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are local; sigfillset initialises one, pthread_sigmask the other.
    unsafe {
        let mut all = MaybeUninit::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    // SAFETY: the child runs `Child::run` alone, which keeps to async-signal-safe calls and never
    // returns; the parent goes on as before.
    let mut forked = match &plan.entrance {
        Some(entrance) => unsafe { fork_into(entrance.dir()) },
        None => -1,
    };
    child.entered = forked == 0;
    if forked == -1 {
        // SAFETY: as above.
        forked = unsafe { libc::fork() };
    }
    if forked == 0 {
        // SAFETY: this is the child of a fork, and the pointers outlive the call.
        unsafe { child.run() }
    }
    let error = io::Error::last_os_error();
    // SAFETY: `before` was initialised above.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
    }
    Pid::from_raw(forked).filter(|_| forked > 0).ok_or(error)
}

/// `fork` with a child that is born in the control group whose directory `group` is. Linux can do so
/// since 5.7; older ones, sandboxes that forbid the call, and a group that lets nobody in answer -1.
///
/// SAFETY: as for `fork`.
unsafe fn fork_into(group: BorrowedFd<'_>) -> pid_t {
    /// `struct clone_args` of <linux/sched.h> as of Linux 5.7.
    #[repr(C)]
    struct CloneArgs {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
        set_tid: u64,
        set_tid_size: u64,
        cgroup: u64,
    }
    const CLONE_INTO_CGROUP: u64 = 1 << 33;
    let Ok(cgroup) = u64::try_from(group.as_raw_fd()) else {
        return -1;
    };
    // SAFETY: all fields are integers, for which zero is a value.
    let mut args: CloneArgs = unsafe { mem::zeroed() };
    args.flags = CLONE_INTO_CGROUP;
    args.exit_signal = libc::SIGCHLD as u64;
    args.cgroup = cgroup;
    // SAFETY: the size is that of the struct. Without a stack and `CLONE_VM` the child is a copy that
    // goes on here, as with `fork`.
    let forked =
        unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
    pid_t::try_from(forked).unwrap_or(-1)
}

/// What the child needs, none of it to be allocated.
struct Child<'a> {
    plan: &'a Plan,
    argv: &'a [*const c_char],
    envp: &'a [*const c_char],
    groups_found: &'a mut [gid_t],
    gate: RawFd,
    report: RawFd,
    parent: pid_t,
    /// Whether it is in its control group already.
    entered: bool,
    /// One more than the highest descriptor there can be; `None` if these are too many to be closed
    /// one by one.
    descriptors: Option<c_int>,
}

type Done = Result<(), Failed>;

impl Child<'_> {
    /// SAFETY (of this and the methods below): only in the child of a fork, which owns its
    /// descriptors, ids and memory alone; the pointers in `argv` and `envp` are valid and each list
    /// ends with null.
    unsafe fn run(&mut self) -> ! {
        // SAFETY: as above.
        unsafe {
            let Err(failed) = self.steps();
            let report = failed.report();
            libc::write(self.report, report.as_ptr().cast(), report.len());
            libc::_exit(127)
        }
    }

    unsafe fn steps(&mut self) -> Result<Infallible, Failed> {
        // SAFETY: as above.
        unsafe {
            reset_signals();
            self.enter_group()?;
            self.place_descriptors()?;
            check(Step::Session, libc::setsid())?;
            self.wait_at_gate()?;
            libc::umask(self.plan.umask);
            self.limit_resources()?;
            if let Some(ids) = &self.plan.credentials {
                become_user(ids, self.groups_found)?;
            }
            if self.plan.no_new_privileges {
                check(Step::Privileges, set(libc::PR_SET_NO_NEW_PRIVS, 1))?;
                if set(libc::PR_GET_NO_NEW_PRIVS, 0) != 1 {
                    return Err(Failed {
                        step: Step::Privileges,
                        errno: libc::EPERM,
                    });
                }
            }
            check(Step::Directory, libc::chdir(self.plan.directory.as_ptr()))?;
            libc::execve(
                self.plan.program.as_ptr(),
                self.argv.as_ptr(),
                self.envp.as_ptr(),
            );
            Err(failed(Step::Exec))
        }
    }

    /// Enters the run's control group, with the rights of the hub. It comes first, because the
    /// descriptor is closed with all others.
    unsafe fn enter_group(&self) -> Done {
        let Some(entrance) = self.plan.entrance.as_ref().filter(|_| !self.entered) else {
            return Ok(());
        };
        // SAFETY: as above.
        unsafe {
            // It means whoever writes it.
            let written = libc::write(entrance.as_raw_fd(), c"0".as_ptr().cast(), 1);
            if written == 1 {
                return Ok(());
            }
            Err(failed(Step::ControlGroup))
        }
    }

    /// Sets the limits of this process, while it may still raise them.
    unsafe fn limit_resources(&self) -> Done {
        for limit in &self.plan.rlimits {
            let wanted = limit.value();
            let mut found = MaybeUninit::<libc::rlimit>::uninit();
            // SAFETY: as above; both point to locals, and the second call initialises the other.
            let found = unsafe {
                check(
                    Step::ResourceLimits,
                    libc::setrlimit(limit.resource(), &raw const wanted),
                )?;
                check(
                    Step::ResourceLimits,
                    libc::getrlimit(limit.resource(), found.as_mut_ptr()),
                )?;
                found.assume_init()
            };
            if (found.rlim_cur, found.rlim_max) != (wanted.rlim_cur, wanted.rlim_max) {
                return Err(Failed {
                    step: Step::ResourceLimits,
                    errno: libc::EPERM,
                });
            }
        }
        Ok(())
    }

    /// Stdin from nowhere, stdout and stderr to the log, and nothing else of the hub's but the two
    /// pipes. It comes before the gate, or a child that waits there would hold its siblings' gates
    /// open.
    unsafe fn place_descriptors(&self) -> Done {
        let (stdin, output) = (self.plan.stdin.as_raw_fd(), self.plan.output.as_raw_fd());
        // SAFETY: as above.
        unsafe {
            for (from, to) in [(stdin, 0), (output, 1), (output, 2)] {
                check(Step::Stdio, libc::dup2(from, to))?;
            }
            let (low, high) = (self.gate.min(self.report), self.gate.max(self.report));
            if self.plan.close_range {
                let mut closed = true;
                for (first, last) in [(3, low - 1), (low + 1, high - 1), (high + 1, c_int::MAX)] {
                    closed &=
                        first > last || libc::syscall(libc::SYS_close_range, first, last, 0) == 0;
                }
                if closed {
                    return Ok(());
                }
            }
            let Some(limit) = self.descriptors else {
                return Err(Failed {
                    step: Step::Descriptors,
                    errno: libc::ENOSYS,
                });
            };
            for descriptor in 3..limit {
                if descriptor != low && descriptor != high {
                    libc::close(descriptor);
                }
            }
            Ok(())
        }
    }

    /// Until the hub has saved who we are, we end with it: at end of file, because nobody else holds
    /// the other end, and by signal, should somebody have inherited it.
    unsafe fn wait_at_gate(&self) -> Done {
        // SAFETY: as above.
        unsafe {
            let signal = libc::SIGKILL as c_ulong;
            check(Step::Parent, set(libc::PR_SET_PDEATHSIG, signal))?;
            // It may have ended before that took effect.
            if libc::getppid() != self.parent {
                return Err(Failed {
                    step: Step::Parent,
                    errno: libc::ESRCH,
                });
            }
            let mut byte = AT_GATE;
            if libc::write(self.report, (&raw const byte).cast(), 1) != 1 {
                return Err(failed(Step::Gate));
            }
            let read = loop {
                let read = libc::read(self.gate, (&raw mut byte).cast(), 1);
                if read != -1 || *libc::__errno_location() != libc::EINTR {
                    break read;
                }
            };
            match read {
                1 => {}
                0 => {
                    return Err(Failed {
                        step: Step::Gate,
                        errno: libc::ECANCELED,
                    });
                }
                _ => return Err(failed(Step::Gate)),
            }
            check(Step::Parent, set(libc::PR_SET_PDEATHSIG, 0))
        }
    }
}

/// The default for every signal, also for those that were ignored when the hub was started, and
/// none blocked.
///
/// SAFETY: as for [`Child::run`].
unsafe fn reset_signals() {
    // The kernel's `struct sigaction` for the default: all zero, and no larger than this. The C
    // library's own function leaves out two signals, and whoever started the hub may have not.
    let default = [0_u64; 8];
    // SAFETY: as above. SIGKILL and SIGSTOP cannot be set, and need not be.
    unsafe {
        for signal in 1..=64 {
            let old = ptr::null_mut::<u64>();
            let set_size = 8_usize;
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                old,
                set_size,
            );
        }
        let mut none = MaybeUninit::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
    }
}

/// Takes on all ids of an account, and looks whether that is what the kernel says, too.
///
/// SAFETY: as for [`Child::run`].
unsafe fn become_user(ids: &Credentials, groups_found: &mut [gid_t]) -> Done {
    let (uid, gid) = (ids.uid, ids.gid);
    // SAFETY: as above; every pointer is to a local or to the slice whose length is given.
    unsafe {
        let (length, groups) = (ids.groups.len(), ids.groups.as_ptr());
        check(Step::Groups, libc::syscall(SETGROUPS, length, groups))?;
        check(Step::Group, libc::syscall(SETRESGID, gid, gid, gid))?;
        check(Step::User, libc::syscall(SETRESUID, uid, uid, uid))?;
        let (mut uids, mut gids) = ([0; 3], [0; 3]);
        let [a, b, c] = &mut uids;
        check(Step::ReadBack, libc::getresuid(a, b, c))?;
        let [a, b, c] = &mut gids;
        check(Step::ReadBack, libc::getresgid(a, b, c))?;
        let room = c_int::try_from(groups_found.len()).unwrap_or(c_int::MAX);
        let count = libc::getgroups(room, groups_found.as_mut_ptr());
        check(Step::ReadBack, count)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let same = uids == [uid; 3]
            && gids == [gid; 3]
            && groups_found.get(..count) == Some(ids.groups.as_slice());
        if same {
            Ok(())
        } else {
            Err(Failed {
                step: Step::ReadBack,
                errno: libc::EPERM,
            })
        }
    }
}

/// Sets one attribute of this process. The kernel looks at all bits of all arguments, so none is
/// left to the width of a literal.
///
/// SAFETY: as for [`Child::run`].
unsafe fn set(attribute: c_int, value: c_ulong) -> c_int {
    let none: c_ulong = 0;
    // SAFETY: as above; the attributes set here take numbers.
    unsafe { libc::prctl(attribute, value, none, none, none) }
}

fn check(step: Step, result: impl Into<i64>) -> Done {
    if result.into() == -1 {
        return Err(failed(step));
    }
    Ok(())
}

/// The failure of the call just made.
fn failed(step: Step) -> Failed {
    // SAFETY: it points to this thread's `errno`.
    let errno = unsafe { *libc::__errno_location() };
    Failed { step, errno }
}

/// Registers a pidfd with the runtime, to hear when its process ends.
pub(crate) fn watch(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the `AsyncFd` owns the descriptor, and nothing takes it out or replaces it.
    let watched = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) };
    Ok(watched?)
}

/// The wait status of a process that was reaped by another one, which kernels from 6.15 on remember
/// for those who hold a pidfd. `None` if it was not reaped yet, or the kernel does not tell.
pub(crate) fn exit_info(pidfd: BorrowedFd<'_>) -> Option<i32> {
    /// `struct pidfd_info` of <linux/pidfd.h> as it was first published; later fields follow it.
    #[repr(C)]
    struct PidfdInfo {
        mask: u64,
        cgroupid: u64,
        ids: [u32; 11],
        exit_code: i32,
    }
    /// `PIDFD_INFO_EXIT`: asks for `exit_code`, and says that it is there.
    const EXIT: u64 = 1 << 3;
    /// `PIDFD_GET_INFO`, `_IOWR(0xFF, 0x0b, struct pidfd_info)`.
    const GET_INFO: usize = 3 << 30 | size_of::<PidfdInfo>() << 16 | 0xff << 8 | 0x0b;
    // SAFETY: all fields are integers, for which zero is a value.
    let mut info: PidfdInfo = unsafe { mem::zeroed() };
    info.mask = EXIT;
    // SAFETY: the request carries the size of the struct, and the kernel writes no more than that.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), GET_INFO as _, &raw mut info) };
    (result == 0 && info.mask & EXIT != 0).then_some(info.exit_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        for step in Step::ALL {
            let failed = Failed { step, errno: 13 };
            assert_eq!(Failed::read(&failed.report()), Some(failed));
        }
        for report in [&[][..], &[0], &[99, 0, 0, 0, 0], &[0; 6]] {
            assert_eq!(Failed::read(report), None);
        }
    }
}
