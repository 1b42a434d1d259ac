//! The thread that looks after the file: checkpoints, retention, shrinking.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::database::PAGE_BYTES;
use super::{Shared, retention};
use crate::event::Timestamp;

/// The write-ahead file is copied into the database each time it has grown about this much.
const COPY_BYTES: u64 = 16 << 20;
/// Once it is this long, it is started anew as soon as little is left to copy.
const RESTART_BYTES: u64 = 64 << 20;
/// What may be left to copy when the writer is held up for that.
const LAST_BYTES: u64 = 1 << 20;
/// This long it does not get: the writer is held up until the copy is done.
const MOST_BYTES: u64 = 256 << 20;
/// Rounds in which the copy may catch up with the writer.
const ROUNDS: u32 = 4;
/// What a row writes beside its events: a page each of table, index and page map, or parts of them.
const ROW_OVERHEAD: u64 = 3 * PAGE_BYTES;

/// Retention is looked at this often while events come.
const RETENTION_INTERVAL: Duration = Duration::from_secs(2);
/// And this often while none come: they still grow old.
const IDLE_INTERVAL: Duration = Duration::from_secs(60);
/// It takes at most this part of the keeper's time, however many applications there are.
const RETENTION_SHARE: u32 = 20;

/// Runs until the log is closed.
pub(super) fn run(shared: &Shared, mut connection: Connection) {
    let mut next = enforce_retention(shared, &mut connection);
    while let Some(due) = shared.upkeep.wait(next) {
        if due.checkpoint {
            report(shared, "checkpoint", checkpoint(shared, &connection));
        }
        if due.retention {
            next = enforce_retention(shared, &mut connection);
        }
    }
    // The writer is gone: leave a whole database behind.
    let copied = copy(&connection, "TRUNCATE").map(drop);
    report(shared, "checkpoint", copied);
}

/// When retention is due next.
#[derive(Clone, Copy, Debug)]
struct Next {
    /// If there are new events.
    soon: Instant,
    /// If there are none.
    later: Instant,
}

fn enforce_retention(shared: &Shared, connection: &mut Connection) -> Next {
    let started = Instant::now();
    let enforced = retention::enforce(shared, connection, Timestamp::now());
    report(shared, "retention", enforced);
    let interval = RETENTION_INTERVAL.max(started.elapsed() * RETENTION_SHARE);
    Next {
        soon: started + interval,
        later: started + interval.max(IDLE_INTERVAL),
    }
}

/// Copies the write-ahead file into the database while the writer goes on.
///
/// SQLite starts the write-ahead file anew only when all of it is copied, which under steady load
/// never happens by itself. So once it is long, the writer waits while the last small piece is
/// copied; in between it does not.
fn checkpoint(shared: &Shared, connection: &Connection) -> rusqlite::Result<()> {
    for _ in 0..ROUNDS {
        shared.upkeep.copying();
        let copied = copy(connection, "PASSIVE");
        let wal = shared.upkeep.copied();
        copied?;
        if wal.length < RESTART_BYTES {
            break;
        }
        if wal.to_copy <= LAST_BYTES || wal.length >= MOST_BYTES {
            let _turn = shared.turn.take_to_keep();
            if copy(connection, "PASSIVE")? {
                shared.upkeep.restarted();
            }
            break;
        }
    }
    Ok(())
}

/// Copies what no reader's snapshot and no other program's checkpoint forbid. True if that was all
/// there is: then the next commit starts the file anew.
fn copy(connection: &Connection, mode: &str) -> rusqlite::Result<bool> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    connection.query_row(&sql, [], |row| {
        let (busy, pages, copied): (bool, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(!busy && pages == copied)
    })
}

/// The log still takes events when upkeep fails; if the disk is full, the writer will say so.
fn report(shared: &Shared, what: &str, result: rusqlite::Result<()>) {
    if let Err(error) = result {
        let path = shared.database.path().display();
        tracing::warn!(%path, %error, "{what} of the event log failed and will be tried again");
    }
}

/// What the writer tells the keeper, and how it is held up.
#[derive(Debug)]
pub(super) struct Upkeep {
    state: Mutex<State>,
    /// Wakes the keeper.
    due: Condvar,
    /// Wakes the writer.
    copied: Condvar,
}

