//! The thread that writes records: one transaction for all that wait.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::database::Database;
use super::{Epoch, RecordError, SessionRecord};

/// Most records of one transaction: it bounds how long the first of them waits.
const MOST: usize = 4_096;
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
    loop {
        group.collect(orders);
        let failed = match database.commit(group.records(), &group.forget) {
            Ok(()) => {
                group.committed();
                false
            }
            Err(error) => {
                tracing::error!(%error, "session records cannot be written");
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
    }
}

impl Group {
    fn records(&self) -> impl Iterator<Item = &SessionRecord> {
        self.enter.iter().map(|(record, _)| &**record)
    }

    /// Waits for an order and takes all that have come by then.
    fn collect(&mut self, orders: &Receiver<Order>) {
        if !self.closing {
            match self.forget.is_empty() {
                true => match orders.recv() {
                    Ok(order) => self.add(order),
                    Err(_) => self.closing = true,
                },
                // Left from before.
                false => match orders.recv_timeout(RETRY) {
                    Ok(order) => self.add(order),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => self.closing = true,
                },
            }
        }
        while self.enter.len() + self.forget.len() < MOST
            && let Ok(order) = orders.try_recv()
        {
            self.add(order);
        }
    }

    fn add(&mut self, order: Order) {
        match order {
            Order::Enter(record, told) => self.enter.push((record, told)),
            Order::Forget(epoch) => self.forget.push(epoch),
            Order::Close => self.closing = true,
        }
    }

    fn committed(&mut self) {
        self.forget.clear();
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
