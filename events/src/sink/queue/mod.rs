//! The bounded queue between connections and a sink's own thread.
//!
//! Batches are gathered into one growing group per application while the thread is busy, so that
//! the thread finds each application's events in one piece: nothing is copied again. The bound is
//! soft: [`Queue::push`] always takes, and connections ask for room before they read.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{Completion, Handover, OpenBatch, Sequence, Stats, Unfinished};

mod consumer;
mod intake;
#[cfg(test)]
mod tests;

pub(crate) use consumer::Consumer;
pub(crate) use intake::{Demand, Intake, Parcel};

/// Room that is reckoned for each waiting connection that is woken.
const WAKE_SHARE: usize = super::BATCH_BYTES;
/// What a batch costs beside its bytes: its receipt.
const RECEIPT_COST: usize = 64;
const LONG: Duration = Duration::from_secs(86_400 * 365);

/// Events of one application in the order in which they came, and whom to tell.
pub(crate) struct Group {
    pub(crate) application: Arc<str>,
    pub(crate) data: Vec<u8>,
    pub(crate) events: u32,
    pub(crate) receipts: Vec<Receipt>,
    /// Where each event ends, and its number; only in queues that keep events apart.
    marks: Vec<Mark>,
}

/// One event of a group.
struct Mark {
    end: usize,
    sequence: Sequence,
    /// Index of its receipt.
    receipt: usize,
}

/// Whom to tell that a connection's events up to a number are accepted.
pub(crate) struct Receipt {
    completion: Arc<dyn Completion>,
    slot: usize,
    up_to: Sequence,
}

impl Group {
    fn cost(&self) -> usize {
        self.data.len() + self.receipts.len() * RECEIPT_COST
    }
}

/// See the module. One thread takes from it: its [`Consumer`].
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Wakes the consumer.
    work: Condvar,
    /// The same for an [`Intake`].
    news: Notify,
    /// Wakes whoever waits for the consumer to end.
    ended: Condvar,
    /// `State::cost`, for the quick look of `has_room`.
    cost: AtomicUsize,
    /// Cost at which there is no more room.
    bound: usize,
    /// A group takes no further batch beyond this many bytes.
    group_bytes: usize,
    /// Whether each event has an outcome of its own: see [`Intake`].
    apart: bool,
}

struct State {
    groups: VecDeque<Group>,
    /// Number of the first group of `groups`; groups are numbered as they are made.
    first: u64,
    /// The group that takes an application's next batch.
    open: HashMap<Arc<str>, u64>,
    /// Connections waiting for room, in the order in which they asked.
    waiting: VecDeque<Waiter>,
    /// What is in `groups` or with the consumer.
    cost: usize,
    events: u64,
    bytes: u64,
    /// The consumer waits for work, or for the queue to close.
    idle: bool,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Takes no more, and drains until the instant.
    Closing(Instant),
    /// The consumer is gone.
    Ended,
}

struct Waiter {
    completion: Arc<dyn Completion>,
    slot: usize,
}

impl Queue {
    pub(crate) fn new(bound: usize, group_bytes: usize) -> Self {
        Self::build(bound, group_bytes, false)
    }

    /// A queue whose events have outcomes of their own; an [`Intake`] takes from it.
    pub(crate) fn keeping_events_apart(bound: usize, group_bytes: usize) -> Self {
        Self::build(bound, group_bytes, true)
    }

    fn build(bound: usize, group_bytes: usize, apart: bool) -> Self {
        Self {
            state: Mutex::new(State {
                groups: VecDeque::new(),
                first: 0,
                open: HashMap::new(),
                waiting: VecDeque::new(),
                cost: 0,
                events: 0,
                bytes: 0,
                idle: false,
                phase: Phase::Open,
            }),
            work: Condvar::new(),
            news: Notify::new(),
            ended: Condvar::new(),
            cost: AtomicUsize::new(0),
            bound,
            group_bytes,
            apart,
        }
    }

    /// Takes a batch and empties it.
    pub(crate) fn push(&self, handover: Handover<'_>) {
        let Handover {
            application,
            batch,
            completion,
            slot,
        } = handover;
        if !batch.is_empty() {
            let mut state = self.lock();
            if state.phase == Phase::Open {
                let limits = (self.group_bytes, self.apart);
                state.gather(application, batch, completion, slot, limits);
                self.cost.store(state.cost, Ordering::Release);
                if state.idle {
                    self.ring();
                }
            }
        }
        batch.clear();
    }

    pub(crate) fn has_room(&self) -> bool {
        self.cost.load(Ordering::Acquire) < self.bound
    }

    /// See [`super::Sink::notify_room`].
    pub(crate) fn notify_room(&self, slot: usize, completion: &Arc<dyn Completion>) {
        {
            let mut state = self.lock();
            if state.phase != Phase::Open {
                return;
            }
            if state.cost >= self.bound || !state.waiting.is_empty() {
                let completion = Arc::clone(completion);
                state.waiting.push_back(Waiter { completion, slot });
                // The consumer sees to those who wait while nothing is queued.
                if state.idle {
                    self.ring();
                }
                return;
            }
        }
        completion.room(slot);
    }

