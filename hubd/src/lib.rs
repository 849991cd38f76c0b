//! hubd: a JupyterHub for one host. Its parts come one layer after the other.

mod config;
mod metrics;
mod proxy;
mod random;
mod scopes;
mod store;
mod tasks;
mod telemetry;

