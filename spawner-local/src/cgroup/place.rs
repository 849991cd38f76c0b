//! The group below which every run gets its own: which one, and what it can enforce.

use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, access, getxattr};
use spawner_core::{
    Finding, LaunchId, SpawnError, SpawnErrorKind, StateError, Verdict, escape_object_name,
};

use super::group::{self, Group};
use super::limits::{Limits, Unenforceable};
use super::mount::Mount;

/// The group of the hub itself, beside those of its servers.
const HUB: &str = "hub";
/// Where systemd says that it runs this system.
const SYSTEMD: &str = "/run/systemd/system";

/// What the admin wants, `cgroup` in the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Below the hub's own group, if that is allowed.
    Auto,
    /// No groups.
    Off,
    /// Below this one, and nothing else will do.
    At(PathBuf),
}

/// Where groups are made.
#[derive(Debug)]
pub(crate) struct Place {
    mount: Option<Mount>,
    /// The directory of the parent; or why there is none, as the end of a sentence.
    parent: Result<PathBuf, String>,
    /// Whether a start without a group is refused.
    required: bool,
    /// What the names of our groups begin with.
    prefix: String,
}

impl Place {
    /// Looks for it, for the daemon that is called `instance`.
    pub(crate) fn find(choice: &Choice, instance: &str) -> Self {
        let (mount, trouble) = match Mount::find() {
            Ok(mount) => (mount, None),
            Err(error) => (None, Some(format!("/proc cannot be read: {error}"))),
        };
        let parent = match (&mount, choice) {
            (_, Choice::Off) => Err("`cgroup = \"off\"` is set".to_owned()),
            (None, _) => Err(trouble.unwrap_or_else(|| "no cgroup v2 is mounted here".into())),
            (Some(mount), Choice::Auto) => own_parent(mount),
            (Some(mount), Choice::At(dir)) => given_parent(mount, dir),
        };
        Self {
            mount,
            parent,
            required: matches!(choice, Choice::At(_)),
            prefix: format!("hubd-{}-", escape_object_name(instance)),
        }
    }

