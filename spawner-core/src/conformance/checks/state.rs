//! What is saved of a server, and what another instance makes of it.

use serde_json::{Map, Value, json};

use crate::conformance::backend::Behaviour;
use crate::conformance::bench::{Bench, shown};
use crate::conformance::fault::{Checked, ensure, fault};
use crate::error::error_chain;
use crate::state::SpawnerState;
use crate::status::{PollStatus, StopMode};

pub(in super::super) async fn another_instance_takes_over(bench: &Bench) -> Checked {
    bench.servers_outlive_the_daemon()?;
    let mut first = bench.subject();
    let mut run = first.run(Behaviour::Serve).await?;
    let state = first.saved_state()?;
    let before = bench.census(&first.id).await?;
    drop(first);
    let mut second = bench.restarted(&state)?;
    let after = bench.census(&second.id).await?;
    ensure!(
        before == after,
        "dropping one instance and loading its state into another changed the world from\n    \
         {before:?}\n  to\n    {after:?}"
    );
    second.is_running("after load_state").await?;
    let endpoint = bench.within("endpoint", second.spawner.endpoint()).await?;
    let endpoint = endpoint.map_err(|error| fault!("endpoint failed: {}", error_chain(&error)))?;
    run.endpoint = endpoint.unwrap_or(run.endpoint);
    run.answers(bench, "after load_state").await?;
    second.end(StopMode::Graceful).await?;
    second.is_gone("after the stop").await?;
    Ok(())
}

pub(in super::super) async fn a_state_survives_many_restarts(bench: &Bench) -> Checked {
    bench.servers_outlive_the_daemon()?;
    let mut subject = bench.subject();
    subject.run(Behaviour::Serve).await?;
    for restart in 1..=3 {
        let state = subject
            .saved_state()
            .map_err(|error| error.within(&format!("after {} restarts", restart - 1)))?;
        subject = bench.restarted(&state)?;
        let when = format!("after restart {restart}, from state {}", shown(&state));
        subject.is_running(&when).await?;
    }
    subject.end(StopMode::Graceful).await
}

pub(in super::super) async fn dropping_an_instance_loses_no_server(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let run = subject.run(Behaviour::Serve).await?;
    let (id, state) = (subject.id.clone(), subject.spawner.get_state());
    drop(subject);
    if bench.backend().outlives() {
        run.answers(bench, "after its instance was dropped").await?;
        return bench.restarted(&state)?.end(StopMode::Now).await;
    }
    let after = "its instance was dropped, as Backend::outlives says that it does not outlive it,";
    bench.until_nothing_left(&id, after).await
}

pub(in super::super) async fn a_cleared_state_is_empty(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    subject.run(Behaviour::Serve).await?;
    subject.end(StopMode::Now).await?;
    subject.spawner.clear_state();
    let state = subject.spawner.get_state();
    ensure!(
        state.is_empty(),
        "after stop and clear_state, get_state is {}",
        shown(&state)
    );
    subject.is_gone("after stop and clear_state").await?;
    Ok(())
}

pub(in super::super) async fn an_empty_state_means_nothing_runs(bench: &Bench) -> Checked {
    let mut subject = bench.restarted(&SpawnerState::default())?;
    subject.is_gone("after an empty state was loaded").await?;
    for mode in [StopMode::Graceful, StopMode::Now] {
        subject.stop(mode).await?;
    }
    let state = subject.spawner.get_state();
    ensure!(
        state.is_empty(),
        "an empty state was loaded, and get_state is {}",
        shown(&state)
    );
    Ok(())
}

pub(in super::super) async fn a_stale_state_harms_nobody(bench: &Bench) -> Checked {
    bench.servers_outlive_the_daemon()?;
    let mut subject = bench.subject();
    subject.run(Behaviour::Serve).await?;
    let stale = subject.saved_state()?;
    subject.end(StopMode::Now).await?;
    subject.spawner.clear_state();
    // The next run of the same server has nothing to do with what was saved of the last one.
    let innocent = subject.run(Behaviour::Serve).await?;
    let mut other = bench.restarted(&stale)?;
    other
        .is_gone("of a run that is over, while the next one of the same server runs,")
        .await?;
    for mode in [StopMode::Graceful, StopMode::Now] {
        other.stop(mode).await?;
    }
    let when = "after a run that was over long ago was stopped once more";
    innocent.answers(bench, when).await?;
    subject.is_running(when).await?;
    subject.end(StopMode::Now).await
}

pub(in super::super) async fn a_newer_state_is_refused(bench: &Bench) -> Checked {
    bench.servers_outlive_the_daemon()?;
    let mut subject = bench.subject();
    let run = subject.run(Behaviour::Serve).await?;
    let mut newer = subject.saved_state()?;
    newer.version = u32::MAX;
    let mut other = bench.subject();
    ensure!(
        other.spawner.load_state(&newer).is_err(),
        "load_state took a state of version {}, of which it can know nothing",
        newer.version
    );
    // An admin may stop it all the same, which then forgets the run and hurts nobody.
    let _ = bench
        .within("stop", other.spawner.stop(StopMode::Now))
        .await?;
    run.answers(bench, "after a state of a newer version was refused")
        .await?;
    subject.end(StopMode::Now).await
}

pub(in super::super) async fn garbage_is_refused(bench: &Bench) -> Checked {
    bench.servers_outlive_the_daemon()?;
    let mut subject = bench.subject();
    subject.run(Behaviour::Serve).await?;
    let state = subject.saved_state()?;
    // What is damaged below may still name this server, or by accident another one; so it is gone
    // by then, and nothing that was damaged is ever stopped.
    subject.end(StopMode::Now).await?;
    let nonsense = SpawnerState {
        version: state.version,
        data: Map::from_iter([("nonsense".to_owned(), json!(true))]),
    };
    ensure!(
        bench.subject().spawner.load_state(&nonsense).is_err(),
        "load_state took {}, in which nothing is that it ever wrote",
        shown(&nonsense)
    );
    for field in state.data.keys() {
        for value in garbage() {
            let mut damaged = state.clone();
            damaged.data.insert(field.clone(), value.clone());
            let mut other = bench.subject();
            if other.spawner.load_state(&damaged).is_err() {
                continue;
            }
            let polled = bench.within("poll", other.spawner.poll()).await?;
            ensure!(
                !matches!(polled, Ok(PollStatus::Running)),
                "no server runs; with \"{field}\" damaged to {:.60} the state was taken, and poll \
                 said Running",
                value.to_string()
            );
        }
    }
    Ok(())
}

/// What a file or a row can hold after an accident.
fn garbage() -> Vec<Value> {
    vec![
        Value::Null,
        json!(""),
        json!("nonsense"),
        json!("../../x"),
        json!("x".repeat(1_000_000)),
        json!(0),
        json!(1),
        json!(-1),
        json!(1_u64 << 31),
        json!(1e300),
        json!(true),
        json!([]),
        json!({}),
    ]
}

pub(in super::super) async fn an_unknown_field_does_no_harm(bench: &Bench) -> Checked {
    bench.servers_outlive_the_daemon()?;
    let mut subject = bench.subject();
    subject.run(Behaviour::Serve).await?;
    let mut state = subject.saved_state()?;
    state.data.insert("of_a_later_release".into(), json!([1]));
    let mut other = bench.restarted(&state)?;
    other
        .is_running("after a state with one more field was loaded")
        .await?;
    other.end(StopMode::Now).await
}
