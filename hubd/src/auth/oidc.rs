//! OpenID Connect: a provider elsewhere says who somebody is.
//!
//! ```text
//! browser                      hub                                      provider
//!   | GET oauth_login ---------> Attempts::begin: a cookie
//!   | <-- state, nonce, PKCE --- Provider::begin <----- discovery, keys ---|
//!   |------------------------- signs in ---------------------------------->|
//!   | GET oauth_callback ------> Attempts::resume: cookie + state
//!   |    ?code, state           Provider::finish ----- code, verifier ---->|
//!   |                              | <------------ ID token, signed -------|
//!   |                           claims::read --> Person --> Gate
//! ```
//!
//! - Nothing is kept for somebody who has not proved anything: what belongs to an attempt is in the
//!   browser's cookie, and everything else about it is computed from that with the hub's key.
//! - Only what the provider has signed for this hub and this attempt counts; what it says when it is
//!   asked again with the access token (userinfo) fills in what the signed token leaves out.
//! - Who somebody is are issuer and subject, never a name: see [`Identity`](crate::store::Identity).
//! - The provider may be slow, silent or gone. That holds up nobody but those who log in.

/// Where the provider sends people back to, below the hub's base URL.
pub(crate) const CALLBACK: &str = "hub/oauth_callback";

mod attempt;
mod claims;
mod provider;
mod web;

pub(crate) use self::attempt::{Attempt, Attempts, LIFETIME};
pub(crate) use self::claims::Person;
pub(crate) use self::provider::{OidcError, Provider, shown};
