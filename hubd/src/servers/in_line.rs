//! A start that waits in line, in the books.
//!
//! The line itself is in memory and ends with the hub. So that nobody waits for a start that was
//! forgotten, what will be told then is written down before the waiting begins: the next hub finds it
//! as the outcome of the last start, also after a crash. Whoever leaves the line takes it back, and a
//! start that begins writes over it.

use std::time::SystemTime;

use jiff::Timestamp;
use spawner_core::{Ending, Failure, LaunchId, Outcome, ServerId, StartPhase, error_chain};

use super::fleet::Servers;
use super::limits::Turn;
use crate::store::{ServerRowId, StoreError};

/// What is told of a start that was in line when the hub ended.
const FORGOTTEN: &str =
    "The hub was restarted while this start was waiting in line. Start the server again.";

impl Servers {
    /// Waits in line; whether the start may begin.
    pub(super) async fn wait_in_line(
        &self,
        server: &ServerId,
        row: ServerRowId,
        turn: &mut Turn,
    ) -> bool {
        tracing::info!(%server, waiting = self.waiting(), "a start waits in line");
        self.tell_change();
        if let Err(error) = self.write_down(row, Some(&forgotten())).await {
            let error = error_chain(&error);
            tracing::warn!(%server, error, "cannot write down that a start waits");
        }
        // The places that free up while the hub stops are nobody's.
        let called = turn.come().await && !self.stop_signal().is_cancelled();
        if !called
            && !self.stop_signal().is_cancelled()
            && let Err(error) = self.write_down(row, None).await
        {
            let error = error_chain(&error);
            tracing::warn!(%server, error, "cannot write down that a start was cancelled");
        }
        called
    }

    async fn write_down(&self, row: ServerRowId, end: Option<&Outcome>) -> Result<(), StoreError> {
        let end = end.and_then(|end| serde_json::to_value(end).ok());
        let now = Timestamp::now();
        let servers = self.inner.store.servers();
        servers.mark_stopped(row, end, now).await.map(|_| ())
    }
}

/// The end of a start that was taken out of the line.
pub(super) fn cancelled() -> Outcome {
    ended(Ending::Stopped)
}

fn forgotten() -> Outcome {
    ended(Ending::Failed(Failure {
        phase: StartPhase::Preparing,
        message: FORGOTTEN.to_owned(),
        refused: false,
        status: None,
        log_tail: Vec::new(),
    }))
}

fn ended(ending: Ending) -> Outcome {
    Outcome {
        // Of a run that never was.
        launch_id: LaunchId::random(),
        at: SystemTime::now(),
        ending,
    }
}
