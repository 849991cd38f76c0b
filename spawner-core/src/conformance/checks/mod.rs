//! The checks, a file for each topic. What each is about, and the rule behind it, stands in
//! [`list`](super::list).

pub(super) mod drop;
pub(super) mod ends;
pub(super) mod failures;
pub(super) mod launch;
pub(super) mod life;
pub(super) mod limits;
pub(super) mod listener;
pub(super) mod names;
pub(super) mod progress;
pub(super) mod reap;
pub(super) mod state;
pub(super) mod still;
