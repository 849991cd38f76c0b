//! A control group (cgroup v2) for each run: what holds its limits, and what ends all of it at once.
//!
//! ```text
//!  /sys/fs/cgroup                        mount    where the hierarchy is, and where we are in it
//!   └── system.slice/hubd.service        place    the parent of our groups: `cgroup` in the settings
//!        ├── hub                                  the hub itself, where systemd or the hub put it
//!        ├── hubd-INSTANCE-LAUNCH        group    one run: its limits, its processes
//!        └── hubd-INSTANCE-LAUNCH
//! ```
//!
//! - A group is made, and its limits are written, before there is a process to put into it. The
//!   child enters it before it gives up the hub's rights, and everything it starts is born there.
//! - A limit that cannot be enforced refuses the start, see [`Place::check`]. Without limits a group
//!   is a better way to find and end processes; a host that has none does without.
//! - Only version 2. A controller that is in use by version 1 is not there for version 2.
//! - A group's name holds the daemon's instance and the launch id. So a name that was saved is a
//!   proof of whose group it is, and nothing else is ever killed or removed.
//!
//! Processes can leave a group only by writing to files of a group above it. Those belong to root, or,
//! where the hub is not root, to the account that runs the hub and so to its servers too: such a
//! server could also write its own limits. What keeps users apart takes a hub that runs as root.
//!
//! # With systemd
//! A service may make groups below its own only if its unit says so, and a group that holds
//! processes itself cannot hand controllers to those below. So the unit needs
//!
//! ```ini
//! [Service]
//! Delegate=yes
//! DelegateSubgroup=hub
//! KillMode=process
//! ```
//!
//! `DelegateSubgroup` (systemd 254) puts the hub itself into `hub`; without it the hub moves there on
//! its own once a limit asks for it, but then systemd cannot start it again beside servers that
//! still run. A `mem_guarantee` takes `MemoryLow=` of at least that size in the unit, and in the slices
//! above it.

mod group;
mod limits;
mod mount;
mod place;

pub(crate) use group::{Entrance, Group};
pub(crate) use limits::Limits;
pub(crate) use place::{Choice, Place};
