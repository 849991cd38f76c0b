//! Accounts in the hub's own books, each with a password.

use spawner_core::Secret;

use super::{Claim, Proven};
use crate::auth::login::LoginError;
use crate::auth::password::{PasswordError, Passwords};
use crate::store::Store;

/// The passwords of the books.
#[derive(Debug)]
pub(crate) struct ByPassword {
    store: Store,
    passwords: Passwords,
}

impl ByPassword {
    pub(super) fn new(store: Store) -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            store,
            passwords: Passwords::new(workers),
        }
    }

    pub(super) async fn check(&self, claim: Claim<'_>) -> Result<Proven, LoginError> {
        let own = claim.user.and_then(|user| user.password_hash.clone());
        // Who waits for an admin is told so, and nobody else about them.
        let asked = match (&own, claim.name) {
            (None, Some(name)) => self.store.signups().find(name),
            _ => None,
        };
        let waits = asked.is_some();
        let hash = own.or(asked.map(|signup| signup.password_hash.clone()));
        let right = self.verify(hash, claim.password.clone()).await?;
        if right && waits {
            return Err(LoginError::Waiting);
        }
        claim.granted_if(right)
    }

    /// Whether `password` is the one behind `hash`, in its turn.
    pub(in crate::auth) async fn verify(
        &self,
        hash: Option<Secret>,
        password: Secret,
    ) -> Result<bool, PasswordError> {
        let hash = hash.map(|hash| hash.expose().to_owned());
        self.passwords.verify(hash, password).await
    }

    /// Hashes a new password, in its turn.
    pub(in crate::auth) async fn hash(&self, password: Secret) -> Result<Secret, PasswordError> {
        self.passwords.hash(password).await.map(Secret::new)
    }
}
