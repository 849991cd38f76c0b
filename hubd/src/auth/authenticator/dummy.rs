//! Any name, and one password for all or none: for trying things out on one machine.

use spawner_core::Secret;

use super::{Claim, Proven, same};
use crate::auth::login::LoginError;

/// The one password, if there is one.
#[derive(Debug)]
pub(crate) struct Dummy(Option<Secret>);

impl Dummy {
    pub(super) fn new(password: Option<Secret>) -> Self {
        Self(password)
    }

    pub(super) fn check(&self, claim: &Claim<'_>) -> Result<Proven, LoginError> {
        let right = self.0.as_ref();
        claim.granted_if(right.is_none_or(|expected| same(expected, &claim.password)))
    }
}
