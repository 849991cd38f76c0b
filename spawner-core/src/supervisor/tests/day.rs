//! A day of fifty servers, each by the clock, so that everything that happens can be counted.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::schedules::daemon;
use super::schedules::plan::{Pause, Plan, PollScript, StartScript};
use super::schedules::world::{Tally, World};
use super::{ServerHandle, StartError, context};
use crate::{Ending, ExitStatus, StopMode};

const HOUR: Duration = Duration::from_secs(3600);
const HOURS: u32 = 24;
/// Between two polls, and not with one: they come every 30 s.
const ALMOST_AN_HOUR: Duration = Duration::from_secs(3590);
const POLLS: u32 = 3590 / 30;

/// How the hours of a server go. Each begins with a start.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Habit {
    /// It ends by itself, which the spawner hears.
    Heard,
    /// It ends by itself, which a poll finds.
    Polled,
    /// Somebody stops it.
    Stopped,
    /// For four polls, the first after ten minutes, nothing can be told; then it is stopped.
    Doubted,
    /// Its start hangs until `start_timeout`.
    Hangs,
    /// It never answers until `http_timeout`.
    Silent,
}

const SERVERS: [(Habit, usize); 6] = [
    (Habit::Heard, 15),
    (Habit::Polled, 15),
    (Habit::Stopped, 5),
    (Habit::Doubted, 5),
    (Habit::Hangs, 5),
    (Habit::Silent, 5),
];

#[tokio::test(start_paused = true)]
async fn a_day_of_fifty_servers() {
    let began = Instant::now();
    let mut servers = JoinSet::new();
    for (habit, count) in SERVERS {
        for _ in 0..count {
            servers.spawn(day(habit));
        }
    }
    let mut total = 0;
    while let Some(ended) = servers.join_next().await {
        let (habit, tally) = ended.unwrap();
        total += 1;
        let counted = (tally.started, tally.failed, tally.callbacks, tally.polls);
        // The poll that finds an end is one more. After a doubt of 1 + 2 + 4 + 8 seconds the polls
        // go on from there.
        let expected = match habit {
            Habit::Heard => (HOURS, 0, HOURS, HOURS * POLLS),
            Habit::Polled => (HOURS, 0, HOURS, HOURS * (POLLS + 1)),
            Habit::Stopped => (HOURS, 0, 0, HOURS * POLLS),
            Habit::Doubted => (HOURS, 0, 0, HOURS * (20 + 4 + (3590 - 615) / 30)),
            Habit::Hangs | Habit::Silent => (0, HOURS, 0, tally.polls),
        };
        assert_eq!(counted, expected, "{habit:?}");
    }
    assert_eq!(total, 50);
    assert_eq!(began.elapsed(), HOUR * HOURS);
}

async fn day(habit: Habit) -> (Habit, Tally) {
    let plan = Plan {
        hears: habit != Habit::Polled,
        knows_address: true,
        poll_interval: Duration::from_secs(30),
        pace: Pause::Turns(0),
        steps: Vec::new(),
    };
    let world = Arc::new(World::default());
    let (handle, owner) = daemon(&plan, &world);
    let began = Instant::now();
    for hour in 1..=HOURS {
        this_hour(habit, &handle, &world).await;
        sleep_until(began + HOUR * hour).await;
        assert!(handle.phase().is_stopped(), "{habit:?}: {handle:?}");
    }
    drop((handle, owner));
    let facts = world.facts();
    assert_eq!(facts.broken, Vec::<String>::new(), "{habit:?}");
    (habit, facts.tally)
}

async fn this_hour(habit: Habit, handle: &ServerHandle, world: &World) {
    match habit {
        Habit::Hangs => world.facts().weather.start = Some(StartScript::HangsEarly),
        Habit::Silent => world.facts().weather.silent = HOUR,
        _ => {}
    }
    let ctx = context("tee", "");
    let launch = ctx.launch_id.clone();
    world.facts().asked(&launch);
    match handle.start(ctx).await {
        Ok(endpoint) => world.facts().acknowledged(&launch, &endpoint),
        Err(StartError::Failed(outcome)) if matches!(outcome.ending, Ending::Failed(_)) => {
            world.facts().tally.failed += 1;
        }
        Err(error) => panic!("{habit:?}: {error}"),
    }
    if habit == Habit::Doubted {
        sleep(Duration::from_secs(590)).await;
        world.facts().weather.poll = Some(PollScript::Fail(4));
        sleep(Duration::from_secs(3000)).await;
    } else {
        sleep(ALMOST_AN_HOUR).await;
    }
    match habit {
        Habit::Heard | Habit::Polled => world.exit(ExitStatus::Code(0), true),
        Habit::Stopped | Habit::Doubted => {
            world.facts().stop_asked();
            handle.stop(StopMode::Graceful).await.unwrap();
        }
        Habit::Hangs | Habit::Silent => {}
    }
}
