//! What is wrong with the configuration, and where.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use toml::Spanned;

/// The configuration cannot be used. Whoever wrote it is to blame.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read config file {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file, or a variable, says what cannot be.
    #[error("{place}: {message}")]
    Invalid {
        /// Where.
        place: Place,
        /// What is wrong, with the key.
        message: String,
    },
}

/// A place in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of the file, both counted from 1.
    Line {
        /// The file.
        file: PathBuf,
        /// Line.
        line: usize,
        /// Column, in characters.
        column: usize,
    },
    /// The file as a whole: something is missing.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line, column } => {
                write!(f, "{}:{line}:{column}", file.display())
            }
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

impl Place {
    /// The line and column of a byte offset in `text`.
    pub(super) fn in_text(file: &Path, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self::Line {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or("").chars().count() + 1,
        }
    }
}

/// A fault at a span of the [`Source`](super::source::Source), which knows what lies there.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) span: Option<Range<usize>>,
    pub(super) message: String,
}

impl Flaw {
    pub(super) fn at<T>(value: &Spanned<T>, message: impl fmt::Display) -> Self {
        Self {
            span: Some(value.span()),
            message: message.to_string(),
        }
    }

    pub(super) fn whole(message: impl fmt::Display) -> Self {
        Self {
            span: None,
            message: message.to_string(),
        }
    }
}

impl From<toml::de::Error> for Flaw {
    fn from(mut error: toml::de::Error) -> Self {
        let span = error.span();
        // Without its input the error names the key instead of drawing the line.
        error.set_input(None);
        Self {
            span,
            message: error.to_string().trim_end().replace("\nin `", " in `"),
        }
    }
}