    /// Refuses limits that would not hold. Controllers that are there and not yet switched on for the
    /// groups of the runs are.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), Unenforceable> {
        limits.check()?;
        for (key, controller) in limits.controllers() {
            self.enable(controller)
                .map_err(|reason| Unenforceable { key, reason })?;
        }
        if let (Some(bytes), Ok(parent)) = (limits.memory_guarantee(), &self.parent) {
            self.can_promise(parent, bytes)
                .map_err(|reason| Unenforceable {
                    key: "mem_guarantee",
                    reason,
                })?;
        }
        Ok(())
    }

    /// What is to be said when the hub starts: an error if groups are required and cannot be made.
    /// Groups that an earlier hub left empty are removed.
    pub(crate) fn preflight(&self, limits: &Limits) -> Result<(), SpawnError> {
        match &self.parent {
            Ok(parent) => {
                self.sweep(parent);
                tracing::info!(parent = %parent.display(), "each server gets a control group");
            }
            Err(reason) if self.required => return Err(no_group(reason)),
            Err(reason) => tracing::info!(%reason, "servers get no control groups"),
        }
        match self.check(limits) {
            Err(error) => tracing::warn!(%error, "no server will be started"),
            Ok(()) if limits.is_empty() => {}
            Ok(()) => {
                let keys: Vec<_> = limits.controllers().map(|(key, _)| key).collect();
                tracing::info!(?keys, "limits are enforced by control groups");
            }
        }
        Ok(())
    }

    /// What was found of control groups, and whether the limits that are set will hold.
    pub(crate) fn diagnose(&self, limits: &Limits) -> Finding {
        if let Err(error) = self.check(limits) {
            return Finding::new(Verdict::Problem, error.to_string());
        }
        match &self.parent {
            Ok(parent) => {
                let parent = parent.display();
                let fine = format!("each server gets a control group below {parent}");
                Finding::new(Verdict::Fine, fine)
            }
            Err(reason) if self.required => Finding::of(Err(no_group(reason)), ""),
            Err(reason) => Finding::new(
                Verdict::Warning,
                format!("servers get no control groups, so no limit can be set: {reason}"),
            ),
        }
    }

    /// A new group for the run `launch`, with its limits; `None` where servers do without.
    pub(crate) fn group(
        &self,
        launch: &LaunchId,
        limits: &Limits,
    ) -> Result<Option<Group>, SpawnError> {
        self.check(limits)?;
        let (mount, parent) = match (&self.mount, &self.parent) {
            (Some(mount), Ok(parent)) => (mount, parent),
            (_, Err(reason)) if self.required => return Err(no_group(reason)),
            _ => return Ok(None),
        };
        let dir = parent.join(self.name(launch));
        match Group::make(mount, dir, limits) {
            Ok(group) => Ok(Some(group)),
            Err(error) if !self.required && limits.is_empty() => {
                tracing::warn!(%error, "a server runs without a control group");
                Ok(None)
            }
            Err(error) => {
                let message = format!("The server's control group could not be made: {error}.");
                Err(SpawnError::new(SpawnErrorKind::Unavailable, message).with_source(error))
            }
        }
    }

    /// The group that was saved for the run `launch`. It may be gone.
    pub(crate) fn saved(&self, dir: &Path, launch: &LaunchId) -> Result<Group, StateError> {
        // The parent may have been another one when it was saved; the name of a run is enough.
        let ours = dir
            .file_name()
            .is_some_and(|name| name == &*self.name(launch));
        let plain = (dir.components())
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        let group = (self.mount.as_ref())
            .filter(|_| ours && plain)
            .and_then(|mount| Group::at(mount, dir.to_owned()));
        group.ok_or_else(|| {
            StateError::Invalid(format!("{} is no group of this run", dir.display()))
        })
    }

    /// The group of the run `launch` below the parent of today, if there is one.
    pub(crate) fn existing(&self, launch: &LaunchId) -> Option<Group> {
        let dir = self.parent.as_ref().ok()?.join(self.name(launch));
        Group::at(self.mount.as_ref()?, dir).filter(|group| group.dir().is_dir())
    }

    fn name(&self, launch: &LaunchId) -> String {
        format!("{}{launch}", self.prefix)
    }

    /// Makes `controller` available to the groups below the parent; or says why it is not.
    fn enable(&self, controller: &str) -> Result<(), String> {
        let parent = match &self.parent {
            Ok(parent) => parent,
            Err(reason) => return Err(format!("servers get no control groups, because {reason}.")),
        };
        let shown = parent.display();
        let unreadable = |error: io::Error| format!("{shown} cannot be read: {error}.");
        if !lists(&parent.join("cgroup.controllers"), controller).map_err(unreadable)? {
            let taken = self.mount.as_ref().map(|mount| &mount.taken);
            let hint = if taken.is_some_and(|taken| taken.contains(controller)) {
                ", because cgroup v1 has taken it. Boot with `systemd.unified_cgroup_hierarchy=1`"
            } else {
                ""
            };
            return Err(format!(
                "cgroup v2 has no {controller} controller at {shown}{hint}."
            ));
        }
        let control = parent.join("cgroup.subtree_control");
        if lists(&control, controller).map_err(unreadable)? {
            return Ok(());
        }
        let switch_on = || group::write(&control, &format!("+{controller}"));
        let mut switched = switch_on();
        if is_busy(&switched)
            && self
                .mount
                .as_ref()
                .is_some_and(|m| m.own.as_ref() == Some(parent))
        {
            // A group that holds processes hands out no controllers, so the hub goes first.
            switched = move_into(&parent.join(HUB)).and_then(|()| switch_on());
        }
        if is_busy(&switched) {
            return Err(format!(
                "{shown} holds other processes, and so cannot hand the {controller} controller to \
                 groups below it. Give the hub a group of its own, with systemd by \
                 `DelegateSubgroup=hub` in its unit."
            ));
        }
        switched.map_err(|error| {
            format!("the {controller} controller cannot be switched on at {shown}: {error}.")
        })
    }

    /// Whether the groups above let a server count on `bytes`: each protects no more than what the
    /// one above protects.
    fn can_promise(&self, parent: &Path, bytes: u64) -> Result<(), String> {
        let Some(mount) = &self.mount else {
            return Ok(());
        };
        for group in parent.ancestors().take_while(|&group| group != mount.dir) {
            let low = std::fs::read_to_string(group.join("memory.low"));
            let low = low.map_err(|error| {
                format!("memory.low of {} cannot be read: {error}.", group.display())
            })?;
            let low = low.trim_end();
            if low != "max" && low.parse::<u64>().is_ok_and(|low| low < bytes) {
                return Err(format!(
                    "memory.low of {} is {low}, and groups below it are promised no more. With \
                     systemd, set `MemoryLow=` of that unit.",
                    group.display()
                ));
            }
        }
        Ok(())
    }

    /// The runs below the parent of today whose groups somebody is in.
    pub(crate) fn runs(&self) -> Vec<LaunchId> {
        let groups = self.parent.iter().flat_map(|parent| self.groups(parent));
        let populated = groups.filter(|(_, dir)| group::is_populated(dir).unwrap_or(false));
        populated.map(|(launch, _)| launch).collect()
    }

    /// Removes what an earlier hub left and nobody is in.
    fn sweep(&self, parent: &Path) {
        let Some(mount) = &self.mount else { return };
        for (_, dir) in self.groups(parent) {
            // Removed when it is dropped, if it is empty.
            drop(Group::at(mount, dir));
        }
    }

    /// The groups of our runs below `parent`.
    fn groups(&self, parent: &Path) -> Vec<(LaunchId, PathBuf)> {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        let ours = entries.filter_map(|entry| {
            let name = entry.file_name();
            let launch = name.to_str()?.strip_prefix(&self.prefix)?;
            Some((LaunchId::new(launch).ok()?, entry.path()))
        });
        ours.collect()
    }
}

