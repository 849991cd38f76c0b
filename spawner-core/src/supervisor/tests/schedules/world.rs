//! The truth of a schedule: which servers live, what the books hold, what everybody was told; and
//! the rules that all of it has to keep.
//!
//! It outlives the daemons of a schedule. A rule that is broken is noted here rather than thrown,
//! so that nothing in between can catch it.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::plan::{Entry, PollScript, StartScript, StopScript, Trouble};
use crate::{Ending, Endpoint, ExitStatus, LaunchId, Outcome, SpawnerState, StopMode};

#[derive(Debug, Default)]
pub(crate) struct World {
    facts: Mutex<Facts>,
    /// Some server has ended.
    pub(crate) ended: Notify,
}

/// All that is true at a moment.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) weather: Weather,
    servers: Vec<Server>,
    /// The launches, in the order in which they were asked for.
    pub(crate) launches: Vec<Fate>,
    /// What is durable.
    pub(crate) row: Option<Row>,
    pub(crate) tally: Tally,
    /// The rules that were broken.
    pub(crate) broken: Vec<String>,
    /// What happened, if anybody wants to read it.
    pub(crate) history: Option<Vec<String>>,
}

/// What will go wrong.
#[derive(Debug, Default)]
pub(crate) struct Weather {
    pub(crate) start: Option<StartScript>,
    pub(crate) stop: Option<StopScript>,
    pub(crate) poll: Option<PollScript>,
    pub(crate) away_until: Option<Instant>,
    pub(crate) silent: Duration,
    pub(crate) taken: u32,
    pub(crate) journal: Option<(Entry, Trouble)>,
}

/// A server: made, and once it was let go it lives, until it ends.
#[derive(Debug)]
struct Server {
    launch: LaunchId,
    life: Life,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Life {
    /// It waits at its gate. It goes with the daemon that made it.
    Held,
    Lives {
        since: Instant,
    },
    Ended(ExitStatus),
}

/// What is known of one launch.
#[derive(Debug)]
pub(crate) struct Fate {
    launch: LaunchId,
    /// Somebody was told that it runs.
    acknowledged: bool,
    /// Somebody wanted it stopped.
    pub(crate) stop_asked: bool,
    /// That is in the books, and was when the server still lived.
    stop_booked: bool,
    /// The server ended by itself.
    exited: bool,
    callback: Callback,
    callbacks: u32,
    ready_booked: Option<Endpoint>,
    /// The journal refused something about it.
    pub(crate) refused: bool,
}

/// Whether the callbacks have to run for a launch.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Callback {
    /// They need not, and may if the server ended by itself.
    Open,
    Due,
}

/// A row of the books.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) launch: LaunchId,
    pub(crate) state: SpawnerState,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) stopping: bool,
}

/// What happened how often: a simulation that does nothing keeps every rule.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) started: u32,
    pub(crate) failed: u32,
    pub(crate) denied: u32,
    pub(crate) stopped: u32,
    pub(crate) stop_errors: u32,
    pub(crate) polls: u32,
    pub(crate) callbacks: u32,
    pub(crate) daemons: u32,
    pub(crate) recovered: u32,
    pub(crate) lost: u32,
    pub(crate) addresses_taken: u32,
    pub(crate) refused_by_journal: u32,
}

impl World {
    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server ends by itself, if it lives; `running` says whether the owner task holds it for
    /// running.
    pub(crate) fn exit(&self, status: ExitStatus, running: bool) {
        let mut facts = self.facts();
        let Some(server) = facts.living() else { return };
        facts.servers[server].life = Life::Ended(status);
        facts.note(|| format!("server {server} ends with {status}"));
        let launch = facts.servers[server].launch.clone();
        let fate = facts.fate(&launch);
        fate.exited = true;
        if running && !fate.stop_asked {
            fate.callback = Callback::Due;
        }
        drop(facts);
        self.ended.notify_waiters();
    }

    /// A spawner ends a server.
    pub(crate) fn kill(&self, server: usize, mode: StopMode) {
        let mut facts = self.facts();
        if !matches!(facts.servers[server].life, Life::Lives { .. }) {
            return;
        }
        let signal = if mode == StopMode::Now { 9 } else { 15 };
        facts.servers[server].life = Life::Ended(ExitStatus::Signal(signal));
        facts.note(|| format!("server {server} is ended"));
        let launch = facts.servers[server].launch.clone();
        let fate = facts.fate(&launch);
        if fate.acknowledged && !fate.stop_asked {
            facts.broke("a server that was said to run was ended, and nobody wanted it");
        }
        drop(facts);
        self.ended.notify_waiters();
    }
}

