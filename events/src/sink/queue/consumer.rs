//! The queue's other end, for the sink's own thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Group, Phase, Queue, Receipt, wait, wait_for};

/// While connections wait for room and the queue is empty, the next of them are woken this often.
const WAKE_INTERVAL: Duration = Duration::from_millis(2);

/// Takes groups out of the queue. The queue ends when it is dropped, however that comes about.
pub(crate) struct Consumer<'a>(&'a Queue);

impl<'a> Consumer<'a> {
    /// The one consumer of a queue.
    pub(crate) fn of(queue: &'a Queue) -> Self {
        Self(queue)
    }

    /// Waits for groups and moves them to `groups`, the oldest first, up to `max_bytes` but at
    /// least one. False when the queue is closed, and drained or out of patience.
    pub(crate) fn take(&self, max_bytes: usize, groups: &mut Vec<Group>) -> bool {
        let queue = self.0;
        let mut state = queue.lock();
        loop {
            if matches!(state.phase, Phase::Closing(deadline) if Instant::now() >= deadline) {
                return false;
            }
            if state.take(max_bytes, groups) {
                return true;
            }
            if state.phase != Phase::Open {
                return false;
            }
            if state.waiting.is_empty() {
                state.idle = true;
                state = wait(&queue.work, state);
            } else {
                // Nothing is under way whose acceptance would wake them.
                state = queue.wake(state);
                if state.groups.is_empty() && state.phase == Phase::Open {
                    state.idle = true;
                    state = wait_for(&queue.work, state, WAKE_INTERVAL);
                }
            }
            state.idle = false;
        }
    }

    /// Waits before another try. False when the queue is closed and out of patience.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let queue = self.0;
        let mut state = queue.lock();
        let until = Instant::now() + time;
        loop {
            let now = Instant::now();
            let until = match state.phase {
                Phase::Closing(deadline) if now >= deadline => return false,
                Phase::Closing(deadline) => until.min(deadline),
                Phase::Open | Phase::Ended => until,
            };
            if now >= until {
                return true;
            }
            state = wait_for(&queue.work, state, until - now);
        }
    }

    /// Tells the connections that these groups are accepted, each connection once, and makes room.
    pub(crate) fn accept(&self, groups: &mut Vec<Group>) {
        let cost: usize = groups.iter().map(Group::cost).sum();
        let events: u64 = groups.iter().map(|group| u64::from(group.events)).sum();
        let bytes: u64 = groups.iter().map(|group| group.data.len() as u64).sum();

        let mut receipts: Vec<Receipt> =
            groups.drain(..).flat_map(|group| group.receipts).collect();
        receipts.sort_unstable_by_key(|receipt| (receipt.whom(), receipt.up_to));
        let by_connection = receipts.chunk_by(|one, other| one.whom() == other.whom());
        for last in by_connection.filter_map(<[_]>::last) {
            last.completion.accepted(last.slot, last.up_to);
        }

        self.0.release(cost, events, bytes);
    }
}

impl Drop for Consumer<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Receipt {
    /// The connection and its slot, as something to sort and compare by.
    fn whom(&self) -> (usize, usize) {
        let address = Arc::as_ptr(&self.completion).cast::<()>() as usize;
        (address, self.slot)
    }
}
