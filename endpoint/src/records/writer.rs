//! The thread that writes records: one transaction for all that wait, and for those that come within
//! a moment.

use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::database::Database;
use super::{Epoch, RecordError, SessionRecord};
use crate::log::Trouble;

/// Most records that one transaction writes, and most that it removes: it bounds how long the first of
/// them waits.
const MOST: usize = 4_096;
/// Between the beginnings of two transactions, at least. Each costs a fraction of a millisecond of CPU
/// whatever is in it: while connects storm, they share.
const PACE: Duration = Duration::from_millis(2);
/// A transaction that is due waits so much longer after each look that found new orders.
const STEP: Duration = Duration::from_millis(1);
/// With so many orders it waits no longer. A connect that ends at once gives two.
const ENOUGH: usize = 64;
/// Nor does it wait longer than this after the last one began.
const LONGEST_PACE: Duration = Duration::from_millis(10);
/// After a failure, what is to be forgotten is tried again this much later.
const RETRY: Duration = Duration::from_secs(1);

/// Who is told that a record is on disk, or why not.
type Told = oneshot::Sender<Result<(), RecordError>>;

pub(super) enum Order {
    /// Write this, and say so.
    Enter(Box<SessionRecord>, Told),
    /// Remove this.
    Forget(Epoch),
    /// Write what was ordered before, and end.
    Close,
}

/// What one transaction takes.
#[derive(Default)]
struct Group {
    enter: Vec<(Box<SessionRecord>, Told)>,
    forget: Vec<Epoch>,
    closing: bool,
}

/// Runs until it is told to end, or nobody is left to tell it.
pub(super) fn run(mut database: Database, orders: &Receiver<Order>) {
    let mut group = Group::default();
    let mut pace = Pace::at_once(Instant::now());
    let mut trouble = Trouble::default();
    loop {
        group.collect(orders, &pace);
        pace = Pace::after(Instant::now());
        let failed = match database.commit(group.records(), group.forgets()) {
            Ok(()) => {
                if trouble.is_over() {
                    tracing::info!("session records are written again");
                }
                group.committed();
                false
            }
            Err(error) => {
                if trouble.is_news(&error) {
                    tracing::error!(%error, "session records cannot be written");
                }
                group.failed(&error);
                if let Err(error) = database.reconnect() {
                    tracing::debug!(%error, "session records cannot be opened again");
                }
                true
            }
        };
        if group.closing && (failed || group.forget.is_empty()) {
            return;
        }
        if failed {
            pace.forgets += RETRY;
        }
    }
}

/// When a transaction may begin.
struct Pace {
    /// If no more orders come.
    earliest: Instant,
    /// In any case.
    latest: Instant,
    /// The earliest, if there is nothing to enter.
    forgets: Instant,
}

impl Pace {
    /// The first of all: nothing waits.
    fn at_once(now: Instant) -> Self {
        Self {
            earliest: now,
            latest: now,
            forgets: now,
        }
    }

    /// After one that began.
    fn after(begun: Instant) -> Self {
        Self {
            earliest: begun + PACE,
            latest: begun + LONGEST_PACE,
            forgets: begun + PACE,
        }
    }

    /// How much longer a group waits, for which more orders have come since it was last looked at, or
    /// none.
    fn wait(&self, now: Instant, group: &Group, more_come: bool) -> Duration {
        let due = match more_come && group.size() < ENOUGH {
            true => self.latest.min(self.earliest.max(now + STEP)),
            false => self.earliest,
        };
        match group.enter.is_empty() {
            // A record to enter changes that: it is looked for.
            true => due.max(self.forgets).min(now + PACE),
            false => due,
        }
        .saturating_duration_since(now)
    }
}

impl Group {
    fn records(&self) -> impl Iterator<Item = &SessionRecord> {
        self.enter.iter().map(|(record, _)| &**record)
    }

    /// What this transaction removes: after a failure more may wait.
    fn forgets(&self) -> &[Epoch] {
        self.forget.get(..MOST).unwrap_or(&self.forget)
    }

    /// Waits for an order, and takes all that come until a transaction is due.
    fn collect(&mut self, orders: &Receiver<Order>, pace: &Pace) {
        if self.size() == 0 && !self.closing {
            match orders.recv() {
                Ok(order) => self.add(order),
                Err(_) => self.closing = true,
            }
        }
        let mut known = 0;
        loop {
            while self.enter.len() < MOST
                && let Ok(order) = orders.try_recv()
            {
                self.add(order);
            }
            let more_come = std::mem::replace(&mut known, self.size()) < self.size();
            let wait = pace.wait(Instant::now(), self, more_come);
            if wait.is_zero() || self.closing || self.enter.len() >= MOST {
                return;
            }
            // Asleep rather than at the channel, where every order would wake this thread.
            thread::park_timeout(wait);
        }
    }

    fn size(&self) -> usize {
        self.enter.len() + self.forget.len()
    }

