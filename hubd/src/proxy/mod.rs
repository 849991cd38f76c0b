//! The data plane: from a browser's request to the hub or to a user's server, and back.
//!
//! ```text
//!            http::serve (accepts, limits heads, drains)
//!                 |  Request<Incoming>, Peer
//!                 v
//!  front::Proxy::handle
//!    framing   one reading of the head, or 400
//!    path      which prefix, on the same bytes that are forwarded
//!    client    who is asking, as far as they can be believed
//!    table     longest prefix of whole segments
//!        |                                  |
//!        | no route                         | a user's server
//!        v                                  v
//!    the hub, in process:               headers, cookies   what may cross, both ways
//!    its router with a ClientInfo       connect            the route's own connections
//!                                       forward / upgrade  stream a body / open a tunnel
//!                                       activity           what the hub hears of it
//! ```
//!
//! Invariants:
//!
//! - **The boundary.** Of the hub the proxy sees a numbered [`Snapshot`] of routes, and it gives
//!   back [`Event`]s. Both are plain data that can cross a process boundary as well; nothing here
//!   uses another module of this crate.
//! - **One parser, fail closed.** hyper reads the request, the checks here refuse every doubt, and
//!   what goes to a server is written anew from the parsed form; no raw byte of a head is passed.
//! - **A path means one thing.** What was matched is what is forwarded, and it stays below the
//!   matched prefix however the server decodes it.
//! - **Nothing is collected.** Bodies and WebSockets stream in both directions with back-pressure,
//!   without limit in size or time; who hangs up on one side hangs up on the other.
//! - **Servers share an origin, not its powers.** No hub login reaches a server, and no header or
//!   cookie of a server reaches beyond its own prefix.
//! - **A request is sent once**, unless not a byte of it left.

mod activity;
mod answer;
mod body;
mod client;
mod connect;
mod cookies;
mod dots;
mod forward;
mod framing;
mod front;
mod headers;
mod path;
mod segment;
mod table;
#[cfg(test)]
mod tests;
mod trust;
mod tunnel;
mod upgrade;

pub(crate) use self::{
    activity::Event,
    client::{ClientInfo, Peer, Scheme},
    front::{Proxy, ProxyOptions},
    table::{Route, Snapshot},
    trust::{IpRange, IpRangeError, TrustedProxies},
};
