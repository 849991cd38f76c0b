//! Images that the engine does not have yet.
//!
//! ```text
//! start --policy--> nothing to do
//!            '----> Pulls::join --one for each image--> Pull --engine--> registry
//!                       |  ^                              |
//!         progress text |  '--- watch <--- Layers <-------' lines of progress
//!                       v
//!                   Launch::report
//! ```
//!
//! Invariants:
//! - one pull of an image at a time, however many wait for it, and none when nobody does;
//! - a pull has limits of its own (`pull_timeout`, `pull_stall_timeout`) and no part in
//!   `start_timeout`;
//! - an image counts as pulled when the engine has it, and not because a stream ended.

mod failure;
mod layers;
mod policy;
mod provide;
mod pulls;

pub use policy::{PullPolicy, PullPolicyError, PullSettings};
pub(crate) use pulls::Pulls;
