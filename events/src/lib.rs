//! CloudEvents: model, encodings, content types, and the sinks that take events.
//!
//! - [`event`]: what one event is made of, borrowed from the connection;
//! - [`sink`]: the contract between a connection and the places events go to.

pub mod event;
pub mod sink;
