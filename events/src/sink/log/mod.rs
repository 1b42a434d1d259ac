//! The embedded durable log: the sink that needs no other system.
//!
//! Accepted means: in the database file and synced to the disk. Nothing that was accepted is lost
//! by a crash, a kill or a power cut, as far as the disk keeps what it confirmed.
//!
//! Three kinds of party work on one SQLite file in write-ahead mode:
//! - the writer thread (`writer.rs`) appends: one transaction takes all that was handed over while
//!   the one before was synced, one row per application;
//! - the keeper thread (`keeper.rs`) checkpoints and deletes what retention lets go, beside the
//!   commits and in small steps;
//! - readers ([`LogReader`]) have read-only connections of their own.
//!
//! Each application counts its events from 1: the offset. Offsets have no gaps now (readers are
//! told to allow for them), never change, and are never used again, not even after all events
//! expired.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::health::HealthCell;
use super::queue::Queue;
use super::stats::Counters;
use super::{
    Completion, DEFAULT_QUEUE_BYTES, Handover, Health, OpenBatch, Sequence, Sink, Stats, Unfinished,
};
use crate::event::Draft;

mod database;
mod error;
mod history;
mod keeper;
mod pack;
mod pool;
mod reader;
mod retention;
mod row;
mod tail;
#[cfg(test)]
mod tests;
mod turn;
mod writer;

pub use error::{Closed, OpenError, ReadError};
pub use history::{History, Periods};
pub use reader::{Filter, LOOKED_THROUGH, LogReader, Page};

use database::Database;
use keeper::Upkeep;
use tail::Tails;
use turn::Turn;

/// How the log is kept.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The database file; made if there is none. `-wal`, `-shm` and `-lock` files stand beside it.
    pub path: PathBuf,
    /// Bound in bytes of what waits to be committed. It is soft: see [`crate::sink`].
    pub queue_bytes: usize,
    /// What is kept of each application's events.
    pub retention: Retention,
    /// Applications with another retention, by name.
    pub retention_of: HashMap<String, Retention>,
}

impl LogOptions {
    /// The defaults: 64 MiB of queue, and [`Retention::default`] for all.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            queue_bytes: DEFAULT_QUEUE_BYTES,
            retention: Retention::default(),
            retention_of: HashMap::new(),
        }
    }
}

/// What is kept of one application's events. An event is deleted, oldest first, once it is outside
/// one of the bounds; nothing inside both is ever deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// At least this many bytes of the newest events are kept, unless they are too old; counted as
    /// stored, that is, compressed. Danger: the file holds this much for each application, and a
    /// little more until the next clean-up.
    pub bytes: u64,
    /// Events are kept this long by the wall clock, unless they are too many. Danger: a clock that
    /// jumps ahead lets events expire early.
    pub age: Duration,
}

impl Default for Retention {
    /// 1 GiB, 7 days.
    fn default() -> Self {
        Self {
            bytes: 1 << 30,
            age: Duration::from_secs(7 * 86_400),
        }
    }
}

/// The sink. Closes itself when dropped, without patience.
pub struct LogSink {
    name: Box<str>,
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the sink, its two threads and its readers share.
struct Shared {
    options: LogOptions,
    database: Database,
    queue: Queue,
    health: HealthCell,
    counters: Counters,
    turn: Turn,
    tails: Arc<Tails>,
    upkeep: Upkeep,
}

impl LogSink {
    /// Opens or makes the database and starts the two threads.
    ///
    /// # Errors
    ///
    /// [`OpenError`], which names the file: it is corrupt, of a newer version, no event log, in use
    /// by another process, or cannot be opened or written.
    pub fn open(name: &str, options: LogOptions) -> Result<Self, OpenError> {
        let database = Database::open(&options.path)?;
        let writer = database.connect()?;
        let keeper = database.connect()?;
        let path = options.path.clone();
        let shared = Arc::new(Shared {
            queue: Queue::new(options.queue_bytes, row::TARGET_BYTES),
            options,
            database,
            health: HealthCell::new(),
            counters: Counters::default(),
            turn: Turn::new(),
            tails: Arc::new(Tails::new()),
            upkeep: Upkeep::new(),
        });
        let sink = Self {
            name: name.into(),
            shared: Arc::clone(&shared),
            threads: Mutex::default(),
        };
        let writer_shared = Arc::clone(&shared);
        sink.spawn("log-writer", move || writer::run(&writer_shared, writer))
            .and_then(|()| sink.spawn("log-keeper", move || keeper::run(&shared, keeper)))
            .map_err(|source| OpenError::Io { path, source })?;
        Ok(sink)
    }

    /// A reader of the log; cheap to clone.
    #[must_use]
    pub fn reader(&self) -> LogReader {
        LogReader::new(&self.shared)
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = thread::Builder::new().name(name.into()).spawn(run)?;
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.push(thread);
        Ok(())
    }
}

impl Sink for LogSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn encode(&self, draft: &Draft<'_>, sequence: Sequence, batch: &mut OpenBatch) {
        batch.push(sequence, |out| row::push_event(draft, out));
    }

    fn hand_over(&self, handover: Handover<'_>) {
        self.shared.queue.push(handover);
    }

    fn has_room(&self, _application: &str) -> bool {
        self.shared.queue.has_room()
    }

    fn notify_room(&self, _application: &str, slot: usize, completion: &Arc<dyn Completion>) {
        self.shared.queue.notify_room(slot, completion);
    }

    fn health(&self) -> Health {
        self.shared.health.get()
    }

    fn stats(&self) -> Stats {
        self.shared.queue.add_depth(self.shared.counters.read())
    }

    /// Also wakes all [`LogReader::wait_for_new`]; reads still work.
    fn close(&self, patience: Duration) -> Result<(), Unfinished> {
        let closed = self.shared.queue.close(patience);
        self.shared.upkeep.close();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // A thread that panicked has been reported by the panic itself.
            let _ended = thread.join();
        }
        self.shared.tails.close();
        closed
    }
}

impl Drop for LogSink {
    fn drop(&mut self) {
        let _unfinished = self.close(Duration::ZERO);
    }
}
