//! Random schedules: ten thousand lives of a server, each of them a plan drawn from a seed, under
//! simulated time. After each step and at the end the rules of the world hold.
//!
//! ```text
//!  plan ──> driver ──(handle)──> owner task ──> spawner, books, probe
//!             │                                       │
//!             '──────────── check ─────────────> world (the truth, and its rules)
//! ```
//!
//! - At most one server lives, and what lives is in the books, under the state that finds it.
//! - What was answered with success is in the books. A server that was said to run ends by itself
//!   or because somebody wanted it. A stop that was answered with success leaves nothing.
//! - An end that is noticed runs the callbacks once; an explicit stop runs none.
//! - The state of a living server is never cleared, whatever could not be told.
//! - Every request is answered within bounded time, and the owner task never panics.
//! - A daemon that is killed at any moment is followed by one that finds all of it again.
//!
//! A failure prints the number of its schedule, its shortest plan and what happened. That schedule
//! alone: `SCHEDULE=number cargo test -p spawner-core random_schedules`.

pub(super) mod actors;
pub(super) mod plan;
pub(super) mod world;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use self::actors::{Puppet, deps};
use self::plan::{Op, Plan};
use self::world::{Row, Tally, Weather, World};
use super::{context, supervise};
use crate::supervisor::{Gone, Phase, Saved, ServerHandle, StartError};
use crate::{Ending, SpawnError, StopMode};

/// All schedules follow from it.
const SEED: u64 = 0x6875_6264;
const SCHEDULES: u64 = 10_000;
/// Simulated time within which every request is answered, and everything comes to rest, whatever
/// the weather was.
const PATIENCE: Duration = Duration::from_secs(1800);

#[test]
fn random_schedules() {
    let alone = std::env::var("SCHEDULE").ok();
    let alone: Option<u64> = alone.map(|number| number.parse().expect("the number of a schedule"));
    let mut tally = Tally::default();
    for number in alone.map_or(0..SCHEDULES, |number| number..number + 1) {
        let plan = Plan::draw(SEED, number);
        match run(&plan, false) {
            Ok(done) => tally.add(&done),
            Err(_) => fail(number, plan),
        }
    }
    println!("{tally:?}");
    assert!(
        alone.is_some() || tally.least() > 500,
        "the schedules do too little: {tally:?}"
    );
}

/// A number has to mean the same schedule each time, or nobody can look for its mistake.
#[test]
fn a_schedule_is_the_same_each_time() {
    for number in 0..100 {
        let plan = Plan::draw(SEED, number);
        let history = || history(&plan).0;
        assert_eq!(history(), history(), "schedule {number}");
    }
}

/// Says what is wrong with a schedule, after taking away all that is not needed for it.
fn fail(number: u64, mut plan: Plan) {
    let mut step = plan.steps.len();
    while let Some(earlier) = step.checked_sub(1) {
        step = earlier;
        let shorter = plan.without(step);
        if run(&shorter, false).is_err() {
            plan = shorter;
        }
    }
    let (history, broken) = history(&plan);
    panic!(
        "schedule {number} of seed {SEED:#x} breaks a rule: {broken:?}\n{plan:?}\n{}",
        history.join("\n")
    );
}

fn history(plan: &Plan) -> (Vec<String>, Vec<String>) {
    let (world, _) = simulate(plan, true);
    let mut facts = world.facts();
    let history = facts.history.take().unwrap_or_default();
    (history, std::mem::take(&mut facts.broken))
}

/// Runs a schedule; what happened in it, or the rules that it broke.
fn run(plan: &Plan, verbose: bool) -> Result<Tally, Vec<String>> {
    let (world, tally) = simulate(plan, verbose);
    let broken = std::mem::take(&mut world.facts().broken);
    if broken.is_empty() {
        Ok(tally)
    } else {
        Err(broken)
    }
}

fn simulate(plan: &Plan, verbose: bool) -> (Arc<World>, Tally) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let world = Arc::new(World::default());
        world.facts().history = verbose.then(Vec::new);
        let mut driver = Driver::new(plan, &world);
        driver.follow().await;
        let tally = world.facts().tally;
        (world, tally)
    })
}

/// The program around the owner task: a daemon, and those who want something of it.
struct Driver<'a> {
    plan: &'a Plan,
    world: Arc<World>,
    began: Instant,
    handle: ServerHandle,
    /// The owner task.
    owner: JoinSet<()>,
    /// Those who wait for an answer.
    requests: JoinSet<()>,
}

impl<'a> Driver<'a> {
    fn new(plan: &'a Plan, world: &Arc<World>) -> Self {
        let (handle, owner) = daemon(plan, world);
        Self {
            plan,
            world: Arc::clone(world),
            began: Instant::now(),
            handle,
            owner,
            requests: JoinSet::new(),
        }
    }

