//! Why a change is not made.

use spawner_core::UserName;

use crate::servers::StopRefused;
use crate::store::StoreError;

/// Why a change is not made. The texts are sentences for whoever asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// It is not for this caller.
    #[error("{0}")]
    Forbidden(String),
    /// The caller may do that with others, but not with whom or what is meant.
    #[error("There is nothing of that name, or it is not yours to change.")]
    NotFound,
    /// It cannot be meant.
    #[error("{0}")]
    Invalid(String),
    /// It does not go with what there is.
    #[error("{0}")]
    Conflict(String),
    /// A server of the user could not be stopped.
    #[error("{of}: {error}")]
    Stop { of: UserName, error: StopRefused },
    /// It could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}
