//! Where clients come in: sockets, and what stands between a socket and MQTT.
//!
//! A connection is taken from its `socket` by an accept loop (`accept`), and led through its
//! [`Entrance`] (`entrance`): the PROXY header (`proxy`), the rate limit of its address (`rate`), the
//! TLS handshake ([`tls`]), the WebSocket upgrade (`websocket`). What comes out is a byte stream, and
//! what the client has proved so far; the rest is the business of [`connection`](crate::connection).

mod accept;
mod entrance;
mod peer;
mod proxy;
mod rate;
mod rewind;
mod socket;
pub(crate) mod suites;
pub mod tls;
mod websocket;

pub use accept::serve;
pub use entrance::Entrance;
pub use peer::{Carrier, Peer};
pub use socket::{Bound, Listening, Socket, bind, bind_listener};
