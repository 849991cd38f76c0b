//! Every process that a server started, found without trusting a number.
//!
//! A kernel runs in a session of its own, a job of a user may have left every parent behind. So a
//! process of this host belongs to a server if any of this is so:
//!
//! - it is the server, or was found to belong to it before and still lives;
//! - it is in the control group of this run;
//! - its environment carries the marker of this run, and it runs under the account of the server:
//!   an environment proves nothing alone;
//! - its parent belongs to it, or the leader of its session.
//!
//! The number of a parent or a leader proves something only while that process is still there (a
//! zombie will do), so it is read before that is looked at, see [`is_related`].
//!
//! Processes whose environment we may not read are told by the others. On a host without control
//! groups, none of it finds one that left its session, its parent and its environment behind before
//! anybody looked. A group has no such gap, and what is in it is killed as a whole; the walk then
//! finds what was moved out of it, as `systemd-run --user` does.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use spawner_core::LaunchId;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

use crate::cgroup::Group;
use crate::process::{Identity, Key, Process, Stat, real_uid};
use crate::walk::{Seen, Walk, launch_of};

/// How long those that were told to end are waited for, before it is looked who came after them: a
/// shell that forked just then waits for a child that was told nothing.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long those that were stopped have to stand still. One that waits for a disk may take longer.
const STAND_STILL: Duration = Duration::from_millis(200);
/// How often a group is looked at that holds nobody who is to be seen.
const LOOK_AT_GROUP: Duration = Duration::from_millis(5);

/// The processes of one server.
#[derive(Debug)]
pub(crate) struct Tree {
    root: Key,
    launch: LaunchId,
    account: Option<u32>,
    group: Option<Arc<Group>>,
    members: Vec<Process>,
    /// Whether nobody was in the group, and then nobody was found outside of it.
    over: bool,
}

impl Tree {
    /// The tree of the server `root` in its run `launch`, under `account` if that is known, in
    /// `group` if it has one. Nothing is looked at yet.
    pub(crate) fn new(
        root: &Identity,
        launch: &LaunchId,
        account: Option<u32>,
        group: Option<Arc<Group>>,
    ) -> Self {
        Self {
            account,
            root: (root.pid, root.start_time),
            launch: launch.clone(),
            group,
            members: Vec::new(),
            over: false,
        }
    }

    /// The tree of a run under `account` that is known by its marker alone, but for the child that
    /// is its `server` if there is one. Nothing is looked at yet.
    pub(crate) fn marked(server: Option<Key>, launch: &LaunchId, account: u32) -> Self {
        Self {
            // No process has the number 0.
            root: server.unwrap_or_default(),
            launch: launch.clone(),
            account: Some(account),
            group: None,
            members: Vec::new(),
            over: false,
        }
    }

    /// Looks through the processes of this host. Afterwards, all that lived and belong to the tree
    /// are held.
    pub(crate) async fn look(&mut self) -> io::Result<()> {
        let (root, launch, account) = (self.root, self.launch.clone(), self.account);
        let group = self.group.clone();
        let known: HashSet<Key> = self.members.iter().map(Process::key).collect();
        let emptied =
            (group.as_ref()).is_some_and(|group| matches!(group.is_populated(), Ok(false)));
        let walk = Walk::next().await?;
        let found = {
            let known = known.clone();
            let search = move || search(&walk, root, &launch, account, group.as_deref(), &known);
            spawn_blocking(search).await.map_err(io::Error::other)??
        };
        for (pid, start_time) in found.difference(&known) {
            self.members.extend(Process::open(*pid, *start_time)?);
        }
        let mut living = Vec::new();
        for process in self.members.drain(..) {
            if !process.is_over()? {
                living.push(process);
            } else if process.key() != self.root {
                // Orphans become ours to bury where the hub is the first process.
                process.reap();
            }
        }
        self.members = living;
        self.over = emptied && self.members.is_empty();
        Ok(())
    }

    /// How many were there at the last look. A group that is not empty counts as one at least:
    /// somebody may be in it who is not to be seen from here.
    pub(crate) fn left(&self) -> io::Result<usize> {
        let populated = self.group.as_ref().map(|group| group.is_populated());
        let unseen = populated.transpose()?.unwrap_or(false);
        Ok(self.members.len().max(unseen.into()))
    }

    /// Asks all to end that were there at the last look, and those that appear meanwhile, until none is
    /// left or `patience` is over.
    pub(crate) async fn terminate(&mut self, patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        let mut told = HashSet::new();
        loop {
            self.signal_new(Signal::TERM, &mut told);
            let now = Instant::now();
            if self.members.is_empty() || now >= deadline {
                return Ok(());
            }
            self.wait(deadline.min(now + LOOK_AGAIN)).await;
            self.look().await?;
        }
    }

    /// Ends all, until none is left or `patience` is over, and says how many are left.
    ///
    /// Those outside of the group are stopped before they are killed, because one that is killed
    /// while it forks leaves a child that nothing leads to any more. If the last look found the group
    /// empty and nobody outside of it, there is nothing to be done.
    pub(crate) async fn kill(&mut self, patience: Duration) -> io::Result<usize> {
        if self.over {
            return Ok(0);
        }
        let deadline = Instant::now() + patience;
        loop {
            self.kill_group().await;
            self.freeze().await?;
            self.signal_new(Signal::KILL, &mut HashSet::new());
            let left = self.left()?;
            if left == 0 || Instant::now() >= deadline {
                return Ok(left);
            }
            self.wait(deadline).await;
            if self.members.is_empty() {
                // The group is not quite empty yet, and tells nobody when it is.
                sleep(LOOK_AT_GROUP).await;
            }
        }
    }

