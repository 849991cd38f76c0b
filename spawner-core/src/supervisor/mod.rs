//! The owner task of one server: the only one that touches its spawner.
//!
//! ```text
//!            Start            Launched           Ready
//!  Stopped ---------> Starting -------> Waiting -------> Running <--+
//!   ^   |                |                 |              |     \   | Found
//!   |   | Recover        | Stop            | Stop    Stop |  Lost v  |
//!   |   +----------------|-----------------|--------------|-> Unknown
//!   |                    v                 v              v      |
//!   +---- Gone ------ Stopping <---------------------------------+ Stop
//! ```
//!
//! - The task holds the spawner by `&mut`, so calls never overlap: a stop cannot meet a poll, and
//!   an explicit stop fires no callback because nobody is left to notice an end.
//! - Requests queue behind a long start, but a stop does not wait: it cancels the start.
//! - "Cannot tell" leads to `Unknown` and back, never to `Stopped`.
//! - Every run ends in `Stopping`, which is left only when the spawner says that nothing is left.
//!   A stop that fails is tried again with growing pauses, and the state is kept. Whoever waits for
//!   a start that failed hears why after two seconds of that; a stop is answered when it is true.
//! - The [`Journal`](crate::Journal) is told before the phase changes, so that what the world can
//!   see was recorded before.

mod breaker;
mod budget;
mod callbacks;
mod failure;
mod guard;
mod handle;
mod owner;
mod phase;
mod probe;
mod recover;
mod start;
mod steps;
mod stop;

#[cfg(test)]
mod tests;

pub use handle::{Gone, ServerHandle, StartError};
pub use owner::{Deps, supervise};
pub use phase::{Denied, Event, Phase};
pub use probe::{HttpProbe, Probe};
pub use recover::Saved;
