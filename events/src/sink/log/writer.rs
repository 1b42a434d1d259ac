//! The thread that commits what is handed over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension as _, Statement, Transaction, TransactionBehavior};

use super::Shared;
use super::database::{from_sql, to_sql};
use super::pack::Packer;
use super::tail::{Tail, Tails};
use crate::event::Timestamp;
use crate::sink::queue::{Consumer, Group};

/// A transaction takes about this much: it bounds the time until the first event is accepted.
const COMMIT_BYTES: usize = 8 << 20;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Runs until the queue is closed.
pub(super) fn run(shared: &Shared, connection: Connection) {
    let _attendance = shared.health.attend();
    let consumer = Consumer::of(&shared.queue);
    let mut writer = Writer {
        shared,
        connection: Some(connection),
        heads: HashMap::new(),
        packer: Packer::new(),
    };
    let mut groups = Vec::new();
    while consumer.take(COMMIT_BYTES, &mut groups) && writer.store(&groups, &consumer) {
        consumer.accept(&mut groups);
    }
}

struct Writer<'a> {
    shared: &'a Shared,
    /// None after a failure: SQLite may want a fresh start, and the file may have come back.
    connection: Option<Connection>,
    /// Where each application's next row goes; those with a commit since the start.
    heads: HashMap<Arc<str>, Head>,
    packer: Packer,
}

/// Where an application's next row goes.
#[derive(Clone)]
struct Head {
    id: i64,
    /// Offset of the next event.
    next: u64,
    /// Stored bytes of all events so far.
    position: u64,
    tail: Tail,
}

impl Writer<'_> {
    /// Commits the groups, however often it has to try. False when it is to give up.
    fn store(&mut self, groups: &[Group], consumer: &Consumer<'_>) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            let started = Instant::now();
            match self.commit(groups) {
                Ok(stored) => {
                    self.committed(groups, stored, started.elapsed());
                    return true;
                }
                Err(error) => self.failed(&error),
            }
            if !consumer.pause(pause) {
                return false;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One transaction with one row per group. Changes nothing unless it succeeds. Returns the bytes
    /// stored.
    fn commit(&mut self, groups: &[Group]) -> rusqlite::Result<u64> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.shared.database.reconnect()?),
        };
        #[cfg(test)]
        self.shared.database.limit_pages(connection)?;

        self.shared.upkeep.hold();
        let turn = self.shared.turn.take_to_append();
        let time = Timestamp::now();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut stored = 0;
        let mut moved: HashMap<&Arc<str>, Head> = HashMap::with_capacity(groups.len());
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO batch (application, first, count, time, position, size, events)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            for group in groups {
                let known = moved.get(&group.application);
                let head = match known.or_else(|| self.heads.get(&group.application)) {
                    Some(head) => head.clone(),
                    None => find_head(&transaction, &group.application, &self.shared.tails)?,
                };
                let packed = self.packer.pack(&group.data);
                stored += packed.len() as u64;
                let head = insert_row(&mut insert, head, group, packed, time)?;
                moved.insert(&group.application, head);
            }
        }
        transaction.commit()?;
        drop(turn);

        for (application, head) in moved {
            head.tail.send_replace(head.next - 1);
            self.heads.insert(Arc::clone(application), head);
        }
        Ok(stored)
    }

    fn committed(&self, groups: &[Group], stored: u64, took: Duration) {
        for group in groups {
            let bytes = group.data.len() as u64;
            self.shared.counters.accepted(group.events.into(), bytes);
        }
        self.shared.counters.committed(took);
        self.shared.upkeep.wrote(groups.len(), stored);
        if self.shared.health.set_up() {
            let path = self.shared.database.path().display();
            tracing::info!(%path, "the event log takes events again");
        }
    }

    fn failed(&mut self, error: &rusqlite::Error) {
        self.connection = None;
        self.shared.counters.failed();
        let path = self.shared.database.path().display();
        if self.shared.health.set_failing(format!("{path}: {error}")) {
            tracing::error!(%path, %error, "the event log takes no events");
        }
    }
}

/// The end of an application's log in the database; makes the application if it is new.
fn find_head(
    transaction: &Transaction<'_>,
    name: &Arc<str>,
    tails: &Tails,
) -> rusqlite::Result<Head> {
    let found = transaction
        .prepare_cached("SELECT id, expired_through FROM application WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (id, expired_through) = match found {
        Some(found) => found,
        None => {
            transaction
                .prepare_cached("INSERT INTO application (name) VALUES (?1)")?
                .execute([name])?;
            (transaction.last_insert_rowid(), 0)
        }
    };
    let last_row = transaction
        .prepare_cached(
            "SELECT first + count, position FROM batch
             WHERE application = ?1 ORDER BY first DESC LIMIT 1",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (next, position) = last_row.unwrap_or((expired_through + 1, 0));
    Ok(Head {
        id,
        next: from_sql(next),
        position: from_sql(position),
        tail: tails.of(name),
    })
}

/// Writes the group at the head and returns the head after it.
fn insert_row(
    insert: &mut Statement<'_>,
    head: Head,
    group: &Group,
    packed: &[u8],
    time: Timestamp,
) -> rusqlite::Result<Head> {
    let position = head.position + packed.len() as u64;
    insert.execute((
        head.id,
        to_sql(head.next),
        group.events,
        to_sql(time.0),
        to_sql(position),
        to_sql(group.data.len() as u64),
        packed,
    ))?;
    Ok(Head {
        next: head.next + u64::from(group.events),
        position,
        ..head
    })
}
