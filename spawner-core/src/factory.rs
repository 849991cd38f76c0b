//! Where spawners come from: one factory for a backend, one spawner for a server.

use async_trait::async_trait;

use crate::error::SpawnError;
use crate::ids::ServerId;
use crate::spawner::Spawner;

/// Makes the spawners of one backend and holds what they share (a client, a runtime directory).
///
/// A closure `Fn(&ServerId) -> impl Spawner` is one.
#[async_trait]
pub trait SpawnerFactory: Send + Sync + 'static {
    /// The spawner of one server. Cheap, cannot fail and touches nothing in the world: it is called
    /// for every server that is looked at.
    fn create(&self, server: &ServerId) -> Box<dyn Spawner>;

    /// Whether the backend is there and usable, asked once before the daemon serves. The sentence
    /// of an error says what to install or start.
    async fn preflight(&self) -> Result<(), SpawnError> {
        Ok(())
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
