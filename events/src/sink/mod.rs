//! The contract between a connection and a sink, and the sinks.
//!
//! A connection gives each publish the next sequence number, encodes the event into each sink's
//! [`OpenBatch`] while it still borrows its read buffer, and hands the batches over when it has
//! worked through what it read. A sink never blocks the caller: it takes the batch, and later tells
//! the connection's [`Completion`] "accepted up to n", with single refusals before it.
//!
//! Memory: a sink holds at most its queue bound, plus what connections hand over that saw room just
//! before it was full: each at most one batch of [`BATCH_BYTES`] and one event. A connection asks
//! [`Sink::has_room`] before it reads; without room it drops QoS 0 events, stops reading, and is
//! woken through [`Sink::notify_room`], in turn and not all at once.
//!
//! - [`blackhole`] takes everything and keeps nothing: for measurements;
//! - [`mod@file`] writes one line per event to a file;
//! - [`http`] posts to an HTTP endpoint;
//! - `kafka` produces to Kafka, in builds with the feature of that name;
//! - [`log`] is the embedded durable log;
//! - [`mqtt`] publishes to an MQTT broker;
//! - [`nats`] publishes to NATS JetStream;
//! - [`stdout`] prints one line per event.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{Draft, Timestamp};

mod batch;
pub mod blackhole;
pub mod file;
mod health;
pub mod http;
#[cfg(feature = "kafka")]
pub mod kafka;
mod lines;
pub mod log;
pub mod mqtt;
pub mod nats;
mod queue;
mod remote;
mod stats;
pub mod stdout;
#[cfg(test)]
pub(crate) mod testing;

pub use batch::{BATCH_BYTES, Entry, Handover, OpenBatch};
pub use remote::{Remote, RemoteError, SpillError, SpillOptions};
pub use stats::{COMMIT_BOUNDS, Stats};

/// Counts the events of one connection, from 1.
pub type Sequence = u64;

/// Default bound of a sink's queue: 64 MiB.
pub const DEFAULT_QUEUE_BYTES: usize = 64 << 20;

/// Where a sink reports what became of a connection's events. One per connection.
///
/// Called from any thread, also from within [`Sink::hand_over`] and [`Sink::notify_room`]; must
/// return quickly and never block on the sink.
pub trait Completion: Send + Sync {
    /// Every event of this connection up to and including `up_to` that was handed to the sink in
    /// `slot` and not refused is now durably taken. Reports of one slot come in rising order.
    fn accepted(&self, slot: usize, up_to: Sequence);

    /// The sink in `slot` will never take this one event. Called before the `accepted` that
    /// passes it.
    fn refused(&self, slot: usize, sequence: Sequence, refusal: Refusal);

    /// The sink in `slot` has room again: the answer to one [`Sink::notify_room`].
    fn room(&self, slot: usize);
}

/// Why a sink will never take an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The sink judged the event unacceptable.
    Rejected,
    /// Larger than the sink can take.
    TooLarge,
}

/// A place events go to. Shared by all connections as `Arc<dyn Sink>`.
///
/// The events of one connection, all of one application, are taken in the order in which they are
/// handed over. What is reported accepted has met the sink's own promise, which its documentation
/// states.
pub trait Sink: Send + Sync {
    /// The configured name.
    fn name(&self) -> &str;

    /// Appends the event to the caller's batch in the sink's own form.
    fn encode(&self, draft: &Draft<'_>, sequence: Sequence, batch: &mut OpenBatch);

    /// Takes the batch and leaves it empty. Never blocks and never refuses for lack of room.
    /// Reports to the completion, perhaps before it returns.
    fn hand_over(&self, handover: Handover<'_>);

    /// Whether the queue is below its bound, and the application's part of it. Cheap: ask before
    /// each read.
    fn has_room(&self, application: &str) -> bool;

    /// Calls [`Completion::room`] once when there is room: at once if there is, else when it is
    /// this caller's turn. Callers are woken in the order in which they asked, as many at a time as
    /// room is likely to serve. A caller that finds no room when it is woken asks again.
    fn notify_room(&self, application: &str, slot: usize, completion: &Arc<dyn Completion>);

    /// Whether the sink takes events now.
    fn health(&self) -> Health;

    /// What it has done so far.
    fn stats(&self) -> Stats;

    /// Takes no more, drains what was handed over, reports it, and stops. Blocks the calling
    /// thread, up to about `patience`; what is handed over from now on is dropped unreported.
    ///
    /// # Errors
    ///
    /// [`Unfinished`] if the queue could not be drained in time; none of these events was reported
    /// accepted.
    fn close(&self, patience: Duration) -> Result<(), Unfinished>;
}

/// Whether a sink takes events now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Events are taken.
    Up,
    /// Events wait and are tried again.
    Failing {
        /// Since when.
        since: Timestamp,
        /// The last attempt's error, without secrets.
        reason: Arc<str>,
    },
}

/// A sink was closed before all events were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sink stopped with {events} events not taken")]
pub struct Unfinished {
    /// Events that were handed over and never reported accepted.
    pub events: u64,
}
