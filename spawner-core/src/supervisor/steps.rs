//! The steps of a start, each bounded, open to a stop and safe from panics.
//!
//! The journal is bounded as well. A write that was given up may still come true: the `stopping` and
//! `stopped` of the same run follow it through the same books and settle what they say.

use std::time::Duration;

use futures_util::TryFutureExt as _;
use tokio::sync::mpsc;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use super::budget::{Budget, Limit};
use super::guard::{self, Guarded, guarded};
use super::handle::{Command, Shared};
use super::owner::{Owner, attended};
use super::phase::Event;
use super::probe::until_up;
use super::start::{Abort, books_failed};
use crate::context::SpawnContext;
use crate::endpoint::Endpoint;
use crate::error::{SpawnError, SpawnErrorKind};
use crate::ids::{LaunchId, ServerId};
use crate::launch::Launch;
use crate::outcome::StartPhase;
use crate::progress::ProgressLog;
use crate::spawner::Spawner;
use crate::state::SpawnerState;
use crate::status::{ExitStatus, PollStatus, StopMode};

/// How long a cancelled `start` may take to clean up before it is dropped.
const CANCEL_GRACE: Duration = Duration::from_millis(500);
/// How often a server that does not answer yet is polled, for backends that cannot hear its end.
const WAITING_POLL: Duration = Duration::from_secs(1);
/// How long such a poll may take.
const WAITING_POLL_LIMIT: Duration = Duration::from_secs(5);

/// What the wait for HTTP came to.
enum Waited {
    Up,
    Ended(ExitStatus),
}

async fn step<T>(
    inbox: &mut mpsc::Receiver<Command>,
    shared: &Shared,
    limit: Limit,
    work: Guarded<'_, Result<T, SpawnError>>,
) -> Result<T, Abort> {
    let stepped = attended(inbox, shared, timeout_at(limit.at, work)).await;
    Abort::unless(limit, stepped)
}

impl Owner {
    /// Checks what was asked for and records the intent. Nothing of the run exists before this has
    /// succeeded.
    pub(super) async fn prepare(
        &mut self,
        ctx: &SpawnContext,
        budget: &Budget,
    ) -> Result<(), Abort> {
        let (server, spawner) = (&self.id, &self.spawner);
        let checked = guard::call(server, "check_options", || {
            spawner.check_options(&ctx.options).map_err(|error| {
                SpawnError::new(SpawnErrorKind::Refused, error.message.clone()).with_source(error)
            })
        });
        let within = guard::call(server, "check_limits", || spawner.check_limits());
        for answer in [checked, within] {
            let answer = answer.map_err(SpawnError::from).flatten();
            answer.map_err(|error| Abort::failed(StartPhase::Preparing, error))?;
        }
        let starting = self.deps.journal.starting(ctx);
        let work = guarded(server, "starting", starting.map_err(books_failed));
        let limit = budget.books(StartPhase::Preparing);
        step(&mut self.inbox, &self.shared, limit, work).await
    }

    /// Chooses the address, asks for arguments and environment.
    pub(super) async fn address(
        &mut self,
        mut ctx: SpawnContext,
        budget: &Budget,
        progress: &ProgressLog,
    ) -> Result<(Launch, CancellationToken), Abort> {
        let limit = budget.phase(StartPhase::Preparing);
        let spawner = &mut self.spawner;
        let work = guarded(&self.id, "listen_on", async {
            ctx.listen = Some(spawner.listen_on(&ctx).await?);
            Ok(ctx)
        });
        let ctx = step(&mut self.inbox, &self.shared, limit, work).await?;
        let (server, spawner) = (&self.id, &self.spawner);
        let args = guard::call(server, "get_args", || spawner.get_args(&ctx));
        let env = guard::call(server, "get_env", || spawner.get_env(&ctx));
        let failed = |panicked| Abort::failed(StartPhase::Preparing, panicked);
        let (args, env) = (args.map_err(failed)?, env.map_err(failed)?);
        let cancel = CancellationToken::new();
        let launch = Launch::new(self.knob(|config| config.cmd.clone()), args, env, ctx).owned(
            progress.clone(),
            cancel.clone(),
            self.deps.journal.clone(),
        );
        Ok((launch, cancel))
    }

    /// Runs the pre-spawn hook, which may change what is started.
    pub(super) async fn pre_spawn(
        &mut self,
        launch: &mut Launch,
        budget: &Budget,
    ) -> Result<(), Abort> {
        let Some(hooks) = self.knob(|config| config.hooks.clone()) else {
            return Ok(());
        };
        let work = async { hooks.pre_spawn_hook(launch).await };
        let work = guarded(&self.id, "pre_spawn_hook", work);
        let limit = budget.phase(StartPhase::Hooks);
        step(&mut self.inbox, &self.shared, limit, work).await
    }

    /// Runs the spawner's `start` and saves what the spawner knows then. A stop or the timeout
    /// cancels it, gives it a moment, and drops it; what it made is cleared by the stop that
    /// follows every failed start.
    pub(super) async fn launch(
        &mut self,
        launch: Launch,
        cancel: &CancellationToken,
        budget: &mut Budget,
    ) -> Result<Endpoint, Abort> {
        let limit = budget.phase(StartPhase::Launching);
        let allowance = launch.allowance();
        let spawner = &mut self.spawner;
        let mut start = guarded(&self.id, "start", async { spawner.start(launch).await });
        let timed = allowance.timeout_at(limit.at, &mut start);
        let stepped = attended(&mut self.inbox, &self.shared, timed).await;
        if matches!(stepped, Err(_) | Ok(Err(_))) {
            cancel.cancel();
            let _ = tokio::time::timeout(CANCEL_GRACE, &mut start).await;
        }
        drop(start);
        budget.add(allowance.so_far());
        let endpoint = Abort::unless(limit, stepped)?;
        if let Some(run) = &mut self.run {
            run.endpoint = Some(endpoint.clone());
        }
        self.save_state(budget).await?;
        Ok(endpoint)
    }

