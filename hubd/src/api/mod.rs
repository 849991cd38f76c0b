//! The REST API below `{base}hub/api`, in JupyterHub 6's paths, models and status codes.
//!
//! ```text
//! request --> router --> ApiCaller (who, XSRF) --> access (may they: 403 or 404) --> body, query --> a resource
//!                            |                         |                                 |              |
//!                            v                         v                                 v              v
//!                        {"status", "message"} <------------------ ApiError ------------------------- a model
//! ```
//!
//! - Who asks is settled first, then what they may do, and only then is a body read or anything
//!   looked up: an answer never tells whether something exists to somebody who may not know.
//! - A model shows a key only if the caller's rights include it; it is left out, never null.
//! - No input leads to a 5xx. What cannot be read is a 400 with a sentence that says what is wrong.
//! - A status is chosen here and nowhere further down.
//! - What an operation takes and answers is described beside it, see [`openapi`].
//!
//! One resource a file; what they share is in the files above them.

mod access;
mod block;
mod body;
mod caller;
mod error;
mod failure;
mod page;
mod path;
mod query;
mod router;
mod strict_json;
mod time;

mod activity;
mod group;
mod group_model;
mod groups;
mod info;
mod me;
mod oauth_token;
mod openapi;
mod progress;
mod proxy_routes;
mod root;
mod server;
mod server_change;
mod server_model;
mod service_model;
mod services;
mod shares;
mod shutdown;
mod signups;
mod start_body;
mod token_model;
mod token_wish;
mod tokens;
mod user;
mod user_change;
mod user_model;
mod users;

#[cfg(test)]
mod identity;
#[cfg(test)]
mod testing;

pub(crate) use openapi::description;
pub(crate) use root::{health, metrics};
pub(crate) use router::{api_root, router};
