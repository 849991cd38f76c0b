//! The kill loop: a hub with real servers is killed with SIGKILL at random moments while it starts
//! and stops them, is started again, and then the world is compared with its books.
//!
//! ```text
//!  round:  requests ... SIGKILL      (a server ends, its pid is reused)      the hub again
//!                          |         (a hub is killed while it starts)            |
//!                    look at the world                      books at rest: compare, look, strangers
//! ```
//!
//! - *Orphan*: a process of a server that the books do not have.
//! - *Double start*: two servers of one user at any look.
//! - *Lost*: a start that was answered with success and whose process is not there, as the same
//!   process, after the restart; or a stop that was, after which something is.
//! - *Stranger signalled*: see [`Strangers`].
//!
//! Every server has a child in a session of its own that ignores SIGTERM, so a stop takes a while
//! and has something to overlook.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method, StatusCode};
use hub_tests::hub::TestHub;
use hub_tests::processes::{self, Process};
use hub_tests::setup::Setup;
use hub_tests::wait::{until, within};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::plan::{self, Moment, Round, Wish};
use crate::strangers::Strangers;

const USERS: [&str; 6] = ["ada", "ben", "cy", "dot", "eve", "fay"];
/// The seed unless another one is given.
const FIXED_SEED: u64 = 20_260_101;
/// Kills of the run that gates a merge.
const FEW: usize = 100;
/// How often the time of a start and a stop is taken.
const BEATS: usize = 5;
/// Kills of the long run.
const MANY: u64 = 1_000;

#[tokio::test]
async fn a_hundred_kills() {
    kill_loop(FEW).await;
}

#[tokio::test]
#[ignore = "long; run by name: tests/run chaos"]
async fn a_thousand_kills() {
    let kills = plan::number(plan::KILLS).unwrap_or(MANY);
    kill_loop(usize::try_from(kills).expect("a number of kills")).await;
}

async fn kill_loop(kills: usize) {
    let seed = plan::seed(FIXED_SEED);
    println!("{}={seed}", plan::SEED);
    let began = Instant::now();
    let mut chaos = Chaos::begin().await;
    for (number, round) in plan::draw(seed, kills, USERS.len()).iter().enumerate() {
        chaos.round(number, round).await;
        if (number + 1) % 100 == 0 {
            println!("{} kills: {:?}", number + 1, chaos.figures);
        }
    }
    chaos.end().await;
    let Chaos {
        figures, strangers, ..
    } = &chaos;
    println!(
        "{kills} kills in {:.1} s from {}={seed}: 0 orphans, 0 double starts, 0 acknowledged \
         operations lost, 0 of {} strangers signalled ({} of them with a pid of the books)\n\
         {figures:?}",
        began.elapsed().as_secs_f64(),
        plan::SEED,
        strangers.seen,
        strangers.with_a_known_pid,
    );
    // A loop that meets nothing proves nothing.
    let least = u32::try_from(kills / 20).expect("a number of kills");
    let Figures {
        starts,
        stops,
        cut_off_starts,
        cut_off_stops,
        found_again,
        ..
    } = *figures;
    let met = [starts, stops, cut_off_starts, cut_off_stops, found_again];
    assert!(met.iter().all(|met| *met >= least), "{figures:?}");
}

/// What happened how often.
#[derive(Debug, Default)]
struct Figures {
    /// Starts that were answered with success.
    starts: u32,
    /// Stops that were.
    stops: u32,
    /// Starts of what runs already.
    refused: u32,
    /// Starts that were cancelled by a stop, or failed.
    failed: u32,
    /// Starts that a kill cut off.
    cut_off_starts: u32,
    /// Stops that a kill cut off.
    cut_off_stops: u32,
    /// Servers that ran before a kill and after it.
    found_again: u32,
    /// Servers that ended while there was no hub.
    ended_meanwhile: u32,
    /// Kills of a hub that had just been started, on top of the others.
    killed_at_boot: u32,
}

/// What has to be true of a user's server when the hub is there again.
#[derive(Debug, Clone)]
enum Promise {
    /// This is still it.
    Runs(Process),
    /// There is none.
    Nothing,
    /// Nobody was promised anything.
    None,
}

/// What became of a request.
enum Answer {
    Given(StatusCode),
    /// The hub was killed before it answered.
    CutOff,
}

struct Chaos {
    hub: TestHub,
    /// How long a start or a stop takes, about.
    beat: Duration,
    promises: BTreeMap<usize, Promise>,
    strangers: Strangers,
    figures: Figures,
}

