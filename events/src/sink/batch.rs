//! What a connection collects for one sink before it hands it over.

use std::fmt;
use std::sync::Arc;

use super::{Completion, Sequence};

/// A batch of this many bytes is to be handed over before more is read: see
/// [`OpenBatch::is_full`].
pub const BATCH_BYTES: usize = 64 << 10;

/// An emptied batch gives memory beyond this back: one large event must not hold it for ever.
const KEPT_BYTES: usize = 4 * BATCH_BYTES;
const KEPT_ENTRIES: usize = 4096;

/// One event of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where the event's bytes end; they start where the previous event's end.
    pub end: usize,
    /// The connection's number for it.
    pub sequence: Sequence,
}

/// Encoded events of one connection for one sink. Kept by the caller, usually one per thread and
/// sink, and used again after each hand-over.
#[derive(Default)]
pub struct OpenBatch {
    data: Vec<u8>,
    entries: Vec<Entry>,
}

impl OpenBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the event that `write` appends. It must not touch what the vector already holds.
    pub fn push(&mut self, sequence: Sequence, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.data);
        let end = self.data.len();
        self.entries.push(Entry { end, sequence });
    }

    /// Whether there is no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether it is time to hand over and to ask for room again, even in the middle of a read.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.data.len() >= BATCH_BYTES
    }

    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Number of bytes of the encoded events.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// The encoded events, one after the other.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Where each event ends, and its number.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Number of the last event.
    #[must_use]
    pub fn last_sequence(&self) -> Option<Sequence> {
        self.entries.last().map(|entry| entry.sequence)
    }

    /// Empties the batch and keeps its memory, unless that is out of proportion.
    pub fn clear(&mut self) {
        self.data.clear();
        self.data.shrink_to(KEPT_BYTES);
        self.entries.clear();
        self.entries.shrink_to(KEPT_ENTRIES);
    }
}

/// Shows sizes only: what devices send is not for logs.
impl fmt::Debug for OpenBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenBatch")
            .field("events", &self.len())
            .field("bytes", &self.bytes())
            .finish()
    }
}

/// A batch on its way from a connection to a sink.
pub struct Handover<'a> {
    /// The application all its events belong to.
    pub application: &'a Arc<str>,
    /// The events, encoded by the same sink. Left empty.
    pub batch: &'a mut OpenBatch,
    /// Where to report.
    pub completion: &'a Arc<dyn Completion>,
    /// The sink's slot at that connection, for the reports.
    pub slot: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cleared_batch_gives_back_what_a_large_event_took() {
        let mut batch = OpenBatch::new();
        batch.push(1, |out| out.resize(8 << 20, b'x'));
        assert!(batch.is_full());
        assert_eq!(batch.last_sequence(), Some(1));
        batch.clear();
        assert!(batch.is_empty());
        assert_eq!(batch.bytes(), 0);
        assert!(batch.data.capacity() <= KEPT_BYTES);
    }

    #[test]
    fn debug_output_shows_no_payload() {
        let mut batch = OpenBatch::new();
        batch.push(1, |out| out.extend_from_slice(b"secret"));
        assert_eq!(format!("{batch:?}"), "OpenBatch { events: 1, bytes: 6 }");
    }
}
