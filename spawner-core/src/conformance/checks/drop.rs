//! Starts and stops that are cut short, at every point where they can be.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::conformance::backend::Behaviour;
use crate::conformance::bench::Bench;
use crate::conformance::fault::{Checked, ensure, fault};
use crate::conformance::owned::Owned;
use crate::conformance::subject::Subject;
use crate::error::error_chain;
use crate::outcome::{Ending, Failure, StartPhase};
use crate::state::SpawnerState;
use crate::status::StopMode;
use crate::supervisor::{Phase, StartError};

/// How often all points are gone through: what runs on another thread may be ready in one pass
/// before it is asked for, and be waited for in the next.
const PASSES: usize = 3;
/// Up to here every number of polls is tried; beyond, the steps grow.
const EVERY: usize = 64;
/// A call that needs more polls is not tried to its end.
const MOST: usize = 10_000;

/// Polls a future at most `polls` times, each time that it asks to be polled; `None` if it was not
/// ready by then.
async fn at_most<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Calls `cut` with 0, 1, 2 ... polls until it says that the call got through, a few times over.
pub(super) async fn for_every_point(
    bench: &Bench,
    mut cut: impl AsyncFnMut(usize) -> Checked<bool>,
) -> Checked {
    for _ in 0..PASSES {
        let mut polls = 0;
        while polls < MOST
            && !cut(polls)
                .await
                .map_err(|error| error.within(&place(polls)))?
        {
            polls += 1 + polls / EVERY;
        }
    }
    // Nothing that came late, either.
    let after = "calls were dropped at all their awaits, and each time the server was stopped,";
    bench.nothing_left(&bench.server(), after).await
}

fn place(polls: usize) -> String {
    format!("dropped at its await no. {polls}")
}

/// A start of a server that would serve, dropped after so many polls; whether it got through.
pub(super) async fn start_at_most(
    subject: &mut Subject<'_>,
    polls: usize,
) -> Checked<(bool, SpawnerState)> {
    let plan = subject.plan(Behaviour::Family).await?;
    let start = at_most(polls, subject.spawner.start(plan.launch()));
    let started = subject.bench.within("start", start).await?;
    let through = match started {
        None => false,
        Some(Ok(_)) => true,
        Some(Err(error)) => return Err(fault!("start failed: {}", error_chain(&error))),
    };
    let saved = if through {
        // The owner task saves it once more.
        subject.spawner.get_state()
    } else {
        plan.books.saved()
    };
    Ok((through, saved))
}

pub(in super::super) async fn a_dropped_start_leaves_nothing(bench: &Bench) -> Checked {
    for_every_point(bench, async |polls| {
        let mut subject = bench.subject();
        let (through, _) = start_at_most(&mut subject, polls).await?;
        subject.end(StopMode::Now).await?;
        subject
            .is_gone("after start was dropped and stop(Now)")
            .await?;
        Ok(through)
    })
    .await
}

pub(in super::super) async fn a_crash_in_a_start_leaves_nothing_unknown(bench: &Bench) -> Checked {
    bench.servers_outlive_the_daemon()?;
    for_every_point(bench, async |polls| {
        let mut subject = bench.subject();
        let (through, saved) = start_at_most(&mut subject, polls).await?;
        let server = subject.id.clone();
        // As near to a crash as a test comes: nobody is left but the books.
        drop(subject);
        // What the drop itself has ended may take a moment; so may what was being made.
        let cleared = async || {
            let mut next = bench.restarted(&saved)?;
            // A stop that fails is tried again, as the owner task does.
            let stopped = next.stop(StopMode::Now).await.is_ok();
            let is_clear = stopped && bench.census(&server).await?.is_empty();
            Ok(is_clear.then_some(()))
        };
        let what = "waiting for nothing to be left of a start that a crash ended";
        if bench.until(what, cleared).await.is_err() {
            let after = "a crash of the daemon, and a stop of what its last checkpoint told,";
            bench.nothing_left(&server, after).await?;
        }
        Ok(through)
    })
    .await
}

pub(in super::super) async fn a_dropped_stop_can_be_repeated(bench: &Bench) -> Checked {
    for_every_point(bench, async |polls| {
        let mut subject = bench.subject();
        subject.run(Behaviour::Deaf).await?;
        let stop = at_most(polls, subject.spawner.stop(StopMode::Graceful));
        let stopped = bench.within("stop(Graceful)", stop).await?;
        subject.end(StopMode::Now).await?;
        Ok(stopped.is_some())
    })
    .await
}

pub(in super::super) async fn a_dropped_stop_can_be_finished_by_another(bench: &Bench) -> Checked {
    bench.servers_outlive_the_daemon()?;
    for_every_point(bench, async |polls| {
        let mut subject = bench.subject();
        subject.run(Behaviour::Deaf).await?;
        let stop = at_most(polls, subject.spawner.stop(StopMode::Graceful));
        let stopped = bench.within("stop(Graceful)", stop).await?;
        let mut next = bench.restarted(&subject.spawner.get_state())?;
        drop(subject);
        next.end(StopMode::Now).await?;
        Ok(stopped.is_some())
    })
    .await
}

pub(in super::super) async fn a_cancelled_start_leaves_nothing(bench: &Bench) -> Checked {
    let owned = Owned::new(bench, Behaviour::Silent, bench.backend().patience())?;
    let cancel = async {
        let waiting = |phase: &Phase| {
            matches!(
                phase,
                Phase::Waiting { .. } | Phase::Stopped { last: Some(_) }
            )
        };
        owned
            .until("waiting for the server to be started", waiting)
            .await?;
        let stopped = owned.handle.stop(StopMode::Now);
        bench.within("stop under the owner task", stopped).await
    };
    let (started, stopped) = tokio::join!(owned.handle.start(owned.ctx.clone()), cancel);
    stopped?.map_err(|error| {
        fault!(
            "the stop that cancels a start failed: {}",
            error_chain(&error)
        )
    })?;
    ensure!(
        matches!(&started, Err(StartError::Failed(outcome)) if outcome.ending == Ending::Stopped),
        "a start that was cancelled ended with {started:?}"
    );
    bench
        .nothing_left(owned.server(), "its start was cancelled")
        .await
}

pub(in super::super) async fn a_start_that_times_out_leaves_nothing(bench: &Bench) -> Checked {
    let owned = Owned::new(bench, Behaviour::Silent, Duration::from_millis(100))?;
    let start = owned.handle.start(owned.ctx.clone());
    let started = bench.within("start under the owner task", start).await?;
    let in_time = match &started {
        Err(StartError::Failed(outcome)) => matches!(
            &outcome.ending,
            Ending::Failed(Failure {
                phase: StartPhase::Waiting,
                status: None,
                ..
            })
        ),
        _ => false,
    };
    ensure!(
        in_time,
        "a server that never listens ended its start with {started:?}"
    );
    bench
        .nothing_left(owned.server(), "its start had timed out")
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_future_is_dropped_at_each_of_its_awaits() {
        let mut reached = Vec::new();
        for polls in 0..5 {
            let mut steps = 0;
            let through = at_most(polls, async {
                for _ in 0..3 {
                    steps += 1;
                    tokio::task::yield_now().await;
                }
            });
            let through = through.await.is_some();
            reached.push((steps, through));
        }
        assert_eq!(
            reached,
            [(0, false), (1, false), (2, false), (3, false), (3, true)]
        );
    }
}
