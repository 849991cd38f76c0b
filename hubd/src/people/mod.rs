//! Changes to users and groups, with the rules for who may make which.
//!
//! ```text
//! {api}/users, {api}/groups --\
//!                              >--> users, groups --> the rules --> rows, an entry in the audit log
//! the admin page -------------/
//! ```
//!
//! A rule stands here once, whichever way a change came. What the edges settle before is whether the
//! caller holds the scope for this user or group at all, because each says "no" in its own way.

pub(crate) mod groups;
mod refused;
pub(crate) mod users;

use crate::app::App;
use crate::auth::caller::Caller;
use crate::store::audit::{Action, Actor, Entry};

pub(crate) use refused::Refused;

/// Who changes something.
#[derive(Debug)]
pub(crate) struct By<'c> {
    pub(crate) caller: &'c Caller,
    /// How the audit log names them.
    pub(crate) actor: Actor,
}

impl By<'_> {
    /// Refuses to make somebody or something an admin (`wanted`), to who is none: a scope to make
    /// them would otherwise be as good as every scope.
    pub(crate) fn may_give_admin(&self, app: &App, wanted: bool) -> Result<(), Refused> {
        if wanted && !self.caller.is_admin(&app.directory) {
            let message = "Only an admin can make an admin.";
            return Err(Refused::Forbidden(message.into()));
        }
        Ok(())
    }

    fn entry(&self, action: Action) -> Entry {
        Entry::new(self.actor.clone(), action)
    }
}
