//! Opening the file: lock, checks, settings, migrations.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use crate::error::OpenError;

/// Marks the file as a Landfall registry: `LFrg` (`PRAGMA application_id`).
const APPLICATION_ID: i32 = 0x4c46_7267;

/// Each brings the schema from the version of its index to the next.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];

/// Files up to this size are checked whole when they are opened, which takes up to about 0.2 s;
/// damage in larger ones shows when it is read.
const CHECKED_SIZE: u64 = 64 * 1024 * 1024;

/// How long to wait for another process (a backup, say) that holds the file's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps other processes from opening the registry: they would not see each other's changes in
/// their caches.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(path: &Path) -> Result<Lock, OpenError> {
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock_path = PathBuf::from(lock_path);
        let file = private_file(&lock_path).map_err(|error| OpenError::io(&lock_path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
                store: path.display().to_string(),
            }),
            Err(TryLockError::Error(error)) => Err(OpenError::io(&lock_path, &error)),
        }
    }
}

/// Opens or creates the file and brings its schema up to date.
pub(super) fn writer(path: &Path) -> Result<Connection, OpenError> {
    let mut file = private_file(path).map_err(|error| OpenError::io(path, &error))?;
    let mut header = Vec::new();
    let read = Read::by_ref(&mut file).take(16).read_to_end(&mut header);
    let is_new = read.map_err(|error| OpenError::io(path, &error))? == 0;
    if !is_new && header != *b"SQLite format 3\0" {
        return Err(OpenError::corrupt(
            path,
            "the file is not an SQLite database",
        ));
    }
    let size = file
        .metadata()
        .map_err(|error| OpenError::io(path, &error))?
        .len();
    drop(file);

    let mut connection = Connection::open(path).map_err(|error| OpenError::sqlite(path, &error))?;
    let version = prepare(&mut connection, path, is_new, size)
        .map_err(|failure| failure.unwrap_or_else(|error| OpenError::sqlite(path, &error)))?;
    tracing::debug!(path = %path.display(), version, "registry opened");
    Ok(connection)
}

/// Opens a further connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, OpenError> {
    let open = || {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "query_only", true)?;
        // The system's page cache serves all readers; private copies would cost each its own. The
        // file is not mapped, as an I/O error would then end the process (SIGBUS).
        connection.pragma_update(None, "cache_size", -256)?; // KiB
        Ok(connection)
    };
    open().map_err(|error| OpenError::sqlite(path, &error))
}

/// Either an error of SQLite, or what it means here.
enum Failure {
    Sqlite(rusqlite::Error),
    Open(OpenError),
}

impl Failure {
    fn unwrap_or_else(self, sqlite: impl FnOnce(rusqlite::Error) -> OpenError) -> OpenError {
        match self {
            Failure::Sqlite(error) => sqlite(error),
            Failure::Open(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Failure {
        Failure::Sqlite(error)
    }
}

fn prepare(
    connection: &mut Connection,
    path: &Path,
    is_new: bool,
    size: u64,
) -> Result<usize, Failure> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    if is_new {
        // Only possible before the first table.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    let version = usize::try_from(pragma(connection, "user_version")?).unwrap_or(usize::MAX);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && pragma(connection, "application_id")? != i64::from(APPLICATION_ID) {
        let reason = "it is an SQLite database, but not a Landfall registry";
        return Err(Failure::Open(OpenError::corrupt(path, reason)));
    }
    if version > MIGRATIONS.len() {
        let supported = MIGRATIONS.len();
        return Err(Failure::Open(OpenError::Newer {
            store: path.display().to_string(),
            found: version,
            supported,
        }));
    }
    if tables > 0 && size <= CHECKED_SIZE {
        let verdict: String =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(Failure::Open(OpenError::corrupt(path, &verdict)));
        }
    }

    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        let reason = format!("the file system does not allow write-ahead logging ({mode})");
        return Err(Failure::Open(OpenError::Store {
            store: path.display().to_string(),
            reason,
        }));
    }
    // What was reported as written survives a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Replaced secrets are overwritten in the file.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    migrate(connection, version)
}

fn migrate(connection: &mut Connection, from: usize) -> Result<usize, Failure> {
    for (version, migration) in MIGRATIONS.iter().enumerate().skip(from) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(
            None,
            "user_version",
            i64::try_from(version + 1).unwrap_or(0),
        )?;
        transaction.commit()?;
    }
    Ok(MIGRATIONS.len())
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// Opens or creates a file that only its owner may read: it holds password hashes and keys.
/// SQLite gives its side files the same mode.
fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