    /// Waits for the first answer, makes sure that it is this server's, and records that it is
    /// about to be called running. An end of the server ends the wait at once.
    pub(super) async fn wait_for_http(
        &mut self,
        endpoint: &Endpoint,
        path: &str,
        budget: &Budget,
    ) -> Result<(), Abort> {
        let limit = budget.phase(StartPhase::Waiting);
        let (server, spawner) = (&self.id, &mut self.spawner);
        let probe = &*self.deps.probe;
        let work = guarded(server, "the probe", async move {
            tokio::select! {
                // One that answered and has ended is no server to send people to. And always in the same
                // order, so that a schedule which is drawn from a seed repeats itself.
                biased;
                status = heard_or_polled(server, spawner) => Ok(Waited::Ended(status)),
                () = until_up(probe, endpoint, path) => Ok(Waited::Up),
            }
        });
        let waited = step(&mut self.inbox, &self.shared, limit, work).await?;
        let checked = self.check_listener(endpoint, budget).await;
        if let Waited::Ended(status) = waited {
            // That it had no chance to listen explains its end, and so does what its spawner knows of
            // it; anything else does not.
            return Err(match checked {
                Err(abort) if abort.explains_an_end() => abort,
                Err(Abort::Stop(stop)) => Abort::Stop(stop),
                _ => {
                    let message = format!("The server ended before it answered: {status}.");
                    let error = SpawnError::new(SpawnErrorKind::Exited(status), message);
                    Abort::failed(StartPhase::Waiting, error)
                }
            });
        }
        checked?;
        let (launch_id, state) = self.current_state(StartPhase::Waiting)?;
        let (server, journal) = (&self.id, &self.deps.journal);
        let ready = journal.ready(server, &launch_id, endpoint, &state);
        let work = guarded(server, "ready", ready.map_err(books_failed));
        let limit = budget.books(StartPhase::Waiting);
        step(&mut self.inbox, &self.shared, limit, work).await
    }

    async fn check_listener(&mut self, endpoint: &Endpoint, budget: &Budget) -> Result<(), Abort> {
        let spawner = &mut self.spawner;
        let work = async { spawner.check_listener(endpoint).await };
        let work = guarded(&self.id, "check_listener", work);
        step(&mut self.inbox, &self.shared, budget.listener(), work).await
    }

    /// Ends what was made at an address that somebody else has, so that the start can be made
    /// again at another one.
    pub(super) async fn leave_address(&mut self, budget: &Budget) -> Result<(), Abort> {
        let limit = budget.phase(StartPhase::Launching);
        let spawner = &mut self.spawner;
        let work = guarded(&self.id, "stop", async {
            spawner.stop(StopMode::Now).await?;
            spawner.clear_state();
            Ok(())
        });
        step(&mut self.inbox, &self.shared, limit, work).await?;
        if let Some(run) = &mut self.run {
            run.endpoint = None;
        }
        self.save_state(budget).await?;
        self.step(Event::AddressTaken);
        Ok(())
    }

    async fn save_state(&mut self, budget: &Budget) -> Result<(), Abort> {
        let (launch_id, state) = self.current_state(StartPhase::Launching)?;
        let (server, journal) = (&self.id, &self.deps.journal);
        let saved = journal.checkpoint(server, &launch_id, &state);
        let work = guarded(server, "checkpoint", saved.map_err(books_failed));
        let limit = budget.books(StartPhase::Launching);
        step(&mut self.inbox, &self.shared, limit, work).await
    }

    fn current_state(&self, phase: StartPhase) -> Result<(LaunchId, SpawnerState), Abort> {
        let Some(run) = &self.run else {
            unreachable!("a start has a run")
        };
        let state = guard::call(&self.id, "get_state", || self.spawner.get_state())
            .map_err(|panicked| Abort::failed(phase, panicked))?;
        Ok((run.launch_id.clone(), state))
    }
}

impl Abort {
    fn explains_an_end(&self) -> bool {
        use SpawnErrorKind::{AddressTaken, Exited};
        matches!(self, Self::Failed { error, .. } if matches!(error.kind(), AddressTaken | Exited(_)))
    }
}

/// Resolves when the server has ended, whether the backend hears it or a poll finds it.
async fn heard_or_polled(server: &ServerId, spawner: &mut Box<dyn Spawner>) -> ExitStatus {
    let mut deaf = false;
    loop {
        let heard = async {
            if deaf {
                std::future::pending::<()>().await;
            }
            guarded(server, "exited", async { spawner.exited().await }).await
        };
        match tokio::time::timeout(WAITING_POLL, heard).await {
            Ok(Ok(status)) => return status,
            Ok(Err(_panicked)) => deaf = true,
            Err(_elapsed) => {}
        }
        let poll = guarded(server, "poll", async { spawner.poll().await });
        let poll = tokio::time::timeout(WAITING_POLL_LIMIT, poll).await;
        if let Ok(Ok(Ok(PollStatus::Exited(status)))) = poll {
            return status;
        }
    }
}
