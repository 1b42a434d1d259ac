//! Sans-I/O MQTT 3.1, 3.1.1 and 5 for the server's side: no sockets, no runtime, no clock.
//!
//! - [`packet`]: one neutral packet set for the three versions, borrowed from the bytes;
//! - [`codec`]: bytes ↔ packets, strict and without copying;
//! - [`session`]: the state machine of one connection, driven by its caller;
//! - [`limits`]: what a session enforces and announces;
//! - [`topic`]: rules of topic names and filters;
//! - [`reason`], [`error`]: what a peer is told, and why.

pub mod codec;
pub mod error;
pub mod limits;
pub mod packet;
pub mod reason;
mod redaction;
pub mod session;
pub mod topic;

pub use error::{Malformed, PeerError, ProtocolError};
pub use limits::Limits;
pub use packet::{Packet, PacketId, QoS, Version};
pub use reason::ReasonCode;
pub use session::Session;