impl Chaos {
    async fn begin() -> Self {
        let setup = Setup::new()
            .set("limits.slow_spawn_timeout", 60)
            .set("limits.slow_stop_timeout", 60)
            .set("spawner.simple.interrupt_timeout", 5)
            .set("spawner.simple.term_timeout", 0.05)
            .server_env("FAKESU_CHILD", "own")
            .server_env("FAKESU_DELAY_MS", "10");
        let hub = setup.start().await;
        hub.admin().create(&USERS).await;
        // The shortest of a few: others use the machine as well, and come and go.
        let mut beat = Duration::MAX;
        for _ in 0..BEATS {
            let began = Instant::now();
            hub.admin().start(USERS[0]).await;
            hub.admin().stop(USERS[0]).await;
            beat = beat.min(began.elapsed());
        }
        let mut strangers = Strangers::default();
        strangers.add(USERS[0]);
        Self {
            hub,
            beat,
            promises: BTreeMap::new(),
            strangers,
            figures: Figures::default(),
        }
    }

    async fn round(&mut self, number: usize, round: &Round) {
        self.ask(number, round).await;
        self.look(number);
        if let Some(end) = round.ends {
            self.end_one(end.user, end.pid_reused).await;
        }
        if let Some(moment) = round.boot {
            self.hub.start_and_kill(self.beat * moment / 1_000).await;
            self.figures.killed_at_boot += 1;
            self.look(number);
        }
        self.hub.start_again().await;
        self.compare(number).await;
        self.strangers.check();
    }

    /// Asks for everything in its time, and kills the hub in the midst of it.
    async fn ask(&mut self, number: usize, round: &Round) {
        let began = Instant::now();
        let at = |moment: Moment| began + self.beat * moment / 1_000;
        let mut answers = JoinSet::new();
        for &request in &round.requests {
            let (api, due) = (self.hub.admin(), at(request.at));
            // From now on nothing is promised, until the answer comes.
            self.promises.insert(request.user, Promise::None);
            let folder = self.hub.folder().to_owned();
            answers.spawn(async move {
                // The moment is what is being tested; nothing is waited for.
                sleep_until(due).await;
                let method = match request.wish {
                    Wish::Start => Method::POST,
                    Wish::Stop => Method::DELETE,
                };
                let path = format!("/users/{}/server", USERS[request.user]);
                let answer = match api.attempt(method, &path).await {
                    Ok(reply) => Answer::Given(reply.status),
                    Err(_) => Answer::CutOff,
                };
                let leader = leaders(&processes::servers_of(&folder))
                    .remove(USERS[request.user])
                    .and_then(|mut leaders| leaders.pop());
                (request, answer, leader)
            });
        }
        sleep_until(at(round.stranger_at.min(round.kill_at))).await;
        self.strangers.add(USERS[self.strangers.seen % USERS.len()]);
        sleep_until(at(round.kill_at)).await;
        self.hub.kill().await;

        // Two requests about one server promise nothing together.
        let alone = |user| {
            let about = round.requests.iter().filter(|other| other.user == user);
            about.count() == 1
        };
        while let Some(answer) = within("the answers", answers.join_next()).await {
            let (request, answer, leader) = answer.expect("a request that ends");
            let promise = match (request.wish, answer) {
                (Wish::Start, Answer::Given(StatusCode::CREATED)) => {
                    self.figures.starts += 1;
                    let name = USERS[request.user];
                    match leader {
                        Some(leader) => Promise::Runs(leader),
                        // The other request has stopped it already.
                        None if !alone(request.user) => Promise::None,
                        None => panic!("the start of {name} was acknowledged and nothing runs"),
                    }
                }
                (Wish::Stop, Answer::Given(StatusCode::NO_CONTENT)) => {
                    self.figures.stops += 1;
                    Promise::Nothing
                }
                (Wish::Start, Answer::Given(StatusCode::BAD_REQUEST)) => {
                    self.figures.refused += 1;
                    Promise::None
                }
                (Wish::Start, Answer::Given(_)) => {
                    self.figures.failed += 1;
                    Promise::None
                }
                (Wish::Stop, Answer::Given(status)) => {
                    panic!("round {number}: a stop was answered with {status}")
                }
                (Wish::Start, Answer::CutOff) => {
                    self.figures.cut_off_starts += 1;
                    Promise::None
                }
                (Wish::Stop, Answer::CutOff) => {
                    self.figures.cut_off_stops += 1;
                    Promise::None
                }
            };
            if alone(request.user) {
                self.promises.insert(request.user, promise);
            }
        }
    }

