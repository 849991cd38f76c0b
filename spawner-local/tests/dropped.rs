//! A start that is dropped leaves nothing, wherever it was. Alone in its binary, because it looks at
//! all children of its process.

mod common;

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use common::{Place, script, within};
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use spawner_core::{ExitStatus, PollStatus, Spawner, StopMode};

/// When a future is dropped that was polled often enough.
#[derive(Debug, Clone, Copy)]
enum Dropped {
    /// As soon as it waits.
    Waiting,
    /// When what it waits for has happened.
    Woken,
}

/// Polls `future` at most `polls` times, each time it asks to be polled; `None` if it was not ready
/// by then.
async fn at_most<F: Future>(future: F, polls: usize, dropped: Dropped) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match (future.as_mut().poll(cx), dropped) {
            (Poll::Ready(output), _) => Poll::Ready(Some(output)),
            (Poll::Pending, Dropped::Waiting) if left == 0 => Poll::Ready(None),
            (Poll::Pending, _) => Poll::Pending,
        }
    })
    .await
}

/// Whether this process has a child, zombies included.
fn has_child() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::All, options), Err(Errno::CHILD))
}

#[tokio::test]
async fn a_start_dropped_at_any_point_leaves_no_process() {
    for dropped in [Dropped::Waiting, Dropped::Woken] {
        let place = Place::simple();
        let mut completed = 0;
        let mut polls = 0;
        // The number of polls differs a little from start to start.
        while completed < 3 {
            let mut spawner = place.spawner();
            let launch = script("setsid sleep 1000 & exec sleep 1000");
            match within(at_most(spawner.start(launch), polls, dropped)).await {
                Some(started) => {
                    started.unwrap();
                    completed += 1;
                }
                None => polls += 1,
            }
            within(spawner.stop(StopMode::Now)).await.unwrap();
            assert!(!has_child(), "{dropped:?} after {polls} polls");
            spawner.clear_state();
            let gone = PollStatus::Exited(ExitStatus::Unknown);
            assert_eq!(spawner.poll().await.unwrap(), gone);
            // And it can be started again.
            within(spawner.start(script("exit 0"))).await.unwrap();
            within(spawner.stop(StopMode::Now)).await.unwrap();
            assert!(polls < 100, "the start does not come to an end");
        }
        assert!(polls > 3, "the start awaits nothing");
    }
}
