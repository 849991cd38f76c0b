//! The one-time login link that `hubd quickstart` prints.
//!
//! Only its hash is kept, in memory: a restart forgets it. There is one at a time, for one user, and
//! it works once within [`LIFETIME`].

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use spawner_core::{Secret, UserName};
use tokio::time::Instant;

use crate::random::new_token;
use crate::store::Digest;

/// How long a link works.
pub(crate) const LIFETIME: Duration = Duration::from_hours(1);

/// The link that is out, if any.
#[derive(Debug, Default)]
pub(crate) struct LoginLinks(Mutex<Option<Issued>>);

#[derive(Debug)]
struct Issued {
    secret: Digest,
    user: UserName,
    expires: Instant,
}

impl LoginLinks {
    /// No link yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Makes the secret of a new link, which logs in as `user`. An earlier link stops working.
    pub(crate) fn issue(&self, user: UserName, now: Instant) -> Secret {
        let secret = new_token();
        *self.lock() = Some(Issued {
            secret: Digest::of(secret.expose()),
            user,
            expires: now + LIFETIME,
        });
        secret
    }

    /// Uses the link up and says whom it logs in; `None` for a secret that is wrong, used or
    /// expired. A wrong secret leaves the link as it is.
    pub(crate) fn redeem(&self, secret: &str, now: Instant) -> Option<UserName> {
        let mut link = self.lock();
        link.take_if(|issued| now >= issued.expires);
        let used = link.take_if(|issued| issued.secret.matches(secret));
        used.map(|issued| issued.user)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Issued>> {
        // The value is whole at any time, so a panic elsewhere has not spoilt it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> UserName {
        UserName::new("alice").unwrap()
    }

    #[test]
    fn a_link_works_once() {
        let (links, now) = (LoginLinks::new(), Instant::now());
        let secret = links.issue(alice(), now);
        assert_eq!(links.redeem(secret.expose(), now), Some(alice()));
        assert_eq!(links.redeem(secret.expose(), now), None);
    }

    #[test]
    fn a_wrong_secret_does_not_use_it_up() {
        let (links, now) = (LoginLinks::new(), Instant::now());
        let secret = links.issue(alice(), now);
        for wrong in [
            "",
            "x",
            &secret.expose()[..63],
            &format!("{}0", secret.expose()),
        ] {
            assert_eq!(links.redeem(wrong, now), None);
        }
        assert_eq!(links.redeem(secret.expose(), now), Some(alice()));
    }

    #[test]
    fn a_link_expires_and_a_new_one_replaces_it() {
        let (links, now) = (LoginLinks::new(), Instant::now());
        let old = links.issue(alice(), now);
        let new = links.issue(alice(), now);
        assert_eq!(links.redeem(old.expose(), now), None);
        let before = now + LIFETIME - Duration::from_millis(1);
        assert_eq!(links.redeem(new.expose(), now + LIFETIME), None);
        assert_eq!(links.redeem(new.expose(), before), None, "it is forgotten");
        let newest = links.issue(alice(), now);
        assert_eq!(links.redeem(newest.expose(), before), Some(alice()));
    }
}
