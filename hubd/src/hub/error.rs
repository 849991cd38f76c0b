//! Why a hub does not start.

use std::net::SocketAddr;

use crate::auth::directory::DirectoryError;
use crate::config::ConfigErrors;
use crate::pages::TemplateError;
use crate::store::{OpenError, StoreError};

/// Why a hub does not start, as a sentence for whoever starts it. Its sources are for the log.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct HubError(#[from] pub(crate) Reason);

#[derive(Debug, thiserror::Error)]
pub(crate) enum Reason {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error("a role in the configuration cannot be meant: {0}")]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error("the state could not be written: {0}")]
    Write(#[from] StoreError),
    #[error("cannot listen on {address}: {source}; is another program using that address?")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("a page template cannot be used")]
    Templates(#[from] TemplateError),
    #[error("{0}")]
    Internal(String),
}

impl HubError {
    /// Something that should not go wrong.
    pub(crate) fn internal(message: String) -> Self {
        Self(Reason::Internal(message))
    }

    /// The findings, when it is the configuration that is wrong.
    pub(crate) fn config(&self) -> Option<&ConfigErrors> {
        match &self.0 {
            Reason::Config(errors) => Some(errors),
            _ => None,
        }
    }
}

/// `?` from each cause.
macro_rules! from {
    ($($source:ty),*) => {
        $(impl From<$source> for HubError {
            fn from(source: $source) -> Self {
                Self(source.into())
            }
        })*
    };
}
from!(
    ConfigErrors,
    DirectoryError,
    OpenError,
    StoreError,
    TemplateError
);
