//! Real processes, and a hub that is killed at random moments.
//!
//! A hundred kills gate a merge. The long run goes by name: `tests/run chaos`, with the number of
//! kills in `HUBD_CHAOS_KILLS` and another plan by `HUBD_CHAOS_SEED`; the seed is printed.

mod kill_loop;
mod plan;
mod strangers;
