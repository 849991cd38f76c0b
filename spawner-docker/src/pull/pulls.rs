//! The pulls that are under way: one for each image, for everybody who waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, Shared, WeakShared};
use futures_util::stream::StreamExt as _;
use spawner_core::{Launch, SpawnError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::failure::PullFailure;
use super::layers::{Layers, PullProgress};
use super::policy::PullSettings;
use crate::client::Engine;
use crate::error::EngineError;
use crate::image::{ImageRef, Pullable};
use crate::registry::{Registries, Sent};

/// What of a start's progress belongs to a pull.
const PERCENT: std::ops::RangeInclusive<u8> = 12..=55;
/// How many lines a pull that takes its whole time may add to a start's progress by time alone.
const LINES: u32 = 400;
/// How long who waits gives a pull to notice its own limit.
const SLACK: Duration = Duration::from_secs(30);

/// The pulls of one engine.
#[derive(Debug, Default)]
pub(crate) struct Pulls {
    /// Weak, so that a pull ends with the last one who waits for it: a dropped request is a
    /// cancelled pull to an engine.
    running: Mutex<HashMap<Pullable, Running>>,
}

#[derive(Debug)]
struct Running {
    pull: WeakShared<BoxFuture<'static, Ended>>,
    progress: watch::Receiver<PullProgress>,
}

/// How a pull ended, and what the registry was shown.
#[derive(Debug, Clone)]
struct Ended {
    result: Result<(), Arc<PullFailure>>,
    sent: Arc<Sent>,
}

/// One who waits for a pull. It makes progress while somebody polls one of these.
pub(crate) struct Waiting {
    image: ImageRef,
    limits: PullSettings,
    pull: Shared<BoxFuture<'static, Ended>>,
    progress: watch::Receiver<PullProgress>,
}

/// What a pull needs.
pub(crate) struct Source {
    pub(crate) engine: Arc<Engine>,
    pub(crate) registries: Arc<Registries>,
    pub(crate) limits: PullSettings,
}

impl Pulls {
    /// Waits for the pull of `image` that is under way, or for a new one.
    pub(crate) fn join(&self, image: &ImageRef, what: &Pullable, source: Source) -> Waiting {
        let limits = source.limits;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let living = |running: &Running| {
            let pull = running.pull.upgrade();
            pull.filter(|pull| pull.peek().is_none())
        };
        let under_way = running.get(what).and_then(|r| Some((living(r)?, r)));
        let (pull, progress) = if let Some((pull, running)) = under_way {
            (pull, running.progress.clone())
        } else {
            let (tell, progress) = watch::channel(PullProgress::default());
            let pull = pull(image.clone(), what.clone(), source, tell);
            (pull.boxed().shared(), progress)
        };
        running.retain(|_, running| living(running).is_some());
        if let Some(weak) = pull.downgrade() {
            let entry = Running {
                pull: weak,
                progress: progress.clone(),
            };
            running.insert(what.clone(), entry);
        }
        Waiting {
            image: image.clone(),
            limits,
            pull,
            progress,
        }
    }
}

impl Waiting {
    /// Waits for the end, and tells the start how far it is. The time does not count towards
    /// `start_timeout`.
    pub(crate) async fn for_launch(mut self, launch: &Launch) -> Result<(), SpawnError> {
        let limit = self.limits.timeout + SLACK;
        let image = self.image.clone();
        let too_slow = || {
            let failure = PullFailure::TooSlow(self.limits.timeout);
            Arc::new(failure).explain(&image, &Sent::Nothing)
        };
        let (failure, wait) = (too_slow(), self.tell(launch));
        launch
            .with_budget(limit, wait)
            .await
            .unwrap_or(Err(failure))
    }

    async fn tell(&mut self, launch: &Launch) -> Result<(), SpawnError> {
        let pause = (self.limits.timeout / LINES).max(Duration::from_secs(2));
        let report = |progress: &PullProgress| {
            let width = u16::from(PERCENT.end() - PERCENT.start());
            let way = width * u16::from(progress.percent()) / 100;
            let percent = PERCENT.start() + u8::try_from(way).unwrap_or(0);
            launch.report(percent, format!("Pulling {}{progress}", self.image));
        };
        let mut last = self.progress.borrow_and_update().clone();
        let mut said = Instant::now();
        // Whether there is something that was not worth a line of its own.
        let mut unsaid = false;
        report(&last);
        loop {
            tokio::select! {
                biased;
                ended = self.pull.clone() => {
                    return ended.result.map_err(|failure| {
                        failure.explain(&self.image, &ended.sent)
                    });
                }
                () = launch.cancelled() => return Err(SpawnError::cancelled()),
                // After the end there is no change any more, and the first branch has it.
                Ok(()) = self.progress.changed() => {
                    let now = self.progress.borrow_and_update().clone();
                    unsaid = !now.is_news_after(&last);
                    if !unsaid {
                        report(&now);
                        (last, said) = (now, Instant::now());
                    }
                }
                () = sleep_until(said + pause), if unsaid => {
                    let now = self.progress.borrow().clone();
                    report(&now);
                    (last, said, unsaid) = (now, Instant::now(), false);
                }
            }
        }
    }

    /// Waits for the end.
    pub(crate) async fn quietly(self) -> Result<(), SpawnError> {
        let ended = self.pull.await;
        let explain = |failure: Arc<PullFailure>| failure.explain(&self.image, &ended.sent);
        ended.result.map_err(explain)
    }
}

/// One pull from its beginning to its end.
async fn pull(
    image: ImageRef,
    what: Pullable,
    source: Source,
    tell: watch::Sender<PullProgress>,
) -> Ended {
    let began = Instant::now();
    let registry = image.registry();
    let sent = match source.registries.credentials(&registry).await {
        Ok(sent) => Arc::new(sent),
        Err(error) => {
            return Ended {
                result: Err(Arc::new(PullFailure::Login(error))),
                sent: Arc::new(Sent::Nothing),
            };
        }
    };
    if let Sent::Unreadable(why) = &*sent {
        tracing::warn!(%registry, why, "pulling without credentials");
    }
    tracing::info!(%image, credentials = sent.origin(), "pulling an image");
    let limit = source.limits.timeout;
    let work = carry_out(&image, &what, &source, &sent, &tell);
    let result = timeout(limit, work)
        .await
        .unwrap_or(Err(PullFailure::TooSlow(limit)))
        .map_err(Arc::new);
    match &result {
        Ok(()) => tracing::info!(%image, after = ?began.elapsed(), "pulled an image"),
        Err(failure) => {
            let error = spawner_core::error_chain(failure);
            tracing::warn!(%image, after = ?began.elapsed(), error, "an image was not pulled");
        }
    }
    Ended { result, sent }
}

async fn carry_out(
    image: &ImageRef,
    what: &Pullable,
    source: &Source,
    sent: &Sent,
    tell: &watch::Sender<PullProgress>,
) -> Result<(), PullFailure> {
    let Source { engine, limits, .. } = source;
    let lines = engine.pull(what, sent.header());
    let lines = lines.await.map_err(PullFailure::Engine)?;
    let mut lines = std::pin::pin!(lines);
    let mut layers = Layers::default();
    let mut stalled_at = Instant::now() + limits.stall_timeout;
    loop {
        let line = match timeout_at(stalled_at, lines.next()).await {
            Ok(Some(line)) => line.map_err(|error| failure(engine, error, sent))?,
            Ok(None) => break,
            Err(_elapsed) => return Err(PullFailure::Stalled(limits.stall_timeout)),
        };
        if layers.take(&line) {
            stalled_at = Instant::now() + limits.stall_timeout;
        }
        tell.send_replace(layers.progress());
    }
    match engine.image(image).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(PullFailure::Incomplete),
        Err(error) => Err(PullFailure::Engine(error)),
    }
}

fn failure(engine: &Engine, error: bollard::errors::Error, sent: &Sent) -> PullFailure {
    use bollard::errors::Error as E;
    match error {
        E::DockerStreamError { error } => PullFailure::Said {
            status: None,
            message: sent.redact(&error),
        },
        // Only the body is read like this, so there was an answer.
        error @ E::IOError { .. } => PullFailure::Lost(error),
        error => match engine.sort(error) {
            EngineError::Refused { status, message } => PullFailure::Said {
                status: Some(status),
                message: sent.redact(&message),
            },
            error => PullFailure::Engine(error),
        },
    }
}
