//! hubd: a JupyterHub for one host. Its parts come one layer after the other.

mod api;
mod app;
mod auth;
mod config;
mod metrics;
mod oauth;
mod pages;
mod proxy;
mod random;
mod scopes;
mod servers;
mod store;
mod tasks;
mod telemetry;