/// The hub's own group, or the one above if the hub was put into a corner of it.
fn own_parent(mount: &Mount) -> Result<PathBuf, String> {
    let Some(own) = &mount.own else {
        let dir = mount.dir.display();
        return Err(format!("the hub's own group is not below {dir}"));
    };
    let parent = match own.parent() {
        Some(parent) if *own != mount.dir && own.ends_with(HUB) => parent,
        _ => own,
    };
    if Path::new(SYSTEMD).is_dir() && !is_delegated(parent) {
        return Err(format!(
            "systemd has not delegated {} to the hub (`Delegate=yes` in its unit)",
            parent.display()
        ));
    }
    writable(parent).map(|()| parent.into())
}

/// The parent that was configured.
fn given_parent(mount: &Mount, dir: &Path) -> Result<PathBuf, String> {
    let found = dir.canonicalize();
    let parent = found.map_err(|error| format!("{} cannot be used: {error}", dir.display()))?;
    if !parent.starts_with(&mount.dir) {
        let (parent, dir) = (parent.display(), mount.dir.display());
        return Err(format!("{parent} is not below {dir}, where cgroup v2 is"));
    }
    writable(&parent).map(|()| parent)
}

/// Whether groups can be made in `parent`, and processes be moved from it.
fn writable(parent: &Path) -> Result<(), String> {
    let procs = parent.join("cgroup.procs");
    access(parent, Access::WRITE_OK | Access::EXEC_OK)
        .and_then(|()| access(&procs, Access::WRITE_OK))
        .map_err(|error| {
            let error = io::Error::from(error);
            format!("the hub may not write to {}: {error}", parent.display())
        })
}

