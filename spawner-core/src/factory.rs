//! Where spawners come from: one factory for a backend, one spawner for a server.

use async_trait::async_trait;

use crate::error::SpawnError;
use crate::ids::{LaunchId, ServerId};
use crate::spawner::Spawner;
use crate::state::SpawnerState;
use crate::status::StopMode;

/// Makes the spawners of one backend and holds what they share (a client, a runtime directory).
///
/// A closure `Fn(&ServerId) -> impl Spawner` is one.
///
/// ```
/// use spawner_core::{ServerId, SpawnerFactory, UserName};
/// # use spawner_core::{Endpoint, Launch, PollStatus, SpawnError, Spawner, SpawnerConfig, StopMode};
/// # #[derive(Debug, Default)]
/// # struct Idle(SpawnerConfig);
/// # #[async_trait::async_trait]
/// # impl Spawner for Idle {
/// #     fn config(&self) -> &SpawnerConfig { &self.0 }
/// #     async fn start(&mut self, launch: Launch) -> Result<Endpoint, SpawnError> {
/// #         Ok(launch.ctx.listen.as_ref().unwrap().local_endpoint())
/// #     }
/// #     async fn stop(&mut self, _: StopMode) -> Result<(), SpawnError> { Ok(()) }
/// #     async fn poll(&mut self) -> Result<PollStatus, SpawnError> { Ok(PollStatus::Running) }
/// # }
///
/// let factory = |_: &ServerId| Idle::default();
/// let server = ServerId::default_of(UserName::new("tee")?);
/// let spawner = factory.create(&server);
/// assert_eq!(spawner.config().port, 0);
/// # Ok::<(), spawner_core::NameError>(())
/// ```
#[async_trait]
pub trait SpawnerFactory: Send + Sync + 'static {
    /// The spawner of one server. Cheap, cannot fail and touches nothing in the world: it is called
    /// for every server that is looked at.
    ///
    /// Example: see [`SpawnerFactory`](crate::SpawnerFactory).
    fn create(&self, server: &ServerId) -> Box<dyn Spawner>;

    /// Whether the backend is there and usable, asked once before the daemon serves. The sentence
    /// of an error says what to install or start.
    ///
    /// Example: see [`SpawnerFactory`](crate::SpawnerFactory).
    async fn preflight(&self) -> Result<(), SpawnError> {
        Ok(())
    }

    /// What an admin should know who asks whether this backend will work (`hubd doctor`): one finding
    /// for each thing that was looked at. `hub_url` is the address of the hub's API as the daemon
    /// would tell it to servers, and somebody answers there while this runs. May take a minute;
    /// whatever it makes is gone when it returns.
    ///
    /// By default the [`preflight`](Self::preflight) as one finding.
    ///
    /// Example: see [`Finding`](crate::Finding).
    async fn diagnose(&self, hub_url: &str) -> Vec<Finding> {
        let _ = hub_url;
        vec![Finding::of(self.preflight().await, "the spawner is usable")]
    }

    /// Looks for runs of this daemon that are in the world and not among `known`: what a crash, or
    /// books that were lost, left behind. Asked at boot. It only looks: whether a find is taken up
    /// or ended is the daemon's decision, see [`Found`].
    ///
    /// What belongs to another daemon on the same host ([`BackendSetup::instance`]) is never
    /// found. An error means "cannot tell", and the daemon asks again. By default nothing is found,
    /// which is right for a backend whose runs end with the daemon.
    ///
    /// [`BackendSetup::instance`]: crate::BackendSetup::instance
    ///
    /// Example: see [`Found`](crate::Found).
    async fn reap(&self, known: &[Known]) -> Result<Vec<Found>, SpawnError> {
        let _ = known;
        Ok(Vec::new())
    }
}

/// One thing that was looked at when an admin asked whether all is well.
///
/// ```
/// use spawner_core::{Finding, Verdict, SpawnError};
///
/// let found = Finding::of(Err(SpawnError::other("There is no engine.")), "the engine answers");
/// assert_eq!((found.verdict, found.message.as_str()), (Verdict::Problem, "There is no engine."));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it is.
    pub verdict: Verdict,
    /// What was found, and what to do about it unless it is fine.
    pub message: String,
}

/// How something is that was looked at.
///
/// Example: see [`Finding`](crate::Finding).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// Servers start, and something is not as one might expect.
    Warning,
    /// Servers will not start, or not work.
    Problem,
}

impl Finding {
    /// A finding of this verdict.
    ///
    /// Example: see [`Finding`](crate::Finding).
    pub fn new(verdict: Verdict, message: impl Into<String>) -> Self {
        Self {
            verdict,
            message: message.into(),
        }
    }

    /// What came of a look that could fail: `fine` is what is said when it did not.
    ///
    /// Example: see [`Finding`](crate::Finding).
    pub fn of(looked: Result<(), SpawnError>, fine: impl Into<String>) -> Self {
        match looked {
            Ok(()) => Self::new(Verdict::Fine, fine),
            Err(error) => Self::new(Verdict::Problem, error.to_string()),
        }
    }
}

/// A run that is in the books, for [`SpawnerFactory::reap`].
///
/// Example: see [`Found`](crate::Found).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Known {
    /// Whose it is.
    pub server: ServerId,
    /// Which run.
    pub launch_id: LaunchId,
}

/// A run that is in the world and not in the books.
///
/// To take it up, give `state` to the owner task of `server` ([`Saved`](crate::Saved)); to end it,
/// [`end`](Self::end) it. One of the two, never both.
///
/// ```
/// use spawner_core::{Found, Known, SpawnError, SpawnerFactory, SpawnerState};
///
/// /// At boot, for a daemon that takes up nothing it has no books of.
/// async fn tidy(factory: &dyn SpawnerFactory, known: &[Known]) -> Result<(), SpawnError> {
///     for found in factory.reap(known).await? {
///         found.end(factory).await?;
///     }
///     Ok(())
/// }
///
/// /// What a backend's `reap` makes of a container that carries the mark of a run.
/// fn seen(mark: Known, container: &str) -> Found {
///     mark.found(SpawnerState::pack(1, &serde_json::json!({ "container": container })))
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Whose it is, by the mark that it carries.
    pub server: ServerId,
    /// Which run.
    pub launch_id: LaunchId,
    /// What [`Spawner::load_state`] takes to find it again.
    pub state: SpawnerState,
}

impl Known {
    /// This run as a find, with the state that leads to it.
    ///
    /// Example: see [`Found`](crate::Found).
    pub fn found(self, state: SpawnerState) -> Found {
        let Self { server, launch_id } = self;
        Found {
            server,
            launch_id,
            state,
        }
    }
}

impl Found {
    /// Ends the run with a spawner of its own, beside whatever the server's owner task is doing.
    /// An error means that it may still be there.
    ///
    /// Example: see [`Found`](crate::Found).
    pub async fn end(&self, factory: &dyn SpawnerFactory) -> Result<(), SpawnError> {
        let mut spawner = factory.create(&self.server);
        spawner.load_state(&self.state)?;
        spawner.stop(StopMode::Now).await
    }
}

impl<F, S> SpawnerFactory for F
where
    F: Fn(&ServerId) -> S + Send + Sync + 'static,
    S: Spawner,
{
    fn create(&self, server: &ServerId) -> Box<dyn Spawner> {
        Box::new(self(server))
    }
}
