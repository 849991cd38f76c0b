//! Every name of the seed's `Spawner` base class has its place here and its semantics.
//!
//! Each test is named after what it cites. The later names that are kept (hooks, limits, breaker)
//! follow at the end of each file.

mod config;
mod life;
mod options;
mod play;
