//! The wish of somebody who may, that the hub stops.

use tokio::sync::watch;

/// How the hub is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShutdownWish {
    /// Whether the servers go too; `None` leaves it to the configuration.
    pub(crate) servers: Option<bool>,
}

/// Where the wish is left and waited for. The first one counts.
#[derive(Debug)]
pub(crate) struct Shutdown(watch::Sender<Option<ShutdownWish>>);

impl Shutdown {
    /// Leaves the wish. The hub acts on it as soon as it looks.
    pub(crate) fn ask(&self, wish: ShutdownWish) {
        self.0.send_if_modified(|asked| {
            let first = asked.is_none();
            asked.get_or_insert(wish);
            first
        });
    }

    /// Waits for the wish.
    pub(crate) async fn asked(&self) -> ShutdownWish {
        let mut asked = self.0.subscribe();
        loop {
            if let Some(wish) = *asked.borrow_and_update() {
                return wish;
            }
            // The sender is `self`, so this ends by a change only.
            let _ = asked.changed().await;
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}