    /// Ends a server behind the hub's back, with everything it started.
    async fn end_one(&mut self, user: usize, pid_reused: bool) {
        let name = USERS[user];
        let of_user = |process: &Process| processes::variable(process, "JUPYTERHUB_USER");
        let mut mine = self.hub.servers();
        mine.retain(|process| of_user(process).as_deref() == Some(name));
        let Some(leader) = mine.iter().find(|process| is_leader(process)).cloned() else {
            return;
        };
        let folder = self.hub.folder().to_owned();
        for process in &mine {
            processes::end(process, &folder);
        }
        self.promises.insert(user, Promise::Nothing);
        self.figures.ended_meanwhile += 1;
        if pid_reused {
            until("the pid to be free", async || {
                let taken = std::path::Path::new("/proc").join(leader.pid.to_string());
                if taken.exists() {
                    Err("its last traces are there".to_owned())
                } else {
                    Ok(())
                }
            })
            .await;
            self.strangers.add_as(name, leader.pid);
        }
    }

    /// No user has two servers.
    fn look(&self, number: usize) -> BTreeMap<String, Vec<Process>> {
        let leaders = leaders(&self.hub.servers());
        for (user, servers) in &leaders {
            assert!(
                servers.len() < 2,
                "round {number}: {user} has two servers: {servers:#?}"
            );
        }
        leaders
    }

    /// Waits until the books are at rest, and compares the world with them.
    async fn compare(&mut self, number: usize) {
        let what = format!("the books and the world to agree after kill {number}");
        let running = until(&what, async || {
            let leaders = self.look(number);
            let models = self.hub.admin().get("/users").await.json();
            let models = models.as_array().ok_or("no list of users")?;
            if let Some(model) = models.iter().find(|model| !model["pending"].is_null()) {
                return Err(format!("pending: {model}"));
            }
            let mut booked: Vec<String> = Vec::new();
            for model in models {
                let servers = model["servers"].as_object();
                if servers.is_some_and(|servers| servers.contains_key("")) {
                    if model["servers"][""]["ready"] != true {
                        return Err(format!("not ready: {model}"));
                    }
                    booked.extend(model["name"].as_str().map(str::to_owned));
                }
            }
            booked.sort_unstable();
            let living: Vec<String> = leaders.keys().cloned().collect();
            if booked != living {
                return Err(format!("books: {booked:?}, world: {living:?}"));
            }
            // Children of servers that are gone, and what a killed hub left at a gate.
            let orphans: Vec<_> = processes::of(self.hub.folder())
                .into_iter()
                .filter(|process| {
                    let user = processes::variable(process, "JUPYTERHUB_USER");
                    let known = user.is_some_and(|user| leaders.contains_key(&user));
                    let hub = u32::try_from(process.pid) == Ok(self.hub.pid());
                    !known && !hub
                })
                .collect();
            if orphans.is_empty() {
                Ok(leaders)
            } else {
                Err(format!("orphans: {orphans:#?}"))
            }
        })
        .await;
        for (user, promise) in &mut self.promises {
            let now = running
                .get(USERS[*user])
                .and_then(|leaders| leaders.first());
            let kept = match &*promise {
                Promise::Runs(before) => now == Some(before),
                Promise::Nothing => now.is_none(),
                Promise::None => true,
            };
            assert!(
                kept,
                "round {number}: {}: {promise:?} was promised, now there is {now:?}",
                USERS[*user]
            );
            self.figures.found_again += u32::from(matches!(promise, Promise::Runs(_)));
            *promise = now.map_or(Promise::Nothing, |now| Promise::Runs(now.clone()));
        }
    }

    /// Everything can still be ended.
    async fn end(&mut self) {
        for user in USERS {
            self.hub.admin().stop(user).await;
        }
        self.hub.until_no_server_is_left().await;
        self.strangers.check();
    }
}

/// The main processes of servers, by user.
fn leaders(servers: &[Process]) -> BTreeMap<String, Vec<Process>> {
    let mut leaders: BTreeMap<String, Vec<Process>> = BTreeMap::new();
    for process in servers.iter().filter(|process| is_leader(process)) {
        // One that just ended has no environment any more.
        if let Some(user) = processes::variable(process, "JUPYTERHUB_USER") {
            leaders.entry(user).or_default().push(process.clone());
        }
    }
    leaders
}

fn is_leader(process: &Process) -> bool {
    process.session == process.pid && !process.command.ends_with("--child")
}
