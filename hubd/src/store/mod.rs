//! What the hub remembers: one SQLite file, one thread that writes it, and a copy of its
//! rows in memory for reading.
//!
//! ```text
//! store.users().create(..).await ---job---> [queue] --> thread "hubd-store"
//!                                                        BEGIN; SAVEPOINT a job; COMMIT   (one fsync for all that waited)
//!                                                        then the mirror, then the answers
//! store.tokens().find(..)        <-------- mirror <------+
//! ```
//!
//! Invariants:
//! - The mirror equals the committed rows and moves in commit order, a whole commit at a time: a job
//!   reports each row it changed, and the reports are applied after `COMMIT` and before anybody is
//!   answered.
//! - An answered `Ok` is on disk (WAL, `synchronous=FULL`). An error left nothing behind, with one
//!   exception: after a disk error nobody knows, so the file is opened again, checked, and the
//!   mirror filled from what is really there before the next change.
//! - A job decides by the rows, never by the mirror: jobs that share its commit are not there yet.
//! - A job that was queued runs, whether or not its caller still waits.
//! - No file is made where one should have been: missing next to its log, empty, damaged, foreign or
//!   newer means refusing to start, with a sentence that says what to do.
//! - What the [audit log](audit) says of a change is in the same commit as the change.
//!
//! Each family of tables has one file with its records, statements, part of the mirror, reads and
//! writes. Secrets are stored as [`Digest`]s; the text of a token or cookie never gets here.

mod activity;
pub(crate) mod audit;
mod clients;
mod database;
mod digest;
mod error;
mod grants;
mod groups;
mod handle;
mod identities;
mod ids;
mod launches;
mod meta;
mod migrate;
mod mirror;
mod rows;
mod servers;
mod services;
mod sessions;
mod signups;
mod state_dir;
mod tokens;
mod user_list;
mod users;
mod visits;
mod writer;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use self::error::Trouble;
pub(crate) use self::{
    activity::Active,
    clients::{ClientOf, NewClient, OauthClient},
    digest::Digest,
    error::{OpenError, StoreError},
    groups::Group,
    handle::Store,
    identities::Identity,
    ids::{ServerRowId, TokenId, UserId},
    launches::NewLaunch,
    servers::{Server, ServerChange, Stage},
    services::Service,
    sessions::{NewSession, Session},
    signups::Signup,
    tokens::{NewToken, Owner, Token, TokenKind},
    user_list::{UserQuery, UserSort, UserState},
    users::{AuthState, NewAuthState, User, UserChange},
};