    /// Kills all that are in the group, and gives them a moment to be gone: who is looked for afterwards
    /// is outside of it, and nearly always there is nobody.
    async fn kill_group(&self) {
        let Some(group) = &self.group else { return };
        let deadline = Instant::now() + STAND_STILL;
        match group.kill() {
            Ok(true) => {
                while matches!(group.is_populated(), Ok(true)) && Instant::now() < deadline {
                    sleep(LOOK_AT_GROUP).await;
                }
            }
            Ok(false) => {}
            // One by one will do, and what is left is seen.
            Err(error) => {
                tracing::warn!(group = %group.dir().display(), %error, "cannot kill a group");
            }
        }
    }

    /// Stops all, and looks until nobody new is found although everyone known stands still.
    async fn freeze(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + STAND_STILL;
        let mut told = HashSet::new();
        loop {
            let all_stood_still = self.members.iter().all(stands_still);
            self.look().await?;
            let somebody_new = self.signal_new(Signal::STOP, &mut told);
            if (all_stood_still && !somebody_new) || Instant::now() >= deadline {
                return Ok(());
            }
            if !somebody_new {
                sleep(Duration::from_millis(1)).await;
            }
        }
    }

    /// Sends `signal` to those that are not in `told` yet; says whether there were any.
    fn signal_new(&self, signal: Signal, told: &mut HashSet<Key>) -> bool {
        let mut any = false;
        for process in &self.members {
            if told.insert(process.key()) {
                any = true;
                if let Err(error) = process.signal(signal) {
                    // The others are told all the same, and this one is seen to be left.
                    let (pid, _) = process.key();
                    tracing::warn!(pid, ?signal, %error, "cannot signal a process of a server");
                }
            }
        }
        any
    }

    /// Returns when all have ended that were there at the last look, at `deadline` at the latest.
    async fn wait(&self, deadline: Instant) {
        for process in &self.members {
            if timeout_at(deadline, process.over()).await.is_err() {
                return;
            }
        }
    }
}

/// Whether a process that was stopped has taken notice, or is past all forking.
fn stands_still(process: &Process) -> bool {
    let (pid, _) = process.key();
    match Stat::of(pid) {
        Ok(Some(stat)) if stat.key() == process.key() => {
            matches!(stat.state, b'T' | b't' | b'Z' | b'X')
        }
        _ => true,
    }
}

/// The members of a tree, as [`Tree::look`] finds them. Blocks.
pub(crate) fn members(
    root: Key,
    launch: &LaunchId,
    account: Option<u32>,
) -> io::Result<HashSet<Key>> {
    search(&Walk::now()?, root, launch, account, None, &HashSet::new())
}

/// The members of a tree among the processes of this host.
fn search(
    walk: &Walk,
    root: Key,
    launch: &LaunchId,
    account: Option<u32>,
    group: Option<&Group>,
    known: &HashSet<Key>,
) -> io::Result<HashSet<Key>> {
    let mut listed = group.map(Group::members).transpose()?.unwrap_or_default();
    // The number may have been given away since the list was read.
    let holds = |pid| group.is_some_and(|group| group.holds(pid));
    let (mut members, mut others) = (Vec::new(), Vec::new());
    for Seen {
        stat,
        launch: named,
    } in &walk.seen
    {
        let grouped = listed.remove(&stat.pid);
        // Whoever was started before the server does not come from it.
        if stat.start_time < root.1 {
            continue;
        }
        if stat.key() == root
            || (grouped && holds(stat.pid))
            || known.contains(&stat.key())
            || (named.as_ref() == Some(launch) && runs_as(stat.pid, account))
        {
            members.push(*stat);
        } else {
            others.push(*stat);
        }
    }
    // Born in the group since the walk.
    for pid in listed {
        members.extend(Stat::of(pid)?.filter(|stat| stat.start_time >= root.1 && holds(pid)));
    }
    // The rest is related to somebody found so far, or to somebody related, and so on.
    let mut next = 0;
    while let Some(member) = members.get(next).copied() {
        others.retain(|other| {
            let related = is_related(other, &member);
            if related {
                members.push(*other);
            }
            !related
        });
        next += 1;
    }
    Ok(members.iter().map(Stat::key).collect())
}

/// Whether the environment of `pid` carries the marker of this run, and not because another account
/// put it there.
pub(crate) fn carries(pid: i32, launch: &LaunchId, account: Option<u32>) -> bool {
    launch_of(pid).as_ref() == Some(launch) && runs_as(pid, account)
}

/// Whether `pid` runs under `account`, if that is known.
fn runs_as(pid: i32, account: Option<u32>) -> bool {
    account.is_none_or(|account| real_uid(pid).is_ok_and(|uid| uid == Some(account)))
}

/// Whether `member` is the parent of `other` or leads its session, now and not only by numbers read
/// at different times.
///
/// What `other` says is read again, and then that `member` still is who it was: in between, its
/// number was not given away, and so `other` named nobody else.
fn is_related(other: &Stat, member: &Stat) -> bool {
    let names = |other: &Stat| other.parent == member.pid || other.session == member.pid;
    let again = |stat: &Stat| {
        let key = stat.key();
        Stat::of(stat.pid)
            .ok()
            .flatten()
            .filter(|now| now.key() == key)
    };
    names(other) && again(other).is_some_and(|other| names(&other)) && again(member).is_some()
}
