//! Buffers that a connection borrows from its thread only while it has bytes at hand, so that an
//! idle connection owns none.

use std::cell::Cell;

use landfall_events::event::IdSource;
use landfall_events::sink::OpenBatch;

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// An output buffer that grew beyond this is not kept.
const KEPT_OUTPUT: usize = 64 * 1024;

/// One thread's buffers.
pub(super) struct Scratch {
    /// What was just read.
    pub(super) read: Vec<u8>,
    /// Output of the session while the turn lasts.
    pub(super) output: Vec<u8>,
    /// Open batches, by the sink's place in the configuration.
    pub(super) batches: Vec<OpenBatch>,
    /// Event ids.
    pub(super) ids: IdSource,
}

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

impl Scratch {
    /// The thread's buffers; new ones if they are in use.
    pub(super) fn take(sinks: usize) -> Box<Self> {
        let mut scratch = SCRATCH.take().unwrap_or_else(|| {
            Box::new(Self {
                read: vec![0; READ_BYTES],
                output: Vec::with_capacity(READ_BYTES / 4),
                batches: Vec::new(),
                ids: IdSource::new(),
            })
        });
        scratch.batches.resize_with(sinks, OpenBatch::new);
        scratch
    }

    /// Gives the buffers back to the thread.
    pub(super) fn give_back(mut self: Box<Self>) {
        if self.output.capacity() > KEPT_OUTPUT {
            self.output = Vec::new();
        }
        SCRATCH.set(Some(self));
    }
}
