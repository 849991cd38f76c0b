//! The spawner under test under a real owner task.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::backend::Behaviour;
use super::bench::Bench;
use super::fault::{Checked, fault};
use super::subject::Subject;
use crate::config::SpawnerConfig;
use crate::context::SpawnContext;
use crate::forward::forward_spawner;
use crate::ids::ServerId;
use crate::journal::NoJournal;
use crate::outcome::Outcome;
use crate::spawner::Spawner;
use crate::supervisor::{Deps, HttpProbe, Phase, ServerHandle, supervise};

/// A server with its owner task.
pub(super) struct Owned<'a> {
    pub(super) bench: &'a Bench,
    pub(super) handle: ServerHandle,
    pub(super) ctx: SpawnContext,
    fired: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

/// The spawner with the command and the patience of a check in its configuration, which is where
/// the owner task takes them from.
#[derive(Debug)]
struct Dressed {
    inner: Box<dyn Spawner>,
    config: SpawnerConfig,
}

impl Dressed {
    fn inner(&self) -> &dyn Spawner {
        &*self.inner
    }
    fn inner_mut(&mut self) -> &mut dyn Spawner {
        &mut *self.inner
    }
}

forward_spawner! {
    impl [] Spawner for Dressed, by inner / inner_mut;
    forward [
        start stop poll exited listen_on endpoint check_listener get_env get_args get_state
        load_state clear_state options_form options_from_form check_options check_limits log_tail
    ];
    own {
        fn config(&self) -> &SpawnerConfig {
            &self.config
        }
    }
}

impl<'a> Owned<'a> {
    /// A server that behaves so once it is started, and has `http_timeout` to answer.
    pub(super) fn new(
        bench: &'a Bench,
        behaviour: Behaviour,
        http_timeout: Duration,
    ) -> Checked<Self> {
        let recipe = bench.recipe(behaviour)?;
        let Subject { id, spawner, .. } = bench.subject();
        let config = SpawnerConfig {
            cmd: recipe.cmd,
            http_timeout,
            start_timeout: bench.backend().patience(),
            ..spawner.config().clone()
        };
        let dressed = Dressed {
            inner: spawner,
            config,
        };
        let deps = Deps {
            journal: Arc::new(NoJournal),
            probe: Arc::new(HttpProbe),
        };
        let ctx = Bench::context(&id, recipe.options);
        let (handle, task) = supervise(id, Box::new(dressed), deps);
        let fired = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&fired);
        handle.add_poll_callback(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(task);
        Ok(Self {
            bench,
            handle,
            ctx,
            fired,
            _task: tasks,
        })
    }

    pub(super) fn server(&self) -> &ServerId {
        self.handle.id()
    }

    /// How often the server was noticed to have ended by itself.
    pub(super) fn fired(&self) -> usize {
        self.fired.load(Ordering::Relaxed)
    }

    /// Waits for a phase.
    pub(super) async fn until(&self, what: &str, phase: impl FnMut(&Phase) -> bool) -> Checked {
        let mut phases = self.handle.watch();
        let reached = self.bench.within(what, phases.wait_for(phase)).await?;
        reached.map_err(|_| fault!("the owner task ended while {what}"))?;
        Ok(())
    }

    /// How the last run ended; a fault while one is under way.
    pub(super) fn last(&self) -> Checked<Arc<Outcome>> {
        match self.handle.phase() {
            Phase::Stopped { last: Some(last) } => Ok(last),
            phase => Err(fault!("the owner task is in {phase:?}, not in Stopped")),
        }
    }
}
