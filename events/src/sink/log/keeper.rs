//! The thread that looks after the file: checkpoints, retention, shrinking.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::database::{PAGE_BYTES, from_sql};
use super::{Shared, retention};
use crate::event::Timestamp;

/// The write-ahead file is copied into the database each time this much was committed.
const CHECKPOINT_BYTES: u64 = 16 << 20;
/// What may be left to copy when the writer is held up for the end of it.
const LAST_FRAMES: u64 = (1 << 20) / PAGE_BYTES;
/// From here on the writer is held up in any case, as checkpoints do not keep pace.
const MOST_FRAMES: u64 = (256 << 20) / PAGE_BYTES;
/// Rounds in which the copy may catch up with the writer.
const ROUNDS: u32 = 4;

/// Retention is looked at this often while events come.
const RETENTION_INTERVAL: Duration = Duration::from_secs(2);
/// And this often while none come: they still grow old.
const IDLE_INTERVAL: Duration = Duration::from_secs(60);
/// It takes at most this part of the keeper's time, however many applications there are.
const RETENTION_SHARE: u32 = 20;

/// Runs until the log is closed.
pub(super) fn run(shared: &Shared, mut connection: Connection) {
    let mut looked = Instant::now();
    let mut interval = RETENTION_INTERVAL;
    while let Some(due) = shared
        .upkeep
        .wait(looked + interval, looked + IDLE_INTERVAL)
    {
        if due.checkpoint {
            report(shared, "checkpoint", checkpoint(shared, &connection));
        }
        if due.retention {
            looked = Instant::now();
            let enforced = retention::enforce(shared, &mut connection, Timestamp::now());
            report(shared, "retention", enforced);
            interval = RETENTION_INTERVAL.max(looked.elapsed() * RETENTION_SHARE);
        }
    }
    // The writer is gone: leave a whole database behind.
    report(
        shared,
        "checkpoint",
        copy(&connection, "TRUNCATE").map(drop),
    );
}

/// Copies the write-ahead file into the database, nearly all of it while the writer goes on.
///
/// SQLite starts the write-ahead file anew only when all of it is copied, which under steady load
/// never happens by itself; so the writer waits for the last small piece.
fn checkpoint(shared: &Shared, connection: &Connection) -> rusqlite::Result<()> {
    for _ in 0..ROUNDS {
        let Progress { frames, copied } = copy(connection, "PASSIVE")?;
        if frames - copied <= LAST_FRAMES || frames >= MOST_FRAMES {
            let _turn = shared.turn.take_to_keep();
            copy(connection, "PASSIVE")?;
            break;
        }
    }
    Ok(())
}

/// Pages in the write-ahead file, and how many of these are in the database.
struct Progress {
    frames: u64,
    copied: u64,
}

fn copy(connection: &Connection, mode: &str) -> rusqlite::Result<Progress> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    connection.query_row(&sql, [], |row| {
        let frames = from_sql(row.get(1)?);
        let copied = from_sql(row.get(2)?).min(frames);
        Ok(Progress { frames, copied })
    })
}

/// The log still takes events when upkeep fails; if the disk is full, the writer will say so.
fn report(shared: &Shared, what: &str, result: rusqlite::Result<()>) {
    if let Err(error) = result {
        let path = shared.database.path().display();
        tracing::warn!(%path, %error, "{what} of the event log failed and will be tried again");
    }
}

/// What the writer tells the keeper.
#[derive(Debug)]
pub(super) struct Upkeep {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes committed since the last checkpoint, and since retention was last looked at.
    to_copy: u64,
    to_look_at: u64,
    closed: bool,
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
            changed: Condvar::new(),
        }
    }

    /// So many bytes were committed.
    pub(super) fn wrote(&self, bytes: u64) {
        let mut state = self.lock();
        let was_idle = state.to_look_at == 0;
        state.to_copy += bytes;
        state.to_look_at += bytes;
        if was_idle || state.to_copy >= CHECKPOINT_BYTES {
            self.changed.notify_one();
        }
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits for something to do. `soon` and `later` say when retention is due with and without
    /// new events. None when the log is closed.
    fn wait(&self, soon: Instant, later: Instant) -> Option<Due> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            let next = if state.to_look_at > 0 { soon } else { later };
            let now = Instant::now();
            let due = Due {
                // What little came before a pause is copied with the next look at retention.
                checkpoint: state.to_copy >= CHECKPOINT_BYTES || now >= next && state.to_copy > 0,
                retention: now >= next,
            };
            if due.checkpoint {
                state.to_copy = 0;
            }
            if due.retention {
                state.to_look_at = 0;
            }
            if due.checkpoint || due.retention {
                return Some(due);
            }
            let waited = self.changed.wait_timeout(state, next - now);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