#[derive(Debug, Default)]
struct State {
    wal: Wal,
    /// A copy is under way.
    is_copying: bool,
    /// Bytes of events committed since retention was last looked at.
    to_look_at: u64,
    is_closed: bool,
}

/// The write-ahead file, by estimate.
#[derive(Clone, Copy, Debug, Default)]
struct Wal {
    /// Bytes since it was last started anew.
    length: u64,
    /// Bytes since the last copy began.
    to_copy: u64,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    checkpoint: bool,
    retention: bool,
}

impl Upkeep {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            due: Condvar::new(),
            copied: Condvar::new(),
        }
    }

    /// For the writer: a commit of so many rows and bytes of events is done.
    pub(super) fn wrote(&self, rows: usize, bytes: u64) {
        let mut state = self.lock();
        let was_idle = state.to_look_at == 0;
        let grown = bytes + rows as u64 * ROW_OVERHEAD;
        state.wal.length += grown;
        state.wal.to_copy += grown;
        state.to_look_at += bytes;
        if was_idle || state.wal.to_copy >= COPY_BYTES {
            self.due.notify_one();
        }
    }

    /// For the writer: waits while a copy is under way that the file must not outgrow. A copy that
    /// fails, or that a reader of another process obstructs, holds nobody up.
    pub(super) fn hold(&self) {
        let mut state = self.lock();
        while state.is_copying && state.wal.length >= MOST_BYTES {
            state = self
                .copied
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.due.notify_one();
    }

    /// Waits for something to do. None when the log is closed.
    fn wait(&self, next: Next) -> Option<Due> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            let next = if state.to_look_at > 0 {
                next.soon
            } else {
                next.later
            };
            let now = Instant::now();
            let is_time = now >= next;
            let to_copy = state.wal.to_copy;
            let due = Due {
                // What little came before a pause is copied with the next look at retention.
                checkpoint: to_copy >= COPY_BYTES || is_time && to_copy > 0,
                retention: is_time,
            };
            if due.retention {
                state.to_look_at = 0;
            }
            if due.checkpoint || due.retention {
                return Some(due);
            }
            let waited = self.due.wait_timeout(state, next - now);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What was committed so far is about to be copied.
    fn copying(&self) {
        let mut state = self.lock();
        state.wal.to_copy = 0;
        state.is_copying = true;
    }

    /// The copy is done, or has failed.
    fn copied(&self) -> Wal {
        let mut state = self.lock();
        state.is_copying = false;
        self.copied.notify_one();
        state.wal
    }

    /// The writer's next commit starts the file anew.
    fn restarted(&self) {
        self.lock().wal = Wal::default();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Upkeep {
    /// Whether the file is to be started anew, and nothing was written since that was found.
    pub(super) fn is_restarted(&self) -> bool {
        self.lock().wal.length == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_is_held_up_only_while_a_long_file_is_copied() {
        let upkeep = Upkeep::new();
        upkeep.hold();
        upkeep.copying();
        upkeep.wrote(1, MOST_BYTES / 2);
        upkeep.hold();
        upkeep.wrote(1, MOST_BYTES / 2);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| upkeep.hold());
            let wal = upkeep.copied();
            assert!(wal.length >= MOST_BYTES && wal.to_copy >= MOST_BYTES);
            writer.join().unwrap();
        });
        upkeep.copying();
        upkeep.restarted();
        upkeep.hold();
    }

    #[test]
    fn the_keeper_is_called_by_volume_by_time_and_at_the_end() {
        let upkeep = Upkeep::new();
        let now = Instant::now();
        let never = now + Duration::from_secs(86_400);
        let wait = |soon, later| upkeep.wait(Next { soon, later });

        upkeep.wrote(1, COPY_BYTES);
        let due = wait(never, never).unwrap();
        assert!(due.checkpoint && !due.retention);

        upkeep.copying();
        let due = wait(now, never).unwrap();
        assert!(due.retention && !due.checkpoint, "there were new events");
        let due = wait(now, now).unwrap();
        assert!(due.retention && !due.checkpoint, "events grow old");

        upkeep.wrote(1, 1);
        let due = wait(now, never).unwrap();
        assert!(due.retention && due.checkpoint, "what little there is");

        upkeep.close();
        assert!(wait(now, now).is_none());
    }
}
