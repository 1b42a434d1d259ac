//! The queue's other end for an asynchronous sink whose events have outcomes of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Phase, Queue, RECEIPT_COST};
use crate::sink::{Completion, Refusal, Sequence};

/// While connections wait for room and the queue is empty, the next of them are woken this often.
const WAKE_INTERVAL: Duration = Duration::from_millis(2);

/// One event on its way, and whom to tell what became of it.
pub(crate) struct Parcel {
    /// The event as the sink encoded it.
    pub(crate) event: Bytes,
    /// The connection's number for it.
    pub(crate) sequence: Sequence,
    pub(crate) completion: Arc<dyn Completion>,
    /// The sink's slot at that connection.
    pub(crate) slot: usize,
    /// What it takes of the queue's bound.
    cost: usize,
    /// It comes out of a spill: it has been accepted, and nobody waits for it.
    pub(crate) is_spilled: bool,
}

/// Whom to tell what became of a spilled event.
struct Nobody;

impl Completion for Nobody {
    fn accepted(&self, _slot: usize, _up_to: Sequence) {}

    fn refused(&self, _slot: usize, _sequence: Sequence, _refusal: Refusal) {}

    fn room(&self, _slot: usize) {}
}

impl Parcel {
    /// Events that come out of a spill.
    pub(crate) fn spilled(events: Vec<Bytes>) -> impl Iterator<Item = Self> {
        let nobody: Arc<dyn Completion> = Arc::new(Nobody);
        events.into_iter().map(move |event| Self {
            event,
            sequence: 0,
            completion: Arc::clone(&nobody),
            slot: 0,
            cost: 0,
            is_spilled: true,
        })
    }

    /// What it takes of the queue's bound.
    pub(crate) fn cost(&self) -> usize {
        self.cost
    }
}

/// Takes events out of the queue, and gives their room back one by one. The queue ends when it is
/// dropped, however that comes about.
pub(crate) struct Intake(Arc<Queue>);

/// What there is to do at the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Wait for [`Intake::news`], and at most this long if given.
    Wait(Option<Duration>),
    /// The queue is closed: finish what was taken, until this instant.
    Finish(Instant),
}

impl Intake {
    /// The one intake of a queue that keeps events apart.
    pub(crate) fn of(queue: Arc<Queue>) -> Self {
        Self(queue)
    }

    /// Takes all that is there, group by group in the order in which they were begun.
    pub(crate) fn take(&self, mut each: impl FnMut(&Arc<str>, Parcel)) -> Demand {
        let mut groups = Vec::new();
        let demand = {
            let queue = &*self.0;
            let mut state = queue.lock();
            state.take(usize::MAX, &mut groups);
            if groups.is_empty() && !state.waiting.is_empty() {
                // Perhaps nothing is under way whose end would wake them.
                state = queue.wake(state);
                state.take(usize::MAX, &mut groups);
            }
            state.idle = true;
            match state.phase {
                Phase::Closing(deadline) => Demand::Finish(deadline),
                Phase::Ended => Demand::Finish(Instant::now()),
                Phase::Open => Demand::Wait((!state.waiting.is_empty()).then_some(WAKE_INTERVAL)),
            }
        };
        for group in groups {
            let data = Bytes::from(group.data);
            let mut start = 0;
            let mut marks = group.marks.iter().peekable();
            while let Some(mark) = marks.next() {
                let Some(receipt) = group.receipts.get(mark.receipt) else {
                    continue;
                };
                let is_last = marks.peek().is_none_or(|next| next.receipt != mark.receipt);
                let parcel = Parcel {
                    event: data.slice(start..mark.end),
                    sequence: mark.sequence,
                    completion: Arc::clone(&receipt.completion),
                    slot: receipt.slot,
                    cost: mark.end - start + if is_last { RECEIPT_COST } else { 0 },
                    is_spilled: false,
                };
                start = mark.end;
                each(&group.application, parcel);
            }
        }
        demand
    }

    /// Returns when there may be something to take, or the queue was closed.
    pub(crate) async fn news(&self) {
        self.0.news.notified().await;
    }

    /// See [`crate::sink::Sink::notify_room`].
    pub(crate) fn notify_room(&self, slot: usize, completion: &Arc<dyn Completion>) {
        self.0.notify_room(slot, completion);
    }

    /// Makes the room that finished events took.
    pub(crate) fn release<'a>(&self, parcels: impl Iterator<Item = &'a Parcel>) {
        let (mut cost, mut events, mut bytes) = (0, 0, 0);
        for parcel in parcels.filter(|parcel| !parcel.is_spilled) {
            cost += parcel.cost;
            events += 1;
            bytes += parcel.event.len() as u64;
        }
        self.0.release(cost, events, bytes);
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.0.end();
    }
}
