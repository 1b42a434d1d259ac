//! Why commands cannot be kept.

use std::path::{Path, PathBuf};

/// Why a command is not kept, or those that are cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeldError {
    /// As many wait as may.
    #[error("as many commands are held as may be")]
    Full,
    /// The file cannot be read or written. The text is for the log.
    #[error("held commands: {0}")]
    Store(String),
}

impl HeldError {
    pub(super) fn of_sqlite(error: &rusqlite::Error) -> Self {
        Self::Store(error.to_string())
    }
}

/// Why the file of held commands cannot be used.
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
    #[error("{path} is no file of held commands; it is left as it is")]
    Foreign {
        /// The file.
        path: PathBuf,
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
    pub(super) fn unusable(path: &Path, reason: &impl ToString) -> Self {
        Self::Unusable {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}
