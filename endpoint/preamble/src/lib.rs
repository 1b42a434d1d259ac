//! What comes before MQTT on a socket, read by functions over bytes: no sockets, no clock, no TLS.
//!
//! - [`proxy`]: the PROXY protocol's header, by which a load balancer tells the device's address;
//! - [`hello`]: the TLS ClientHello, as far as it decides which TLS library serves it;
//! - [`key_exchange`]: the identity in a TLS 1.2 ClientKeyExchange with a pre-shared key.
//!
//! Peers who have not logged in write these bytes, so nothing is reserved on the word of a length,
//! and every reader has a bound.

pub mod hello;
pub mod key_exchange;
pub mod proxy;
mod reader;
mod record;

pub use record::RecordError;
