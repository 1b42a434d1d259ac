//! How fast a client is read whose publishes come faster than they may.
//!
//! Nobody waits for publishes at QoS 0, so that nothing bounds what one client has in a sink's queue, but
//! the queue; and what others publish waits behind it. So a connection that is far ahead reads on when the
//! sinks have taken what it published before. It does not wait for sinks that stand still: their
//! queues fill, and then QoS 0 is dropped.
//!
//! And the operator may bound what a connection publishes in a second, of any QoS ([`Rates`]).

use landfall_events::sink::Sequence;
use landfall_protocol::session::Time;

use super::Stream;
use super::live::Live;
use super::rate::{Buckets, Rates};
use crate::telemetry::PublishesHeldBack;

/// So many bytes of events may follow the mark; at most twice as many are with the sinks.
const MOST: usize = 128 << 10;
/// What an event takes beside the bytes of its packet: its attributes, about.
const ATTRIBUTES: usize = 256;
/// Sinks that have taken nothing up to the mark for so many milliseconds stand still.
const PATIENCE: Time = 100;

/// What was published; without memory before that counts.
#[derive(Default)]
pub(super) struct Pace(Option<Box<Published>>);

#[derive(Default)]
struct Published {
    /// The last publish that the sinks must have taken when the bytes are used up.
    mark: Sequence,
    /// Bytes of events at QoS 0 since then.
    bytes: usize,
    buckets: Buckets,
    /// That it was too fast has been logged.
    told: bool,
}

impl Pace {
    fn published(&mut self) -> &mut Published {
        self.0.get_or_insert_default()
    }

    /// An event was taken at QoS 0 whose packet has this size.
    pub(super) fn count(&mut self, size: usize) {
        self.published().bytes += size + ATTRIBUTES;
    }

    /// A PUBLISH of this size came.
    pub(super) fn spend(&mut self, rates: &Rates, size: usize, now: Time) {
        if rates.bound() {
            self.published().buckets.take(rates, size, now);
        }
    }

    /// From when on the next may come.
    fn ready_at(&self) -> Time {
        self.0
            .as_ref()
            .map_or(0, |published| published.buckets.ready_at())
    }
}

impl<S: Stream> Live<S> {
    /// Whether the next PUBLISH comes before it may.
    pub(super) fn is_too_fast(&self, now: Time) -> bool {
        self.pace.ready_at() > now
    }

    /// Waits until the next PUBLISH may come. False: it may.
    pub(super) fn wait_for_allowance(&mut self, now: Time) -> bool {
        let until = self.pace.ready_at();
        if until <= now {
            return false;
        }
        self.session.set_reading(now, false);
        if self.wake_at(now, until) {
            let first = !std::mem::replace(&mut self.pace.published().told, true);
            let link = &self.link;
            PublishesHeldBack { link, first }.emit(&self.shared.telemetry);
        }
        true
    }

    /// Whether the next publish at QoS 0 has to wait for the sinks; `room`: they have room. If they have
    /// caught up, the mark moves on.
    pub(super) fn holds_back(&mut self, room: bool, now: Time) -> bool {
        let Some(published) = self
            .pace
            .0
            .as_deref_mut()
            .filter(|published| published.bytes >= MOST)
        else {
            return false;
        };
        let since = self.troubles.ahead_since;
        let stands_still = since.is_some_and(|since| now >= since + PATIENCE);
        if room && !stands_still && self.uplink.accepted(&self.link) < published.mark {
            self.troubles
                .note(|trouble| _ = trouble.ahead_since.get_or_insert(now));
            return true;
        }
        self.troubles.note(|trouble| trouble.ahead_since = None);
        published.mark = self.uplink.handed();
        published.bytes = 0;
        false
    }

    /// Waits for sinks that ring when they take events, or for the end of the patience with them.
    /// False: the client is not ahead of them.
    pub(super) fn wait_for_sinks(&mut self, now: Time) -> bool {
        let Some(since) = self.troubles.ahead_since else {
            return false;
        };
        self.session.set_reading(now, false);
        self.wake_at(now, since + PATIENCE);
        true
    }

    /// Has the connection woken then at the latest. False: it is already.
    fn wake_at(&mut self, now: Time, at: Time) -> bool {
        let sets = self.alarm <= now || self.alarm > at;
        if sets {
            self.alarm = self.shared.alarms.set(&self.link, at);
        }
        sets
    }
}
