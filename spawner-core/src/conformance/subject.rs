//! One instance of the spawner under test, called the way the owner task calls it.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::backend::Behaviour;
use super::bench::{Bench, shown};
use super::books::Books;
use super::client::get;
use super::fault::{Checked, ensure, fault};
use super::probe::Inside;
use crate::context::SpawnContext;
use crate::endpoint::Endpoint;
use crate::env::Env;
use crate::error::{SpawnError, error_chain};
use crate::ids::ServerId;
use crate::launch::Launch;
use crate::progress::{ProgressEvent, ProgressLog};
use crate::spawner::Spawner;
use crate::state::SpawnerState;
use crate::status::{ExitStatus, PollStatus, StopMode};

/// How long an end is listened for before it is polled for, as in the owner task.
const LISTEN: Duration = Duration::from_millis(50);

/// A spawner with the server it is for.
pub(super) struct Subject<'a> {
    pub(super) bench: &'a Bench,
    pub(super) id: ServerId,
    pub(super) spawner: Box<dyn Spawner>,
}

/// A launch that a check can still change.
pub(super) struct Plan {
    pub(super) cmd: Vec<String>,
    pub(super) args: Vec<String>,
    pub(super) env: Env,
    pub(super) ctx: SpawnContext,
    pub(super) progress: ProgressLog,
    pub(super) books: Arc<Books>,
    behaviour: Behaviour,
}

/// A server that was started and answers, if it is one that does.
pub(super) struct Run {
    pub(super) ctx: SpawnContext,
    pub(super) endpoint: Endpoint,
    pub(super) progress: ProgressLog,
}

impl Plan {
    /// What `start` is given.
    pub(super) fn launch(&self) -> Launch {
        Launch::new(
            self.cmd.clone(),
            self.args.clone(),
            self.env.clone(),
            self.ctx.clone(),
        )
        .owned(
            self.progress.clone(),
            CancellationToken::new(),
            Arc::clone(&self.books) as _,
        )
    }
}

impl<'a> Subject<'a> {
    pub(super) fn new(bench: &'a Bench, id: ServerId, spawner: Box<dyn Spawner>) -> Self {
        Self { bench, id, spawner }
    }

    /// Asks everything that is asked before a start.
    pub(super) async fn plan(&mut self, behaviour: Behaviour) -> Checked<Plan> {
        let recipe = self.bench.recipe(behaviour)?;
        let mut ctx = Bench::context(&self.id, recipe.options);
        self.spawner
            .check_options(&ctx.options)
            .map_err(|error| fault!("check_options refuses what Backend::behave gave: {error}"))?;
        let listen = self
            .bench
            .within("listen_on", self.spawner.listen_on(&ctx))
            .await?
            .map_err(|error| fault!("listen_on failed: {}", error_chain(&error)))?;
        ctx.listen = Some(listen);
        Ok(Plan {
            cmd: recipe.cmd,
            args: self.spawner.get_args(&ctx),
            env: self.spawner.get_env(&ctx),
            ctx,
            progress: ProgressLog::new(),
            books: Arc::default(),
            behaviour,
        })
    }

    /// Starts a server that behaves so, and waits until it answers if it is one that does.
    pub(super) async fn run(&mut self, behaviour: Behaviour) -> Checked<Run> {
        let plan = self.plan(behaviour).await?;
        self.start(plan).await
    }

    pub(super) async fn start(&mut self, plan: Plan) -> Checked<Run> {
        let run = self
            .try_start(&plan)
            .await?
            .map_err(|error| fault!("start failed: {}", error_chain(&error)))?;
        match plan.behaviour {
            Behaviour::Serve | Behaviour::Family | Behaviour::Deaf => {
                self.until_it_answers(&run).await?;
            }
            Behaviour::Silent | Behaviour::Exit(_) | Behaviour::Missing => {}
        }
        Ok(run)
    }

    /// Starts, and leaves it to the check what to make of an error.
    pub(super) async fn try_start(&mut self, plan: &Plan) -> Checked<Result<Run, SpawnError>> {
        let started = self.spawner.start(plan.launch());
        let endpoint = self.bench.within("start", started).await?;
        self.bench.started(&self.id, self.spawner.get_state());
        Ok(endpoint.map(|endpoint| Run {
            endpoint,
            ctx: plan.ctx.clone(),
            progress: plan.progress.clone(),
        }))
    }

    /// Waits for the first answer; the end of the server is a fault.
    pub(super) async fn until_it_answers(&mut self, run: &Run) -> Checked {
        let path = format!("{}api", run.ctx.service_prefix());
        let what = format!("waiting for an answer of {}", run.endpoint);
        let bench = self.bench;
        bench
            .until(&what, async || {
                if let Ok((200, _)) = get(&run.endpoint, &path).await {
                    return Ok(Some(()));
                }
                let PollStatus::Exited(status) = self.poll().await? else {
                    return Ok(None);
                };
                let last = self.spawner.log_tail(10).await.join("\n    ");
                Err(fault!(
                    "start returned {}, and before the server answered there, poll said \
                     {status:?}; the last lines of its log:\n    {last}",
                    run.endpoint
                ))
            })
            .await
    }

