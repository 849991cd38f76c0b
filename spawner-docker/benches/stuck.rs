//! What other users notice of one call that is stuck: starts and polls with an engine on which one
//! user's call never ends, beside the same with an engine on which all is well.
//!
//! ```text
//! cargo bench -p spawner-docker --bench stuck
//! ```
//!
//! The engine is the pretend one of the tests, so what is measured is ours: the spawner, its client
//! and the owner task.

#[path = "../tests/pretend/mod.rs"]
mod pretend;

use std::time::{Duration, Instant};

use pretend::{Fault, Pretend, Server, Verb, factory};
use serde_json::json;
use spawner_core::StopMode;
use tokio::task::JoinSet;

/// Users who start, poll and stop all the time.
const USERS: usize = 10;
/// How often each of them does so.
const ROUNDS: usize = 40;
/// How often a running server is polled in each round.
const POLLS: usize = 20;
/// How often both are measured, in turn: the machine has other things to do.
const TURNS: usize = 3;

#[derive(Default)]
struct Times {
    starts: Vec<Duration>,
    polls: Vec<Duration>,
}

fn main() {
    // Only when it is asked for: `cargo test --benches` is to say that it compiles.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime.block_on(async {
        let (mut well, mut stuck) = (Times::default(), Times::default());
        measure(None).await;
        for _ in 0..TURNS {
            well.add(measure(None).await);
            stuck.add(measure(Some(Verb::Create)).await);
        }
        println!(
            "{USERS} users, {} starts, {} polls a line",
            well.starts.len(),
            well.polls.len()
        );
        println!("{:<28}{:>10}{:>10}{:>10}", "", "min", "median", "p99");
        well.print("nothing stuck");
        stuck.print("one create stuck");
    });
}

impl Times {
    fn add(&mut self, other: Self) {
        self.starts.extend(other.starts);
        self.polls.extend(other.polls);
    }

    fn print(&mut self, which: &str) {
        line(&format!("{which}: start"), &mut self.starts);
        line(&format!("{which}: poll"), &mut self.polls);
    }
}

fn line(name: &str, times: &mut [Duration]) {
    times.sort();
    let at = |hundredths: usize| times[(times.len() - 1) * hundredths / 100];
    let show = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    println!(
        "{name:<28}{:>10}{:>10}{:>10}",
        show(at(0)),
        show(at(50)),
        show(at(99))
    );
}

/// One run over all rounds, with a call of this verb stuck from its beginning to its end.
async fn measure(stuck: Option<Verb>) -> Times {
    let engine = Pretend::open();
    let factory = factory(&engine, json!({"stop_timeout": 1}));
    let victim = Server::of(&factory, "victim");
    let mut waiting = JoinSet::new();
    if let Some(verb) = stuck {
        engine.fail_once(verb, Fault::Hangs);
        waiting.spawn(async move { drop(victim.start().await) });
        engine.called(verb, 1).await;
    }
    let mut users = JoinSet::new();
    for user in 0..USERS {
        let server = Server::of(&factory, &format!("user{user}"));
        users.spawn(async move {
            let mut times = Times::default();
            for _ in 0..ROUNDS {
                let began = Instant::now();
                server.start().await.expect("it starts");
                times.starts.push(began.elapsed());
                for _ in 0..POLLS {
                    let began = Instant::now();
                    server.handle.poll().await.expect("it can be told");
                    times.polls.push(began.elapsed());
                }
                server.handle.stop(StopMode::Now).await.expect("it stops");
            }
            times
        });
    }
    let mut all = Times::default();
    while let Some(times) = users.join_next().await {
        all.add(times.expect("nobody panics"));
    }
    assert!(
        stuck.is_none() || waiting.try_join_next().is_none(),
        "what is stuck was stuck to the end"
    );
    all
}
