//! What goes through the pipes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A question. It holds a password, so it has no `Debug`.
#[derive(Serialize, Deserialize)]
pub(in crate::auth) struct Ask {
    /// Only whether PAM is there and takes the service.
    pub(in crate::auth) probe: bool,
    pub(in crate::auth) service: String,
    pub(in crate::auth) config_dir: Option<PathBuf>,
    pub(in crate::auth) user: String,
    pub(in crate::auth) password: String,
    /// The address of the client.
    pub(in crate::auth) from: Option<String>,
    pub(in crate::auth) check_account: bool,
    /// Whether the groups of the user are asked for.
    pub(in crate::auth) groups: bool,
}

/// What PAM says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::auth) enum Answer {
    /// The password is right and the account is usable.
    Granted {
        /// Who it is in the end.
        user: String,
        /// The names of their groups, if they were asked for.
        groups: Vec<String>,
    },
    /// Unknown user or wrong password.
    Denied,
    /// The password is right, and the account is locked or expired, or needs a new password.
    Unusable,
}

/// An answer, or why there is none: a clause for the log.
pub(super) type Reply = Result<Answer, String>;
