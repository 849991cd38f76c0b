//! hubd: a JupyterHub for one host.
//!
//! The program `hubd` is [`cli::main`]; everything else is for programs that bring a hub of their
//! own: put one together with [`Hub::builder`], give it kinds of spawners and callbacks, start it
//! and run it. What a spawner is, is told in [`spawner_core`].
//!
//! Inside, the modules build on each other in one direction; ARCHITECTURE.md has the picture.

mod api;
mod app;
mod auth;
pub mod cli;
mod config;
mod http;
mod hub;
mod metrics;
mod oauth;
mod pages;
mod people;
mod proxy;
mod random;
mod scopes;
mod servers;
mod services;
mod store;
mod tasks;
mod telemetry;

pub use hub::{Hub, HubBuilder, HubError};
