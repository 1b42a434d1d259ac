//! MQTT clients as a load tool needs them: many connections, one thread, no runtime.
//!
//! A thread owns its sockets and an epoll instance (through mio). At 0.14 µs per message with all
//! scanning and recording it costs no more than a tokio current-thread loop that does neither, and
//! it can poll without waiting, which a fixed rate needs; docs/benchmarks.md has the figures.

mod connection;
mod open;
mod way;
mod websocket;
mod window;
mod wire;

pub(crate) use connection::Connection;
pub(crate) use open::{Target, numbered, open, short};
pub(crate) use way::{Over, Way};
pub(crate) use window::{Settled, Window};

use std::time::{Duration, Instant};

use crate::error::{Error, Result, ServerFault};
use crate::mqtt::Reply;

/// How long a server may stay silent while it owes an answer before the run is given up.
pub(crate) const STALL: Duration = Duration::from_secs(10);

/// Bytes read from a socket at once; one buffer serves all connections of a thread.
pub(crate) const READ_BUFFER: usize = 64 * 1024;

/// Gives a run up when its server has made no progress for [`STALL`].
pub(crate) struct Watchdog(Instant);

impl Watchdog {
    pub(crate) fn new(now: Instant) -> Self {
        Self(now)
    }

    pub(crate) fn progress(&mut self, now: Instant) {
        self.0 = now;
    }

    pub(crate) fn check(&self, now: Instant) -> Result<()> {
        if now.saturating_duration_since(self.0) > STALL {
            return Err(ServerFault::Stalled(STALL).into());
        }
        Ok(())
    }
}

/// The fault that a reply is where it has no place.
pub(crate) fn misplaced(reply: Reply) -> Error {
    let fault = match reply {
        Reply::Goodbye { reason } => ServerFault::SaidGoodbye { reason },
        Reply::ConnAck { .. } => ServerFault::Misplaced("CONNACK"),
        Reply::Ack { .. } => ServerFault::Misplaced("an acknowledgement"),
        Reply::SubAck { .. } => ServerFault::Misplaced("SUBACK"),
        Reply::Message { .. } => ServerFault::Misplaced("PUBLISH"),
        Reply::Pong => ServerFault::Misplaced("PINGRESP"),
    };
    fault.into()
}
