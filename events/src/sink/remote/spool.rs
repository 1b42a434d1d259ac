//! Events on disk while the remote system does not take them, in the order of their lanes.
//!
//! One SQLite file (write-ahead log, synced at each commit), owned by one process. Events stand in
//! it as [`crate::record`]s: the version of the file is that of the records' layout.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::lane::LaneKey;

/// `application_id` in the file's header: "LfSp".
const APPLICATION_ID: i64 = 0x4c66_5370;
const VERSION: i64 = 1;
const SCHEMA: &str = "
CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    application TEXT NOT NULL,
    lane INTEGER NOT NULL,
    event BLOB NOT NULL
) STRICT;
CREATE INDEX event_by_lane ON event (application, lane, id);
CREATE TABLE spool (lanes INTEGER NOT NULL) STRICT;
";

/// Events that are read back at once, and their bytes.
const PIECE: (usize, usize) = (500, 1 << 20);

/// Where a sink spills to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpillOptions {
    /// The file.
    pub path: PathBuf,
    /// Events take at most this; beyond it they wait in memory as without a spill.
    pub bytes: u64,
}

/// Why the spill cannot be used; the text names the file.
#[derive(Debug, thiserror::Error)]
pub enum SpillError {
    /// SQLite cannot open or read it, or another process has it.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// It is something else, or of a newer version.
    #[error("{}: not a spill of version {VERSION}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Its events are spread over another number of lanes.
    #[error(
        "{}: its events were spilled with a `concurrency` of {found}: set that until they are sent",
        path.display()
    )]
    Lanes {
        /// The file.
        path: PathBuf,
        /// In the file.
        found: u16,
    },
}

/// Why events were not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum AppendError {
    #[error("the spill is full")]
    Full,
    #[error("the spill cannot be written: {0}")]
    File(#[from] rusqlite::Error),
}

pub(super) struct Spool {
    connection: Connection,
    bound: u64,
    bytes: u64,
    events: u64,
}

/// Events read back, and the number of the last one.
pub(super) struct Piece {
    pub(super) events: Vec<Bytes>,
    pub(super) last: i64,
}

impl Spool {
    /// Opens or makes the file, for a sink with so many lanes per application.
    pub(super) fn open(options: &SpillOptions, lanes: u16) -> Result<Self, SpillError> {
        let path = &options.path;
        let connection = open(path).map_err(|source| SpillError::File {
            path: path.clone(),
            source,
        })?;
        let connection = connection.ok_or_else(|| SpillError::Foreign { path: path.clone() })?;
        let mut spool = Self {
            connection,
            bound: options.bytes,
            bytes: 0,
            events: 0,
        };
        let found = spool.prepare(lanes).map_err(|source| SpillError::File {
            path: path.clone(),
            source,
        })?;
        match found {
            Some(found) if found != lanes => Err(SpillError::Lanes {
                path: path.clone(),
                found,
            }),
            _ => Ok(spool),
        }
    }

    /// Counts what is there. With events, the lanes they are spread over.
    fn prepare(&mut self, lanes: u16) -> rusqlite::Result<Option<u16>> {
        let count = "SELECT count(*), coalesce(sum(length(event)), 0) FROM event";
        let counted = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let (events, bytes) = self.connection.query_row(count, [], counted)?;
        self.events = events.unsigned_abs();
        self.bytes = bytes.unsigned_abs();
        if events > 0 {
            let found = "SELECT lanes FROM spool";
            return self
                .connection
                .query_row(found, [], |row| row.get(0))
                .optional();
        }
        self.connection.execute("DELETE FROM spool", [])?;
        self.connection
            .execute("INSERT INTO spool VALUES (?1)", [lanes])?;
        Ok(None)
    }

