//! The sink that takes everything and keeps nothing.
//!
//! For measurements: it does all the work up to the encoded event. Accepted means encoded; nothing
//! survives.

use std::sync::Arc;
use std::time::Duration;

use super::stats::Counters;
use super::{Completion, Handover, Health, OpenBatch, Sequence, Sink, Stats, Unfinished};
use crate::encode::write_structured_json;
use crate::event::Draft;

/// Encodes events, accepts them at once, and forgets them.
#[derive(Debug)]
pub struct Blackhole {
    name: Box<str>,
    counters: Counters,
}

impl Blackhole {
    /// A sink of the given name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            counters: Counters::default(),
        }
    }
}

impl Sink for Blackhole {
    fn name(&self) -> &str {
        &self.name
    }

    fn encode(&self, draft: &Draft<'_>, sequence: Sequence, batch: &mut OpenBatch) {
        batch.push(sequence, |out| write_structured_json(draft, out));
    }

    fn hand_over(&self, handover: Handover<'_>) {
        let Handover {
            batch,
            completion,
            slot,
            ..
        } = handover;
        let Some(last) = batch.last_sequence() else {
            return;
        };
        self.counters
            .accepted(batch.len() as u64, batch.bytes() as u64);
        batch.clear();
        completion.accepted(slot, last);
    }

    fn has_room(&self, _application: &str) -> bool {
        true
    }

    fn notify_room(&self, _application: &str, slot: usize, completion: &Arc<dyn Completion>) {
        completion.room(slot);
    }

    fn health(&self) -> Health {
        Health::Up
    }

    fn stats(&self) -> Stats {
        self.counters.read()
    }

    fn close(&self, _patience: Duration) -> Result<(), Unfinished> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::testing::Connection;

    #[test]
    fn accepts_at_once_and_counts() {
        let sink = Blackhole::new("void");
        assert_eq!(sink.name(), "void");
        let mut connection = Connection::new("app", "device");
        connection.hand_over(&sink);
        assert_eq!(connection.recorder.told().accepted, []);
        for _ in 0..3 {
            connection.encode(&sink, "temp", b"1");
        }
        connection.hand_over(&sink);
        assert_eq!(connection.recorder.told().accepted, [(0, 3)]);
        connection.ask_for_room(&sink);
        assert_eq!(connection.recorder.told().rooms, [0]);
        let stats = sink.stats();
        assert_eq!((stats.accepted, stats.queued), (3, 0));
        assert!(stats.accepted_bytes > 3 * 300);
        assert!(sink.has_room("app"));
        assert_eq!(sink.health(), Health::Up);
        assert_eq!(sink.close(Duration::ZERO), Ok(()));
    }
}
