//! Unmodified programs of the Jupyter project behind a hub. They come from the Python environment
//! that `tests/run` makes; without it each of these tests says so and is skipped.

mod behind;
mod container;
mod harness;
mod launcher;
mod login;
mod quickstart;
mod restart;
mod services;
mod unix;
