//! What can go wrong, sorted by who is to blame.

use std::path::Path;

pub use crate::store::Unavailable;

/// The store could not be opened; the server does not start. Each says which store: the file, or
/// the database and its host, without the password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// An option is out of its bounds; the configuration is to blame.
    #[error("{0}")]
    Options(String),
    /// Another process has the registry's file open.
    #[error("{store} is in use by another process")]
    InUse {
        /// The file.
        store: String,
    },
    /// The store was written by a newer version of the server.
    #[error(
        "{store} has schema version {found}, this server knows up to {supported}: use a newer \
         server"
    )]
    Newer {
        /// The store.
        store: String,
        /// Its schema version.
        found: usize,
        /// The newest that is known here.
        supported: usize,
    },
    /// The store is damaged, or not a registry at all. It was not changed.
    #[error("{store} cannot be used: {reason}")]
    Corrupt {
        /// The store.
        store: String,
        /// What was found.
        reason: String,
    },
    /// The file system, or the database, refuses.
    #[error("{store}: {reason}")]
    Store {
        /// The store.
        store: String,
        /// What it said.
        reason: String,
    },
}

impl OpenError {
    pub(crate) fn io(path: &Path, error: &std::io::Error) -> OpenError {
        OpenError::Store {
            store: path.display().to_string(),
            reason: error.to_string(),
        }
    }

    pub(crate) fn corrupt(path: &Path, reason: &str) -> OpenError {
        OpenError::Corrupt {
            store: path.display().to_string(),
            reason: reason.to_owned(),
        }
    }

    pub(crate) fn sqlite(path: &Path, error: &rusqlite::Error) -> OpenError {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                OpenError::corrupt(path, &error.to_string())
            }
            _ => OpenError::Store {
                store: path.display().to_string(),
                reason: error.to_string(),
            },
        }
    }
}
