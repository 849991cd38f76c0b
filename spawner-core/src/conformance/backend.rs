//! What a spawner's author supplies.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::probe::Probe;
use crate::factory::SpawnerFactory;
use crate::ids::{ServerId, UserName};
use crate::options::UserOptions;
use crate::registry::BackendSetup;

/// A backend in a place of its own, as the checks see it.
///
/// Three methods are required. The defaults of the others suit a spawner that runs commands of this
/// host and whose servers outlive it.
///
/// The front page of the [kit](super) has an example with the three; those of `spawner-local` and of
/// `examples/custom-spawner`, in their `tests/conformance.rs`, are whole ones for processes, and
/// `tests/memory` of this crate uses every method.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Makes a place: a temporary directory, a name prefix, whatever keeps one check apart from
    /// the others, because they run side by side. Timeouts of the spawner are best set short here:
    /// several checks stop servers that do not listen to reason.
    async fn set_up() -> Self
    where
        Self: Sized;

    /// The factory under test. It is asked for once in each check, and once more where the daemon
    /// is to have been restarted with all books lost. Its [`BackendSetup::instance`] must be of this
    /// place alone: what one check starts is not to be found by another.
    fn factory(&self) -> Arc<dyn SpawnerFactory>;

    /// The same factory with its setup changed: by the checks of limits, which turn a knob of
    /// `config`, and by those of `reap`, which make another `instance` of it. `None`, the default:
    /// they are skipped.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use spawner_core::{BackendSetup, SetupError, SpawnerFactory};
    /// # struct Mine { setup: BackendSetup }
    /// # fn build(_: BackendSetup) -> Result<Arc<dyn SpawnerFactory>, SetupError> { todo!() }
    /// # impl Mine {
    /// fn factory_from(&self, change: &dyn Fn(&mut BackendSetup)) -> Option<Arc<dyn SpawnerFactory>> {
    ///     let mut setup = self.setup.clone();
    ///     change(&mut setup);
    ///     build(setup).ok()
    /// }
    /// # }
    /// ```
    fn factory_from(&self, change: &dyn Fn(&mut BackendSetup)) -> Option<Arc<dyn SpawnerFactory>> {
        let _ = change;
        None
    }

    /// What there is of one server in this place, each thing in a line that a failing check can
    /// show. It must not ask the spawner: list the processes ([`processes_with`]), containers or
    /// units yourself. One that has ended and is only waiting to be collected is not there.
    ///
    /// [`processes_with`]: super::processes_with
    async fn census(&self, server: &ServerId) -> Vec<String>;

    /// What makes a server behave so. By default the probe as a command of this host. `None` if
    /// the backend has no such thing; the checks that need it are then skipped. [`Probe::new`] has an
    /// example for a container.
    fn behave(&self, behaviour: Behaviour, probe: &Probe) -> Option<Recipe> {
        Some(probe.recipe(behaviour))
    }

    /// Cuts the spawners of this place off from their backend, and says whether it can.
    async fn sever(&self) -> bool {
        false
    }

    /// Undoes [`sever`](Self::sever).
    async fn mend(&self) {}

    /// The users that can have a server, for a backend of accounts; the first has most of them.
    /// Empty, the default, means anybody.
    fn users(&self) -> Vec<UserName> {
        Vec::new()
    }

    /// Whether servers outlive the daemon. One whose spawner keeps no state cannot be found again
    /// and has to end with it; then there is nothing for `reap` to find, either.
    fn outlives(&self) -> bool {
        true
    }

    /// Whether [`Spawner::check_listener`] tells a stranger who listens at a server's address.
    ///
    /// [`Spawner::check_listener`]: crate::Spawner::check_listener
    fn knows_listeners(&self) -> bool {
        false
    }

    /// Options that `check_options` has to refuse.
    fn hostile(&self) -> Vec<UserOptions> {
        Vec::new()
    }

    /// How long one call may take, and one event may be waited for, before the check fails. It is
    /// there to end a check that hangs; on a machine that is busy it must not run out.
    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// Clears the place, also after a check that failed.
    async fn tear_down(&self) {}
}

/// What a server of the checks does. [`Probe::recipe`] makes a command line of it, and
/// [`Program::read`](super::Program::read) reads that, with an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers over HTTP, until it is asked to end.
    Serve,
    /// The same, and has started another process, in a process group of its own, that does
    /// nothing: a notebook server with a kernel.
    Family,
    /// The same as `Serve`, and no polite signal ends it.
    Deaf,
    /// Runs and never listens.
    Silent,
    /// Ends at once with this code.
    Exit(u8),
    /// Cannot be started: the program, image or account is not there.
    Missing,
}

/// What a launch takes to make a server behave: either part may be all of it.
///
/// ```
/// use spawner_core::UserOptions;
/// use spawner_core::conformance::Recipe;
///
/// // For a backend that runs an image of the user's choice, and nothing else.
/// let mut options = UserOptions::default();
/// options.0.insert("image".into(), "probe:serve".into());
/// let recipe = Recipe { cmd: Vec::new(), options };
/// ```
#[derive(Debug, Clone, Default)]
pub struct Recipe {
    /// The command.
    pub cmd: Vec<String>,
    /// The options that a user would have chosen.
    pub options: UserOptions,
}
