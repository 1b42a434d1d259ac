//! What can go wrong, sorted by who is to blame.

use std::path::{Path, PathBuf};

pub use crate::store::Unavailable;

/// The store could not be opened; the server does not start. Each says which file.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// An option is out of its bounds; the configuration is to blame.
    #[error("{0}")]
    Options(String),
    /// Another process has the registry open.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer version of the server.
    #[error(
        "{} has schema version {found}, this server knows up to {supported}: use a newer server",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: usize,
        /// The newest that is known here.
        supported: usize,
    },
    /// The file is damaged, or not a registry at all. It was not changed.
    #[error("{} cannot be used: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The file system refuses.
    #[error("{}: {reason}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
}

impl OpenError {
    pub(crate) fn io(path: &Path, error: &std::io::Error) -> OpenError {
        OpenError::Store {
            path: path.to_owned(),
            reason: error.to_string(),
        }
    }

    pub(crate) fn corrupt(path: &Path, reason: &str) -> OpenError {
        OpenError::Corrupt {
            path: path.to_owned(),
            reason: reason.to_owned(),
        }
    }

    pub(crate) fn sqlite(path: &Path, error: &rusqlite::Error) -> OpenError {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                OpenError::corrupt(path, &error.to_string())
            }
            _ => OpenError::Store {
                path: path.to_owned(),
                reason: error.to_string(),
            },
        }
    }
}
