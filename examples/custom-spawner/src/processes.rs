//! Processes of this host, found by the mark of their run and held so that no other is mistaken for
//! them.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use spawner_core::{LaunchId, launch_marker};

/// All processes that carry the mark of a run. Each is held before it is looked at: should its number
/// be given away meanwhile, the new owner is not the one that is held.
pub(crate) fn marked(launch: &LaunchId) -> io::Result<Vec<OwnedFd>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        let held = number.and_then(hold);
        let environment = std::fs::read(path.join("environ")).unwrap_or_default();
        let mark = launch_marker(String::from_utf8_lossy(&environment).split('\0'));
        found.extend(held.filter(|_| mark.as_ref() == Some(launch)));
    }
    Ok(found)
}

/// Holds the process that has this number now.
pub(crate) fn hold(pid: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}
