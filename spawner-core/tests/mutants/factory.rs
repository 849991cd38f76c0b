//! The factory of the memory world with one thing wrong.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use spawner_core::{
    Found, Known, LaunchId, PollStatus, ServerId, ServerName, SpawnError, Spawner, SpawnerFactory,
    SpawnerState, UserName,
};

use crate::broken::Broken;
use crate::flaw::Flaw;
use crate::memory::{MemoryFactory, MemorySpawner, World};

pub(crate) struct BrokenFactory {
    honest: MemoryFactory,
    flaw: Flaw,
    /// The servers that spawners were made for.
    made: Mutex<Vec<ServerId>>,
}

impl BrokenFactory {
    pub(crate) fn new(honest: MemoryFactory, flaw: Flaw) -> Self {
        let made = Mutex::default();
        Self { honest, flaw, made }
    }

    fn world(&self) -> &World {
        &self.honest.world
    }

    /// What an honest daemon of `instance` finds.
    async fn found_by(&self, instance: String, known: &[Known]) -> Result<Vec<Found>, SpawnError> {
        let mut setup = self.honest.setup.clone();
        setup.instance = instance;
        let world = Arc::clone(&self.honest.world);
        MemoryFactory { world, setup }.reap(known).await
    }
}

#[async_trait]
impl SpawnerFactory for BrokenFactory {
    fn create(&self, server: &ServerId) -> Box<dyn Spawner> {
        self.made.lock().unwrap().push(server.clone());
        Box::new(Broken::new(self.honest.spawner(server), self.flaw))
    }

    async fn reap(&self, known: &[Known]) -> Result<Vec<Found>, SpawnError> {
        let mut found = match self.honest.reap(known).await {
            Err(_) if self.flaw == Flaw::AwayIsNothing => Vec::new(),
            found => found?,
        };
        match self.flaw {
            Flaw::FindsNothing => found.clear(),
            Flaw::FindsItsOwn => {
                let made = self.made.lock().unwrap();
                found.retain(|find| made.contains(&find.server));
            }
            Flaw::FindsTheUser => {
                for find in &mut found {
                    find.server.server = ServerName::default();
                }
            }
            Flaw::FindsAreEmpty => {
                for find in &mut found {
                    find.state = SpawnerState::default();
                }
            }
            Flaw::FindsWhatIsOver => {
                let last = self.world().reserve() - 1;
                if last > 0 && self.world().tag(last).is_none() {
                    found.push(Found {
                        server: ServerId::default_of(UserName::new("tee").unwrap()),
                        launch_id: LaunchId::random(),
                        state: MemorySpawner::saved(Some(last)),
                    });
                }
            }
            Flaw::FindsTheLiving => {
                for (number, tag) in self.world().runs() {
                    if self.world().status(number) != PollStatus::Running {
                        found.retain(|find| Some(&find.launch_id) != tag.launch_id.as_ref());
                    }
                }
            }
            Flaw::FindsTheKnown => return self.honest.reap(&[]).await,
            Flaw::KnowsByName => {
                found.retain(|find| known.iter().all(|known| known.server != find.server));
            }
            Flaw::FindsEverybodys => {
                for (_, tag) in self.world().runs() {
                    found.extend(self.found_by(tag.instance, known).await?);
                }
            }
            Flaw::FindsAreEnded => {
                for find in &found {
                    find.end(&self.honest).await?;
                }
            }
            _ => {}
        }
        Ok(found)
    }
}
