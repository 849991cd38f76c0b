//! Finding a server again that an earlier process of the daemon started.

use std::time::SystemTime;

use tokio::sync::oneshot;

use super::owner::{Owner, Run};
use super::phase::{Denied, Event, Phase};
use super::start::Abort;
use crate::endpoint::Endpoint;
use crate::error::{SpawnError, error_chain};
use crate::ids::LaunchId;
use crate::outcome::{Ending, Failure, StartPhase};
use crate::state::SpawnerState;
use crate::status::{ExitStatus, StopMode};

/// What the books say of a run that was not over when the daemon went away.
#[derive(Debug, Clone)]
pub struct Saved {
    /// Which run.
    pub launch_id: LaunchId,
    /// The spawner's last checkpoint; empty when it never came to one.
    pub state: SpawnerState,
    /// Where it answered, if it came that far.
    pub endpoint: Option<Endpoint>,
    /// Whether it had been ready. If not, its start goes on where it was left.
    pub ready: bool,
    /// Whether it was being stopped. If so, that is carried to its end.
    pub stopping: bool,
    /// The prefix of its URLs, for the probe of a start that goes on.
    pub service_prefix: String,
    /// Whether nothing can be told from it.
    pub(super) unreadable: bool,
}

impl Saved {
    /// What the books say of `launch_id`, with nothing known beyond the spawner's state.
    pub fn new(launch_id: LaunchId, state: SpawnerState, service_prefix: String) -> Self {
        Self {
            launch_id,
            state,
            endpoint: None,
            ready: false,
            stopping: false,
            service_prefix,
            unreadable: false,
        }
    }

    /// A run of which the books say nothing that can be read. It stays `Unknown`, and nothing is
    /// concluded, until somebody stops it.
    pub fn unreadable(launch_id: LaunchId) -> Self {
        let mut saved = Self::new(launch_id, SpawnerState::default(), String::new());
        saved.unreadable = true;
        saved
    }
}

impl Owner {
    pub(super) fn recover(
        &mut self,
        mut saved: Box<Saved>,
        reply: oneshot::Sender<Result<(), Denied>>,
    ) {
        let asked = self.request(Event::Recover {
            at: SystemTime::now(),
        });
        let denied = asked.is_err();
        let _ = reply.send(asked);
        if denied {
            return;
        }
        let server = &self.id;
        if let Err(error) = self.spawner.load_state(&saved.state) {
            // Nothing is stopped because of it. An admin can: a stop forgets the run.
            tracing::error!(%server, error = error_chain(&error), "needs attention");
            saved.unreadable = true;
        }
        self.run = Some(Run {
            launch_id: saved.launch_id.clone(),
            endpoint: saved.endpoint.clone(),
            saved: Some(saved),
        });
        self.poll_now();
    }

    /// The spawner says that the server is there.
    pub(super) async fn found(&mut self) {
        let running = matches!(self.phase(), Phase::Running { .. });
        let Some(run) = &mut self.run else { return };
        if running && run.saved.is_none() {
            self.schedule_poll();
            return;
        }
        if let Some(saved) = run.saved.take_if(|saved| saved.stopping) {
            tracing::info!(server = %self.id, launch = %saved.launch_id, "carrying on with its stop");
            self.wind_down(StopMode::Graceful, Ending::Stopped, Vec::new())
                .await;
            return;
        }
        match self.spawner.endpoint().await {
            Ok(Some(endpoint)) => run.endpoint = Some(endpoint),
            Ok(None) => {}
            Err(error) => {
                let server = &self.id;
                tracing::warn!(%server, error = error_chain(&error), "cannot tell its address");
                self.lost();
                return;
            }
        }
        let Some(endpoint) = run.endpoint.clone() else {
            let ending = self.failed_while_away(None).await;
            self.record_stopping().await;
            self.wind_down(StopMode::Now, ending, Vec::new()).await;
            return;
        };
        match run.saved.take() {
            Some(saved) if !saved.ready => self.go_on_waiting(endpoint, &saved).await,
            saved => self.take_up(endpoint, saved).await,
        }
    }

    /// It had been ready: it is running again as soon as the books say so. It is not probed: one
    /// that hangs is the user's to judge, not the hub's to end.
    async fn take_up(&mut self, endpoint: Endpoint, saved: Option<Box<Saved>>) {
        let server = &self.id;
        if let Err(error) = self.record_ready(&endpoint).await {
            tracing::error!(%server, error = error_chain(&*error), "cannot record that it runs");
            if let Some(run) = &mut self.run {
                run.saved = saved;
            }
            self.lost();
            return;
        }
        tracing::info!(%server, %endpoint, "server is still running");
        self.step(Event::Found { endpoint });
        self.schedule_poll();
    }

    /// It was being started: the start goes on with the whole `http_timeout`.
    async fn go_on_waiting(&mut self, endpoint: Endpoint, saved: &Saved) {
        self.step(Event::Launched {
            endpoint: endpoint.clone(),
        });
        let path = format!("{}api", saved.service_prefix);
        let waited = self.wait_for_http(&endpoint, &path).await;
        let (mode, ending, waiting) = match waited {
            Ok(()) => match self.record_ready(&endpoint).await {
                Ok(()) => {
                    tracing::info!(server = %self.id, %endpoint, "server is ready");
                    self.step(Event::Ready);
                    self.schedule_poll();
                    return;
                }
                Err(source) => {
                    let error = SpawnError::other("The hub cannot save its state at the moment.")
                        .with_source(source);
                    let failure = self.failure(StartPhase::Waiting, &error).await;
                    (StopMode::Now, Ending::Failed(failure), Vec::new())
                }
            },
            Err(Abort::Stop(stop)) => (stop.mode, Ending::Stopped, vec![stop.reply]),
            Err(Abort::Failed { phase, error }) => {
                let failure = self.failure(phase, &error).await;
                (StopMode::Now, Ending::Failed(failure), Vec::new())
            }
        };
        self.record_stopping().await;
        self.wind_down(mode, ending, waiting).await;
    }

    /// How a start ended that the hub's own restart interrupted.
    pub(super) async fn failed_while_away(&self, status: Option<ExitStatus>) -> Ending {
        Ending::Failed(Failure {
            phase: StartPhase::Launching,
            message: "The hub was restarted while the server was being started.".to_owned(),
            refused: false,
            status: status.filter(|status| *status != ExitStatus::Unknown),
            log_tail: self.last_lines().await,
        })
    }
}
