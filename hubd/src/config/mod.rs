//! `hubd.toml`: what it may hold, and what is said when it holds something else.
//!
//! ```text
//! file --load--> text --source--> keys with places --hub, auth, ...--> typed tables --check--> Config
//!                  |                                     |                            |
//!                  '------- findings, each with its line, column and key -------------'
//! ```
//!
//! What always holds:
//! - The whole file is read and everything wrong with it is said at once. Only broken syntax hides
//!   what follows it, because no key can be trusted to stand in the table it seems to stand in.
//! - An unknown key is an error, never ignored: a misspelt `blocked_users` must not let anybody in.
//! - Reading opens files, it creates and changes none.
//! - No finding, excerpt or `Debug` shows a secret.
//! - Each table's keys are listed once, in its `SPEC`; the reader, the suggestions and
//!   `hubd print-config` all work from that list.

mod address;
mod amount;
mod audit;
mod auth;
mod base_path;
mod check;
mod culler;
mod files;
mod findings;
mod foreign;
mod group;
mod hub;
mod json;
mod limits;
mod load;
mod names;
mod print;
mod reader;
mod reading;
mod renamed;
mod role;
mod root;
mod seconds;
mod service;
mod source;
mod spawner;
mod spec;
mod suggest;
mod syntax;
mod url_path;
mod value;

#[cfg(test)]
pub(crate) use role::RoleTable;
pub(crate) use {
    audit::AuditTable,
    auth::{AuthKind, AuthTable, OidcTable, PamTable, PasswordTable, SharedPasswordTable},
    culler::CullerTable,
    findings::{ConfigErrors, Findings, Style},
    group::GroupTable,
    hub::{HubTable, LogFormat},
    names::{check_name, check_token},
    print::print,
    root::Config,
    service::{ServiceTable, ServiceUrl, check_client_id, check_redirect_uri},
    spawner::{SingleuserArgs, SpawnerTable},
};
