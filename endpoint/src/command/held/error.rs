//! Why commands cannot be kept.

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