    async fn follow(&mut self) {
        for step in &self.plan.steps {
            step.after.pass().await;
            let at = self.began.elapsed();
            self.world.facts().note(|| format!("{at:?} {:?}", step.op));
            self.act(step.op).await;
            self.check();
            if !self.world.facts().broken.is_empty() {
                return;
            }
        }
        self.come_to_rest().await;
    }

    async fn act(&mut self, op: Op) {
        match op {
            Op::Start => self.start(),
            Op::Stop(mode) => self.stop(mode),
            Op::Poll => self.poll(),
            Op::CallersLeave => self.requests.abort_all(),
            Op::Crash => self.crash().await,
            Op::DropHandles => self.drop_handles().await,
            Op::Polling(true) => self.handle.start_polling(),
            Op::Polling(false) => self.handle.stop_polling(),
            Op::Exit(status) => {
                let running = matches!(self.handle.phase(), Phase::Running { .. });
                self.world.exit(status, running);
            }
            weather => {
                let mut facts = self.world.facts();
                let to_come = &mut facts.weather;
                match weather {
                    Op::NextStart(script) => to_come.start = Some(script),
                    Op::NextStop(script) => to_come.stop = Some(script),
                    Op::NextPolls(script) => to_come.poll = Some(script),
                    Op::Away(millis) => {
                        to_come.away_until = Some(Instant::now() + Duration::from_millis(millis));
                    }
                    Op::Silent(millis) => to_come.silent = Duration::from_millis(millis),
                    Op::AddressTaken(times) => to_come.taken = times,
                    Op::Journal(entry, trouble) => to_come.journal = Some((entry, trouble)),
                    _ => unreachable!("everything else was done above"),
                }
            }
        }
    }

    fn start(&mut self) {
        let ctx = context("tee", "");
        let launch = ctx.launch_id.clone();
        let count = {
            let mut facts = self.world.facts();
            facts.asked(&launch);
            facts.launches.len()
        };
        let (handle, world) = (self.handle.clone(), Arc::clone(&self.world));
        self.ask(async move {
            let answer = handle.start(ctx).await;
            let mut facts = world.facts();
            facts.note(|| said("start", &answer));
            match answer {
                Ok(endpoint) => facts.acknowledged(&launch, &endpoint),
                Err(StartError::Gone(_)) => return Answer::Gone,
                Err(StartError::Denied(_)) => facts.tally.denied += 1,
                Err(StartError::Failed(outcome)) => {
                    facts.tally.failed += 1;
                    // Why it failed is told before it is cleared if that takes long.
                    let failed = matches!(outcome.ending, Ending::Failed(_));
                    if !(failed && matches!(handle.phase(), Phase::Stopping { .. })) {
                        facts.said_to_be_over(count);
                    }
                }
            }
            Answer::Given
        });
    }

    fn stop(&mut self, mode: StopMode) {
        let count = self.world.facts().stop_asked();
        let (handle, world) = (self.handle.clone(), Arc::clone(&self.world));
        self.ask(async move {
            let answer = handle.stop(mode).await;
            let mut facts = world.facts();
            facts.note(|| said("stop", &answer));
            match answer {
                Ok(()) => {
                    facts.tally.stopped += 1;
                    facts.said_to_be_over(count);
                }
                Err(error) if is_gone(&error) => return Answer::Gone,
                Err(_) => facts.tally.stop_errors += 1,
            }
            Answer::Given
        });
    }

    fn poll(&mut self) {
        let (handle, world) = (self.handle.clone(), Arc::clone(&self.world));
        self.ask(async move {
            let answer = handle.poll().await;
            world.facts().note(|| said("poll", &answer));
            match answer {
                Err(error) if is_gone(&error) => Answer::Gone,
                _ => Answer::Given,
            }
        });
    }

    /// Waits for an answer beside everything else.
    fn ask(&mut self, request: impl Future<Output = Answer> + Send + 'static) {
        let world = Arc::clone(&self.world);
        let daemon = world.facts().tally.daemons;
        self.requests.spawn(async move {
            let answer = timeout(PATIENCE, request).await;
            let mut facts = world.facts();
            match answer {
                Ok(Answer::Given) => {}
                Ok(Answer::Gone) if facts.tally.daemons != daemon => {}
                Ok(Answer::Gone) => facts.broke("the owner task left a request behind"),
                Err(_elapsed) => facts.broke("a request was not answered"),
            }
        });
    }

    async fn crash(&mut self) {
        self.world.facts().tally.daemons += 1;
        self.owner.abort_all();
        self.owner_ended().await;
        self.take_over().await;
    }

