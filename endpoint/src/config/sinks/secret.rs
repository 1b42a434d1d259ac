//! Secrets of sinks: written into the configuration, or in a file of their own.

use std::fmt;
use std::path::{Path, PathBuf};

/// A secret, or where it stands.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The secret itself.
    Text(String),
    /// A file that holds it; white space around it is not part of it.
    File(PathBuf),
}

/// Shows no secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(…)"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

impl Secret {
    /// One of two keys, `key` and `key_file`; or none.
    pub(super) fn either(
        key: &str,
        text: Option<String>,
        file: Option<PathBuf>,
    ) -> Result<Option<Self>, String> {
        match (text, file) {
            (Some(_), Some(_)) => Err(format!("has both `{key}` and `{key}_file`: keep one")),
            (Some(text), None) => Ok(Some(Self::Text(text))),
            (None, file) => Ok(file.map(Self::File)),
        }
    }

    /// The secret.
    ///
    /// # Errors
    ///
    /// The file that cannot be read, and why.
    pub fn read(&self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(text.trim().to_owned()),
                Err(error) => Err(format!("{}: {error}", path.display())),
            },
        }
    }

    pub(in crate::config) fn start_at(&mut self, folder: &Path) {
        if let Self::File(path) = self {
            *path = folder.join(&path);
        }
    }
}
