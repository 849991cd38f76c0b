//! The harness of the stories: a real `hubd` in a temporary folder, and the people and programs
//! that talk to it.
//!
//! ```text
//!   Browser  (cookie jar, forms, hops) --.
//!   Api      (token, JSON)             --+--> TestHub: the hubd binary, bound to port 0
//!   Events   (progress stream)         --+        |  state, log and configuration in one folder
//!   Kernel   (REST + WebSocket)        --'        v
//!                                            fakesu, or a real Jupyter server from a `Venv`
//! ```
//!
//! What holds everywhere here:
//!
//! - A test waits for an event or asks again until an answer changes ([`wait`]); it never guesses
//!   how long something takes, and it asserts nothing about the wall clock.
//! - Every process that a test's hub made carries that test's marker in its environment
//!   ([`processes`]), so a test can end exactly those, and can show that none is left.
//! - A failing test prints the hub's log, the live processes and the database rows ([`report`]).
//! - The harness panics with a sentence when something it needs is not there: in a test a panic is
//!   the error, and the sentence is what its reader sees.

pub mod api;
pub mod browser;
pub mod command;
pub mod engine;
pub mod http;
pub mod hub;
pub mod kernel;
pub mod loopback;
pub mod page;
pub mod processes;
pub mod programs;
pub mod progress;
pub mod report;
pub mod setup;
pub mod trace;
pub mod tunnel;
pub mod venv;
pub mod visit;
pub mod wait;