impl Facts {
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(history) = &mut self.history {
            history.push(line());
        }
    }

    pub(crate) fn broke(&mut self, rule: impl fmt::Display) {
        let rule = rule.to_string();
        self.note(|| format!("BROKEN: {rule}"));
        self.broken.push(rule);
    }

    pub(crate) fn is_away(&self) -> bool {
        self.weather
            .away_until
            .is_some_and(|until| Instant::now() < until)
    }

    /// A fresh launch was asked for.
    pub(crate) fn asked(&mut self, launch: &LaunchId) {
        self.launches.push(Fate {
            launch: launch.clone(),
            acknowledged: false,
            stop_asked: false,
            stop_booked: false,
            exited: false,
            callback: Callback::Open,
            callbacks: 0,
            ready_booked: None,
            refused: false,
        });
    }

    /// A stop is asked for; how many launches it is about.
    pub(crate) fn stop_asked(&mut self) -> usize {
        for fate in &mut self.launches {
            fate.stop_asked = true;
            fate.callback = Callback::Open;
        }
        self.launches.len()
    }

    /// A daemon is gone. Whether it had begun to wind a run down, and how far it came, only the
    /// books say.
    pub(crate) fn daemon_gone(&mut self) {
        let open = self.row.as_ref().filter(|row| !row.stopping);
        let open = open.map(|row| row.launch.clone());
        for fate in &mut self.launches {
            if fate.callbacks == 0 && open.as_ref() != Some(&fate.launch) {
                fate.callback = Callback::Open;
            }
        }
    }

    /// A start was answered with success.
    pub(crate) fn acknowledged(&mut self, launch: &LaunchId, endpoint: &Endpoint) {
        self.tally.started += 1;
        let fate = self.fate(launch);
        fate.acknowledged = true;
        if fate.ready_booked.as_ref() != Some(endpoint) {
            self.broke("a start was acknowledged and is not in the books");
        }
    }

    /// The first `count` launches were said to be over: nothing of them may be left.
    pub(crate) fn said_to_be_over(&mut self, count: usize) {
        let over: Vec<LaunchId> = self.launches[..count]
            .iter()
            .map(|fate| fate.launch.clone())
            .collect();
        if let Some(server) = self.living()
            && over.contains(&self.servers[server].launch)
        {
            self.broke(format_args!("server {server} lives after its stop"));
        }
        if let Some(row) = self.row.clone()
            && over.contains(&row.launch)
            && !row.stopping
            && !self.fate(&row.launch).refused
        {
            self.broke("a stop was acknowledged and is not in the books");
        }
    }

    /// The callbacks run.
    pub(crate) fn called_back(&mut self, outcome: &Outcome) {
        self.tally.callbacks += 1;
        self.note(|| "callback".to_owned());
        if !matches!(outcome.ending, Ending::Exited(_)) {
            self.broke("a callback ran for something else than an end");
        }
        let fate = self.fate(&outcome.launch_id);
        fate.callbacks += 1;
        let (exited, stop_booked) = (fate.exited, fate.stop_booked);
        // What could not be booked is noticed a second time by the next daemon.
        let again = fate.callbacks > 1 && !fate.refused;
        if !exited {
            self.broke("a callback ran for a server that did not end by itself");
        }
        if stop_booked {
            self.broke("a callback ran for an explicit stop");
        }
        if again {
            self.broke("a callback ran twice for one end");
        }
    }

    /// Everything has come to rest: whoever was to be told has been told.
    pub(crate) fn check_callbacks(&mut self) {
        let missing = |fate: &Fate| fate.callback == Callback::Due && fate.callbacks == 0;
        if self.launches.iter().any(missing) {
            self.broke("a server ended by itself and no callback ran");
        }
    }

    /// A spawner makes a server.
    pub(crate) fn make(&mut self, launch: &LaunchId) -> usize {
        self.servers.push(Server {
            launch: launch.clone(),
            life: Life::Held,
        });
        self.servers.len() - 1
    }

    /// A spawner lets it run.
    pub(crate) fn let_go(&mut self, server: usize) {
        self.note(|| format!("server {server} runs"));
        if let Some(other) = self.living() {
            self.broke(format_args!("server {server} runs beside server {other}"));
        }
        self.servers[server].life = Life::Lives {
            since: Instant::now(),
        };
        self.check_books();
    }

    pub(crate) fn life(&self, server: usize) -> Life {
        self.servers[server].life
    }

    pub(crate) fn living(&self) -> Option<usize> {
        let lives = |server: &Server| matches!(server.life, Life::Lives { .. });
        self.servers.iter().position(lives)
    }

    /// What lives is in the books, and so that it is found again.
    pub(crate) fn check_books(&mut self) {
        let Some(server) = self.living() else { return };
        let known = self.row.as_ref().is_some_and(|row| {
            row.launch == self.servers[server].launch && server_in(&row.state) == Some(server)
        });
        if !known {
            self.broke(format_args!("server {server} lives and no book knows it"));
        }
    }

    pub(crate) fn fate(&mut self, launch: &LaunchId) -> &mut Fate {
        self.launches
            .iter_mut()
            .rfind(|fate| fate.launch == *launch)
            .expect("a launch that was asked for")
    }

    /// Something is written into the books.
    pub(crate) fn write(&mut self, launch: &LaunchId, writing: Writing<'_>) {
        self.note(|| format!("booked: {writing:?}"));
        match writing {
            Writing::Starting => {
                if let Some(server) = self.living() {
                    self.broke(format_args!("a start begins while server {server} lives"));
                }
                self.row = Some(Row {
                    launch: launch.clone(),
                    state: SpawnerState::default(),
                    endpoint: None,
                    stopping: false,
                });
            }
            Writing::Checkpoint(state) => match self.row_of(launch) {
                Some(row) => row.state = state.clone(),
                None => self.broke("a checkpoint of a launch that is not in the books"),
            },
            Writing::Ready(endpoint, state) => match self.row_of(launch) {
                Some(row) => {
                    row.state = state.clone();
                    row.endpoint = Some(endpoint.clone());
                    self.fate(launch).ready_booked = Some(endpoint.clone());
                }
                None => self.broke("a launch is ready that is not in the books"),
            },
            Writing::Stopping => {
                if let Some(row) = self.row_of(launch) {
                    row.stopping = true;
                }
            }
            Writing::Stopped => {
                if self
                    .living()
                    .is_some_and(|server| self.servers[server].launch == *launch)
                {
                    self.broke("a launch is booked as over and its server lives");
                }
                if self.row_of(launch).is_some() {
                    self.row = None;
                }
            }
        }
    }

    /// That a stop begins was written, and the daemon knows it.
    pub(crate) fn stop_booked(&mut self, launch: &LaunchId) {
        let lives = self
            .living()
            .is_some_and(|server| self.servers[server].launch == *launch);
        let fate = self.fate(launch);
        fate.stop_booked |= lives && fate.stop_asked;
    }

    fn row_of(&mut self, launch: &LaunchId) -> Option<&mut Row> {
        self.row.as_mut().filter(|row| row.launch == *launch)
    }
}

