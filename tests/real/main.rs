//! Unmodified programs of the Jupyter project behind a hub, and a real browser in front of it. They
//! come from the Python environment that `tests/run` makes, and from the distribution; without them
//! each of these tests says so and is skipped.

mod behind;
mod container;
mod harness;
mod launcher;
mod login;
mod pages;
mod quickstart;
mod restart;
mod schema;
mod services;
mod unix;
