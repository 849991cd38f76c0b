//! One look at all processes of this host, shared by everybody who asks for one meanwhile.
//!
//! ```text
//!  a asks ─> walk 1 ──────────────> a
//!     b asks ────┐                  ├─> walk 2 ──────────────> b, c, d
//!        c asks ─┤                  │
//!          d asks┘ (one at a time) ─┘
//! ```
//!
//! - With a thousand servers a walk takes tens of milliseconds, and servers like to end together. So
//!   one is made at a time, and those who asked meanwhile share the next: it began after they asked,
//!   and so it saw all that was there by then.
//! - What a walk says is hearsay: a process may be gone by now, and its number another's. Whoever acts
//!   on it opens the process first, by number *and* start time, see [`Process`](crate::process).

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use spawner_core::{LaunchId, launch_marker};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::process::Stat;

/// How many walks have begun.
static BEGUN: AtomicU64 = AtomicU64::new(0);
/// The last walk, and how many had begun with it. Whoever holds the lock may walk; if that one is
/// dropped, the next in line does. It is held as long as a walk takes because that is what it is for:
/// without the result nobody in line could go on.
static LAST: Mutex<Option<(u64, Arc<Walk>)>> = Mutex::const_new(None);

/// All processes of this host but this one.
#[derive(Debug)]
pub(crate) struct Walk {
    pub(crate) seen: Vec<Seen>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) stat: Stat,
    /// The run that its environment names, as far as we may read that. Anybody can put anything there.
    pub(crate) launch: Option<LaunchId>,
}

impl Walk {
    /// A walk that begins after this was called.
    pub(crate) async fn next() -> io::Result<Arc<Self>> {
        let begun = BEGUN.load(Ordering::SeqCst);
        let mut last = LAST.lock().await;
        if let Some((number, walk)) = &*last
            && *number > begun
        {
            return Ok(Arc::clone(walk));
        }
        let number = BEGUN.fetch_add(1, Ordering::SeqCst) + 1;
        let walk = spawn_blocking(Self::now).await.map_err(io::Error::other)?;
        let walk = Arc::new(walk?);
        *last = Some((number, Arc::clone(&walk)));
        Ok(walk)
    }

    /// A walk of one's own. Blocks.
    pub(crate) fn now() -> io::Result<Self> {
        let myself = rustix::process::getpid().as_raw_nonzero().get();
        let mut seen = Vec::new();
        let mut room = vec![0; ROOM];
        for entry in std::fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if pid == myself {
                continue;
            }
            if let Some(stat) = Stat::of(pid)? {
                let launch = stat.environment.then(|| launch(pid, &mut room)).flatten();
                seen.push(Seen { stat, launch });
            }
        }
        Ok(Self { seen })
    }
}

/// What most environments fit into.
const ROOM: usize = 64 << 10;

/// The run that the environment of `pid` names; `None` also if it is gone, or not ours to read.
pub(crate) fn launch_of(pid: i32) -> Option<LaunchId> {
    launch(pid, &mut vec![0; ROOM])
}

/// See [`launch_of`]. `room` is read into, and grows if it has to.
fn launch(pid: i32, room: &mut Vec<u8>) -> Option<LaunchId> {
    let mut file = File::open(format!("/proc/{pid}/environ")).ok()?;
    let mut length = 0;
    loop {
        let read = file.read(&mut room[length..]).ok()?;
        length += read;
        // The kernel fills what it is given.
        if length < room.len() {
            break;
        }
        room.resize(room.len() * 2, 0);
    }
    let variables = room[..length].split(|&byte| byte == 0);
    launch_marker(variables.filter_map(|variable| str::from_utf8(variable).ok()))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};

    use spawner_core::LAUNCH_MARKER;

    use super::*;

    #[tokio::test]
    async fn whoever_asks_during_a_walk_shares_the_next() {
        // Other tests walk as well, which only makes it more likely that a walk is shared.
        let walks = tokio::join!(Walk::next(), Walk::next(), Walk::next());
        let (second, third) = (walks.1.unwrap(), walks.2.unwrap());
        assert!(Arc::ptr_eq(&second, &third));
        let later = Walk::next().await.unwrap();
        assert!(!Arc::ptr_eq(&third, &later));
    }

    #[tokio::test]
    async fn a_walk_sees_what_was_there_when_it_was_asked_for() {
        let launch = LaunchId::random();
        let filler = "x".repeat(ROOM);
        for filler in ["", &filler] {
            let mut child = Command::new("/bin/cat")
                .env("A_FILLER", filler)
                .env(LAUNCH_MARKER, launch.as_str())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let pid = i32::try_from(child.id()).unwrap();
            // While a program is being loaded its environment cannot be read. One that answers has
            // been loaded.
            child.stdin.as_mut().unwrap().write_all(b"!").unwrap();
            let mut answer = [0];
            let stdout = child.stdout.as_mut().unwrap();
            stdout.read_exact(&mut answer).unwrap();
            let walk = Walk::next().await.unwrap();
            let found = walk.seen.iter().find(|seen| seen.stat.pid == pid);
            let found = found.map(|seen| seen.launch.clone());
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(found, Some(Some(launch.clone())));
            assert_eq!(launch_of(pid), None);
        }
    }

    #[tokio::test]
    async fn a_walk_that_was_given_up_holds_nobody_up() {
        let mut given_up = Box::pin(Walk::next());
        tokio::select! {
            biased;
            walk = &mut given_up => drop(walk),
            () = tokio::task::yield_now() => {}
        }
        drop(given_up);
        Walk::next().await.unwrap();
    }
}
