//! The HTTP front: listeners and what every request passes before it reaches a page, the API or
//! the proxy.
//!
//! ```text
//! listener --> serve: accept, limit, drain --> proxy::Proxy::handle --> a user's server
//!                                                      \--> the hub's router
//! ```

mod door;
pub(crate) mod router;
pub(crate) mod serve;
