//! Whole stories against a running hub, in one binary: cargo links it once, and its tests share the
//! machine by one pool of threads.
//!
//! `fakesu` and `harness` prove the tools; the other modules are the stories.

mod advisories;
mod audit;
mod bad_input;
mod contract;
mod culler;
mod ends;
mod engine;
mod failing;
mod fakesu;
mod groups;
mod harness;
mod hooks;
mod in_line;
mod left_over;
mod login;
mod named;
mod oauth;
mod pretend;
mod probes;
mod proxy;
mod refusals;
mod renamed;
mod rest;
mod restart;
mod services;
mod shutdown;
mod squatter;
mod start;
mod state;