    /// Events in it.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// The lanes that have events in it.
    pub(super) fn lanes(&self) -> rusqlite::Result<Vec<LaneKey>> {
        let all = "SELECT DISTINCT application, lane FROM event";
        let mut statement = self.connection.prepare(all)?;
        let key = |row: &rusqlite::Row<'_>| {
            let application: String = row.get(0)?;
            Ok((Arc::from(application), row.get(1)?))
        };
        statement.query_map([], key)?.collect()
    }

    /// Writes events, and syncs them: all or none.
    pub(super) fn append<'a>(
        &mut self,
        events: impl Iterator<Item = (&'a LaneKey, &'a Bytes)>,
    ) -> Result<(), AppendError> {
        let transaction = self.connection.transaction()?;
        let (mut count, mut bytes) = (0, 0);
        {
            let insert = "INSERT INTO event (application, lane, event) VALUES (?1, ?2, ?3)";
            let mut insert = transaction.prepare_cached(insert)?;
            for ((application, lane), event) in events {
                count += 1;
                bytes += event.len() as u64;
                if self.bytes + bytes > self.bound {
                    return Err(AppendError::Full);
                }
                insert.execute(params![&**application, lane, &**event])?;
            }
        }
        transaction.commit()?;
        self.events += count;
        self.bytes += bytes;
        Ok(())
    }

    /// The oldest events of a lane.
    pub(super) fn head(&self, (application, lane): &LaneKey) -> rusqlite::Result<Option<Piece>> {
        let (most, most_bytes) = PIECE;
        let oldest = "SELECT id, event FROM event WHERE application = ?1 AND lane = ?2 ORDER BY id";
        let mut statement = self.connection.prepare_cached(oldest)?;
        let mut rows = statement.query(params![&**application, lane])?;
        let mut piece = Piece {
            events: Vec::new(),
            last: 0,
        };
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            let event: Vec<u8> = row.get(1)?;
            bytes += event.len();
            piece.last = row.get(0)?;
            piece.events.push(event.into());
            if piece.events.len() >= most || bytes >= most_bytes {
                break;
            }
        }
        Ok((!piece.events.is_empty()).then_some(piece))
    }

    /// Forgets the events of a lane up to a number.
    pub(super) fn remove(
        &mut self,
        (application, lane): &LaneKey,
        up_to: i64,
    ) -> rusqlite::Result<()> {
        const OLD: &str = "FROM event WHERE application = ?1 AND lane = ?2 AND id <= ?3";
        let transaction = self.connection.transaction()?;
        let old = params![&**application, lane, up_to];
        let bytes = format!("SELECT coalesce(sum(length(event)), 0) {OLD}");
        let bytes: i64 = transaction.query_row(&bytes, old, |row| row.get(0))?;
        let events = transaction.execute(&format!("DELETE {OLD}"), old)?;
        transaction.commit()?;
        self.events = self.events.saturating_sub(events as u64);
        if self.events == 0 {
            // Gives the disk back; how much is none of the caller's business.
            let shrunk = self.connection.execute_batch("PRAGMA incremental_vacuum");
            if let Err(error) = shrunk {
                tracing::debug!(%error, "the spill does not shrink");
            }
        }
        self.bytes = self.bytes.saturating_sub(bytes.unsigned_abs());
        Ok(())
    }
}

/// `None`: the file is something else.
fn open(path: &Path) -> rusqlite::Result<Option<Connection>> {
    let connection = Connection::open(path)?;
    // One owner: the lock is held until the connection ends.
    connection.pragma_update(None, "locking_mode", "exclusive")?;
    connection.pragma_update(None, "auto_vacuum", "incremental")?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    match (number("application_id")?, number("user_version")?) {
        (APPLICATION_ID, VERSION) => Ok(Some(connection)),
        (0, 0) => {
            let tables = "SELECT count(*) FROM sqlite_schema";
            if connection.query_row(tables, [], |row| row.get::<_, i64>(0))? > 0 {
                return Ok(None);
            }
            connection.execute_batch(SCHEMA)?;
            connection.pragma_update(None, "application_id", APPLICATION_ID)?;
            connection.pragma_update(None, "user_version", VERSION)?;
            Ok(Some(connection))
        }
        _ => Ok(None),
    }
}
