//! The image of a start, as the policy says.

use std::sync::{Arc, PoisonError};

use spawner_core::{Launch, SpawnError};

use super::policy::PullPolicy;
use super::pulls::{Source, Waiting};
use crate::client::ImageInfo;
use crate::factory::{DockerFactory, Shared};
use crate::image::ImageRef;
use crate::start::image_is_missing;

impl Shared {
    /// Sees to it that the engine has the image, and tells what is in it.
    pub(crate) async fn provide(
        &self,
        image: &ImageRef,
        launch: &Launch,
    ) -> Result<ImageInfo, SpawnError> {
        let look = || async {
            let looked = self.engine.image(image).await;
            looked.map_err(|error| error.doing("look for the image"))
        };
        let found = match self.settings.pull.policy {
            // What is in it matters only when it says what to run, or whether a container is
            // outdated.
            PullPolicy::Skip if !launch.cmd.is_empty() && !self.settings.reuses() => {
                return Ok(ImageInfo::default());
            }
            PullPolicy::Always => None,
            PullPolicy::IfNotPresent | PullPolicy::Never | PullPolicy::Skip => look().await?,
        };
        if let Some(info) = found {
            return Ok(info);
        }
        if self.settings.pull.policy.pulls()
            && let Some(pull) = self.pull(image)
        {
            pull.for_launch(launch).await?;
        }
        look().await?.ok_or_else(|| image_is_missing(image))
    }

    /// Waits for the pull of an image; `None` for what no registry knows.
    fn pull(&self, image: &ImageRef) -> Option<Waiting> {
        let source = Source {
            engine: Arc::clone(&self.engine),
            registries: Arc::clone(&self.registries),
            limits: self.settings.pull,
        };
        Some(self.pulls.join(image, &image.pullable()?, source))
    }
}

impl DockerFactory {
    /// Pulls what is configured in the background, one after the other. Whoever starts meanwhile
    /// waits for the same pull.
    pub(crate) fn pull_ahead(&self) {
        let shared = Arc::clone(&self.shared);
        let images: Vec<ImageRef> = self.images().cloned().collect();
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        ahead.spawn(async move {
            for image in images {
                let there = shared.engine.image(&image).await;
                if shared.settings.pull.policy == PullPolicy::IfNotPresent
                    && matches!(there, Ok(Some(_)))
                {
                    continue;
                }
                if let Some(pull) = shared.pull(&image)
                    && let Err(error) = pull.quietly().await
                {
                    tracing::warn!(%image, %error, "an image was not pulled ahead of time");
                }
            }
        });
    }
}
