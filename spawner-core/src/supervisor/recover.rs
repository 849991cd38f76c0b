//! Finding a server again that an earlier process of the daemon started.

use std::time::SystemTime;

use tokio::sync::oneshot;

use super::budget::Budget;
use super::guard::{self, guarded};
use super::owner::{Owner, Run};
use super::phase::{Denied, Event, Phase};
use super::stop::booked;
use crate::endpoint::Endpoint;
use crate::error::{BoxError, SpawnError, error_chain};
use crate::ids::LaunchId;
use crate::outcome::{Ending, Failure, StartPhase};
use crate::state::SpawnerState;
use crate::status::{ExitStatus, StopMode};

/// What the books say of a run that was not over when the daemon went away.
///
/// ```
/// use spawner_core::{Endpoint, LaunchId, Saved, ServerHandle, SpawnerState, StartError};
///
/// /// What a daemon does at boot with a row of its books that says "running".
/// async fn look_for(
///     server: &ServerHandle,
///     launch: LaunchId,
///     state: SpawnerState,
///     endpoint: Endpoint,
/// ) -> Result<(), StartError> {
///     let mut saved = Saved::new(launch, state, "/user/tee/".into());
///     (saved.endpoint, saved.ready) = (Some(endpoint), true);
///     server.recover(saved).await
/// }
/// ```
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
    ///
    /// Example: see [`Saved`](crate::Saved).
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
    ///
    /// Example: see [`Saved`](crate::Saved).
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
        let spawner = &mut self.spawner;
        let loaded = guard::call(server, "load_state", || spawner.load_state(&saved.state));
        let loaded = loaded.map_err(SpawnError::from);
        if let Err(error) = loaded.and_then(|loaded| loaded.map_err(SpawnError::from)) {
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
        let known = run.endpoint.clone();
        let asked = self.bounded("endpoint", |spawner| spawner.endpoint()).await;
        let endpoint = match asked {
            Ok(endpoint) => endpoint.or(known),
            Err(error) => {
                let server = &self.id;
                tracing::warn!(%server, error = error_chain(&error), "cannot tell its address");
                self.lost();
                return;
            }
        };
        let Some(run) = &mut self.run else { return };
        run.endpoint.clone_from(&endpoint);
        let saved = run.saved.take();
        let Some(endpoint) = endpoint else {
            let ending = self.failed_while_away(None).await;
            self.record_stopping().await;
            self.wind_down(StopMode::Now, ending, Vec::new()).await;
            return;
        };
        match saved {
            Some(saved) if !saved.ready => self.go_on_waiting(endpoint, &saved).await,
            saved => self.take_up(endpoint, saved).await,
        }
    }

    /// It had been ready: it is running again as soon as the books say so. It is not probed: one
    /// that hangs is the user's to judge, not the hub's to end.
    async fn take_up(&mut self, endpoint: Endpoint, saved: Option<Box<Saved>>) {
        let server = &self.id;
        if let Err(error) = self.record_found(&endpoint).await {
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

    async fn record_found(&self, endpoint: &Endpoint) -> Result<(), BoxError> {
        let Some(run) = &self.run else {
            unreachable!("a server that was found has a run")
        };
        let record = async {
            let state = self.spawner.get_state();
            let journal = &self.deps.journal;
            journal
                .ready(&self.id, &run.launch_id, endpoint, &state)
                .await
        };
        booked(guarded(&self.id, "ready", record)).await
    }

    /// It was being started: the start goes on with the whole `http_timeout`.
    async fn go_on_waiting(&mut self, endpoint: Endpoint, saved: &Saved) {
        self.step(Event::Launched {
            endpoint: endpoint.clone(),
        });
        let path = format!("{}api", saved.service_prefix);
        let budget = self.knob(Budget::of_waiting);
        if let Err(abort) = self.wait_for_http(&endpoint, &path, &budget).await {
            let (mode, ending, waiting) = self.ending(abort).await;
            self.record_stopping().await;
            self.wind_down(mode, ending, waiting).await;
            return;
        }
        tracing::info!(server = %self.id, %endpoint, "server is ready");
        self.step(Event::Ready);
        self.schedule_poll();
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
