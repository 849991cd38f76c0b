//! Who are they? Passwords, tokens, cookies, and the proofs that go with them.
//!
//! ```text
//! login form --> login::Gate --> throttle, authenticator --> session row, cookies --> next: LocalPath
//! login link --> login::Gate --> login_link -----------------^
//! a provider --> oidc -------> login::Gate ------------------^
//! request    --> caller::Callers --> token (Authorization), else cookie --> Caller { identity, rights }
//!                                    + xsrf where the rules ask for it
//! a wish     --> tokens::TokenDesk --> the rules for new tokens --> a row
//! hubd user  --> accounts::Accounts --> the rows of users, with the hashes of their passwords
//! ```
//!
//! Identity, membership and who may come in at all are in the [`directory`], read from the
//! configuration; what is kept is in the store. A right is worked out anew for each request, so
//! what is taken away is gone at the next one.

pub(crate) mod accounts;
pub(crate) mod authenticator;
pub(crate) mod caller;
pub(crate) mod cookies;
pub(crate) mod directory;
pub(crate) mod groups;
pub(crate) mod local_path;
pub(crate) mod login;
pub(crate) mod login_link;
mod names;
pub(crate) mod oidc;
pub(crate) mod pam;
pub(crate) mod password;
mod refused;
pub(crate) mod services;
pub(crate) mod sightings;
pub(crate) mod throttle;
pub(crate) mod token;
pub(crate) mod tokens;
mod turns;
pub(crate) mod xsrf;

#[cfg(test)]
mod tests;
