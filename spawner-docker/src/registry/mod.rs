//! Registries, and what the hub logs in to them with.
//!
//! ```text
//! [spawner.docker.registries."quay.io"]  --.
//! config.json: credHelpers, credsStore   ---+--> Registries --> Sent --> a header of the pull
//! config.json: auths                     --'
//! ```
//!
//! The configuration comes first; docker's own file is what `docker login` has written for the
//! account that runs the hub. Everything is read when it is needed, so a password that is changed
//! counts from the next pull on. No type here shows a secret in its `Debug`.

mod credentials;
mod docker_config;
mod helper;
mod host;
mod login;

#[cfg(test)]
pub(crate) use credentials::Credentials;
pub(crate) use credentials::{LoginError, Registries, Sent};
pub use host::{RegistryHost, RegistryHostError};
pub(crate) use login::LoginTable;
pub use login::{PasswordSource, RegistryLogin};
