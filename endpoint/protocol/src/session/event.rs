//! What a packet means to the caller.

use super::Sequence;
use crate::ReasonCode;
use crate::packet::{Connect, Publish, Subscribe, Unsubscribe};

/// The meaning of one packet of the client.
#[derive(Debug)]
pub enum Event<'a> {
    /// Dealt with; there may be output.
    Handled,
    /// A client wants in. Input waits until `accept` or `refuse`.
    Connect(Connect<'a>),
    /// A message. `topic` is set even if the packet had an alias only.
    ///
    /// Exactly one of `accepted` (which covers all up to its sequence) or `refuse_publish` follows
    /// for QoS 1 and 2; QoS 0 needs no answer.
    Publish(Sequence, Publish<'a>),
    /// Subscriptions asked for; `suback` follows.
    Subscribe(Subscribe<'a>),
    /// Subscriptions given back; `unsuback` follows.
    Unsubscribe(Unsubscribe<'a>),
    /// The client acknowledged the delivery with this token; the reason may be a failure (MQTT 5).
    Acknowledged(u64, ReasonCode),
    /// The session is over: write the output, then close the socket.
    Closed,
}
