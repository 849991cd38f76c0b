//! What is known of a failed start, gathered while its spawner still knows it.

use std::time::Duration;

use super::guard::guarded;
use super::owner::{Owner, attended};
use super::stop::StopReply;
use crate::error::{SpawnError, SpawnErrorKind, error_chain};
use crate::outcome::{Failure, StartPhase};
use crate::status::{ExitStatus, PollStatus};

/// How long the poll of a server that failed to start may take.
const POLL_LIMIT: Duration = Duration::from_secs(2);

impl Owner {
    /// The failure, and who asked for a stop while it was looked into: they do not wait for that.
    pub(super) async fn failure(
        &mut self,
        phase: StartPhase,
        error: &SpawnError,
    ) -> (Failure, Vec<StopReply>) {
        let server = &self.id;
        tracing::warn!(%server, %phase, error = error_chain(error), "start failed");
        let mut failure = Failure {
            phase,
            message: error.to_string(),
            refused: error.kind() == SpawnErrorKind::Refused,
            status: None,
            log_tail: Vec::new(),
        };
        if let SpawnErrorKind::Exited(status) = error.kind() {
            failure.status = Some(status);
        }
        if matches!(phase, StartPhase::Preparing | StartPhase::Hooks) {
            return (failure, Vec::new());
        }
        let spawner = &mut self.spawner;
        let look = async {
            if failure.status.is_none() {
                let poll = guarded(server, "poll", async { spawner.poll().await });
                failure.status = match tokio::time::timeout(POLL_LIMIT, poll).await {
                    Ok(Ok(Ok(PollStatus::Exited(status)))) if status != ExitStatus::Unknown => {
                        Some(status)
                    }
                    // Still running, or never known to have begun: nothing to report.
                    Ok(Ok(Ok(_))) => None,
                    // Who cannot tell has no log either, and somebody waits for the reason.
                    _ => return,
                };
            }
            failure.log_tail = super::owner::last_lines(server, &**spawner).await;
        };
        let waiting = match attended(&mut self.inbox, &self.shared, look).await {
            Ok(()) => Vec::new(),
            Err(stop) => vec![stop.reply],
        };
        (failure, waiting)
    }
}
