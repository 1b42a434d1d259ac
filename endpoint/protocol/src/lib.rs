//! Sans-I/O MQTT 3.1, 3.1.1 and 5 for the server's side: no sockets, no runtime, no clock.
//!
//! - [`packet`]: one neutral packet set for the three versions, borrowed from the bytes;
//! - [`codec`]: bytes ↔ packets, strict and without copying;
//! - [`topic`]: rules of topic names and filters;
//! - [`reason`], [`error`]: what a peer is told, and why.

pub mod codec;
pub mod error;
pub mod packet;
pub mod reason;
pub mod topic;

pub use error::{Malformed, PeerError, ProtocolError};
pub use packet::{Packet, PacketId, QoS, Version};
pub use reason::ReasonCode;
