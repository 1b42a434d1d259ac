//! What can go wrong with the log, and whose fault it is.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why a log cannot be opened. All of these are the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file is not a database, or a damaged one.
    #[error("{}: the event log is corrupt: {detail}", path.display())]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// A database of something else.
    #[error("{}: a database, but no event log", path.display())]
    NotALog {
        /// The database file.
        path: PathBuf,
    },
    /// A newer program has written this log.
    #[error("{}: event log of version {found}; this program knows up to {known}", path.display())]
    NewerVersion {
        /// The database file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that can be read.
        known: i64,
    },
    /// Another process, or another sink, has the log open.
    #[error("{}: the event log is in use by another process", path.display())]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// The file, or its folder, cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// SQLite cannot open or prepare the file.
    #[error("{}: {detail}", path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
}

impl OpenError {
    pub(super) fn of_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let detail = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Corrupt { path, detail }
            }
            _ => Self::Database { path, detail },
        }
    }
}

/// Why events cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Events after the given offset have expired: the reader missed some. It goes on with
    /// `oldest - 1`.
    #[error("the offset has expired; the oldest retained is {oldest}")]
    Expired {
        /// Offset of the oldest event retained, or of the next event if none is.
        oldest: u64,
    },
    /// A stored row does not hold what it says: the file is damaged.
    #[error("the event log is corrupt at offset {offset}")]
    Corrupt {
        /// Offset of the row's first event.
        offset: u64,
    },
    /// The database cannot be read: our fault.
    #[error("the event log cannot be read: {0}")]
    Database(#[from] rusqlite::Error),
}

/// The log is closed: nothing new will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event log is closed")]
pub struct Closed;
