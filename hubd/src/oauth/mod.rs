//! The OAuth provider: how a server or a service learns who its visitor is.
//!
//! ```text
//! browser --GET authorize--> step 1: may this user enter that server?  --302 code--> server
//! server --POST token: code, secret, verifier--> step 2: exchange      --200 token--> server
//! server --GET /hub/api/user: token--> (the API tells name and scopes)
//! ```
//!
//! Authorization code with optional PKCE, as unmodified single-user servers use it. Codes live in
//! memory: a restart of the hub costs a login under way one more round. Tokens are rows, so they
//! outlive the hub.
//!
//! - A request that names no known client, or another redirect address than the registered one, is
//!   never redirected.
//! - A code works once. Whoever presents it again makes the token of the first use invalid.
//! - What a token may do is worked out from its owner's rights at each request, so a grant can never
//!   give more than the visitor has.

mod authorize;
mod client;
mod codes;
mod exchange;
mod pkce;
#[cfg(test)]
mod tests;

pub(crate) use authorize::{AuthorizeQuery, Consent, Provider, Step};
pub(crate) use client::Asker;
pub(crate) use exchange::{ExchangeError, TokenForm, TokenReply};
