//! The options form of a server, made by code that is not the hub's.

use std::time::Duration;

use spawner_core::{FormContext, OptionsForm, SpawnError};
use tokio::sync::oneshot;

use super::fleet::Servers;
use crate::tasks::{NoAnswer, bounded};

/// How long a spawner may take to make its form.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no form.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoForm {
    /// The spawner says so.
    #[error(transparent)]
    Spawner(#[from] SpawnError),
    /// The spawner says nothing.
    #[error("the spawner did not make its options form")]
    NoAnswer(#[from] NoAnswer),
}

impl Servers {
    /// The form that is filled before a start. It is made in a task of its own, so that one that
    /// blocks its thread holds up nobody who waits for it.
    pub(crate) async fn options_form(&self, ctx: FormContext) -> Result<OptionsForm, NoForm> {
        let spawner = self.spawner(&ctx.server);
        let (answer, answered) = oneshot::channel();
        self.inner
            .tasks
            .spawn_until_stop("options form", async move {
                let _ = answer.send(bounded(PATIENCE, spawner.options_form(&ctx)).await);
            });
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(form)) => Ok(form??),
            // The hub is stopping.
            Ok(Err(_)) | Err(_) => Err(NoAnswer::Late(PATIENCE).into()),
        }
    }
}