    async fn drop_handles(&mut self) {
        // Nobody can ask anything any more. What was asked is still carried out.
        let (nobody, _) = daemon(self.plan, &self.world);
        self.handle = nobody;
        if timeout(PATIENCE * 2, self.owner_ended()).await.is_err() {
            let rule = "an owner task goes on although nobody has its handle";
            self.world.facts().broke(rule);
        }
        self.world.facts().tally.daemons += 1;
        self.take_over().await;
    }

    /// The end of the owner task, which must not be a panic.
    async fn owner_ended(&mut self) {
        while let Some(ended) = self.owner.join_next().await {
            if ended.is_err_and(|error| error.is_panic()) {
                self.world.facts().broke("the owner task panicked");
            }
        }
    }

    /// The next daemon begins with what the books say.
    async fn take_over(&mut self) {
        let row = {
            let mut facts = self.world.facts();
            facts.daemon_gone();
            facts.row.clone()
        };
        let (handle, owner) = daemon(self.plan, &self.world);
        (self.handle, self.owner) = (handle, owner);
        let Some(row) = row else { return };
        self.world.facts().tally.recovered += 1;
        if let Err(error) = self.handle.recover(saved(row)).await {
            let mut facts = self.world.facts();
            facts.broke(format_args!("what the books say is not taken up: {error}"));
        }
    }

    /// What has to be true between any two steps.
    fn check(&mut self) {
        let mut facts = self.world.facts();
        if self.owner.try_join_next().is_some() {
            facts.broke("the owner task ended");
        }
        facts.check_books();
        match self.handle.phase() {
            Phase::Stopped { .. } if facts.living().is_some() => {
                facts.broke("a server lives and its phase says that nothing runs");
            }
            Phase::Running { endpoint } => {
                let booked = facts.row.as_ref().and_then(|row| row.endpoint.clone());
                if booked != Some(endpoint) {
                    facts.broke("the phase says running and the books do not");
                }
            }
            Phase::Unknown { .. } => facts.tally.lost += 1,
            _ => {}
        }
    }

    /// The weather clears up: everything that is under way comes to its end, and then everything
    /// can be ended.
    async fn come_to_rest(&mut self) {
        self.world.facts().weather = Weather::default();
        self.answered().await;
        self.poll();
        self.answered().await;
        self.settled().await;
        {
            let mut facts = self.world.facts();
            let runs = matches!(self.handle.phase(), Phase::Running { .. });
            if runs != facts.living().is_some() {
                facts.broke("at rest the phase is not the truth");
            }
            facts.check_callbacks();
        }
        self.check();

        // What the last daemon could not book, the next one corrects.
        self.crash().await;
        self.settled().await;
        self.stop(StopMode::Now);
        self.answered().await;
        self.settled().await;
        self.check();
        let mut facts = self.world.facts();
        if facts.living().is_some() || facts.row.is_some() {
            facts.broke("something is left after the last stop");
        }
    }

    async fn answered(&mut self) {
        while self.requests.join_next().await.is_some() {}
    }

    async fn settled(&mut self) {
        let mut phase = self.handle.watch();
        let settled =
            phase.wait_for(|phase| matches!(phase, Phase::Running { .. } | Phase::Stopped { .. }));
        if timeout(PATIENCE, settled).await.is_err() {
            self.world.facts().broke("it does not come to rest");
        }
    }
}

/// Whether a request was answered by an owner task.
enum Answer {
    Given,
    Gone,
}

fn is_gone(error: &SpawnError) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(<dyn std::error::Error>::is::<Gone>)
}

/// An answer as the history has it: the same in each run.
fn said(request: &str, answer: &Result<impl fmt::Debug, impl fmt::Display>) -> String {
    match answer {
        Ok(answer) => format!("{request}: {answer:?}"),
        Err(error) => format!("{request}: {error}"),
    }
}

/// A fresh spawner under a fresh owner task.
pub(super) fn daemon(plan: &Plan, world: &Arc<World>) -> (ServerHandle, JoinSet<()>) {
    let spawner = Box::new(Puppet::new(plan, world));
    let (handle, task) = supervise(context("tee", "").server, spawner, deps(plan, world));
    let truth = Arc::clone(world);
    handle.add_poll_callback(move |outcome| {
        truth.facts().called_back(&outcome);
        async { Ok(()) }
    });
    let mut owner = JoinSet::new();
    owner.spawn(task);
    (handle, owner)
}

/// What a hub makes of a row.
fn saved(row: Row) -> Saved {
    let mut saved = Saved::new(row.launch, row.state, "/user/tee/".into());
    saved.ready = row.endpoint.is_some();
    saved.endpoint = row.endpoint;
    saved.stopping = row.stopping;
    saved
}