    /// The sink's counters with the queue's own figures.
    pub(crate) fn add_depth(&self, stats: Stats) -> Stats {
        let state = self.lock();
        Stats {
            queued: state.events,
            queued_bytes: state.bytes,
            waiting: state.waiting.len() as u64,
            ..stats
        }
    }

    /// Closes the queue and waits for the consumer to drain it.
    pub(crate) fn close(&self, patience: Duration) -> Result<(), Unfinished> {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            let now = Instant::now();
            // A patience without end is one that no one outlives.
            let deadline = now.checked_add(patience).unwrap_or(now + LONG);
            state.phase = Phase::Closing(deadline);
            self.ring();
        }
        while state.phase != Phase::Ended {
            state = wait(&self.ended, state);
        }
        match state.events {
            0 => Ok(()),
            events => Err(Unfinished { events }),
        }
    }

    /// Wakes as many waiting connections as there is room for, in their turn.
    fn wake<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let room = self.bound.saturating_sub(state.cost);
        if room == 0 || state.waiting.is_empty() {
            return state;
        }
        let count = (room / WAKE_SHARE).max(1).min(state.waiting.len());
        let woken: Vec<Waiter> = state.waiting.drain(..count).collect();
        // They may call back.
        drop(state);
        for waiter in woken {
            waiter.completion.room(waiter.slot);
        }
        self.lock()
    }

    /// Makes the room that finished events took.
    fn release(&self, cost: usize, events: u64, bytes: u64) {
        let mut state = self.lock();
        state.cost = state.cost.saturating_sub(cost);
        state.events = state.events.saturating_sub(events);
        state.bytes = state.bytes.saturating_sub(bytes);
        self.cost.store(state.cost, Ordering::Release);
        drop(self.wake(state));
    }

    /// Nobody takes from the queue any more.
    fn end(&self) {
        let mut state = self.lock();
        state.phase = Phase::Ended;
        // There is nothing left to wait for, and never room again.
        state.waiting.clear();
        state.open.clear();
        state.groups.clear();
        self.cost.store(usize::MAX, Ordering::Release);
        self.ended.notify_all();
    }

    /// Calls the one who takes from the queue.
    fn ring(&self) {
        if self.apart {
            self.news.notify_one();
        } else {
            self.work.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Appends the batch to the application's group, and opens another one when that is full.
    fn gather(
        &mut self,
        application: &Arc<str>,
        batch: &OpenBatch,
        completion: &Arc<dyn Completion>,
        slot: usize,
        (group_bytes, apart): (usize, bool),
    ) {
        let mut entries = batch.entries();
        let mut start = 0;
        while let [first, ..] = entries {
            let open = self
                .open
                .get(application)
                .and_then(|number| usize::try_from(number - self.first).ok())
                .and_then(|index| self.groups.get_mut(index));
            let Some(group) = open.filter(|group| {
                group.data.len() + (first.end - start) <= group_bytes || group.events == 0
            }) else {
                self.open_group(application);
                continue;
            };
            let space = group_bytes.saturating_sub(group.data.len());
            let fitting = entries
                .partition_point(|entry| entry.end - start <= space)
                .max(1);
            let Some((taken, rest)) = entries.split_at_checked(fitting) else {
                return;
            };
            let Some(last) = taken.last() else { return };
            let data = batch.data().get(start..last.end).unwrap_or_default();
            if apart {
                let (before, receipt) = (group.data.len(), group.receipts.len());
                group.marks.extend(taken.iter().map(|entry| Mark {
                    end: before + entry.end - start,
                    sequence: entry.sequence,
                    receipt,
                }));
            }
            group.data.extend_from_slice(data);
            group.events += u32::try_from(taken.len()).unwrap_or(u32::MAX);
            group.receipts.push(Receipt {
                completion: Arc::clone(completion),
                slot,
                up_to: last.sequence,
            });
            self.cost += data.len() + RECEIPT_COST;
            self.events += taken.len() as u64;
            self.bytes += data.len() as u64;
            (entries, start) = (rest, last.end);
        }
    }

    fn open_group(&mut self, application: &Arc<str>) {
        let number = self.first + self.groups.len() as u64;
        self.open.insert(Arc::clone(application), number);
        self.groups.push_back(Group {
            application: Arc::clone(application),
            data: Vec::new(),
            events: 0,
            receipts: Vec::new(),
            marks: Vec::new(),
        });
    }

    /// Moves the oldest groups out.
    fn take(&mut self, max_bytes: usize, groups: &mut Vec<Group>) -> bool {
        let mut bytes = 0;
        while let Some(group) = self
            .groups
            .pop_front_if(|group| bytes == 0 || bytes + group.data.len() <= max_bytes)
        {
            bytes += group.data.len();
            if self.open.get(&group.application) == Some(&self.first) {
                self.open.remove(&group.application);
            }
            self.first += 1;
            groups.push(group);
        }
        !groups.is_empty()
    }
}

fn wait<'a>(condition: &Condvar, guard: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    condition
        .wait(guard)
        .unwrap_or_else(PoisonError::into_inner)
}

fn wait_for<'a>(
    condition: &Condvar,
    guard: MutexGuard<'a, State>,
    time: Duration,
) -> MutexGuard<'a, State> {
    let waited = condition.wait_timeout(guard, time);
    waited.unwrap_or_else(PoisonError::into_inner).0
}
