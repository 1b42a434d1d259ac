//! SQLite files of the server's own: for nobody else's eyes, open in one process at a time, of a
//! known kind and version.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

/// Other programs may look at the file; this long a lock of theirs is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// What a file is for.
pub struct Kind {
    /// For errors: "held commands".
    pub what: &'static str,
    /// `application_id` in the file's header.
    pub application_id: i64,
    /// `user_version` in the file's header: the newest that is known.
    pub version: i64,
    /// What makes its tables.
    pub schema: &'static str,
}

/// Keeps other processes out of a file until it is dropped.
pub struct Lock {
    _file: File,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system's or SQLite's error.
    #[error("cannot open {path}: {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It is a database of something else.
    #[error("{path} is no file of {what}; it is left as it is")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
    },
    /// A newer version wrote it.
    #[error("{path} has version {found}; this server knows versions up to {known}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
}

impl OpenError {
    /// The system's or SQLite's error.
    pub fn unusable(path: &Path, reason: &impl ToString) -> Self {
        Self::Unusable {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Opens the file and makes or checks its schema. What it commits is on disk when the commit
/// returns.
///
/// # Errors
///
/// [`OpenError`] names the file, which is then left as it was.
pub fn open(path: &Path, kind: &Kind) -> Result<(Connection, Lock), OpenError> {
    let lock = lock(path)?;
    create_private(path)?;
    let connection = Connection::open(path).map_err(|e| OpenError::unusable(path, &e))?;
    check_schema(path, kind, &connection)?;
    configure(&connection).map_err(|error| OpenError::unusable(path, &error))?;
    Ok((connection, lock))
}

/// Another connection to a file that is [open](open()): after a failure SQLite may want a fresh start.
///
/// # Errors
///
/// SQLite's.
pub fn reconnect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    configure(&connection)?;
    Ok(connection)
}

fn lock(path: &Path) -> Result<Lock, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let unusable = |reason: String| OpenError::unusable(path, &reason);
    let file = private().open(&name).map_err(|e| unusable(e.to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(unusable("another process has it open".to_owned())),
        Err(TryLockError::Error(error)) => Err(unusable(error.to_string())),
    }
}

/// Payloads are for nobody else.
fn create_private(path: &Path) -> Result<(), OpenError> {
    let created = private().open(path);
    created.map_err(|error| OpenError::unusable(path, &error))?;
    Ok(())
}

fn private() -> OpenOptions {
    let mut options = File::options();
    options.create(true).truncate(false).write(true).mode(0o600);
    options
}

fn check_schema(path: &Path, kind: &Kind, connection: &Connection) -> Result<(), OpenError> {
    let unusable = |error: rusqlite::Error| OpenError::unusable(path, &error);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(unusable)?;
    let pragma = |name: &str| -> rusqlite::Result<i64> {
        connection.pragma_query_value(None, name, |row| row.get(0))
    };
    let tables = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = connection
        .query_row(tables, [], |row| row.get(0))
        .map_err(unusable)?;
    let Kind {
        what,
        application_id,
        version,
        schema,
    } = kind;
    if tables == 0 {
        let create = format!(
            "BEGIN; {schema} PRAGMA application_id = {application_id};
             PRAGMA user_version = {version}; COMMIT;"
        );
        return connection.execute_batch(&create).map_err(unusable);
    }
    let path = || path.to_owned();
    if pragma("application_id").map_err(unusable)? != *application_id {
        return Err(OpenError::Foreign { path: path(), what });
    }
    match pragma("user_version").map_err(unusable)? {
        found if found > *version => Err(OpenError::Newer {
            path: path(),
            found,
            known: *version,
        }),
        _ => Ok(()),
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    // What others rely on once it is committed survives a power cut.
    connection.pragma_update(None, "synchronous", "full")
}
