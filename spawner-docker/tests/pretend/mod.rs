//! An engine on a unix socket that does what a test tells it to.
//!
//! ```text
//! spawner --HTTP--> Pretend --> Fault, if one is set for the verb
//!                      |'-----> World: containers, images and registries of its own
//!                      '------> or the machine's engine, with the faults on top
//! ```
//!
//! The world is one that can be believed in: a container that was started serves on a port of its
//! own, keeps its labels, ends with a code, and is in the events. Images come from registries that
//! say line by line what a test has scripted.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses a part of it"
)]

mod answer;
mod engine;
mod fault;
mod hub;
mod script;
mod verb;
mod world;

pub(crate) use engine::Pretend;
pub(crate) use fault::Fault;
pub(crate) use hub::{Server, factory, launch, quick, server};
pub(crate) use script::{Gate, Pull, Step};
pub(crate) use verb::Verb;
