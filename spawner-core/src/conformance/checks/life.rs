//! Runs from start to stop.

use crate::conformance::backend::Behaviour;
use crate::conformance::bench::Bench;
use crate::conformance::fault::{Checked, ensure, fault};
use crate::conformance::owned::Owned;
use crate::conformance::subject::Run;
use crate::env::LAUNCH_MARKER;
use crate::error::error_chain;
use crate::outcome::Ending;
use crate::progress::ProgressLog;
use crate::status::StopMode;

pub(in super::super) async fn a_started_server_answers(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let run = subject.run(Behaviour::Serve).await?;
    subject.is_running("after start").await?;
    run.answers(bench, "after start").await?;
    subject.stop(StopMode::Now).await
}

pub(in super::super) async fn the_census_sees_a_server(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    subject.run(Behaviour::Serve).await?;
    let census = bench.census(&subject.id).await?;
    subject.stop(StopMode::Now).await?;
    ensure!(
        !census.is_empty(),
        "a server was started and answered, and Backend::census found nothing of {}",
        subject.id
    );
    Ok(())
}

pub(in super::super) async fn a_graceful_stop_leaves_nothing(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    subject.run(Behaviour::Serve).await?;
    subject.end(StopMode::Graceful).await?;
    subject.is_gone("after a graceful stop").await?;
    Ok(())
}

pub(in super::super) async fn a_stop_now_leaves_nothing(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    subject.run(Behaviour::Deaf).await?;
    subject.end(StopMode::Now).await?;
    subject.is_gone("after stop(Now)").await?;
    Ok(())
}

pub(in super::super) async fn a_deaf_server_is_ended(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    subject.run(Behaviour::Deaf).await?;
    subject.end(StopMode::Graceful).await?;
    subject.is_gone("after a graceful stop").await?;
    Ok(())
}

pub(in super::super) async fn a_second_stop_is_ok(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    subject.run(Behaviour::Serve).await?;
    subject.stop(StopMode::Graceful).await?;
    for mode in [StopMode::Graceful, StopMode::Now] {
        bench
            .within("stop", subject.spawner.stop(mode))
            .await?
            .map_err(|error| {
                let error = error_chain(&error);
                fault!("stop({mode:?}) of a server that was stopped already failed: {error}")
            })?;
    }
    Ok(())
}

pub(in super::super) async fn the_whole_tree_is_ended(bench: &Bench) -> Checked {
    for mode in [StopMode::Graceful, StopMode::Now] {
        let mut subject = bench.subject();
        subject.run(Behaviour::Family).await?;
        subject.end(mode).await?;
    }
    Ok(())
}

pub(in super::super) async fn what_a_dead_server_leaves_is_ended(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    let run = subject.run(Behaviour::Family).await?;
    run.order(bench, "exit/1").await?;
    subject.until_ended().await?;
    subject.end(StopMode::Now).await
}

pub(in super::super) async fn ten_runs_follow_each_other(bench: &Bench) -> Checked {
    let mut subject = bench.subject();
    for number in 1..=10 {
        let plan = subject.plan(Behaviour::Serve).await?;
        let started = subject.start(plan).await;
        let run = started.map_err(|error| error.within(&format!("in run {number}")))?;
        let inside = run.inside(bench).await?;
        ensure!(
            inside.env.get(LAUNCH_MARKER).map(String::as_str) == Some(run.ctx.launch_id.as_str()),
            "in run {number} the server was given the environment of another run"
        );
        let mode = match number % 2 {
            0 => StopMode::Now,
            _ => StopMode::Graceful,
        };
        subject.end(mode).await?;
        subject.spawner.clear_state();
    }
    Ok(())
}

pub(in super::super) async fn the_owner_task_can_drive_it(bench: &Bench) -> Checked {
    let owned = Owned::new(bench, Behaviour::Serve, bench.backend().patience())?;
    for asked in [true, false] {
        let started = owned.handle.start(owned.ctx.clone());
        let endpoint = bench.within("start under the owner task", started).await?;
        let endpoint = endpoint.map_err(|error| fault!("start failed: {error}"))?;
        if asked {
            let stopped = owned.handle.stop(StopMode::Graceful);
            let stopped = bench.within("stop under the owner task", stopped).await?;
            stopped.map_err(|error| fault!("stop failed: {}", error_chain(&error)))?;
            let last = owned.last()?;
            ensure!(last.ending == Ending::Stopped, "a stopped run: {last:?}");
            ensure!(owned.fired() == 0, "an explicit stop ran the callbacks");
        } else {
            let run = Run {
                ctx: owned.ctx.clone(),
                endpoint,
                progress: ProgressLog::new(),
            };
            run.order(bench, "exit/1").await?;
            bench
                .until("waiting for the owner task to notice the end", async || {
                    let _ = owned.handle.poll().await;
                    Ok(owned.handle.phase().is_stopped().then_some(()))
                })
                .await?;
            let last = owned.last()?;
            ensure!(
                matches!(last.ending, Ending::Exited(_)),
                "the server ended by itself, and the owner task has {last:?}"
            );
        }
        let after = "the owner task had stopped it";
        bench.nothing_left(owned.server(), after).await?;
    }
    // A last question waits until the callbacks were run.
    let _ = bench.within("poll", owned.handle.poll()).await?;
    let fired = owned.fired();
    ensure!(
        fired == 1,
        "one end was noticed, callbacks ran {fired} times"
    );
    Ok(())
}
