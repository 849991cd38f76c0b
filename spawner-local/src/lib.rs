//! Spawners that run single-user servers as processes of this host.
//!
//! ```text
//!  LocalFactory ──create──> LocalProcessSpawner      one per server, driven by its owner task
//!   (settings)                │
//!                             ├── account   who the server runs as, and where its home is
//!                             ├── command   argv, environment, the program's absolute path
//!                             ├── log       the file it prints into, which outlives the hub
//!                             ├── start     these three put together, and what a failure is called
//!                             ├── gate      fork, wait at the gate until the state is saved, exec
//!                             │    └── sys      the child's side of it: the only `unsafe` code
//!                             ├── run       the server while it runs, and what is saved of it
//!                             │    ├── process  boot id + pid + start time, held by pidfd
//!                             │    └── cgroup   its control group: its limits, and who is in it
//!                             ├── listener  whose the socket is that answers for it
//!                             ├── socket    where it listens, if that is a file
//!                             ├── reap      runs that a hub left behind
//!                             └── tree      every process that the server started
//! ```
//!
//! A spawner of your own that starts processes in another way can build on [`MarkedRun`].
//!
//! Two kinds are registered by [`register`]:
//!
//! | kind | JupyterHub's name | who the server runs as |
//! |---|---|---|
//! | `local` | `LocalProcessSpawner` | the system user of the same name, when the hub is root; else only the account that runs the hub |
//! | `simple` | `SimpleLocalProcessSpawner` | the account that runs the hub, with a private home for each user |
//!
//! Their own settings, `[spawner.local]` and `[spawner.simple]` in a configuration file:
//!
//! | setting | default | meaning |
//! |---|---|---|
//! | `interrupt_timeout` | 30 | seconds after SIGINT, before SIGTERM follows |
//! | `term_timeout` | 30 | seconds after SIGTERM, before SIGKILL follows |
//! | `kill_timeout` | 5 | seconds after SIGKILL, before a stop has failed |
//! | `log_dir` | `logs` | where the servers' output goes, a file for each; below `state_dir` if relative |
//! | `log_max_bytes` | 16777216 | how much of a log is kept: a poll gives the disk back what comes before, and the next start makes the file `.1`; `0`: all |
//! | `umask` | `"077"` | the permissions that new files of the server do not get; `"022"` lets everybody read them |
//! | `rlimits` | none | what each process may use, as `setrlimit` has it: `{ core = 0, nofile = [1024, 4096] }`, a number, `"unlimited"` or `[soft, hard]` |
//! | `cgroup` | `"auto"` | where each run gets a control group (cgroup v2): below the hub's own, if that is allowed; `"off"`; or below the group of this directory, and no start without |
//! | `pids_limit` | none | how many processes and threads a server may have; takes a control group |
//! | `transport` | `tcp` | what servers listen on: `tcp`, a port, or `unix`, a socket that only the server's account and the hub can reach |
//! | `socket_dir` | `/run/hubd` or `sockets` | with `transport = "unix"`: where the sockets are; the first for `local` under root, else below `state_dir` |
//! | `no_new_privileges` | true | no program of the server gains rights, so `sudo` is of no use in it |
//! | `allow_root` | false | `local` only: let the user `root` have a server |
//! | `home_dir_template` | `homes/{username}` | `simple` only: the users' homes, below `state_dir` if relative |
//!
//! `mem_limit`, `mem_guarantee`, `cpu_limit` and `pids_limit` are enforced by control groups, version
//! 2, whose `memory`, `cpu` and `pids` controllers the hub has to be given; with systemd by
//! `Delegate=yes` and `DelegateSubgroup=hub` in its unit. Where a limit would not hold, no server is
//! started, and the reason is told. `cpu_guarantee` is always refused, because the kernel shares the
//! processor out by weight. A server that is ended for want of memory is said to be.
//!
//! What holds:
//! - A process runs the server's program only after its identity was saved; until then it ends with
//!   the hub. So there is no moment at which a crash leaves a server that nobody knows.
//! - Nothing is signalled that was not proven to be ours a moment before: a pid alone is no proof.
//! - A stop returns when the server and everything it started is gone, or says that it is not.

mod account;
mod cgroup;
mod command;
mod diag;
mod factory;
mod gate;
mod listener;
mod local;
mod log;
mod marked;
mod process;
mod reap;
mod rlimits;
mod run;
mod settings;
mod socket;
mod start;
mod sys;
mod tree;
mod walk;

pub use factory::{LocalFactory, register};
pub use local::LocalProcessSpawner;
pub use log::Log;
pub use marked::MarkedRun;
