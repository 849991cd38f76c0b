//! The group of one run.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::limits::Limits;
use super::mount::Mount;

/// How deep the groups are looked through that a server made below its own, if it was allowed to.
const DEPTH: usize = 8;

/// A group; it may be gone. Removed when it is dropped and nobody is in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    dir: PathBuf,
    /// How `/proc/PID/cgroup` spells it.
    name: PathBuf,
}

/// The way into a group. The group stays as long as somebody may come in, so whoever waits for a child
/// keeps this until the child is gone.
#[derive(Debug)]
pub(crate) struct Entrance {
    /// Where a child can be born.
    dir: File,
    /// What another one writes `0` into to enter.
    procs: File,
    _group: Arc<Group>,
}

impl Group {
    /// Makes the directory and writes the limits into it.
    pub(super) fn make(mount: &Mount, dir: PathBuf, limits: &Limits) -> io::Result<Self> {
        std::fs::create_dir(&dir)?;
        let outside = || io::Error::other("it is outside of the mounted hierarchy");
        let group = Self::at(mount, dir).ok_or_else(outside)?;
        group.limit(limits)?;
        Ok(group)
    }

    /// The one at `dir`, which has to be below the mount.
    pub(super) fn at(mount: &Mount, dir: PathBuf) -> Option<Self> {
        let name = mount.name_of(&dir)?;
        Some(Self { dir, name })
    }

    /// Where it is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The processes in it and below.
    pub(crate) fn members(&self) -> io::Result<HashSet<i32>> {
        let mut pids = HashSet::new();
        collect(&self.dir, DEPTH, &mut pids)?;
        Ok(pids)
    }

    /// Whether the process that has the number `pid` now is in it or below.
    pub(crate) fn holds(&self, pid: i32) -> bool {
        let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let own = groups.lines().find_map(|line| line.strip_prefix("0::"));
        own.is_some_and(|own| Path::new(own).starts_with(&self.name))
    }

    /// Whether anybody is in it or below; nobody is in one that is gone.
    pub(crate) fn is_populated(&self) -> io::Result<bool> {
        is_populated(&self.dir)
    }

    /// Kills all, also those that are being born. Where the kernel cannot do that (before Linux 5.14),
    /// all are frozen instead, so that they can be killed one by one; then it answers `false`.
    pub(crate) fn kill(&self) -> io::Result<bool> {
        match write(&self.dir.join("cgroup.kill"), "1") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match write(&self.dir.join("cgroup.freeze"), "1") {
                    Err(error) if is_gone(&error) => Ok(true),
                    frozen => frozen.map(|()| false),
                }
            }
            Err(error) if is_gone(&error) => Ok(true),
            killed => killed.map(|()| true),
        }
    }

    /// Whether the kernel ended one of them because the memory limit was reached.
    pub(crate) fn out_of_memory(&self) -> bool {
        let events = std::fs::read_to_string(self.dir.join("memory.events")).unwrap_or_default();
        value(&events, "oom_kill").is_some_and(|count| count > 0)
    }

    fn limit(&self, limits: &Limits) -> io::Result<()> {
        for one in limits.writes() {
            match write(&self.dir.join(one.file), &one.value) {
                Err(error) if one.optional && error.kind() == io::ErrorKind::NotFound => {}
                written => written.map_err(|error| {
                    io::Error::new(error.kind(), format!("{}: {error}", one.file))
                })?,
            }
        }
        Ok(())
    }
}

impl Entrance {
    /// Opens it.
    pub(crate) fn open(group: &Arc<Group>) -> io::Result<Self> {
        Ok(Self {
            dir: File::open(&group.dir)?,
            procs: open(&group.dir.join("cgroup.procs"))?,
            _group: Arc::clone(group),
        })
    }