/// One entry into the books.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Writing<'a> {
    Starting,
    Checkpoint(&'a SpawnerState),
    Ready(&'a Endpoint, &'a SpawnerState),
    Stopping,
    Stopped,
}

impl Writing<'_> {
    pub(crate) fn entry(self) -> Entry {
        match self {
            Self::Starting => Entry::Starting,
            Self::Checkpoint(_) => Entry::Checkpoint,
            Self::Ready(..) => Entry::Ready,
            Self::Stopping => Entry::Stopping,
            Self::Stopped => Entry::Stopped,
        }
    }
}

/// The state of a spawner that knows `server`.
pub(crate) fn state_of(server: Option<usize>) -> SpawnerState {
    let Some(server) = server else {
        return SpawnerState::default();
    };
    SpawnerState {
        version: 1,
        data: serde_json::Map::from_iter([("server".to_owned(), server.into())]),
    }
}

/// The server that such a state names.
pub(crate) fn server_in(state: &SpawnerState) -> Option<usize> {
    let server = state.data.get("server")?.as_u64()?;
    usize::try_from(server).ok()
}

/// Where `server` answers.
pub(crate) fn endpoint_of(server: usize) -> Endpoint {
    Endpoint::Tcp {
        host: "there".into(),
        port: u16::try_from(server + 1).expect("few servers"),
    }
}

/// The server that answers there.
pub(crate) fn server_at(endpoint: &Endpoint) -> usize {
    match endpoint {
        Endpoint::Tcp { port, .. } => usize::from(*port) - 1,
        Endpoint::Unix { .. } => unreachable!("these servers have ports"),
    }
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.started, other.started),
            (&mut self.failed, other.failed),
            (&mut self.denied, other.denied),
            (&mut self.stopped, other.stopped),
            (&mut self.stop_errors, other.stop_errors),
            (&mut self.polls, other.polls),
            (&mut self.callbacks, other.callbacks),
            (&mut self.daemons, other.daemons),
            (&mut self.recovered, other.recovered),
            (&mut self.lost, other.lost),
            (&mut self.addresses_taken, other.addresses_taken),
            (&mut self.refused_by_journal, other.refused_by_journal),
        ] {
            *sum += more;
        }
    }

    /// The smallest of them.
    pub(crate) fn least(&self) -> u32 {
        [
            self.started,
            self.failed,
            self.denied,
            self.stopped,
            self.stop_errors,
            self.polls,
            self.callbacks,
            self.daemons,
            self.recovered,
            self.lost,
            self.refused_by_journal,
        ]
        .into_iter()
        .min()
        .unwrap_or(0)
    }
}
