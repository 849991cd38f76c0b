//! How many servers may start and run at once, and the line of those that wait for a place.
//!
//! ```text
//! enter --a place is free--> Turn (called) --begun--> the start --drop--> the place is the next one's
//!    \---all are taken----> Turn (in line) --come---^
//! ```
//!
//! The line is in memory. A [`Turn`] belongs to the task of the start: dropping it, however, leaves
//! the line or gives the place back.

mod gate;
mod line;
mod standing;

pub(super) use gate::{Limit, Turn};
pub(crate) use gate::{Limits, Spot, Waiting};
