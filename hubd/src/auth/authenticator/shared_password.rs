//! One password for users, another for admins. Neither opens the other's door: who knows the users'
//! password must not get in under the name of an admin, and an admin's password is not for daily use
//! under other names.

use super::{Claim, Proven, same};
use crate::auth::login::LoginError;
use crate::config::SharedPasswordTable;

/// The two passwords.
#[derive(Debug)]
pub(crate) struct SharedPassword(SharedPasswordTable);

impl SharedPassword {
    pub(super) fn new(passwords: SharedPasswordTable) -> Self {
        Self(passwords)
    }

    pub(super) fn check(&self, claim: &Claim<'_>) -> Result<Proven, LoginError> {
        let expected = if claim.is_admin {
            &self.0.admin_password
        } else {
            &self.0.user_password
        };
        let right = expected.as_ref();
        claim.granted_if(right.is_some_and(|expected| same(expected, &claim.password)))
    }
}
