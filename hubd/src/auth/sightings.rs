//! When somebody was last seen, written down now and then instead of at each request.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use crate::store::{Active, Store, Token, User};

/// How old what is written may be before it is written again (JupyterHub's resolution).
const RESOLUTION: SignedDuration = SignedDuration::from_secs(30);
/// How long sightings are gathered before they are written.
const GATHER: Duration = Duration::from_secs(1);
/// Sightings that may wait; more are forgotten, which costs nothing but precision.
const QUEUE: usize = 4096;

/// Notes who was seen. Cheap to clone; never waits.
#[derive(Debug, Clone)]
pub(crate) struct Sightings(mpsc::Sender<(Active, Timestamp)>);

/// The other end, which writes them down.
#[derive(Debug)]
pub(crate) struct SightingsLog(mpsc::Receiver<(Active, Timestamp)>);

/// Both ends.
pub(crate) fn sightings() -> (Sightings, SightingsLog) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Sightings(sender), SightingsLog(receiver))
}

impl Sightings {
    /// A user did something.
    pub(crate) fn user(&self, user: &User, now: Timestamp) {
        self.note(Active::User(user.id), user.last_activity, now);
    }

    /// A token was used.
    pub(crate) fn token(&self, token: &Token, now: Timestamp) {
        self.note(Active::Token(token.id), token.last_activity, now);
    }

    fn note(&self, who: Active, last: Option<Timestamp>, now: Timestamp) {
        if last.is_none_or(|last| now.duration_since(last) > RESOLUTION) {
            let _ = self.0.try_send((who, now));
        }
    }
}

impl SightingsLog {
    /// Writes sightings down until nobody can send any.
    pub(crate) async fn write(mut self, store: Store) {
        let mut seen = Vec::new();
        while self.0.recv_many(&mut seen, QUEUE).await > 0 {
            tokio::time::sleep(GATHER).await;
            while let Ok(more) = self.0.try_recv() {
                seen.push(more);
            }
            if let Err(error) = store.touch_many(std::mem::take(&mut seen)).await {
                tracing::warn!(%error, "cannot record who was active");
            }
        }
    }
}
