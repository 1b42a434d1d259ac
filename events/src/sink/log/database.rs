//! The database file: ownership, schema, and the settings of each connection.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::OpenError;

/// `application_id` in the file's header: "LfEv".
const APPLICATION_ID: i64 = 0x4c66_4576;
/// `user_version` in the file's header.
const VERSION: i64 = 1;

/// Set at creation only.
pub(super) const PAGE_BYTES: u64 = 8192;

/// `batch` is read through its index, which holds all but the events.
///
/// `first` is the offset of the row's first event and `time` the commit in microseconds since the
/// epoch. `position` counts the application's stored bytes up to the end of the row, so that the
/// bytes between two rows are known without reading them. `size` is that of the unpacked events.
const SCHEMA: &str = "
CREATE TABLE application (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    expired_through INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE batch (
    id INTEGER PRIMARY KEY,
    application INTEGER NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    time INTEGER NOT NULL,
    position INTEGER NOT NULL,
    size INTEGER NOT NULL,
    events BLOB NOT NULL
) STRICT;
CREATE INDEX batch_by_offset ON batch (application, first, count, time, position);
";

/// Other processes may look at the file with SQLite's own tools; this long a lock of theirs is
/// waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// A finished write-ahead file is cut back to this.
const WAL_KEPT_BYTES: u64 = 64 << 20;
/// Page cache of a connection that writes: a whole transaction, so that no page is written twice.
const WRITE_CACHE_KIB: u64 = 16 << 10;
const READ_CACHE_KIB: u64 = 1 << 10;

/// The file, owned by this process as long as this lives.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    _lock: File,
    /// Bounds the file, to make it full at will.
    #[cfg(test)]
    pub(super) page_limit: std::sync::atomic::AtomicU32,
}

impl Database {
    /// Takes ownership of the file, and makes or checks its schema.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        create_private(path)?;
        let connection = open_writable(path).map_err(|e| OpenError::of_sqlite(path, &e))?;
        prepare_schema(path, &connection)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
            #[cfg(test)]
            page_limit: u32::MAX.into(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A connection that writes, for [`Database::open`]'s caller.
    pub(super) fn connect(&self) -> Result<Connection, OpenError> {
        self.reconnect()
            .map_err(|error| OpenError::of_sqlite(&self.path, &error))
    }

    /// A connection that writes. What it commits is synced before the commit returns, and it
    /// leaves checkpoints to the keeper.
    pub(super) fn reconnect(&self) -> rusqlite::Result<Connection> {
        let connection = open_writable(&self.path)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES.cast_signed())?;
        set_cache(&connection, WRITE_CACHE_KIB)?;
        Ok(connection)
    }

    /// A connection that cannot write.
    pub(super) fn connect_read_only(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        set_cache(&connection, READ_CACHE_KIB)?;
        Ok(connection)
    }
}

#[cfg(test)]
impl Database {
    /// Applies [`Database::page_limit`], which SQLite keeps per connection.
    pub(super) fn limit_pages(&self, connection: &Connection) -> rusqlite::Result<()> {
        let limit = self.page_limit.load(std::sync::atomic::Ordering::SeqCst);
        connection.query_row(&format!("PRAGMA max_page_count = {limit}"), [], |_| Ok(()))
    }
}

/// Two writers would give the same offsets twice. The lock is on a file of its own: SQLite's own
/// locks on the database are lost when any other handle on it is closed.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut lock_path = path.to_owned().into_os_string();
    lock_path.push("-lock");
    let lock_path = PathBuf::from(lock_path);
    let opened = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path);
    let io_error = |source| OpenError::Io {
        path: lock_path.clone(),
        source,
    };
    let file = opened.map_err(io_error)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(io_error(source)),
    }
}

/// Makes the file if there is none, for its owner only: SQLite gives the files beside it the same
/// mode. The entry in the folder is synced, as the first commit depends on it.
fn create_private(path: &Path) -> Result<(), OpenError> {
    if path.exists() {
        return Ok(());
    }
    let io_error = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(io_error)?;
    #[cfg(unix)]
    {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new("."))).map_err(io_error)?;
        folder.sync_all().map_err(io_error)?;
    }
    Ok(())
}

fn open_writable(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

fn prepare_schema(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let sqlite_error = |error| OpenError::of_sqlite(path, &error);
    let is_empty = fs::metadata(path).is_ok_and(|file| file.len() == 0);
    if is_empty {
        return make_schema(connection).map_err(sqlite_error);
    }
    let read = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = read("application_id").map_err(sqlite_error)?;
    let version = read("user_version").map_err(sqlite_error)?;
    let path = path.to_owned();
    match (application, version) {
        (APPLICATION_ID, VERSION) => Ok(()),
        (APPLICATION_ID, found) if found > VERSION => Err(OpenError::NewerVersion {
            path,
            found,
            known: VERSION,
        }),
        _ => Err(OpenError::NotALog { path }),
    }
}

/// One transaction: a file is either empty or complete.
fn make_schema(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", PAGE_BYTES.cast_signed())?;
    connection.pragma_update(None, "auto_vacuum", "incremental")?;
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE;
         {SCHEMA}
         PRAGMA application_id = {APPLICATION_ID};
         PRAGMA user_version = {VERSION};
         COMMIT;"
    ))
}

fn set_cache(connection: &Connection, kibibytes: u64) -> rusqlite::Result<()> {
    // A negative size is in KiB, a positive one in pages.
    connection.pragma_update(None, "cache_size", -kibibytes.cast_signed())
}

/// SQLite's integers are signed; what is counted here stays far below their bound.
pub(super) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The other way: what the schema stores is never negative.
pub(super) fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