    /// Polls; an error is a fault.
    pub(super) async fn poll(&mut self) -> Checked<PollStatus> {
        self.bench
            .within("poll", self.spawner.poll())
            .await?
            .map_err(|error| fault!("poll failed: {}", error_chain(&error)))
    }

    /// Fails unless poll says that the server is there.
    pub(super) async fn is_running(&mut self, when: &str) -> Checked {
        let status = self.poll().await?;
        ensure!(
            status == PollStatus::Running,
            "{when}, poll said {status:?} of a server that is there"
        );
        Ok(())
    }

    /// Fails unless poll says that nothing is there.
    pub(super) async fn is_gone(&mut self, when: &str) -> Checked<ExitStatus> {
        match self.poll().await? {
            PollStatus::Exited(status) => Ok(status),
            PollStatus::Running => Err(fault!("{when}, poll still said Running")),
        }
    }

    /// Waits for the end, heard or polled, as the owner task does, and says what poll makes of it.
    pub(super) async fn until_ended(&mut self) -> Checked<ExitStatus> {
        let bench = self.bench;
        bench
            .until("waiting for poll to notice the end", async || {
                let heard = tokio::time::timeout(LISTEN, self.spawner.exited()).await;
                let polled = self.poll().await?;
                match (heard, polled) {
                    (Ok(heard), PollStatus::Running) => {
                        Err(fault!("exited said {heard:?}, and then poll said Running"))
                    }
                    (Ok(heard), PollStatus::Exited(polled)) if heard != polled => Err(fault!(
                        "exited said {heard:?}, and then poll said Exited({polled:?})"
                    )),
                    (_, PollStatus::Exited(status)) => Ok(Some(status)),
                    (Err(_elapsed), PollStatus::Running) => Ok(None),
                }
            })
            .await
    }

    /// Stops; an error is a fault.
    pub(super) async fn stop(&mut self, mode: StopMode) -> Checked {
        self.bench
            .within(&format!("stop({mode:?})"), self.spawner.stop(mode))
            .await?
            .map_err(|error| fault!("stop({mode:?}) failed: {}", error_chain(&error)))
    }

    /// Stops, and fails if anything is left in the world.
    pub(super) async fn end(&mut self, mode: StopMode) -> Checked {
        self.stop(mode).await?;
        let after = format!("stop({mode:?}) had returned Ok");
        self.bench.nothing_left(&self.id, &after).await
    }

    /// The state as it is while a server runs, after a journey through JSON.
    pub(super) fn saved_state(&self) -> Checked<SpawnerState> {
        let state = self.spawner.get_state();
        ensure!(
            !state.is_empty(),
            "get_state is empty while a server runs; if its servers are meant to end with the \
             daemon, let Backend::outlives say so"
        );
        serde_json::from_str(&shown(&state))
            .map_err(|error| fault!("the state does not survive JSON: {error}"))
    }
}

impl Run {
    /// What the server says that it was given.
    pub(super) async fn inside(&self, bench: &Bench) -> Checked<Inside> {
        let path = format!("{}conformance", self.ctx.service_prefix());
        let (status, body) = bench
            .within("a request to the server", get(&self.endpoint, &path))
            .await?
            .map_err(|error| fault!("{} does not answer: {error}", self.endpoint))?;
        serde_json::from_slice(&body).map_err(|error| {
            fault!(
                "at {} somebody else answers: {status}, {error}",
                self.endpoint
            )
        })
    }

    /// Fails unless it is this very server that answers at `endpoint`.
    pub(super) async fn answers(&self, bench: &Bench, when: &str) -> Checked {
        let launch = self.inside(bench).await?.env.remove(crate::LAUNCH_MARKER);
        ensure!(
            launch.as_deref() == Some(self.ctx.launch_id.as_str()),
            "{when}, another run than that of {} answers at {}",
            self.ctx.server,
            self.endpoint
        );
        Ok(())
    }

    /// Tells the server to end.
    pub(super) async fn order(&self, bench: &Bench, how: &str) -> Checked {
        // It may be gone before its answer is.
        self.ask(bench, how).await.map(drop)
    }

    /// Asks the server for something; the status of its answer, if there is one.
    pub(super) async fn ask(&self, bench: &Bench, what: &str) -> Checked<Option<u16>> {
        let path = format!("{}conformance/{what}", self.ctx.service_prefix());
        let answer = bench
            .within("a request to the server", get(&self.endpoint, &path))
            .await?;
        Ok(answer.ok().map(|(status, _)| status))
    }

    /// The percentages and sentences reported so far.
    pub(super) fn steps(&self) -> Vec<(u8, String)> {
        let step = |event| match event {
            ProgressEvent::Step { percent, message } => Some((percent, message)),
            ProgressEvent::Ready | ProgressEvent::Failed { .. } => None,
        };
        self.progress
            .events()
            .into_iter()
            .filter_map(step)
            .collect()
    }
}
