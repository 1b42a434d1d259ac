//! How far a client's publishes at QoS 0 may be ahead of the sinks.
//!
//! Nobody waits for them, so that nothing bounds what one client has in a sink's queue, but the
//! queue; and what others publish waits behind it. So a connection that is far ahead reads on when the
//! sinks have taken what it published before. It does not wait for sinks that stand still: their
//! queues fill, and then QoS 0 is dropped.

use landfall_events::sink::Sequence;
use landfall_protocol::session::Time;

use super::Stream;
use super::live::Live;

/// So many bytes of events may follow the mark; at most twice as many are with the sinks.
const MOST: usize = 128 << 10;
/// What an event takes beside the bytes of its packet: its attributes, about.
const ATTRIBUTES: usize = 256;
/// Sinks that have taken nothing up to the mark for so many milliseconds stand still.
const PATIENCE: Time = 100;

/// What was published at QoS 0.
#[derive(Default)]
pub(super) struct Pace {
    /// The last publish that the sinks must have taken when the bytes are used up.
    mark: Sequence,
    /// Bytes of events since then.
    bytes: usize,
}

impl Pace {
    /// An event was taken whose packet has this size.
    pub(super) fn count(&mut self, size: usize) {
        self.bytes += size + ATTRIBUTES;
    }
}

impl<S: Stream> Live<S> {
    /// Whether the next publish at QoS 0 has to wait for the sinks; `room`: they have room. If they have
    /// caught up, the mark moves on.
    pub(super) fn holds_back(&mut self, room: bool, now: Time) -> bool {
        if self.pace.bytes < MOST {
            return false;
        }
        let since = self.troubles.ahead_since;
        let stands_still = since.is_some_and(|since| now >= since + PATIENCE);
        if room && !stands_still && self.uplink.accepted(&self.link) < self.pace.mark {
            self.troubles
                .note(|trouble| _ = trouble.ahead_since.get_or_insert(now));
            return true;
        }
        self.troubles.note(|trouble| trouble.ahead_since = None);
        self.pace = Pace {
            mark: self.uplink.handed(),
            bytes: 0,
        };
        false
    }

    /// Waits for sinks that ring when they take events, or for the end of the patience with them.
    /// False: the client is not ahead of them.
    pub(super) fn wait_for_sinks(&mut self, now: Time) -> bool {
        let Some(since) = self.troubles.ahead_since else {
            return false;
        };
        self.session.set_reading(now, false);
        let until = since + PATIENCE;
        if self.alarm <= now || self.alarm > until {
            self.alarm = self.shared.alarms.set(&self.link, until);
        }
        true
    }
}
