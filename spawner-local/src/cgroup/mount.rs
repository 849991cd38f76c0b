//! Where the cgroup v2 hierarchy is on this host, and where in it this process is.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// A mounted hierarchy, seen from this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The directory it is mounted at.
    pub(crate) dir: PathBuf,
    /// The directory of this process's own group; `None` if it is not below `dir`, as in some
    /// containers.
    pub(crate) own: Option<PathBuf>,
    /// Controllers that version 1 has taken.
    pub(crate) taken: BTreeSet<String>,
    /// Which group of the hierarchy `dir` is, in the spelling of `/proc/PID/cgroup`.
    root: PathBuf,
}

impl Mount {
    /// Looks for it; `None` if there is none.
    pub(crate) fn find() -> io::Result<Option<Self>> {
        let mounts = std::fs::read("/proc/self/mountinfo")?;
        let groups = std::fs::read("/proc/self/cgroup")?;
        Ok(Self::parse(&mounts, &groups))
    }

    /// How `/proc/PID/cgroup` spells the group whose directory is `dir`.
    pub(crate) fn name_of(&self, dir: &Path) -> Option<PathBuf> {
        Some(self.root.join(dir.strip_prefix(&self.dir).ok()?))
    }

    fn parse(mounts: &[u8], groups: &[u8]) -> Option<Self> {
        // ID PARENT DEVICE ROOT DIRECTORY OPTIONS [TAGS...] - TYPE SOURCE OPTIONS
        let (root, dir) = lines(mounts).find_map(|line| {
            let mut fields = line.split(|&byte| byte == b' ');
            let (root, dir) = (fields.nth(3)?, fields.next()?);
            let kind = fields.skip_while(|field| field != b"-").nth(1)?;
            (kind == b"cgroup2").then(|| (unescape(root), unescape(dir)))
        })?;
        let (mut own, mut taken) = (None, BTreeSet::new());
        // NUMBER:CONTROLLERS:GROUP, where version 2 is number 0 without controllers.
        for line in lines(groups) {
            let mut fields = line.splitn(3, |&byte| byte == b':');
            let (Some(_), Some(names), Some(group)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            if names.is_empty() {
                let group = PathBuf::from(OsString::from_vec(group.to_vec()));
                // One outside of our namespace begins with `/..`.
                let inside = !group.components().any(|part| part == Component::ParentDir);
                own = (group.strip_prefix(&root).ok())
                    .filter(|_| inside)
                    .map(|below| dir.join(below));
            } else {
                let names = String::from_utf8_lossy(names);
                taken.extend(names.split(',').map(str::to_owned));
            }
        }
        Some(Self {
            dir,
            own,
            taken,
            root,
        })
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n')
}

/// Reads a path of `mountinfo`, where a space is `\040` and so on.
fn unescape(raw: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.first_chunk::<3>().filter(|_| byte == b'\\');
        let code = code.and_then(|code| u8::from_str_radix(str::from_utf8(code).ok()?, 8).ok());
        path.push(code.unwrap_or(byte));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    PathBuf::from(OsString::from_vec(path))
}

#[cfg(test)]
impl Mount {
    /// A directory that stands for a mount, with this process in its group `own`.
    pub(super) fn pretended(dir: &Path, own: &Path) -> Self {
        Self {
            dir: dir.into(),
            own: Some(dir.join(own)),
            taken: ["memory".to_owned()].into(),
            root: "/".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw shared:5 master:2 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
";

    #[test]
    fn hierarchies_are_found_where_they_are() {
        let plain = "29 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n";
        let odd = "29 23 0:26 /sub /odd\\040place rw - cgroup2 none rw\n";
        for (mounts, groups, dir, own) in [
            (
                plain,
                "0::/system.slice/hubd.service\n",
                "/sys/fs/cgroup",
                Some("/sys/fs/cgroup/system.slice/hubd.service"),
            ),
            (plain, "0::/\n", "/sys/fs/cgroup", Some("/sys/fs/cgroup/")),
            (plain, "0::/../other\n", "/sys/fs/cgroup", None),
            (plain, "", "/sys/fs/cgroup", None),
            (
                HYBRID,
                "4:memory:/a\n2:cpu,cpuacct:/\n1:name=systemd:/\n0::/a:b\n",
                "/sys/fs/cgroup/unified",
                Some("/sys/fs/cgroup/unified/a:b"),
            ),
            (odd, "0::/sub/x\n", "/odd place", Some("/odd place/x")),
            (odd, "0::/elsewhere\n", "/odd place", None),
        ] {
            let found = Mount::parse(mounts.as_bytes(), groups.as_bytes()).unwrap();
            assert_eq!(found.dir, Path::new(dir), "{groups}");
            assert_eq!(found.own.as_deref(), own.map(Path::new), "{groups}");
        }
        for mounts in ["", "29 23 0:26 / /x rw - tmpfs cgroup2 rw\n", "nonsense"] {
            assert_eq!(Mount::parse(mounts.as_bytes(), b"0::/\n"), None);
        }
    }

    #[test]
    fn what_version_1_has_is_known() {
        let found = Mount::parse(HYBRID.as_bytes(), b"4:memory:/\n2:cpu,cpuacct:/\n0::/\n");
        let taken = found.unwrap().taken;
        assert!(taken.contains("memory") && taken.contains("cpu") && !taken.contains("pids"));
    }

    #[test]
    fn a_directory_is_spelt_as_proc_has_it() {
        let mounts = b"29 23 0:26 /sub /place rw - cgroup2 none rw\n";
        let mount = Mount::parse(mounts, b"0::/sub/x\n").unwrap();
        assert_eq!(
            mount.name_of(Path::new("/place/a/b")),
            Some("/sub/a/b".into())
        );
        assert_eq!(mount.name_of(Path::new("/elsewhere")), None);
    }
}
