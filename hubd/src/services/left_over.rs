//! What a hub that crashed has left running of its services.

use std::time::Duration;

use futures_util::future::join_all;
use spawner_core::{SpawnError, StopMode, error_chain};
use spawner_local::MarkedRun;

/// How long they may take to end by themselves.
const TERM: Duration = Duration::from_secs(5);
/// The pause before what did not work is tried again; it doubles up to the longest one.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// Ends them, and returns when none is left. As long as it cannot be told whether one is there,
/// starting it could make two of it.
pub(super) async fn end(instance: &str) {
    let mut pause = PAUSE;
    while let Err(error) = try_to_end(instance).await {
        let error = error_chain(&error);
        tracing::error!(
            error,
            "services of an earlier hub may still run, so none is started yet"
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn try_to_end(instance: &str) -> Result<(), SpawnError> {
    let mut runs = MarkedRun::all(instance).await?;
    for run in &runs {
        let service = run.known().server;
        tracing::info!(%service, "a service of an earlier hub still runs, and is ended");
    }
    let ends = runs
        .iter_mut()
        .map(|run| run.stop(StopMode::Graceful, TERM));
    join_all(ends).await.into_iter().collect()
}
