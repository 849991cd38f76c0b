//! How many servers may start and run at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Counts starts and active servers against what is configured.
#[derive(Debug)]
pub(crate) struct Limits {
    starting: Arc<Semaphore>,
    active: Option<usize>,
}

/// Why a start has to wait for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Too many starts are under way (`concurrent_spawns`).
    Starting,
    /// Too many servers are active (`active_servers`), which this is the limit of.
    Active(usize),
}

impl Limits {
    /// `concurrent_spawns` starts at once and `active_servers` servers in all, where 0 is no limit.
    pub(crate) fn new(concurrent_spawns: usize, active_servers: usize) -> Self {
        let starting = match concurrent_spawns {
            0 => Semaphore::MAX_PERMITS,
            some => some.min(Semaphore::MAX_PERMITS),
        };
        Self {
            starting: Arc::new(Semaphore::new(starting)),
            active: (active_servers > 0).then_some(active_servers),
        }
    }

    /// A place for one more start, kept until the permit is dropped, while `active` servers are.
    pub(crate) fn admit(&self, active: usize) -> Result<OwnedSemaphorePermit, Limit> {
        if let Some(limit) = self.active
            && active >= limit
        {
            return Err(Limit::Active(limit));
        }
        Arc::clone(&self.starting)
            .try_acquire_owned()
            .map_err(|_| Limit::Starting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let limits = Limits::new(1, 2);
        let place = limits.admit(0).unwrap();
        assert_eq!(limits.admit(1).unwrap_err(), Limit::Starting);
        drop(place);
        assert!(limits.admit(1).is_ok());
        assert_eq!(limits.admit(2).unwrap_err(), Limit::Active(2));
    }

    #[test]
    fn zero_is_no_limit() {
        let limits = Limits::new(0, 0);
        let many: Vec<_> = (0..1000)
            .map(|active| limits.admit(active).unwrap())
            .collect();
        assert_eq!(many.len(), 1000);
    }
}