    /// Its directory.
    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

impl AsRawFd for Entrance {
    fn as_raw_fd(&self) -> RawFd {
        self.procs.as_raw_fd()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.is_populated().is_ok_and(|populated| !populated) {
            remove(&self.dir, DEPTH);
        }
    }
}

/// Writes into a file of a group, which is there or not but never made.
pub(super) fn write(file: &Path, value: &str) -> io::Result<()> {
    io::Write::write_all(&mut open(file)?, value.as_bytes())
}

/// See [`Group::is_populated`].
pub(super) fn is_populated(dir: &Path) -> io::Result<bool> {
    match std::fs::read_to_string(dir.join("cgroup.events")) {
        Ok(events) => Ok(value(&events, "populated") != Some(0)),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn open(file: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(file)
}

fn collect(dir: &Path, depth: usize, pids: &mut HashSet<i32>) -> io::Result<()> {
    match std::fs::read_to_string(dir.join("cgroup.procs")) {
        Ok(list) => pids.extend(list.lines().filter_map(|line| line.parse::<i32>().ok())),
        Err(error) if is_gone(&error) => return Ok(()),
        // A group of threads: its processes are listed above it.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
        Err(error) => return Err(error),
    }
    if depth > 0 {
        for below in children(dir) {
            collect(&below, depth - 1, pids)?;
        }
    }
    Ok(())
}

/// Removes empty groups from the innermost on; the kernel keeps those that are not.
fn remove(dir: &Path, depth: usize) {
    if depth > 0 {
        for below in children(dir) {
            remove(&below, depth - 1);
        }
    }
    match std::fs::remove_dir(dir) {
        Err(error) if !is_gone(&error) => {
            tracing::debug!(dir = %dir.display(), %error, "a control group was left");
        }
        _ => {}
    }
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    dirs.map(|entry| entry.path()).collect()
}

/// The number that a line `key NUMBER` gives.
fn value(lines: &str, key: &str) -> Option<u64> {
    let found = lines
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    found?.trim_end().parse().ok()
}

/// Whether a file of a group could not be used because the group is gone, before it was opened or
/// after.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

#[cfg(test)]
impl Entrance {
    /// One of a kernel that lets nobody be born in a group: who enters writes into `procs`.
    pub(crate) fn by_writing(procs: &Path) -> Self {
        let (dir, name) = ("/no/such/group".into(), "/group".into());
        Self {
            dir: File::open("/").unwrap(),
            procs: open(procs).unwrap(),
            _group: Arc::new(Group { dir, name }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use spawner_core::SpawnerConfig;

    use super::*;

    fn pretended(dir: &Path) -> Group {
        let group = dir.join("hubd-test-x");
        fs::create_dir(&group).unwrap();
        Group::at(&Mount::pretended(dir, Path::new("")), group).unwrap()
    }

    #[test]
    fn limits_are_written_into_files_that_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let group = pretended(dir.path());
        let config = SpawnerConfig {
            mem_limit: Some(4096),
            cpu_limit: Some(1.5),
            ..SpawnerConfig::default()
        };
        let limits = Limits::new(&config, None);
        let error = group.limit(&limits).unwrap_err();
        assert!(error.to_string().starts_with("memory.max: "), "{error}");
        for file in ["memory.max", "cpu.max"] {
            fs::write(group.dir.join(file), "").unwrap();
        }
        // Swap is not accounted for on every kernel.
        group.limit(&limits).unwrap();
        let read = |file: &str| fs::read_to_string(group.dir.join(file)).unwrap();
        assert_eq!(read("memory.max"), "4096");
        assert_eq!(read("cpu.max"), "150000 100000");
        assert!(!group.dir.join("memory.swap.max").exists());
    }

    #[test]
    fn an_end_for_want_of_memory_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let group = pretended(dir.path());
        assert!(!group.out_of_memory());
        for (events, told) in [
            ("low 0\nhigh 0\nmax 7\noom 1\noom_kill 0\n", false),
            ("low 0\nmax 7\noom 1\noom_kill 2\noom_group_kill 0\n", true),
            ("oom_kill_elsewhere 3\n", false),
        ] {
            fs::write(group.dir.join("memory.events"), events).unwrap();
            assert_eq!(group.out_of_memory(), told, "{events}");
        }
    }

    #[test]
    fn what_is_killed_is_frozen_where_the_kernel_cannot_kill() {
        let dir = tempfile::tempdir().unwrap();
        let group = pretended(dir.path());
        // Neither file: the group is gone.
        assert!(group.kill().unwrap());
        fs::write(group.dir.join("cgroup.freeze"), "0").unwrap();
        assert!(!group.kill().unwrap());
        let read = |file: &str| fs::read_to_string(group.dir.join(file)).unwrap();
        assert_eq!(read("cgroup.freeze"), "1");
        fs::write(group.dir.join("cgroup.kill"), "").unwrap();
        fs::write(group.dir.join("cgroup.freeze"), "0").unwrap();
        assert!(group.kill().unwrap());
        assert_eq!(
            (read("cgroup.kill"), read("cgroup.freeze")),
            ("1".into(), "0".into())
        );
    }

    #[test]
    fn members_below_count() {
        let dir = tempfile::tempdir().unwrap();
        let group = pretended(dir.path());
        fs::create_dir(group.dir.join("below")).unwrap();
        fs::write(group.dir.join("cgroup.procs"), "12\n").unwrap();
        fs::write(group.dir.join("below/cgroup.procs"), "13\n14\n").unwrap();
        assert_eq!(group.members().unwrap(), [12, 13, 14].into());
        fs::write(group.dir.join("cgroup.events"), "populated 1\nfrozen 0\n").unwrap();
        assert!(group.is_populated().unwrap());
        fs::write(group.dir.join("cgroup.events"), "populated 0\nfrozen 0\n").unwrap();
        assert!(!group.is_populated().unwrap());
    }

    #[test]
    fn only_an_empty_one_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let group = pretended(dir.path());
        let path = group.dir.clone();
        fs::write(path.join("cgroup.events"), "populated 1\n").unwrap();
        drop(group);
        assert!(path.exists());
        fs::remove_file(path.join("cgroup.events")).unwrap();
        let mount = Mount::pretended(dir.path(), Path::new(""));
        drop(Group::at(&mount, path.clone()));
        assert!(!path.exists());
    }
}
