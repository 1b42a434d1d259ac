//! The contract between a connection and a sink.
//!
//! A connection gives each publish the next sequence number, encodes the event into each sink's
//! [`OpenBatch`] while it still borrows its read buffer, and hands the batches over when it has
//! worked through what it read. A sink never blocks the caller: it takes the batch, and later tells
//! the connection's [`Completion`] "accepted up to n", with single refusals before it.

use std::sync::Arc;

/// Counts the events of one connection, from 1.
pub type Sequence = u64;

/// Where a sink reports what became of a connection's events. One per connection.
///
/// Called from any thread; must return quickly and never block on the sink.
pub trait Completion: Send + Sync {
    /// Every event of this connection up to and including `up_to` that was handed to the sink in
    /// `slot` and not refused is now durably taken. Reports of one slot come in rising order.
    fn accepted(&self, slot: usize, up_to: Sequence);

    /// The sink in `slot` will never take this one event. Called before the `accepted` that
    /// passes it.
    fn refused(&self, slot: usize, sequence: Sequence, refusal: Refusal);
}

/// Why a sink will never take an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The sink judged the event unacceptable.
    Rejected,
    /// Larger than the sink can take.
    TooLarge,
}
