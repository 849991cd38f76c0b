//! Waiting for something outside this process, with an end.
//!
//! Where a thing can be awaited (a line on a pipe, an event of a stream, the end of a process) a
//! test awaits it, inside [`within`]. Some facts send no event: what a REST model says, which
//! processes are alive. For those [`until`] asks again at each tick of an interval and returns at
//! the first answer that fits. That differs from a sleep in what a slow machine does to it: a
//! sleep is a guess that is sometimes too short and always too long, a probe ends when the fact is
//! there, and its limit only decides how long a failing test takes to say so.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

/// How long a test waits for anything before it calls it broken. Only failing tests pay it.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The time between two questions of [`until`].
const TICK: Duration = Duration::from_millis(15);

/// Awaits `future` for at most [`PATIENCE`]; the panic names `what` was awaited.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    let result = timeout(PATIENCE, future).await;
    result.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// Asks `probe` until it answers `Ok`, for at most [`PATIENCE`].
///
/// An `Err` says what is there instead; the last one is in the panic.
pub async fn until<T>(what: &str, probe: impl AsyncFnMut() -> Result<T, String>) -> T {
    match until_or(PATIENCE, probe).await {
        Ok(value) => value,
        Err(last) => panic!("waited {PATIENCE:?} in vain for {what}; the last answer was: {last}"),
    }
}

/// Asks `probe` until it answers `Ok`; after `limit` the last `Err` is the result.
pub async fn until_or<T>(
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, String> {
    let deadline = Instant::now() + limit;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = "no answer yet".to_owned();
    loop {
        ticks.tick().await;
        // A probe that hangs is cut off too: its own limit may be longer than ours.
        match timeout_at(deadline, probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(answer)) => last = answer,
            Err(_) => return Err(last),
        }
        if Instant::now() >= deadline {
            return Err(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn asks_until_the_answer_fits() {
        let mut asked = 0;
        let answer = until("the third answer", async || {
            asked += 1;
            if asked == 3 {
                Ok(asked)
            } else {
                Err(format!("{asked}"))
            }
        })
        .await;
        assert_eq!(answer, 3);
    }

    #[tokio::test]
    async fn gives_the_last_answer_when_the_limit_is_reached() {
        let result = until_or::<()>(Duration::from_millis(40), async || Err("still red".into()));
        assert_eq!(result.await, Err("still red".to_owned()));
    }

    #[tokio::test]
    async fn a_probe_that_hangs_is_cut_off() {
        let hangs = async || std::future::pending::<Result<(), String>>().await;
        let result = until_or(Duration::from_millis(40), hangs).await;
        assert_eq!(result, Err("no answer yet".to_owned()));
    }
}
