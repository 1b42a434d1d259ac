//! What the floor server has taken since its start.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// Counters of all connections together.
#[derive(Default)]
pub(super) struct Counters {
    connects: AtomicU64,
    qos0: AtomicU64,
    qos1: AtomicU64,
    qos2: AtomicU64,
    subscribes: AtomicU64,
    pings: AtomicU64,
}

/// Packets counted, by kind. Also the counts of one read, before they are added to all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub connects: u64,
    pub qos0: u64,
    pub qos1: u64,
    /// Counted at PUBREL, when the message is the server's.
    pub qos2: u64,
    pub subscribes: u64,
    pub pings: u64,
}

impl Counters {
    /// Adds what one read brought: one atomic addition per kind and read, not per message.
    pub(super) fn add(&self, counts: &Counts) {
        let Counts {
            connects,
            qos0,
            qos1,
            qos2,
            subscribes,
            pings,
        } = *counts;
        for (counter, count) in [
            (&self.connects, connects),
            (&self.qos0, qos0),
            (&self.qos1, qos1),
            (&self.qos2, qos2),
            (&self.subscribes, subscribes),
            (&self.pings, pings),
        ] {
            if count > 0 {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            connects: read(&self.connects),
            qos0: read(&self.qos0),
            qos1: read(&self.qos1),
            qos2: read(&self.qos2),
            subscribes: read(&self.subscribes),
            pings: read(&self.pings),
        }
    }
}