    fn add(&mut self, order: Order) {
        match order {
            Order::Enter(record, told) => self.enter.push((record, told)),
            Order::Forget(epoch) => self.forget.push(epoch),
            Order::Close => self.closing = true,
        }
    }

    fn committed(&mut self) {
        let forgotten = self.forgets().len();
        self.forget.drain(..forgotten);
        for (record, told) in self.enter.drain(..) {
            if told.send(Ok(())).is_err() {
                // Whoever asked is gone: there will be no such session.
                self.forget.push(record.epoch);
            }
        }
    }

    /// Those that wait are told; what is to be forgotten is kept for the next transaction.
    fn failed(&mut self, error: &rusqlite::Error) {
        for (_, told) in self.enter.drain(..) {
            let _ = told.send(Err(RecordError(error.to_string())));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const FAR: Duration = Duration::from_secs(60);

    /// What is to be entered is due after `enter`, what is only to be forgotten after `forget`.
    fn pace(enter: Duration, forget: Duration) -> Pace {
        let now = Instant::now();
        Pace {
            earliest: now + enter,
            latest: now + enter,
            forgets: now + forget,
        }
    }

    fn enter() -> Order {
        let record = SessionRecord {
            epoch: 1,
            application: "app".into(),
            device: "d".into(),
            device_uid: "uid".into(),
            client_id: "d".into(),
            will: None,
        };
        Order::Enter(Box::new(record), oneshot::channel().0)
    }

    /// What a group takes of `first` and of what comes while it waits.
    fn collected(first: Vec<Order>, then: Vec<Order>, pace: &Pace) -> (usize, usize) {
        let (sender, orders) = mpsc::channel();
        for order in first {
            sender.send(order).unwrap();
        }
        let mut group = Group::default();
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::park_timeout(Duration::from_millis(20));
                for order in then {
                    // Its reader may have gone on.
                    let _ = sender.send(order);
                }
                thread::park_timeout(Duration::from_millis(20));
            });
            group.collect(&orders, pace);
        });
        (group.enter.len(), group.forget.len())
    }

    #[test]
    fn the_first_record_after_a_quiet_while_waits_for_no_other() {
        let pace = Pace::at_once(Instant::now());
        let collected = collected(vec![enter()], Vec::new(), &pace);
        assert_eq!(collected, (1, 0));
    }

    #[test]
    fn records_that_come_within_the_pace_share_a_transaction() {
        let pace = pace(Duration::from_millis(500), FAR);
        let then = vec![enter(), Order::Forget(7)];
        assert_eq!(collected(vec![enter()], then, &pace), (2, 1));
    }

    #[test]
    fn a_transaction_waits_while_orders_come_but_not_for_long_and_not_once_there_are_enough() {
        let group_of = |size: usize| {
            let mut group = Group::default();
            (0..size).for_each(|_| group.add(enter()));
            group
        };
        let (few, enough) = (group_of(1), group_of(ENOUGH));
        let begun = Instant::now();
        let pace = Pace::after(begun);
        let (soon, later) = (begun + PACE / 2, begun + 2 * PACE);
        assert_eq!(pace.wait(soon, &few, false), PACE / 2, "none come");
        assert_eq!(pace.wait(later, &few, false), Duration::ZERO);
        assert_eq!(pace.wait(later, &few, true), STEP, "some come");
        assert_eq!(pace.wait(later, &enough, true), Duration::ZERO, "enough");
        let last = begun + LONGEST_PACE;
        assert_eq!(pace.wait(last - STEP / 2, &few, true), STEP / 2);
        assert_eq!(pace.wait(last, &few, true), Duration::ZERO, "long enough");
    }

    #[test]
    fn what_is_to_be_forgotten_waits_for_a_record_and_then_no_longer() {
        let first = vec![Order::Forget(1), Order::Forget(2)];
        let pace = pace(Duration::ZERO, FAR);
        assert_eq!(collected(first, vec![enter()], &pace), (1, 2));
    }

    #[test]
    fn however_many_are_to_be_forgotten_records_are_taken_and_the_end_is_heard() {
        let mut group = Group {
            forget: vec![1; 2 * MOST + 1],
            ..Group::default()
        };
        let (sender, orders) = mpsc::channel();
        sender.send(enter()).unwrap();
        group.collect(&orders, &pace(Duration::ZERO, FAR));
        assert_eq!(group.enter.len(), 1);
        let mut left = Vec::new();
        for _ in 0..3 {
            group.committed();
            left.push(group.forget.len());
        }
        // The record's own is among them: nobody waited for it.
        assert_eq!(left, [MOST + 2, 2, 0]);
        group.forget = vec![1; 2 * MOST];
        sender.send(Order::Close).unwrap();
        group.collect(&orders, &pace(FAR, FAR));
        assert!(group.closing);
    }

    #[test]
    fn nothing_waits_when_the_file_is_to_be_closed() {
        let first = vec![Order::Forget(1), Order::Close];
        assert_eq!(collected(first, Vec::new(), &pace(FAR, FAR)), (0, 1));
    }
}
