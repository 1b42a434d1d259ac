//! Standard output: what a subcommand was asked for, and nothing else.

use std::io::{self, Write as _};

use clap::ValueEnum;

use super::Failure;

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Writes text as it is, at once.
pub(crate) fn write(text: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_ref())
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::of_output(&error))
}

/// Writes a line, at once.
pub(super) fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    write(format!("{text}\n"))
}
