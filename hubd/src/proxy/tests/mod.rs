//! The proxy on real sockets: a front on port 0, servers beside it, raw bytes on both sides.
//!
//! ```text
//! wire (bytes by hand) --> Rig: hyper + Proxy::handle --> Server (a closure per connection)
//!                                        \--> the hub: answers with what it was told
//! ```

mod connections;
mod corpus;
mod exchange;
mod rig;
mod streaming;
mod websocket;