/// Whether systemd left everything below `group` to others. It marks such groups, for everybody or,
/// before version 251, for root to see.
fn is_delegated(group: &Path) -> bool {
    ["user.delegate", "trusted.delegate"].iter().any(|&name| {
        let mut value = [0; 8];
        getxattr(group, name, &mut value).is_ok_and(|length| value[..length] == *b"1")
    })
}

/// Moves this process.
fn move_into(group: &Path) -> io::Result<()> {
    match std::fs::create_dir(group) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    tracing::info!(group = %group.display(), "the hub moves into a control group of its own");
    group::write(&group.join("cgroup.procs"), "0")
}

fn is_busy(result: &io::Result<()>) -> bool {
    (result.as_ref()).is_err_and(|error| error.raw_os_error() == Some(libc::EBUSY))
}

/// Whether the words in `file` include `word`.
fn lists(file: &Path, word: &str) -> io::Result<bool> {
    let words = std::fs::read_to_string(file)?;
    Ok(words.split_ascii_whitespace().any(|one| one == word))
}

fn no_group(reason: &str) -> SpawnError {
    let message = format!(
        "Servers cannot be put into control groups, which `cgroup` in the configuration asks for: \
         {reason}."
    );
    SpawnError::new(SpawnErrorKind::Refused, message)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use spawner_core::SpawnerConfig;
    use tempfile::TempDir;

    use super::*;

    /// A folder that stands for a mount with the group `above/hubd.service` in it.
    struct Pretended {
        dir: TempDir,
        place: Place,
    }

    impl Pretended {
        fn with(controllers: &str, enabled: &str) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let parent = dir.path().join("above/hubd.service");
            fs::create_dir_all(&parent).unwrap();
            for (file, text) in [
                ("cgroup.controllers", controllers),
                ("cgroup.subtree_control", enabled),
                ("cgroup.procs", ""),
                ("memory.low", "1000000\n"),
                ("../memory.low", "max\n"),
            ] {
                fs::write(parent.join(file), text).unwrap();
            }
            let mount = Mount::pretended(dir.path(), Path::new("above/hubd.service"));
            let place = Place {
                parent: own_parent(&mount),
                mount: Some(mount),
                required: false,
                prefix: "hubd-test-".into(),
            };
            Self { dir, place }
        }

        fn parent(&self) -> PathBuf {
            self.dir.path().join("above/hubd.service")
        }
    }

    fn limits(pids: Option<u64>, change: impl FnOnce(&mut SpawnerConfig)) -> Limits {
        let mut config = SpawnerConfig::default();
        change(&mut config);
        Limits::new(&config, pids)
    }

    #[test]
    fn a_limit_without_its_controller_is_refused_with_the_reason() {
        let here = Pretended::with("cpu pids\n", "cpu pids\n");
        let memory = limits(None, |config| config.mem_limit = Some(1 << 30));
        let message = here.place.check(&memory).unwrap_err().to_string();
        let parent = here.parent();
        assert_eq!(
            message,
            format!(
                "`mem_limit` cannot be enforced: cgroup v2 has no memory controller at {}, because \
                 cgroup v1 has taken it. Boot with `systemd.unified_cgroup_hierarchy=1`.",
                parent.display()
            )
        );
        let error = here.place.group(&LaunchId::random(), &memory).unwrap_err();
        assert_eq!(error.kind(), SpawnErrorKind::Refused);
        assert_eq!(
            fs::read_dir(&parent).unwrap().count(),
            4,
            "a group was made"
        );
        here.place.check(&limits(Some(9), |_| {})).unwrap();
    }

    #[test]
    fn a_controller_that_is_there_is_switched_on() {
        let here = Pretended::with("cpu memory\n", "cpu\n");
        here.place
            .check(&limits(None, |config| config.cpu_limit = Some(1.0)))
            .unwrap();
        let control = here.parent().join("cgroup.subtree_control");
        assert_eq!(fs::read_to_string(&control).unwrap(), "cpu\n");
        here.place
            .check(&limits(None, |config| config.mem_limit = Some(1 << 20)))
            .unwrap();
        assert!(fs::read_to_string(&control).unwrap().starts_with("+memory"));
    }

    #[test]
    fn no_more_is_promised_than_the_groups_above_keep() {
        let here = Pretended::with("memory\n", "memory\n");
        let promise = |bytes| limits(None, |config| config.mem_guarantee = Some(bytes));
        here.place.check(&promise(1_000_000)).unwrap();
        let refused = here.place.check(&promise(1_000_001)).unwrap_err();
        assert_eq!(refused.key, "mem_guarantee");
        assert!(refused.reason.contains("hubd.service"), "{refused}");
        fs::write(here.parent().join("../memory.low"), "0\n").unwrap();
        assert!(here.place.check(&promise(1_000_000)).is_err());
    }

    #[test]
    fn without_a_parent_limits_are_refused_and_the_rest_does_without() {
        let place = Place::find(&Choice::Off, "test");
        let refused = place.check(&limits(Some(5), |_| {})).unwrap_err();
        assert_eq!(refused.key, "pids_limit");
        assert!(refused.reason.contains("`cgroup = \"off\"`"), "{refused}");
        let launch = LaunchId::random();
        assert!(place.group(&launch, &Limits::default()).unwrap().is_none());
        place.preflight(&Limits::default()).unwrap();
    }

    #[test]
    fn a_place_that_was_asked_for_and_cannot_be_used_is_an_error() {
        for dir in ["/no/such/group", "/tmp"] {
            let place = Place::find(&Choice::At(dir.into()), "test");
            let error = place.preflight(&Limits::default()).unwrap_err();
            assert!(error.to_string().contains("`cgroup`"), "{error}");
            let error = place.group(&LaunchId::random(), &Limits::default());
            assert_eq!(error.unwrap_err().kind(), SpawnErrorKind::Refused);
        }
    }

    #[test]
    fn the_hub_in_its_corner_uses_the_group_above() {
        let dir = tempfile::tempdir().unwrap();
        for (own, parent) in [("unit/hub", "unit"), ("unit", "unit"), ("", "")] {
            let parent = dir.path().join(parent);
            fs::create_dir_all(dir.path().join(own)).unwrap();
            fs::write(parent.join("cgroup.procs"), "").unwrap();
            let mount = Mount::pretended(dir.path(), Path::new(own));
            let found = own_parent(&mount);
            if Path::new(SYSTEMD).is_dir() {
                assert!(found.unwrap_err().contains("Delegate=yes"));
            } else {
                assert_eq!(found.unwrap(), parent);
            }
        }
    }

    #[test]
    fn only_a_group_of_the_very_run_is_taken_from_a_state() {
        let here = Pretended::with("", "");
        let launch = LaunchId::random();
        let name = here.place.name(&launch);
        let mount = here.dir.path().display().to_string();
        let good = format!("{mount}/elsewhere/{name}");
        here.place.saved(Path::new(&good), &launch).unwrap();
        for bad in [
            format!("/sys/fs/{name}"),
            format!("{mount}/../{name}"),
            format!("{mount}/x/../{name}"),
            format!("{mount}/hubd-test-{}", LaunchId::random()),
            format!("{mount}/hubd-other-{launch}"),
            format!("{mount}/{name}/below"),
            name.clone(),
            mount.clone(),
            String::new(),
        ] {
            let saved = here.place.saved(Path::new(&bad), &launch);
            assert!(saved.is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_left_empty_is_swept_and_nothing_else() {
        let here = Pretended::with("", "");
        let parent = here.parent();
        let mine = parent.join(here.place.name(&LaunchId::random()));
        let others = [
            parent.join(format!("hubd-other-{}", LaunchId::random())),
            parent.join("hubd-test-x"),
            parent.join("hub"),
        ];
        for dir in others.iter().chain([&mine]) {
            fs::create_dir(dir).unwrap();
        }
        here.place.sweep(&parent);
        assert!(!mine.exists());
        assert!(others.iter().all(|dir| dir.is_dir()));
    }
}
