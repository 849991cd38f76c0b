//! The engine on a unix socket that the tests of `spawner-docker` use, for stories through a hub.

#![allow(dead_code, reason = "the tests of spawner-docker use all of it")]

#[path = "../../spawner-docker/tests/pretend/answer.rs"]
mod answer;
#[path = "../../spawner-docker/tests/pretend/engine.rs"]
mod engine;
#[path = "../../spawner-docker/tests/pretend/fault.rs"]
mod fault;
#[path = "../../spawner-docker/tests/pretend/script.rs"]
mod script;
#[path = "../../spawner-docker/tests/pretend/verb.rs"]
mod verb;
#[path = "../../spawner-docker/tests/pretend/world.rs"]
mod world;

pub(crate) use engine::Pretend;
pub(crate) use fault::Fault;
pub(crate) use verb::Verb;
