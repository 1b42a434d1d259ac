//! The embedded store: one SQLite file in write-ahead logging mode.
//!
//! One thread writes, a few read; they own the connections. Every commit is synchronised to disk
//! before it is reported (`synchronous = FULL`).

mod lane;
mod open;
mod read;
mod write;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{
    CommitError, Listed, Place, Put, Removed, ResourceId, Row, Select, Space, Stored, Unavailable,
};
use crate::document::Preconditions;
use crate::error::OpenError;
use lane::Lane;
use open::Lock;

/// Threads that read. A look-up that misses the cache takes some 10 µs, so few are enough.
const READERS: usize = 4;

pub(crate) struct SqliteStore {
    readers: Lane<Connection>,
    writer: Lane<Writer>,
}

/// What the writing thread owns.
struct Writer {
    connection: Connection,
    /// Whether devices of deleted applications are left in the file.
    purge_due: bool,
    /// Released last.
    _lock: Lock,
}

impl SqliteStore {
    pub(crate) async fn open(path: PathBuf) -> Result<SqliteStore, OpenError> {
        let name = path.display().to_string();
        let opened = tokio::task::spawn_blocking(move || SqliteStore::open_blocking(&path)).await;
        opened.unwrap_or_else(|error| {
            Err(OpenError::Store {
                store: name,
                reason: error.to_string(),
            })
        })
    }

    fn open_blocking(path: &Path) -> Result<SqliteStore, OpenError> {
        let lock = Lock::take(path)?;
        let connection = open::writer(path)?;
        let readers = (0..READERS)
            .map(|_| open::reader(path))
            .collect::<Result<_, _>>()?;
        let writer = Writer {
            connection,
            purge_due: true,
            _lock: lock,
        };
        let spawn = |error| OpenError::io(path, &error);
        Ok(SqliteStore {
            readers: Lane::start("registry-read", readers, |_| false).map_err(spawn)?,
            writer: Lane::start("registry-write", vec![writer], write::purge).map_err(spawn)?,
        })
    }

    /// Whether the file can be read.
    pub(crate) async fn probe(&self) -> Result<(), Unavailable> {
        self.readers
            .run(|connection| read::probe(connection))
            .await?
            .map_err(failed)
    }

    /// The resource of that name, if there is one.
    pub(crate) async fn get(
        &self,
        parent: ResourceId,
        name: &str,
    ) -> Result<Option<Row>, Unavailable> {
        let name = name.to_owned();
        self.readers
            .run(move |connection| read::get(connection, parent, &name))
            .await?
            .map_err(failed)
    }

    /// Resources by name: at most [`Select::limit`], fewer where they are large or few among many
    /// are selected.
    pub(crate) async fn list(
        &self,
        parent: ResourceId,
        select: Select,
    ) -> Result<Listed, Unavailable> {
        self.readers
            .run(move |connection| read::list(connection, parent, &select))
            .await?
            .map_err(failed)
    }

    /// Number of resources, as far as `at_most`.
    pub(crate) async fn count(&self, parent: ResourceId, at_most: u32) -> Result<u64, Unavailable> {
        self.readers
            .run(move |connection| read::count(connection, parent, at_most))
            .await?
            .map_err(failed)
    }

    pub(crate) async fn holders(
        &self,
        parent: ResourceId,
        space: Space,
        first: &[u8],
        last: &[u8],
        limit: usize,
    ) -> Result<Vec<String>, Unavailable> {
        let (first, last) = (first.to_vec(), last.to_vec());
        self.readers
            .run(move |connection| read::holders(connection, parent, space, (&first, &last), limit))
            .await?
            .map_err(failed)
    }

    /// What is stored at each of the places.
    pub(crate) async fn get_all(&self, places: Vec<Place>) -> Result<Vec<Stored>, Unavailable> {
        self.readers
            .run(move |connection| read::all(connection, &places))
            .await?
            .map_err(failed)
    }

    /// Creates or replaces resources, each with all its claims, if what is expected of each is
    /// stored; all or none. They count as written at once: an application may come after its
    /// devices, and a claim may go from one of them to another. No place stands twice.
    pub(crate) async fn commit(&self, puts: Vec<Put>) -> Result<Vec<Row>, CommitError> {
        self.writer
            .run(move |writer| write::commit(&mut writer.connection, &puts))
            .await
            .map_err(CommitError::Unavailable)?
    }

    /// Removes a resource; an application's devices are unreachable from then on, and removed bit
    /// by bit.
    pub(crate) async fn remove(
        &self,
        parent: ResourceId,
        name: &str,
        preconditions: Preconditions,
    ) -> Result<Removed, Unavailable> {
        let name = name.to_owned();
        self.writer
            .run(move |writer| {
                writer.purge_due |= parent == ResourceId::ROOT;
                write::remove(&mut writer.connection, parent, &name, &preconditions)
            })
            .await?
            .map_err(failed)
    }
}

/// How the `claim` table writes a space of the children of `parent`.
fn key(space: Space, parent: ResourceId) -> (i64, i64) {
    match space {
        Space::DeviceNames => (parent.0, 1),
        Space::TrustAnchors => (0, 2),
    }
}

// Errors of SQLite name tables and codes, never values.
#[allow(clippy::needless_pass_by_value)]
fn failed(error: rusqlite::Error) -> Unavailable {
    Unavailable(error.to_string())
}
